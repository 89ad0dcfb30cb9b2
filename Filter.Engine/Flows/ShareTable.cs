using System.Numerics;
using Filter.Engine.Memory;
using Filter.Engine.Packets;
using Filter.Engine.Path;

namespace Filter.Engine.Flows;

/// <summary>
/// Who has a share of the flow table: an opener, or a service that flows are opened to. Openings of rules marked
/// `management` have shares of their own, which nobody else can spend.
/// </summary>
/// <param name="Address">The opener's prefix, or the service's address.</param>
/// <param name="Segment">The VLAN stack: addresses may be used again behind another tag.</param>
/// <param name="Port">The service's port as <see cref="FlowKey"/> has it; 0 of an opener.</param>
/// <param name="Protocol">Its protocol; 0 of an opener.</param>
/// <param name="Management">Of rules marked so.</param>
public readonly record struct ShareKey(Address Address, uint Segment, ushort Port, byte Protocol, bool Management)
{
    /// <summary>Whose flows alone are meant, of rules with limits; 0 for all.</summary>
    internal int Rule { get; init; }

    /// <summary>The opener's; an IPv6 host has a whole /64 to choose sources from.</summary>
    public static ShareKey OfSource(in FlowKey key, bool management) =>
        new(key.Source.IsIPv4 ? key.Source : new Address(key.Source.High, 0), key.Segment, 0, 0, management);

    /// <summary>The service's.</summary>
    public static ShareKey OfDestination(in FlowKey key, bool management) =>
        new(key.Destination, key.Segment, key.DestinationPort, key.Protocol, management);
}

/// <summary>One share of the table.</summary>
internal struct Share
{
    public ShareKey Key;
    public long Spent;              // of its bucket, as TokenBucket keeps it
    public AgeList Openings;        // its flows that may be given up, by age
    public int Flows;
    public int Chain;               // next in its bucket
    public int Older, Newer;        // of one without flows: its neighbours among the idle
}

/// <summary>
/// The shares of a flow table, found by key under a keyed hash; fixed in size. There is room for one for each flow and for
/// the one that is about to open, so nobody is ever refused, or counted with a stranger, because there are too many
/// others: a flood of spoofed senders changes nothing for a real one. A share without flows whose bucket was drawn from stays until
/// its place is needed: that idle the longest goes first. One that has nothing to remember is gone with its last flow.
/// </summary>
internal sealed class ShareTable
{
    /// <summary>Most shares of a chain that another worker looks at.</summary>
    private const int LongestLook = 64;

    private readonly FlowHash _hash = FlowHash.Create();
    private readonly Share[] _shares;
    private readonly int[] _buckets;
    private readonly uint _mask;
    private int _used, _last;
    private int _oldestIdle, _newestIdle;
    private int _free;
    private int _most = int.MaxValue;

    public ShareTable(int flows)
    {
        _shares = new Share[flows + 2];
        uint buckets = BitOperations.RoundUpToPowerOf2((uint)flows);
        _buckets = new int[buckets];
        _mask = buckets - 1;
    }

    /// <summary>How many shares hold as many flows as they may.</summary>
    public int AtMost { get; private set; }

    /// <summary>Most flows of a share. Setting it anew counts <see cref="AtMost"/> afresh.</summary>
    public int Most
    {
        get => _most;
        set
        {
            if (_most == value)
            {
                return;
            }

            _most = value;
            AtMost = 0;
            for (int share = 1; share <= _used; share++)
            {
                AtMost += _shares[share].Flows >= value ? 1 : 0;
            }
        }
    }

    public ref Share this[int share] => ref _shares[share];

    /// <summary>Has the place fetched where the share of that key is looked for.</summary>
    /// <returns>The place, for <see cref="FetchShare"/>.</returns>
    public uint FetchBucket(in ShareKey key)
    {
        uint bucket = Bucket(key);
        Fetch.Line(ref _buckets[bucket]);
        return bucket;
    }

    /// <summary>Has the share fetched that stands there.</summary>
    public void FetchShare(uint bucket)
    {
        ref Share first = ref _shares[_buckets[bucket]];
        Fetch.Line(ref first);
        Fetch.Line(ref first.Chain);
    }

    /// <summary>The share of that key, begun if there is none; it stays the key's until others are reached.</summary>
    public int Reach(in ShareKey key)
    {
        if (_shares[_last].Key == key && _last != 0)
        {
            return _last;
        }

        int share = _buckets[Bucket(key)];
        while (share != 0 && _shares[share].Key != key)
        {
            share = _shares[share].Chain;
        }

        _last = share != 0 ? share : Begin(key);
        return _last;
    }

    /// <summary>How many flows the share of that key has. For any worker: what is written meanwhile may be seen or not.</summary>
    public int FlowsOf(in ShareKey key) => Look(key) is var share and not 0 ? Volatile.Read(ref _shares[share].Flows) : 0;

    /// <summary>The oldest of them that may be given up; 0 for none. As <see cref="FlowsOf"/>.</summary>
    public int OldestOf(in ShareKey key) => Look(key) is var share and not 0 ? Volatile.Read(ref _shares[share].Openings.Oldest) : 0;

    /// <summary>How its bucket was left. As <see cref="FlowsOf"/>.</summary>
    public long SpentOf(in ShareKey key) => Look(key) is var share and not 0 ? Volatile.Read(ref _shares[share].Spent) : TokenBucket.Full;

    /// <summary>A flow more.</summary>
    public void Take(int share)
    {
        ref Share taken = ref _shares[share];
        if (taken.Flows == 0)
        {
            LeaveIdle(taken);
        }

        AtMost += ++taken.Flows == _most ? 1 : 0;
    }

    /// <summary>A flow less.</summary>
    public void Return(int share)
    {
        ref Share returned = ref _shares[share];
        AtMost -= returned.Flows-- == _most ? 1 : 0;
        if (returned.Flows != 0)
        {
            return;
        }

        if (returned.Spent == TokenBucket.Full)
        {
            Unlink(share);
            (returned.Key, returned.Older, _free) = (default, _free, share);
            _last = _last == share ? 0 : _last;
        }
        else
        {
            EnterIdle(share);
        }
    }

    /// <summary>The share of that key, 0 for none; begins and remembers nothing. Whoever moves a chain meanwhile may lead astray, but not for ever.</summary>
    private int Look(in ShareKey key)
    {
        int share = Volatile.Read(ref _buckets[Bucket(key)]);
        for (int looked = 0; share != 0 && looked < LongestLook; looked++)
        {
            if (_shares[share].Key == key)
            {
                return share;
            }

            share = Volatile.Read(ref _shares[share].Chain);
        }

        return 0;
    }

    private int Begin(in ShareKey key)
    {
        int share = _free;
        if (share != 0)
        {
            _free = _shares[share].Older;
        }
        else if (_used < _shares.Length - 1)
        {
            share = ++_used;
        }
        else
        {
            share = _oldestIdle;
            LeaveIdle(_shares[share]);
            Unlink(share);
        }

        ref int bucket = ref _buckets[Bucket(key)];
        _shares[share] = new Share { Key = key, Chain = bucket, Spent = TokenBucket.Full };
        bucket = share;
        EnterIdle(share);
        return share;
    }

    private void Unlink(int share)
    {
        ref int link = ref _buckets[Bucket(_shares[share].Key)];
        while (link != share)
        {
            link = ref _shares[link].Chain;
        }

        link = _shares[share].Chain;
    }

    private void EnterIdle(int share)
    {
        ref Share idle = ref _shares[share];
        (idle.Older, idle.Newer) = (_newestIdle, 0);
        (_newestIdle == 0 ? ref _oldestIdle : ref _shares[_newestIdle].Newer) = share;
        _newestIdle = share;
    }

    private void LeaveIdle(in Share idle)
    {
        (idle.Older == 0 ? ref _oldestIdle : ref _shares[idle.Older].Newer) = idle.Newer;
        (idle.Newer == 0 ? ref _newestIdle : ref _shares[idle.Newer].Older) = idle.Older;
    }

    private uint Bucket(in ShareKey key) => (uint)_hash.Of(
        new FlowKey(key.Address, new Address(0, (uint)key.Rule), key.Management ? (ushort)1 : (ushort)0, key.Port, key.Protocol, key.Segment)) & _mask;
}
