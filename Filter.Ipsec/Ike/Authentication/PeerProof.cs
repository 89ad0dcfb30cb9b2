using Filter.Ipsec.Ike.Crypto;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Authentication;

/// <summary>What a peer brings to prove who it is.</summary>
/// <param name="Claimed">Who it says it is.</param>
/// <param name="Authentication">The proof.</param>
/// <param name="Certificates">What it sent with it, its own certificate first (RFC 7296 §3.6).</param>
/// <param name="Octets">What the proof has to be over: <see cref="SignedOctets"/> with its message, our nonce, its SK_p.</param>
/// <param name="Prf">Of the IKE SA.</param>
/// <param name="Now">The time on the wall, that certificates are held against.</param>
public sealed record PeerProof(
    IkeIdentity Claimed, AuthenticationPayload Authentication, IReadOnlyList<CertificatePayload> Certificates, ReadOnlyMemory<byte> Octets, Prf Prf, DateTimeOffset Now);
