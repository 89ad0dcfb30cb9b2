using Filter.Rules.Policy;

namespace Filter.Tests.Worlds;

/// <summary>What Wireshark 4.0 calls the algorithms of ESP, and which it does not have.</summary>
internal static class TsharkSpelling
{
    private static readonly (string Begins, string? Name)[] s_ciphers =
    [
        ("aes-gcm-16-", "AES-GCM with 16 octet ICV [RFC4106]"),
        ("aes-gcm-12-", "AES-GCM with 12 octet ICV [RFC4106]"),
        ("aes-gcm-8-", "AES-GCM with 8 octet ICV [RFC4106]"),
        ("aes-cbc-", "AES-CBC [RFC3602]"),
        ("aes-ctr-", "AES-CTR [RFC3686]"),
        ("null", "NULL"),
        ("3des-cbc", "TripleDES-CBC [RFC2451]"),
        ("des-cbc", "DES-CBC [RFC2405]"),
        ("cast-cbc-128", "CAST5-CBC [RFC2144]"),
        ("blowfish-cbc-128", "BLOWFISH-CBC [RFC2451]"),

        // It decrypts these nowhere, in IKE alone, or with keys of 128 bits alone.
        ("aes-ccm-", null),
        ("aes-gmac-", null),
        ("chacha20-poly1305", null),
        ("camellia-cbc-", null),
        ("cast-cbc-", null),
        ("blowfish-cbc-", null),
    ];

    private static readonly Dictionary<IntegrityKind, string> s_integrity = new()
    {
        [IntegrityKind.HmacMd5] = "HMAC-MD5-96 [RFC2403]",
        [IntegrityKind.HmacSha1] = "HMAC-SHA-1-96 [RFC2404]",
        [IntegrityKind.HmacSha256] = "HMAC-SHA-256-128 [RFC4868]",
        [IntegrityKind.HmacSha384] = "HMAC-SHA-384-192 [RFC4868]",
        [IntegrityKind.HmacSha512] = "HMAC-SHA-512-256 [RFC4868]",
        [IntegrityKind.HmacRipemd160] = "MAC-RIPEMD-160-96 [RFC2857]",
    };

    /// <summary>Whether it can verify and open the suite: not with AES-XCBC or AES-CMAC, whose ICVs it skips unverified.</summary>
    public static bool Opens(IpsecSuite suite) =>
        suite.Cipher is { } cipher && NameOf(cipher) is not null && (suite.Integrity is not { } integrity || s_integrity.ContainsKey(integrity.Kind));

    /// <summary>A line of its file `esp_sa`.</summary>
    public static string Line(FreshKeys keys, int family) => string.Join(',',
        new[]
        {
            $"IPv{family}", "*", "*", $"0x{keys.Spi:x8}",
            NameOf(keys.Suite.Cipher!)!, Hex(keys.Encryption),
            keys.Suite.Integrity is { } integrity ? s_integrity[integrity.Kind] : "NULL", Hex(keys.Integrity),
        }.Select(static word => $"\"{word}\""));

    private static string? NameOf(CipherAlgorithm cipher) =>
        s_ciphers.First(row => cipher.Name.StartsWith(row.Begins, StringComparison.Ordinal)).Name;

    private static string Hex(byte[] key) => key.Length == 0 ? "" : $"0x{Convert.ToHexStringLower(key)}";
}
