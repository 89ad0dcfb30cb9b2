using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Databases;

/// <summary>One entry of the SPD, with what it counted.</summary>
public sealed class SpdEntry
{
    private readonly IpsecPolicy _policy;

    internal SpdEntry(IpsecPolicy policy, SaPair? sa)
    {
        _policy = policy;
        Sa = sa;
        sa?.Use(this);
    }

    /// <summary>Its name in the ruleset.</summary>
    public string Name => _policy.Name;

    /// <summary>Its number, from 1, in file order.</summary>
    public ushort Number => _policy.Number;

    /// <summary>Bypass, Protect or Drop.</summary>
    public IpsecAction Action => _policy.Action;

    /// <summary>The SAs of a protecting entry.</summary>
    public SaPair? Sa { get; }

    /// <summary>What it counted.</summary>
    public PolicyStatistics Statistics { get; } = new();

    /// <summary>Whether the entry speaks of packets that cross this way.</summary>
    internal bool Speaks(Direction direction) => direction == Direction.In ? _policy.Inbound : _policy.Outbound;

    /// <summary>Whether the selectors match (RFC 4301 §4.4.1.1), whichever way the packet goes.</summary>
    internal bool Matches(Address local, Address remote, byte protocol, ushort remotePort, byte icmpType, byte icmpCode) =>
        IsBetween(local, remote)
        && (_policy.Service is null || _policy.Service.Matches(protocol, remotePort, Query(protocol, icmpType), icmpCode));

    /// <summary>Whether the address selectors match.</summary>
    internal bool IsBetween(Address local, Address remote) =>
        (_policy.Local is null || _policy.Local.Contains(local)) && (_policy.Remote is null || _policy.Remote.Contains(remote));

    /// <summary>An echo reply belongs to the request: one selector names both, as one port names both ways of TCP.</summary>
    private static byte Query(byte protocol, byte icmpType) => (protocol, icmpType) switch
    {
        (1, 0) => 8,
        (58, 129) => 128,
        _ => icmpType,
    };
}

/// <summary>
/// The security policy database (RFC 4301 §4.4.1): ordered entries, the first match wins, no match discards. Immutable
/// but for its counters.
/// </summary>
public sealed class Spd
{
    private readonly SpdEntry[] _entries;

    internal Spd(IEnumerable<SpdEntry> entries) => _entries = [.. entries];

    /// <summary>The entries in order; the entry with number n stands at n - 1.</summary>
    public IReadOnlyList<SpdEntry> Entries => _entries;

    /// <summary>The entry of that number; null for 0 and for numbers there are none of.</summary>
    public SpdEntry? Entry(int number) => (uint)(number - 1) < (uint)_entries.Length ? _entries[number - 1] : null;

    /// <summary>The first entry that matches an opening; null where none does.</summary>
    public SpdEntry? Find(in OpeningFacts facts)
    {
        bool inbound = facts.Direction == Direction.In;
        (Address local, Address remote, ushort remotePort) = inbound
            ? (facts.Key.Destination, facts.Key.Source, facts.Key.SourcePort)
            : (facts.Key.Source, facts.Key.Destination, facts.Key.DestinationPort);
        foreach (SpdEntry entry in _entries)
        {
            if (entry.Speaks(facts.Direction)
                && entry.Matches(local, remote, facts.Key.Protocol, remotePort, facts.IcmpType, facts.IcmpCode))
            {
                return entry;
            }
        }

        return null;
    }
}
