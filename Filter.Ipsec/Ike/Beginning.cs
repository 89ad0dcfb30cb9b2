using System.Security.Cryptography;
using Filter.Ipsec.Ike.Crypto;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike;

/// <summary>What the two first messages said, as far as keys and proofs need it (RFC 7296 §2.14, §2.15).</summary>
internal sealed class Beginning : IDisposable
{
    /// <summary>Our message as it went.</summary>
    internal byte[] OurMessage { get; set; } = [];

    /// <summary>The peer's as it came.</summary>
    internal byte[] PeersMessage { get; set; } = [];

    /// <summary>Our nonce.</summary>
    internal byte[] OurNonce { get; set; } = [];

    /// <summary>The peer's nonce.</summary>
    internal byte[] PeersNonce { get; set; } = [];

    /// <summary>The peer's public value.</summary>
    internal byte[] PeersPublic { get; set; } = [];

    /// <summary>Our half of the key exchange.</summary>
    internal KeyExchange? Exchange { get; set; }

    /// <summary>The digest of the first message, by which it is known when it comes once more.</summary>
    internal byte[] Digest { get; set; } = [];

    /// <summary>Ni and Nr.</summary>
    internal (byte[] Initiator, byte[] Responder) Nonces(bool isInitiator) => isInitiator ? (OurNonce, PeersNonce) : (PeersNonce, OurNonce);

    /// <summary>Makes the IKE SA's keys; false where the peer's public value is none (RFC 6989).</summary>
    internal bool TryDerive(IkeSa sa, out string? why)
    {
        why = "no key exchange";
        if (Exchange is null || !Exchange.TryAgree(PeersPublic, out SecretKey? shared, out why))
        {
            return false;
        }

        (byte[] ni, byte[] nr) = Nonces(sa.IsInitiator);
        sa.Keys = IkeKeys.Derive(sa.Suite!, sa.IsInitiator, shared, ni, nr, sa.InitiatorSpi, sa.ResponderSpi);
        shared.Wipe();
        Exchange.Dispose();
        Exchange = null;
        return true;
    }

    /// <summary>Whether a message is the first one, again.</summary>
    internal bool IsOf(ReadOnlySpan<byte> datagram) => SHA256.HashData(datagram).AsSpan().SequenceEqual(Digest);

    /// <inheritdoc/>
    public void Dispose() => Exchange?.Dispose();
}
