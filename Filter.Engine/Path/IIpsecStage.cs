using Filter.Engine.Packets;

namespace Filter.Engine.Path;

/// <summary>What the SPD says of a flow, in one direction.</summary>
/// <param name="Action">Bypass, Protect or Drop.</param>
/// <param name="Policy">The entry's number, from 1; 0 where none matched.</param>
public readonly record struct IpsecDecision(IpsecAction Action, ushort Policy);

/// <summary>
/// The engine's view of IPsec (RFC 4301). One instance a worker, which alone calls it. Never
/// allocates, never throws; a forged packet is a drop reason.
/// </summary>
/// <remarks>
/// The engine itself compares how a packet came (<see cref="Packet.ArrivedBy"/>) with what
/// <see cref="Decide"/> says for the direction In, before anything is tracked: protect and came in
/// the clear, or by another policy, is dropped.
/// </remarks>
public interface IIpsecStage
{
    /// <summary>
    /// Rises whenever policies change, so that decisions kept in flows are asked for again.
    /// </summary>
    int Generation { get; }

    /// <summary>Rises whenever SAs are added: what waits for one is looked at again.</summary>
    int Renewals { get; }

    /// <summary>Somebody negotiates SAs: what finds none may wait for it.</summary>
    bool AwaitsKeys { get; }

    /// <summary>
    /// Makes of each super-frame of UDP that holds ESP to an SA of ours the packets that came in it, where it stands. Called once
    /// they are parsed, before anything else looks at them.
    /// </summary>
    void Part(Burst burst);

    /// <summary>
    /// Verifies and opens, in place, every parsed packet that is not <see cref="Packet.Done"/> and is
    /// ESP, bare or in UDP, or AH to an SA of ours (destination and SPI). What is opened has <see cref="Packet.ArrivedBy"/>,
    /// <see cref="Packet.Depth"/> + 1, <see cref="Packet.Kind"/> Unknown (the caller parses it
    /// once more) and, from a tunnel, <see cref="Packet.NeedsNextHop"/> with the inner destination.
    /// ESP or AH to one of the gateway's own addresses that names no SA is dropped; other is transit and untouched.
    /// </summary>
    /// <returns>How many were opened.</returns>
    int Open(Burst burst, int from);

    /// <summary>
    /// Whether an opened packet fits the selectors of the SA it came by (RFC 4301 §5.2 step 4).
    /// Called after it was parsed again, before it is tracked; <see cref="Packet.ArrivedBy"/> is then the policy that it fits.
    /// </summary>
    bool Fits(ref Packet packet);

    /// <summary>Whether an opened packet came by an SA that this policy uses too, as policies may share one.</summary>
    bool CameBy(in Packet packet, ushort policy);

    /// <summary>
    /// The SPD's first match for an opening as its direction says: Out with source as local, In with
    /// destination as local. Across is never asked.
    /// </summary>
    IpsecDecision Decide(in OpeningFacts facts);

    /// <summary>
    /// Whether a policy seals what came in fragments piece by piece, as a tunnel does (RFC 4301 §7), rather than whole, as
    /// transport mode must (RFC 4303 §3.3.4).
    /// </summary>
    bool SealsFragments(ushort policy);

    /// <summary>
    /// Under which policy's number a piece that came out of an SA waits for the rest of its datagram: that of the SA, or one
    /// whose own SA carries the pieces that show no ports, where there is one for these addresses (RFC 4301 §7.2).
    /// </summary>
    /// <returns>Policy 0 where the SA carries nothing between its addresses.</returns>
    PieceOrigin OriginOf(in Packet piece);

    /// <summary>Whether an SA still has the number that it had when a piece came by it.</summary>
    bool Has(int sa, long association);

    /// <summary>
    /// Seals every packet that passes with <see cref="Packet.Ipsec"/> = Protect, in place, or as new
    /// packets appended to the burst (segments of a super-frame, fragments), which inherit number,
    /// egress and verdict while the original is finished with Egress 0. What would not fit the
    /// egress port's MTU is answered: an error to its sender is appended and it ends as Answered.
    /// </summary>
    /// <returns>How many found no SA, but somebody is asked for one: they are untouched, and pass with a reason to drop them.</returns>
    int Protect(Burst burst);

    /// <summary>Whether there is an SA by now for a packet that found none.</summary>
    bool CanSeal(in Packet packet);

    /// <summary>
    /// An ICMP error that came in the clear by an unprotected port, before it is looked for among the flows: where it speaks of a
    /// packet that the stage sealed, the stage learns from it what it may and ends it.
    /// </summary>
    /// <returns>Whether it did: the packet is <see cref="Packet.Done"/>.</returns>
    bool Learns(ref Packet packet, long now);

    /// <summary>Looks at the time: lives of SAs end, and what is sent without a cause is appended as the stage's own.</summary>
    void Tick(Burst burst);
}
