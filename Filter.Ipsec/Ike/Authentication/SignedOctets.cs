using Filter.Ipsec.Ike.Crypto;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Authentication;

/// <summary>What AUTH is computed over (RFC 7296 §2.15).</summary>
public static class SignedOctets
{
    /// <summary>The signer's first message | the other's nonce | prf(SK_p, the signer's ID without its generic header).</summary>
    /// <param name="message">The signer's IKE_SA_INIT message, as it was on the wire, without a non-ESP marker.</param>
    /// <param name="othersNonce">The other's nonce, without its generic header.</param>
    /// <param name="prf">Of the IKE SA.</param>
    /// <param name="skP">SK_pi for what the initiator signs, SK_pr for the responder.</param>
    /// <param name="signer">Who signs, as his ID payload says.</param>
    public static byte[] Of(ReadOnlySpan<byte> message, ReadOnlySpan<byte> othersNonce, Prf prf, SecretKey skP, IkeIdentity signer) =>
        [.. message, .. othersNonce, .. prf.Compute(skP.Reveal(), IdPayload.Body(signer))];
}
