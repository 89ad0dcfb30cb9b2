using System.Numerics;
using Filter.Engine.Local;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Ipsec.Protocols;
using Filter.Rules.Policy;

namespace Filter.Ipsec;

/// <summary>
/// IPsec on the walk (RFC 4301 §5): opens what came protected, says what policy wants, seals what leaves. One a worker,
/// which alone calls it, but for what says that others may look.
/// </summary>
/// <remarks>
/// SAs come with a ruleset (<see cref="Adopt"/>) or one by one from who manages keys (<see cref="Add"/>, <see cref="Remove"/>); the
/// stage owns their keys from then on, and wipes them when they go.
/// </remarks>
public sealed partial class IpsecStage : IIpsecStage, IDisposable
{
    /// <summary>Most tunnels inside each other.</summary>
    public const int DeepestNesting = 3;

    private const int RoomForEvents = 1024;

    private readonly IReadOnlyList<Port> _ports;
    private readonly CryptoBackend _crypto;
    private readonly CryptoJob[] _jobs = new CryptoJob[Burst.Capacity];
    private readonly int[] _packets = new int[Burst.Capacity];
    private readonly bool[] _ordinary = new bool[Burst.Capacity];
    private readonly uint[] _spis = new uint[Burst.Capacity];
    private readonly SecurityAssociation[] _associations = new SecurityAssociation[Burst.Capacity];
    private readonly SavedHeaders _aside = new(Burst.Capacity);
    private readonly ushort _protectedMask;
    private readonly ulong _hostMac;
    private readonly Port? _self;
    private readonly Seat? _seat;
    private readonly int _worker;
    private readonly List<IpsecStage> _lanes = [];
    private IpsecDatabases _databases;
    private TokenBucket _answers = new(new RateLimit(1_000_000_000 / 200, 200));     // RFC 4443 §2.4 (f)
    private bool _awaitsKeys;
    private int _renewals;
    private int _count;
    private uint _warmed;
    private long _now;

    /// <summary>A stage for the ports of one path.</summary>
    /// <param name="ports">By number: their sides and MTUs count.</param>
    /// <param name="crypto">Its own from now on.</param>
    /// <param name="databases">What is in force.</param>
    /// <param name="host">
    /// The port behind which stands the box's own stack and nobody else; null in a bridge. Whatever address that stack
    /// has given itself, ESP to its link address is meant for us.
    /// </param>
    /// <param name="self">The port behind which stands the box's own stack, alone or beside a bridge; null for <paramref name="host"/>.</param>
    /// <param name="seat">Its worker's place where there are several; null for the only one.</param>
    public IpsecStage(IReadOnlyList<Port> ports, CryptoBackend crypto, IpsecDatabases databases, Port? host = null, Port? self = null, Seat? seat = null)
    {
        _seat = seat;
        _lanes.Add(this);
        Sad = new Sad();
        _ports = ports;
        _hostMac = host?.Mac ?? 0;
        _self = self ?? host;
        _crypto = crypto;
        _databases = databases;
        foreach (Port port in ports)
        {
            _protectedMask |= port.Side == Side.Protected ? port.Mask : (ushort)0;
        }

        _identification = (ushort)Random.Shared.Next();
        _fragmentIdentification = (uint)Random.Shared.NextInt64();
        Take(databases);
    }

    private IpsecStage(IpsecStage first, Seat seat, CryptoBackend crypto)
    {
        (_ports, _hostMac, _self, _protectedMask) = (first._ports, first._hostMac, first._self, first._protectedMask);
        (_crypto, _seat, _worker, _lanes, Sad, _databases, Generation) = (crypto, seat, seat.Number, first._lanes, first.Sad, first._databases, first.Generation);
        _identification = (ushort)Random.Shared.Next();
        _fragmentIdentification = (uint)Random.Shared.NextInt64();
        _lanes.Add(this);
        foreach (SecurityAssociation sa in Sad.All.Where(sa => sa.Owner == _worker))
        {
            sa.Begin(Events);               // whose it is tells what it reaches
        }
    }

    /// <summary>
    /// The stage of another worker, with the same policies and SAs: each SA is sealed and opened with by one worker, who owns it. Made
    /// for each seat in their order, before packets come; what changes policies or SAs is asked of the first one, while all workers stand still.
    /// </summary>
    /// <param name="seat">The other worker's place.</param>
    /// <param name="crypto">Its own from now on.</param>
    public IpsecStage For(Seat seat, CryptoBackend crypto) => new(this, seat, crypto);

    /// <summary>This one, and those of the other workers.</summary>
    public IReadOnlyList<IpsecStage> Lanes => _lanes;

    /// <inheritdoc/>
    public int Renewals => _lanes[0]._renewals;

    /// <summary>
    /// Somebody negotiates SAs, for policies that have none of the ruleset: what finds none may wait for it. Set for all workers, before
    /// they start or while they stand still.
    /// </summary>
    public bool AwaitsKeys
    {
        get => _lanes[0]._awaitsKeys;
        set => _lanes[0]._awaitsKeys = value;
    }

    /// <inheritdoc/>
    public int Generation { get; private set; } = 1;

    /// <summary>What is in force. Its statistics may be read by any thread.</summary>
    public IpsecDatabases Databases => Volatile.Read(ref _databases);

    /// <summary>Every SA. May be listed by any thread.</summary>
    public Sad Sad { get; }

    /// <summary>What a key manager has to know; it alone reads.</summary>
    public Ring<IpsecEvent> Events { get; } = new(RoomForEvents);

    /// <summary>The library that does the cryptography, for `status`.</summary>
    public string Backend => _crypto.Name;

    /// <summary>
    /// Puts new databases in force, and wipes the keys of SAs that are not in them. SAs that a key manager has brought stay
    /// where their policies do, by name. Called by the worker between bursts.
    /// </summary>
    public void Adopt(IpsecDatabases next)
    {
        HashSet<SecurityAssociation> kept = [.. next.Manual.Select(static manual => manual.Sa)];
        List<(SecurityAssociation Sa, string[] Policies)> brought = [];
        foreach (SecurityAssociation sa in Sad.All)
        {
            if (sa.IsOfRuleset && !kept.Contains(sa))
            {
                Sad.Remove(sa);
                Wipe(sa);
            }
            else if (!sa.IsOfRuleset)
            {
                brought.Add((sa, [.. sa.Users.Select(static entry => entry.Name)]));
            }
        }

        foreach (IpsecStage lane in _lanes)
        {
            Volatile.Write(ref lane._databases, next);
        }

        Take(next);
        foreach ((SecurityAssociation sa, string[] names) in brought)
        {
            SpdEntry[] users = [.. names.Select(name => next.Spd?.Entry(name)).OfType<SpdEntry>().Where(static e => e.Action == IpsecAction.Protect)];
            if (users.Length == 0 && !sa.StaysAlone)
            {
                Sad.Remove(sa);
                Wipe(sa);
            }
            else
            {
                Bind(sa, users);
            }
        }

        // Flows ask again what policy wants; nothing of the last burst keeps an SA that is gone.
        foreach (IpsecStage lane in _lanes)
        {
            lane.Generation++;
            Array.Clear(lane._jobs);
            Array.Clear(lane._associations);
        }

        _seat?.Crew.Renew();
    }

    /// <summary>
    /// Adds an SA for policies in force; the keys are the stage's own from then on. For the worker, between bursts.
    /// </summary>
    /// <param name="sa">New, in no stage.</param>
    /// <param name="policies">The names of the policies that use it: protecting ones, all in force.</param>
    /// <returns>Null, or why it was not taken; it is the caller's to dispose then.</returns>
    public string? Add(SecurityAssociation sa, params ReadOnlySpan<string> policies)
    {
        if (UsersOf(policies, out SpdEntry[] users) is { } wrong)
        {
            return wrong;
        }

        if (users.Length == 0 && !sa.StaysAlone)
        {
            return "an SA belongs to a policy";
        }

        if (sa is InboundSa inbound && Sad.Clashes(inbound))
        {
            return $"there already is an SA that receives with the SPI 0x{sa.Spi:x8}";
        }

        sa.Owner = OwnerOf(sa);
        Sad.Add(sa);
        Bind(sa, users);
        _lanes[0]._renewals++;
        return null;
    }

    /// <summary>Says which policies use an SA that is there, and no others do. For the worker, between bursts.</summary>
    /// <returns>Null, or why nothing changed.</returns>
    public string? Assign(SecurityAssociation sa, params ReadOnlySpan<string> policies)
    {
        if (UsersOf(policies, out SpdEntry[] users) is { } wrong)
        {
            return wrong;
        }

        Release(sa);
        Bind(sa, users);
        _lanes[0]._renewals++;
        return null;
    }

    /// <summary>
    /// Puts one that is the same between other ends in an SA's place: keys, numbers and what it has received stay. For the worker,
    /// between bursts. Null where it is not there, or its new place is taken.
    /// </summary>
    public SecurityAssociation? Move(SecurityAssociation sa, SaSettings settings)
    {
        if (Sad[sa.Number] != sa || sa.Number == 0)
        {
            return null;
        }

        SaKey key = sa.Key.Copy();
        SecurityAssociation moved = sa is OutboundSa outbound ? outbound.Moved(settings, key) : ((InboundSa)sa).Moved(settings, key);
        if (moved is InboundSa inbound && Sad.Find(inbound.Spi, inbound.Protocol, inbound.Local) is { } there && there != sa && there.Local == inbound.Local)
        {
            moved.Dispose();
            return null;
        }

        SpdEntry[] users = sa.Users;
        Remove(sa);
        moved.Owner = OwnerOf(moved);
        Sad.Add(moved);
        Bind(moved, users);
        return moved;
    }

    /// <summary>Takes an SA out and wipes its keys. For the worker, between bursts. False where it is not there.</summary>
    public bool Remove(SecurityAssociation sa)
    {
        if (Sad[sa.Number] != sa || sa.Number == 0)
        {
            return false;
        }

        Release(sa);
        Sad.Remove(sa);
        Wipe(sa);
        _seat?.Crew.Renew();
        return true;
    }

    /// <inheritdoc/>
    public IpsecDecision Decide(in OpeningFacts facts)
    {
        if (_databases.Spd is not { } spd)
        {
            return new IpsecDecision(IpsecAction.Bypass, 0);
        }

        if (spd.Find(facts) is not { } entry)
        {
            return new IpsecDecision(IpsecAction.Drop, 0);
        }

        Count(ref entry.Statistics.Decisions);
        return new IpsecDecision(entry.Action, entry.Number);
    }

    /// <inheritdoc/>
    public bool CameBy(in Packet packet, ushort policy)
    {
        if (Sad[packet.Sa] is { } sa)
        {
            foreach (SpdEntry entry in sa.Users)
            {
                if (entry.Number == policy)
                {
                    return true;
                }
            }
        }

        return false;
    }

    /// <inheritdoc/>
    public bool SealsFragments(ushort policy) => _databases.Spd?.Entry(policy) is { Usual.Mode: IpsecMode.Tunnel };

    /// <summary>Gives the cryptography back and wipes all keys. The worker has stopped.</summary>
    public void Dispose()
    {
        foreach (SecurityAssociation association in Sad.All)
        {
            association.Dispose();
        }

        foreach (IpsecStage lane in _lanes)
        {
            lane._crypto.Dispose();
        }
    }

    /// <summary>Whether an error may be sent: all workers together keep to the rate.</summary>
    private bool MayAnswer()
    {
        for (int lane = 0; _seat is not null && lane < _lanes.Count; lane++)
        {
            _answers.CatchUp(_lanes[lane]._answers);
        }

        return _answers.TryTake(_now);
    }

    /// <summary>Counts for a policy, which all workers do.</summary>
    private void Count(ref long cell, long by = 1)
    {
        if (_seat is null)
        {
            cell += by;
        }
        else
        {
            Interlocked.Add(ref cell, by);
        }
    }

    /// <summary>
    /// Who owns an SA: the worker at which its packets come in, by the addresses of its ends. So what is sealed is spread by far ends,
    /// and in transport mode nothing changes hands. One that names no ends is the first worker's.
    /// </summary>
    private int OwnerOf(SecurityAssociation sa) =>
        _seat is null || sa.Local == default || sa.Remote == default ? 0 : _seat.Crew.Homes.Of(sa.Local, sa.Remote);

    /// <summary>The library keeps what it made of a key no longer than the key lives.</summary>
    private void Wipe(SecurityAssociation sa)
    {
        foreach (IpsecStage lane in _lanes)
        {
            lane._crypto.Forget(sa.Key);
        }

        sa.Dispose();
    }

    private void Take(IpsecDatabases databases)
    {
        OutboundSa? outbound = null;
        foreach (IpsecDatabases.ManualSa manual in databases.Manual)
        {
            SecurityAssociation sa = manual.Sa;
            outbound = sa as OutboundSa ?? outbound;        // each stands before its other half
            if (sa is InboundSa inbound)
            {
                inbound.Answer = outbound;
            }

            sa.Name = manual.Config.Name;
            sa.Adopt(manual.Config.Settings);
            if (sa.Number == 0)
            {
                sa.Owner = OwnerOf(sa);
                Sad.Add(sa);
            }

            Bind(sa, manual.Users);
        }
    }

    private string? UsersOf(ReadOnlySpan<string> policies, out SpdEntry[] users)
    {
        users = new SpdEntry[policies.Length];
        for (int i = 0; i < policies.Length; i++)
        {
            if (_databases.Spd?.Entry(policies[i]) is not { Action: IpsecAction.Protect } entry)
            {
                return $"no policy \"{policies[i]}\" protects anything";
            }

            users[i] = entry;
        }

        return null;
    }

    /// <summary>No policy seals by it any more.</summary>
    private static void Release(SecurityAssociation sa)
    {
        if (sa is OutboundSa outbound)
        {
            foreach (SpdEntry entry in sa.Users)
            {
                entry.Remove(outbound);
            }
        }
    }

    private void Bind(SecurityAssociation sa, SpdEntry[] users)
    {
        sa.Users = users;
        sa.Begin(_lanes[Math.Min(sa.Owner, _lanes.Count - 1)].Events);
        if (sa is OutboundSa outbound)
        {
            foreach (SpdEntry entry in users)
            {
                entry.Add(outbound);
            }
        }
    }

    /// <summary>The smallest of the ports that the packet leaves by.</summary>
    private int MtuOf(ushort egress)
    {
        if (BitOperations.IsPow2(egress))
        {
            return _ports[BitOperations.TrailingZeroCount(egress)].Mtu;
        }

        int mtu = int.MaxValue;
        for (int ports = egress; ports != 0; ports &= ports - 1)
        {
            mtu = Math.Min(mtu, _ports[BitOperations.TrailingZeroCount(ports)].Mtu);
        }

        return mtu;
    }
}
