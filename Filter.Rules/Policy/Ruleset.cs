using System.Collections.Frozen;
using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy;

/// <summary>How the ports form a machine.</summary>
public enum RunMode : byte
{
    /// <summary>NICs bridged, transparent, without an address of its own.</summary>
    Bridge,

    /// <summary>NICs bridged, and a TAP that holds the gateway's own addresses.</summary>
    BridgeWithSelf,

    /// <summary>One NIC, and a TAP behind which the box's own stack sits.</summary>
    Host,
}

/// <summary>What passes that is not IP. STP always does; pause and LACP frames never.</summary>
public sealed record LinkPolicy
{
    /// <summary>Whether ARP passes.</summary>
    public bool PassArp { get; init; } = true;

    /// <summary>Further ethertypes that pass, sorted.</summary>
    public ImmutableArray<ushort> EtherTypes { get; init; } = [];

    /// <summary>Whether every other ethertype passes.</summary>
    public bool PassUnknown { get; init; }
}

/// <summary>What becomes of an opening that no rule matches.</summary>
/// <param name="Action">Allow, drop or reject.</param>
/// <param name="At">Where it is written; null if it is not.</param>
public readonly record struct DefaultAction(RuleAction Action, SourceMark? At);

/// <summary>The defaults, one for each direction; all drop unless written.</summary>
public sealed record Defaults
{
    /// <summary>Protected to unprotected.</summary>
    public DefaultAction Out { get; init; }

    /// <summary>Unprotected to protected.</summary>
    public DefaultAction In { get; init; }

    /// <summary>Between ports of one side.</summary>
    public DefaultAction Across { get; init; }
}

/// <summary>Sizes.</summary>
public sealed record Limits
{
    /// <summary>Flows in the table unless the ruleset says otherwise.</summary>
    public const int DefaultFlows = 262_144;

    /// <summary>The fewest flows a table may be given.</summary>
    public const int FewestFlows = 1024;

    /// <summary>The most flows a table may be given.</summary>
    public const int MostFlows = 16_777_216;

    /// <summary>How many flows the table holds.</summary>
    public int Flows { get; init; } = DefaultFlows;
}

/// <summary>
/// A whole ruleset: validated, immutable. What it says was checked when it was read, so nothing that holds one needs to
/// ask again. Its keys are wiped by <see cref="WipeKeys"/> when it is no longer used.
/// </summary>
public sealed record Ruleset
{
    /// <summary>The language this house speaks: the value of <c>filter:</c>.</summary>
    public const int Language = 1;

    /// <summary>Most ports.</summary>
    public const int MostPorts = 16;

    /// <summary>The file it was read from, as the user named it.</summary>
    public required string File { get; init; }

    /// <summary>The ports, by number.</summary>
    public required ImmutableArray<PortConfig> Ports { get; init; }

    /// <summary>What the ports form.</summary>
    public required RunMode Mode { get; init; }

    /// <summary>What it says of the walk as a whole: timers, limits, checks.</summary>
    public PathPolicy Path { get; init; } = PathPolicy.Default;

    /// <summary>What is not IP.</summary>
    public LinkPolicy Link { get; init; } = new();

    /// <summary>How many workers carry packets; null for as many as the machine has cores.</summary>
    public int? Workers { get; init; } = 1;

    /// <summary>Sizes.</summary>
    public Limits Limits { get; init; } = new();

    /// <summary>Named sets of addresses; of those that change, what they hold whatever happens.</summary>
    public IReadOnlyDictionary<string, AddressSet> AddressSets { get; init; } = FrozenDictionary<string, AddressSet>.Empty;

    /// <summary>Named sets of services, without the built-in ones.</summary>
    public IReadOnlyDictionary<string, ServiceSet> ServiceSets { get; init; } = FrozenDictionary<string, ServiceSet>.Empty;

    /// <summary>Sets of addresses that change while it is in force.</summary>
    public ImmutableArray<LiveSet> LiveSets { get; init; } = [];

    /// <summary>What no rule matches.</summary>
    public Defaults Defaults { get; init; } = new();

    /// <summary>The rules in order; the first match wins.</summary>
    public ImmutableArray<Rule> Rules { get; init; } = [];

    /// <summary>IPsec; null if everything bypasses.</summary>
    public IpsecConfig? Ipsec { get; init; }

    /// <summary>The ruleset's own tests, in order.</summary>
    public ImmutableArray<TestEntry> Tests { get; init; } = [];

    /// <summary>The port of that name, or null.</summary>
    public PortConfig? FindPort(string name)
    {
        foreach (PortConfig port in Ports)
        {
            if (port.Name == name)
            {
                return port;
            }
        }

        return null;
    }

    /// <summary>The port on which the address lives, by the longest of the ports' prefixes; null if none has it.</summary>
    public PortConfig? PortOf(Address address) => PortConfig.Holding(Ports, address);

    /// <summary>Overwrites every key with zeros. The ruleset can describe, but no longer protect.</summary>
    public void WipeKeys()
    {
        foreach (SaConfig sa in Ipsec?.Sas ?? [])
        {
            sa.Out.Wipe();
            sa.In.Wipe();
        }

        foreach (IkePeer peer in Ipsec?.Ike?.Peers ?? [])
        {
            peer.Wipe();
        }
    }
}
