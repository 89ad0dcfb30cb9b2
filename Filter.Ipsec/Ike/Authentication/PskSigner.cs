using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Filter.Ipsec.Ike.Crypto;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Authentication;

/// <summary>A key that both know: AUTH = prf(prf(PSK, "Key Pad for IKEv2"), octets) (RFC 7296 §2.15).</summary>
internal sealed class PskSigner(SecretKey key) : Signer
{
    /// <inheritdoc/>
    public override bool TrySign(
        ReadOnlySpan<byte> octets, Prf prf, ImmutableArray<SignatureHash> peersHashes, [NotNullWhen(true)] out AuthenticationPayload? authentication, out string? why)
    {
        (authentication, why) = (new AuthenticationPayload(AuthenticationMethod.SharedKey, Compute(key, octets, prf)), null);
        return true;
    }

    internal static byte[] Compute(SecretKey key, ReadOnlySpan<byte> octets, Prf prf)
    {
        byte[] padded = prf.Compute(key.Reveal(), "Key Pad for IKEv2"u8);
        byte[] made = prf.Compute(padded, octets);
        CryptographicOperations.ZeroMemory(padded);
        return made;
    }

    /// <summary>Nothing: the key is the ruleset's, which wipes it.</summary>
    protected override void Dispose(bool disposing)
    {
    }
}
