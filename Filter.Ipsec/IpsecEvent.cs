using Filter.Ipsec.Databases;

namespace Filter.Ipsec;

/// <summary>What a key manager has to know (RFC 4301 §4.4.1.1, §4.4.2.1; RFC 2367 §3.1.6, §3.1.8).</summary>
public enum IpsecEventKind : byte
{
    /// <summary>A packet found no SA.</summary>
    Acquire,

    /// <summary>An SA reached its soft limit, or three quarters of its sequence numbers.</summary>
    SoftExpired,

    /// <summary>An SA reached its hard limit.</summary>
    HardExpired,
}

/// <summary>One event of the stage.</summary>
/// <param name="Kind">What happened.</param>
/// <param name="Policy">The number of the policy it concerns.</param>
/// <param name="Sa">The SA; null for an acquire.</param>
/// <param name="Packet">What the packet showed, for an acquire.</param>
/// <param name="At">When, in nanoseconds of the worker's clock.</param>
public readonly record struct IpsecEvent(IpsecEventKind Kind, ushort Policy, SecurityAssociation? Sa, SelectorValues Packet, long At);
