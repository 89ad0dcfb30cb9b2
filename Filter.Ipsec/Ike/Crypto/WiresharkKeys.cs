using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Crypto;

/// <summary>Keys as Wireshark's preferences have them (`ikev2_decryption_table`).</summary>
internal static class WiresharkKeys
{
    /// <summary>Both SPIs, SK_ei and SK_er, the cipher's name, SK_ai and SK_ar, the name of the integrity algorithm.</summary>
    internal static string? LineOf(
        IkeSuite suite, ulong initiatorSpi, ulong responderSpi, (string Encryption, string Integrity) ofInitiator, (string Encryption, string Integrity) ofResponder) =>
        CipherName(suite.Protection.Cipher!) is { } cipher && IntegrityName(suite.Protection.Integrity) is { } integrity
            ? $"{initiatorSpi:x16},{responderSpi:x16},{ofInitiator.Encryption},{ofResponder.Encryption},\"{cipher}\","
                + $"{ofInitiator.Integrity},{ofResponder.Integrity},\"{integrity}\""
            : null;

    private static string? CipherName(CipherAlgorithm cipher) => cipher.Kind switch
    {
        CipherKind.AesCbc => $"AES-CBC-{cipher.KeyLength * 8} [RFC3602]",
        CipherKind.AesCtr => $"AES-CTR-{cipher.KeyLength * 8} [RFC5930]",
        CipherKind.AesGcm => $"AES-GCM-{cipher.KeyLength * 8} with {cipher.IcvLength} octet ICV [RFC5282]",
        CipherKind.AesCcm => $"AES-CCM-{cipher.KeyLength * 8} with {cipher.IcvLength} octet ICV [RFC5282]",
        CipherKind.TripleDesCbc => "3DES [RFC2451]",
        _ => null,
    };

    private static string? IntegrityName(IntegrityAlgorithm? integrity) => integrity?.Kind switch
    {
        null => "NONE [RFC4306]",
        IntegrityKind.HmacMd5 => "HMAC_MD5_96 [RFC2403]",
        IntegrityKind.HmacSha1 => "HMAC_SHA1_96 [RFC2404]",
        IntegrityKind.HmacSha256 => "HMAC_SHA2_256_128 [RFC4868]",
        IntegrityKind.HmacSha384 => "HMAC_SHA2_384_192 [RFC4868]",
        IntegrityKind.HmacSha512 => "HMAC_SHA2_512_256 [RFC4868]",
        _ => null,
    };
}
