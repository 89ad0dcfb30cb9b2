namespace Filter.Engine.Path;

/// <summary>What the IPsec stage says of a piece that came out of an SA.</summary>
/// <param name="Policy">The policy under whose number it waits for the rest of its datagram; 0 where it may not.</param>
/// <param name="Association">What tells its SA from every other that there ever was: numbers are used again.</param>
/// <param name="Alone">
/// Only pieces that came by the same SA belong to it: they can be an ICMP error from outside the policy alone, which anybody that
/// uses the policy could claim to send.
/// </param>
public readonly record struct PieceOrigin(ushort Policy, long Association, bool Alone);
