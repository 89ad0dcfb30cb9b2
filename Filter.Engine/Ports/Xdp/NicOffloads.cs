namespace Filter.Engine.Ports.Xdp;

/// <summary>What a NIC does with frames that come in, before anybody sees them; null where it does not say.</summary>
/// <param name="Gro">The kernel merges segments of a flow.</param>
/// <param name="Lro">The NIC does.</param>
/// <param name="TagsTakenOut">The NIC takes VLAN tags out of the frame.</param>
internal sealed record NicOffloads(bool? Gro, bool? Lro, bool? TagsTakenOut);
