using Filter.Engine.Packets;

namespace Filter.Ipsec.Databases;

/// <summary>
/// The security association database (RFC 4301 §4.4.2): every SA by its number, and by what packets say. Those that open by SPI,
/// protocol and destination, or SPI and protocol alone for transport SAs that name no address; those that seal by the far end too
/// (<see cref="SealingIndex"/>). One worker changes it; others may list what is in it.
/// </summary>
public sealed class Sad
{
    private const int Smallest = 64;

    private readonly Stack<int> _free = [];
    private readonly Dictionary<(Address Local, ushort Port), int> _encapsulated = [];
    private readonly uint _spread = (uint)Random.Shared.NextInt64() | 1;
    private SecurityAssociation?[] _associations = new SecurityAssociation?[Smallest];
    private readonly SealingIndex _sealing = new();
    private Place[] _index = new Place[Smallest];
    private int _opening;
    private int _used;
    private long _added;

    /// <summary>How many SAs there are, both directions.</summary>
    public int Count { get; private set; }

    /// <summary>One more than the highest number there has been.</summary>
    internal int Places => _used + 1;

    /// <summary>Every SA, by number. For any thread: what changes meanwhile may or may not be among them.</summary>
    public IEnumerable<SecurityAssociation> All
    {
        get
        {
            SecurityAssociation?[] associations = Volatile.Read(ref _associations);
            for (int i = 0; i < associations.Length; i++)
            {
                if (Volatile.Read(ref associations[i]) is { } sa)
                {
                    yield return sa;
                }
            }
        }
    }

    /// <summary>The SA of that number; null for 0 and for numbers there are none of.</summary>
    public SecurityAssociation? this[int number] => (uint)number < (uint)_associations.Length ? _associations[number] : null;

    /// <summary>The SA that a packet names; null where it names none.</summary>
    /// <param name="spi">As the packet has it.</param>
    /// <param name="protocol">50 or 51.</param>
    /// <param name="destination">The outer header's.</param>
    public InboundSa? Find(uint spi, byte protocol, Address destination) => Settle(First(spi), spi, protocol, destination);

    /// <summary>
    /// Touches what <see cref="First"/> will read for a whole burst, without a branch that waits for memory: so all of it is on its
    /// way at once, and a million SAs cost little more than a few.
    /// </summary>
    /// <returns>Of no meaning; it keeps the reads alive.</returns>
    internal uint Warm(ReadOnlySpan<uint> spis)
    {
        uint read = 0;
        Place[] index = _index;
        int shift = 32 - System.Numerics.BitOperations.Log2((uint)index.Length);
        foreach (uint spi in spis)
        {
            read ^= index[(int)((spi * _spread) >> shift)].Spi;
        }

        return read;
    }

    /// <summary>The same for the SAs themselves, once the index is at hand.</summary>
    internal long WarmFound(ReadOnlySpan<uint> spis)
    {
        long read = 0;
        foreach (uint spi in spis)
        {
            read += First(spi)?.Warm() ?? 0;
        }

        return read;
    }

    /// <summary>The first SA that opens of this SPI, without a look at it; asked for a whole burst before <see cref="Settle"/> is.</summary>
    internal InboundSa? First(uint spi)
    {
        for (int at = Home(spi); _index[at].Sa is not null; at = (at + 1) & (_index.Length - 1))
        {
            if (_index[at].Spi == spi)
            {
                return _index[at].Sa;
            }
        }

        return null;
    }

    /// <summary>What <see cref="Find"/> finds, where <see cref="First"/> has begun.</summary>
    internal InboundSa? Settle(InboundSa? first, uint spi, byte protocol, Address destination) =>
        first is null || (first.Protocol == protocol && first.Local == destination) ? first : AmongSeveral(spi, protocol, destination);

    private InboundSa? AmongSeveral(uint spi, byte protocol, Address destination)
    {
        InboundSa? anywhere = null;
        for (int at = Home(spi); _index[at].Sa is not null; at = (at + 1) & (_index.Length - 1))
        {
            if (_index[at].Spi == spi && _index[at].Sa is { } sa && sa.Protocol == protocol)
            {
                if (sa.Local == destination)
                {
                    return sa;
                }

                anywhere = sa.Local == default ? sa : anywhere;
            }
        }

        return anywhere;
    }

    /// <summary>The SA by which a packet was sealed that somebody on its way speaks of; null where there is none.</summary>
    /// <param name="spi">As the packet had it.</param>
    /// <param name="protocol">50 or 51.</param>
    /// <param name="source">The outer header's.</param>
    /// <param name="destination">The outer header's.</param>
    public OutboundSa? FindSealing(uint spi, byte protocol, Address source, Address destination)
    {
        lock (_sealing)
        {
            return _sealing.Find(spi, protocol, source, destination);
        }
    }

    /// <summary>The most places that any search looks at, for who wants to know how even they lie.</summary>
    internal int LongestRun
    {
        get
        {
            int longest = _sealing.LongestRun, run = 0;
            foreach (Place place in _index)
            {
                run = place.Sa is null ? 0 : run + 1;
                longest = Math.Max(longest, run);
            }

            return longest;
        }
    }

    /// <summary>An SA sends from now on to where its far end has turned up.</summary>
    internal void Follow(OutboundSa sa, Address address, ushort port)
    {
        if (sa.Number == 0 || address == sa.Remote)
        {
            sa.Follow(address, port);
            return;
        }

        lock (_sealing)                     // several workers read it
        {
            _sealing.Remove(sa);
            sa.Follow(address, port);
            _sealing.Add(sa);
        }
    }

    /// <summary>Whether any SA takes ESP in UDP.</summary>
    internal bool HasEncapsulated => _encapsulated.Count > 0;

    /// <summary>Whether UDP to that address and port may hold ESP; an SA that names no address of ours takes it wherever it goes.</summary>
    internal bool Encapsulates(Address destination, ushort port) =>
        _encapsulated.Count > 0 && (IsEncapsulatedTo(destination, port) || _encapsulated.ContainsKey((default, port)));

    /// <summary>Whether an SA takes ESP in UDP to just that address and port.</summary>
    internal bool IsEncapsulatedTo(Address destination, ushort port) => _encapsulated.ContainsKey((destination, port));

    /// <summary>Whether another inbound SA already has this one's place.</summary>
    public bool Clashes(InboundSa fresh) => Find(fresh.Spi, fresh.Protocol, fresh.Local) is { } there && there.Local == fresh.Local;

    internal void Add(SecurityAssociation sa)
    {
        if (!_free.TryPop(out int number))
        {
            number = ++_used;                       // 0 is no SA
            if (number == _associations.Length)
            {
                SecurityAssociation?[] larger = new SecurityAssociation?[number * 2];
                _associations.CopyTo(larger, 0);
                Volatile.Write(ref _associations, larger);
            }
        }

        sa.Number = number;
        sa.Serial = ++_added;
        Volatile.Write(ref _associations[number], sa);
        Count++;
        if (sa is InboundSa inbound)
        {
            if ((++_opening + 1) * 2 > _index.Length)
            {
                Grow();
            }

            Enter(inbound);
            CountPort(inbound, 1);
        }
        else if (sa is OutboundSa outbound)
        {
            _sealing.Add(outbound);
        }
    }

    internal void Remove(SecurityAssociation sa)
    {
        if (sa.Users.Length > 0)
        {
            sa.Users[0].Statistics.Gone.Add(sa.Statistics);     // the policy's counters outlive its SAs
        }

        if (sa is InboundSa inbound)
        {
            CountPort(inbound, -1);
            Leave(inbound);
            _opening--;
        }
        else if (sa is OutboundSa outbound)
        {
            _sealing.Remove(outbound);
        }

        Volatile.Write(ref _associations[sa.Number], null);
        _free.Push(sa.Number);
        sa.Number = 0;
        Count--;
    }

    /// <summary>Where an SPI falls is no one's to know.</summary>
    private int Home(uint spi) => (int)((spi * _spread) >> (32 - System.Numerics.BitOperations.Log2((uint)_index.Length)));

    private void CountPort(InboundSa sa, int by)
    {
        if (sa.Settings.Encapsulation is not { } udp)
        {
            return;
        }

        int count = _encapsulated.GetValueOrDefault((sa.Local, udp.LocalPort)) + by;
        if (count == 0)
        {
            _encapsulated.Remove((sa.Local, udp.LocalPort));
        }
        else
        {
            _encapsulated[(sa.Local, udp.LocalPort)] = count;
        }
    }

    private void Enter(InboundSa sa)
    {
        int at = Home(sa.Spi);
        while (_index[at].Sa is not null)
        {
            at = (at + 1) & (_index.Length - 1);
        }

        _index[at] = new Place(sa.Spi, sa);
    }

    /// <summary>Takes a place out and moves up those behind it that would not be found any more.</summary>
    private void Leave(InboundSa sa)
    {
        int mask = _index.Length - 1, hole = Home(sa.Spi);
        while (_index[hole].Sa != sa)
        {
            hole = (hole + 1) & mask;
        }

        for (int at = (hole + 1) & mask; _index[at].Sa is not null; at = (at + 1) & mask)
        {
            int home = Home(_index[at].Spi);
            if (((at - home) & mask) >= ((at - hole) & mask))
            {
                _index[hole] = _index[at];
                hole = at;
            }
        }

        _index[hole] = default;
    }

    private void Grow()
    {
        Place[] before = _index;
        _index = new Place[before.Length * 2];
        foreach (Place place in before)
        {
            if (place.Sa is { } sa)
            {
                Enter(sa);
            }
        }
    }

    private readonly record struct Place(uint Spi, InboundSa? Sa);
}
