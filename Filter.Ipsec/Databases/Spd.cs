using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Rules.Analysis;
using Filter.Rules.Compile;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Databases;

/// <summary>One entry of the SPD: its selectors, the SAs it has for what goes out, and what it counted.</summary>
public sealed class SpdEntry
{
    private readonly IpsecPolicy _policy;
    private readonly Dictionary<SelectorValues, OutboundSa[]>? _populated;
    private OutboundSa[] _outbound = [];

    /// <summary>The first of those: one step less to what each packet looks at.</summary>
    private OutboundSa? _first;

    internal SpdEntry(IpsecPolicy policy, PolicyStatistics statistics)
    {
        _policy = policy;
        Statistics = statistics;
        _populated = policy.Populate == PopulatedSelectors.None ? null : [];
    }

    /// <summary>Its name in the ruleset.</summary>
    public string Name => _policy.Name;

    /// <summary>Its number, from 1, in file order.</summary>
    public ushort Number => _policy.Number;

    /// <summary>Bypass, Protect or Drop.</summary>
    public IpsecAction Action => _policy.Action;

    /// <summary>All that the ruleset says of it.</summary>
    public IpsecPolicy Policy => _policy;

    /// <summary>What it counted; stays over re-keys and reloads.</summary>
    public PolicyStatistics Statistics { get; }

    /// <summary>An SA for what goes out, to reckon sizes with; null where it has none.</summary>
    internal OutboundSa? Usual => _outbound.Length > 0 ? _outbound[0] : null;

    /// <summary>Whether the entry speaks of packets that cross this way.</summary>
    internal bool Speaks(Direction direction) => direction == Direction.In ? _policy.Inbound : _policy.Outbound;

    /// <summary>Whether the selectors match (RFC 4301 §4.4.1.1), whichever way the packet goes.</summary>
    /// <param name="way">The packet's key, turned so that its source is on the protected side.</param>
    /// <param name="icmpType">Its ICMP type.</param>
    /// <param name="icmpCode">Its ICMP code.</param>
    internal bool Matches(in FlowKey way, byte icmpType, byte icmpCode) =>
        !_policy.Opaque && IsBetween(way.Source, way.Destination)
        && (_policy.Service is null || _policy.Service.Matches(way.Protocol, way.DestinationPort, Query(way.Protocol, icmpType), icmpCode))
        && (_policy.LocalPorts.IsEmpty || HasLocalPort(way.SourcePort));

    /// <summary>The first selector that does not match, by its word in a ruleset; null where all do.</summary>
    internal string? Differs(Direction direction, in FlowKey way, byte icmpType, byte icmpCode) =>
        !Speaks(direction) ? "direction"
        : _policy.Local?.Contains(way.Source) == false ? "local"
        : _policy.Remote?.Contains(way.Destination) == false ? "remote"
        : _policy.Opaque || _policy.Service?.Matches(way.Protocol, way.DestinationPort, Query(way.Protocol, icmpType), icmpCode) == false ? "service"
        : Matches(way, icmpType, icmpCode) ? null : "local-port";

    /// <summary>Whether the address selectors match.</summary>
    internal bool IsBetween(Address local, Address remote) =>
        (_policy.Local is null || _policy.Local.Contains(local)) && (_policy.Remote is null || _policy.Remote.Contains(remote));

    /// <summary>
    /// Whether ports, or types, decide which packets of the protocol it selects: a piece that shows none cannot be told by its
    /// policy then.
    /// </summary>
    internal bool NamesPorts(byte protocol)
    {
        if (_policy.Service is not { IsAny: false } set)
        {
            return false;
        }

        foreach (ref readonly Service service in set.Services.AsSpan())
        {
            if (service.Protocol == protocol && service.Ports == PortRange.All && service is { FirstCode: 0, LastCode: byte.MaxValue })
            {
                return !_policy.LocalPorts.IsEmpty;
            }
        }

        return true;
    }

    /// <summary>
    /// The SA for a packet that goes out: one whose selectors, DSCPs and life allow it. Those that name the DSCP come first, and
    /// among these the newest.
    /// </summary>
    internal OutboundSa? Select(in Packet packet, long now, int worker = 0)
    {
        // Mostly there is one, which carries all that its policy says.
        if (_populated is null && _first is { } first && first.CarriesAll && first.MayCarry(now, worker))
        {
            return first;
        }

        OutboundSa[]? candidates = _outbound;
        SelectorValues values = default;
        if (_populated is not null)
        {
            values = SelectorValues.OfSent(packet);
            if (!_populated.TryGetValue(values.Only(_policy.Populate), out candidates))
            {
                return null;
            }
        }

        foreach (OutboundSa sa in candidates)
        {
            if (sa.Carries(packet.TrafficClass) && sa.IsBetweenEnds(packet.Key.Source, packet.Key.Destination)
                && (sa.Selectors is null || sa.Selectors.Contain(SelectorValues.OfSent(packet)))
                && sa.MayCarry(now, worker))
            {
                return sa;
            }
        }

        return null;
    }

    /// <summary>Reads of what sealing looks at, so that it is at hand by then. What it gives is of no meaning, and keeps the reads alive.</summary>
    internal long Warm()
    {
        OutboundSa? first = _first;
        return (first is null ? 0 : first.Warm()) + Statistics.Protected;
    }

    /// <inheritdoc cref="Warm"/>
    internal long WarmSelectors() =>
        (_policy.Local is { IsEmpty: false } local ? (long)local.Ranges[0].First.Low : 0)
        + (_policy.Remote is { IsEmpty: false } remote ? (long)remote.Ranges[0].First.Low : 0) + Statistics.Opened;

    /// <summary>Whether an SA for what goes out would be there, had its life not ended.</summary>
    internal bool HasExpired => Array.Exists(_outbound, static sa => sa.State == SaState.Expired);

    /// <summary>Gives it an SA for what goes out. For the worker, or before it has the entry.</summary>
    internal void Add(OutboundSa sa)
    {
        if (_populated is null)
        {
            SetOutbound(With(_outbound, sa));
            return;
        }

        // There may be as many as hosts: one of them stands for all where only sizes count.
        SelectorValues values = Populated(sa);
        _populated[values] = With(_populated.GetValueOrDefault(values) ?? [], sa);
        SetOutbound([sa]);
    }

    /// <summary>Takes it away again.</summary>
    internal void Remove(OutboundSa sa)
    {
        SetOutbound([.. _outbound.Where(other => other != sa)]);
        if (_populated is null)
        {
            return;
        }

        SelectorValues values = Populated(sa);
        OutboundSa[] left = [.. (_populated.GetValueOrDefault(values) ?? []).Where(other => other != sa)];
        if (left.Length == 0)
        {
            _populated.Remove(values);
        }
        else
        {
            _populated[values] = left;
        }

        if (_outbound.Length == 0 && _populated.Count > 0)
        {
            SetOutbound(_populated.First().Value);
        }
    }

    private void SetOutbound(OutboundSa[] outbound) => (_outbound, _first) = (outbound, outbound.Length > 0 ? outbound[0] : null);

    /// <summary>An echo reply belongs to the request: one selector names both, as one port names both ways of TCP.</summary>
    internal static byte Query(byte protocol, byte icmpType) => (protocol, icmpType) switch
    {
        (1, 0) => 8,
        (58, 129) => 128,
        _ => icmpType,
    };

    /// <summary>Local ports are named with services alone that have ports.</summary>
    private bool HasLocalPort(ushort port)
    {
        foreach (PortRange range in _policy.LocalPorts.AsSpan())
        {
            if (range.Contains(port))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>An SA without selectors of its own carries what has no value in any of them.</summary>
    private SelectorValues Populated(OutboundSa sa) => sa.Selectors?.Populated(_policy.Populate) ?? default;

    /// <summary>SAs of a ruleset stay in its order; what a key manager brings goes before what it brought earlier.</summary>
    private static OutboundSa[] With(OutboundSa[] before, OutboundSa sa)
    {
        int at = sa.IsOfRuleset
            ? before.TakeWhile(other => other.Settings.Dscps != 0 || sa.Settings.Dscps == 0).Count()
            : before.TakeWhile(other => other.Settings.Dscps != 0 && sa.Settings.Dscps == 0).Count();
        return [.. before[..at], sa, .. before[at..]];
    }
}

/// <summary>
/// The security policy database (RFC 4301 §4.4.1): ordered entries, the first match wins, no match discards. The entries never
/// change; their SAs and counters do.
/// </summary>
public sealed class Spd
{
    private readonly SpdEntry[] _entries;
    private readonly int _brought;
    private readonly PolicyIndex? _index;
    private readonly Dictionary<string, SpdEntry> _names = new(StringComparer.Ordinal);
    private readonly Lazy<ImmutableArray<ImmutableArray<PolicyBox>>?>[] _decorrelated;

    internal Spd(ImmutableArray<IpsecPolicy> policies, Func<IpsecPolicy, PolicyStatistics> statistics)
    {
        _entries = [.. policies.Select(policy => new SpdEntry(policy, statistics(policy)))];
        _brought = policies.TakeWhile(static policy => policy.Number >= IpsecPolicy.FirstBrought).Count();
        _index = PolicyIndex.Of(policies);
        foreach (SpdEntry entry in _entries)
        {
            _names.TryAdd(entry.Name, entry);
        }

        _decorrelated = [new(() => PolicyAnalysis.Decorrelate(policies, Direction.Out)), new(() => PolicyAnalysis.Decorrelate(policies, Direction.In))];
    }

    /// <summary>The database that a ruleset describes, for who wants to look at it; null where it describes none.</summary>
    public static Spd? Of(IpsecConfig? config) => config is null ? null : new Spd(config.Policies, static _ => new PolicyStatistics());

    /// <summary>The entries in order: those that a key manager has brought, then the ruleset's.</summary>
    public IReadOnlyList<SpdEntry> Entries => _entries;

    /// <summary>The entry of that number; null for 0 and for numbers there are none of.</summary>
    public SpdEntry? Entry(int number)
    {
        int place = PlaceOf(number);
        return (uint)place < (uint)_entries.Length ? _entries[place] : null;
    }

    /// <summary>Where the entry of a number stands in <see cref="Entries"/>; outside of it where there is none.</summary>
    public int PlaceOf(int number) =>
        number < IpsecPolicy.FirstBrought ? number < 1 ? -1 : _brought + number - 1
        : number - IpsecPolicy.FirstBrought < _brought ? number - IpsecPolicy.FirstBrought : -1;

    /// <summary>The entry of that name; null where there is none.</summary>
    public SpdEntry? Entry(string name) => _names.GetValueOrDefault(name);

    /// <summary>
    /// What each entry selects that none before it does (RFC 4301 §4.4.1), for what is cached or negotiated: boxes of which no two
    /// overlap. Reckoned when it is first asked for, which may take seconds: not for the worker.
    /// </summary>
    /// <param name="direction">In or Out.</param>
    /// <returns>The boxes of each entry, in order; null where there would be too many.</returns>
    public ImmutableArray<ImmutableArray<PolicyBox>>? Decorrelated(Direction direction) => _decorrelated[direction == Direction.In ? 1 : 0].Value;

    /// <summary>The first entry that matches an opening; null where none does.</summary>
    public SpdEntry? Find(in OpeningFacts facts)
    {
        bool inbound = facts.Direction == Direction.In;
        FlowKey way = inbound ? facts.Key.Reverse : facts.Key;
        if (_index is null)
        {
            return Scan(facts);
        }

        int place = _index.Find(way, inbound, SpdEntry.Query(way.Protocol, facts.IcmpType), facts.IcmpCode);
        return place < 0 ? null : _entries[place];
    }

    /// <summary>
    /// The entry whose SA carries the pieces behind the first of packets that an entry with ports protects (RFC 4301 §7.2); null where
    /// they go with their packet.
    /// </summary>
    /// <param name="way">The packet's key, turned so that its source is on the protected side.</param>
    /// <param name="inbound">Whether it comes in.</param>
    internal SpdEntry? FindOpaque(in FlowKey way, bool inbound)
    {
        int place = _index?.FindOpaque(way, inbound) ?? -1;
        return place < 0 ? null : _entries[place];
    }

    /// <summary>What <see cref="Find"/> finds, one entry after the other: what the index must agree with, and what is left where it would be too large.</summary>
    internal SpdEntry? Scan(in OpeningFacts facts)
    {
        FlowKey way = facts.Direction == Direction.In ? facts.Key.Reverse : facts.Key;
        foreach (SpdEntry entry in _entries)
        {
            if (entry.Speaks(facts.Direction)
                && entry.Matches(way, facts.IcmpType, facts.IcmpCode))
            {
                return entry;
            }
        }

        return null;
    }
}
