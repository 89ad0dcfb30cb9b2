namespace Filter.Ipsec.Ike.Exchanges;

/// <summary>Both ends renewed the same SA at the same time, and now there are two new ones (RFC 7296 §2.8.1, §2.8.2).</summary>
/// <typeparam name="T">A child, or an IKE SA.</typeparam>
/// <param name="Other">The one that the peer began.</param>
/// <param name="Initiator">Ni of the peer's exchange.</param>
/// <param name="Responder">Nr of it.</param>
internal sealed record Collision<T>(T Other, byte[] Initiator, byte[] Responder)
{
    /// <summary>Ours is the one that must go: the lowest of the four nonces made it.</summary>
    internal bool IsLost(byte[] initiator, byte[] responder)
    {
        byte[] ours = Lower(initiator, responder), theirs = Lower(Initiator, Responder);
        return ours.AsSpan().SequenceCompareTo(theirs) < 0;
    }

    private static byte[] Lower(byte[] one, byte[] other) => one.AsSpan().SequenceCompareTo(other) <= 0 ? one : other;
}
