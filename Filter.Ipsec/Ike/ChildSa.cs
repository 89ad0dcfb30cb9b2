using System.Collections.Immutable;
using System.Globalization;
using Filter.Ipsec.Databases;
using Filter.Ipsec.Ike.Crypto;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike;

/// <summary>How far a child has come.</summary>
public enum ChildState : byte
{
    /// <summary>It receives; we send by it once the peer has shown that it receives too (RFC 7296 §2.8).</summary>
    Receiving,

    /// <summary>It carries both ways.</summary>
    Up,

    /// <summary>Another has taken its place; it receives until it is deleted.</summary>
    Replaced,

    /// <summary>It is gone.</summary>
    Gone,
}

/// <summary>A child of an IKE SA: a pair of SAs of ESP or AH (RFC 7296 §1.3), and all that is needed to make them.</summary>
public sealed class ChildSa
{
    private readonly bool _weBegan;
    private readonly ChildKeys _keys;

    internal ChildSa(string name, IpsecPolicy policy, SaSettings settings, uint inboundSpi, uint outboundSpi, ChildKeys keys, bool weBegan)
    {
        (Name, Policy, Settings, InboundSpi, OutboundSpi, _keys, _weBegan) = (name, policy, settings, inboundSpi, outboundSpi, keys, weBegan);
    }

    /// <summary>Its own for as long as the process lives: the policy's name and a number, <c>office{3}</c>.</summary>
    public string Name { get; }

    /// <summary>The policy that it is for.</summary>
    public IpsecPolicy Policy { get; internal set; }

    /// <summary>Protocol, mode, ends, suite, ESN, UDP and lifetimes, of both directions; the soft lifetime is jittered already.</summary>
    public SaSettings Settings { get; }

    /// <summary>Of what the peer sends.</summary>
    public uint InboundSpi { get; }

    /// <summary>Of what we send.</summary>
    public uint OutboundSpi { get; }

    /// <summary>Traffic on our side, as was agreed on.</summary>
    public required ImmutableArray<TrafficSelector> Local { get; init; }

    /// <summary>Traffic on the peer's side, as was agreed on.</summary>
    public required ImmutableArray<TrafficSelector> Remote { get; init; }

    /// <summary>The same, for the SAs: null where it is all that the policy selects.</summary>
    public SaSelectors? Selectors { get; init; }

    /// <summary>How far it has come.</summary>
    public ChildState State { get; internal set; }

    /// <summary>Since when, in nanoseconds of the engine's clock.</summary>
    public long Since { get; internal init; }

    /// <summary>The name of the peer.</summary>
    public string Peer { get; internal init; } = "";

    /// <summary>The keys of what the peer sends; zeros once both directions are in place.</summary>
    public DirectionKeys InboundKeys => _keys.Inbound(_weBegan);

    /// <summary>The keys of what we send; zeros once both directions are in place.</summary>
    public DirectionKeys OutboundKeys => _keys.Outbound(_weBegan);

    /// <summary>The protocol in IKE's numbers.</summary>
    internal IkeProtocol Protocol => Settings.Suite.IsAh ? IkeProtocol.Ah : IkeProtocol.Esp;

    /// <summary>Whose place it takes, until that is deleted.</summary>
    internal ChildSa? Predecessor { get; set; }

    /// <summary>Who is to take its place, or is about to.</summary>
    internal ChildSa? Successor { get; set; }

    /// <summary>A re-key of it by us is wanted or under way.</summary>
    internal bool IsRekeying { get; set; }

    /// <summary>We have asked the peer to delete it, or are about to.</summary>
    internal bool IsClosing { get; set; }

    /// <summary>Which directions are in place.</summary>
    internal ChildDirections Installed { get; set; }

    /// <summary>The group of the key exchange that is proposed first when it is re-keyed: what the peer took before; 0 for any.</summary>
    internal ushort Group { get; set; }

    /// <summary>How many packets it had opened when somebody looked last.</summary>
    internal long SeenOpened { get; set; }

    /// <inheritdoc/>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{Name} {Settings.Suite} 0x{InboundSpi:x8}/0x{OutboundSpi:x8}");

    internal void WipeKeys() => _keys.Dispose();
}
