using System.Runtime.InteropServices;
using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Databases;

/// <summary>The two SAs that one name in a ruleset stands for, and the policies that use them.</summary>
public sealed class SaPair
{
    private readonly List<SpdEntry> _policies = [];

    internal SaPair(SaConfig config, OutboundSa outbound, InboundSa inbound)
    {
        Name = config.Name;
        Mode = config.Mode;
        ClampMss = config.ClampMss;
        Outbound = outbound;
        Inbound = inbound;
        Local = config.Local;
        Remote = config.Remote;
    }

    /// <summary>Its name in the ruleset.</summary>
    public string Name { get; }

    /// <summary>Transport or tunnel.</summary>
    public IpsecMode Mode { get; }

    /// <summary>Whether the MSS of TCP handshakes is lowered to what fits.</summary>
    public bool ClampMss { get; }

    /// <summary>Our end; always there for a tunnel.</summary>
    public Address? Local { get; }

    /// <summary>The far end; always there for a tunnel.</summary>
    public Address? Remote { get; }

    /// <summary>What seals.</summary>
    public OutboundSa Outbound { get; }

    /// <summary>What opens.</summary>
    public InboundSa Inbound { get; }

    /// <summary>
    /// The number of the first policy that uses it: what opened packets have arrived by, and what every policy that
    /// shares the pair answers with. 0 where no policy names it.
    /// </summary>
    public ushort Policy { get; private set; }

    /// <summary>The policies that use it, in order.</summary>
    public IReadOnlyList<SpdEntry> Policies => _policies;

    /// <summary>The same, to be walked on the hot path.</summary>
    internal ReadOnlySpan<SpdEntry> Users => CollectionsMarshal.AsSpan(_policies);

    /// <summary>
    /// Whether ESP with its SPI is meant for it. A transport SA that names no address of ours shares its SPI with all
    /// that pass by: what none of its policies could let in belongs to others.
    /// </summary>
    internal bool Receives(in FlowKey outer)
    {
        if (Mode == IpsecMode.Tunnel || Local is not null)
        {
            return true;
        }

        foreach (SpdEntry entry in Users)
        {
            if (entry.IsBetween(outer.Destination, outer.Source) && IsBetweenEnds(outer.Destination, outer.Source))
            {
                return true;
            }
        }

        return false;
    }

    internal void Use(SpdEntry entry)
    {
        _policies.Add(entry);
        if (Policy == 0)
        {
            Policy = entry.Number;
        }
    }

    /// <summary>
    /// Whether what came by it is between the ends it has: in transport mode the SA's addresses are the packet's own.
    /// </summary>
    internal bool IsBetweenEnds(Address local, Address remote) =>
        Mode == IpsecMode.Tunnel || ((Local is null || Local == local) && (Remote is null || Remote == remote));
}
