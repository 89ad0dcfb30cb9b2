using Filter.Rules.Policy;

namespace Filter.Tests.Worlds;

/// <summary>What `ip xfrm` calls the things that rulesets name.</summary>
internal static class KernelSpelling
{
    /// <summary>Ciphers, whatever their key length, with `enc`; those that authenticate too with `aead`, and the ICV's bits behind the key.</summary>
    private static readonly (string Begins, string Words, string Behind)[] s_ciphers =
    [
        ("aes-gcm-16-", "aead rfc4106(gcm(aes))", "128"),
        ("aes-gcm-12-", "aead rfc4106(gcm(aes))", "96"),
        ("aes-gcm-8-", "aead rfc4106(gcm(aes))", "64"),
        ("aes-ccm-16-", "aead rfc4309(ccm(aes))", "128"),
        ("aes-ccm-12-", "aead rfc4309(ccm(aes))", "96"),
        ("aes-ccm-8-", "aead rfc4309(ccm(aes))", "64"),
        ("aes-gmac-", "aead rfc4543(gcm(aes))", "128"),
        ("chacha20-poly1305", "aead rfc7539esp(chacha20,poly1305)", "128"),
        ("aes-ctr-", "enc rfc3686(ctr(aes))", ""),
        ("aes-cbc-", "enc cbc(aes)", ""),
        ("camellia-cbc-", "enc cbc(camellia)", ""),
        ("null", "enc ecb(cipher_null)", ""),
        ("3des-cbc", "enc cbc(des3_ede)", ""),
        ("des-cbc", "enc cbc(des)", ""),
        ("cast-cbc-", "enc cbc(cast5)", ""),
        ("blowfish-cbc-", "enc cbc(blowfish)", ""),
    ];

    private static readonly Dictionary<string, (string Name, int Bits)> s_integrity = new()
    {
        ["hmac-sha2-256-128"] = ("hmac(sha256)", 128),
        ["hmac-sha2-384-192"] = ("hmac(sha384)", 192),
        ["hmac-sha2-512-256"] = ("hmac(sha512)", 256),
        ["hmac-sha1-96"] = ("hmac(sha1)", 96),
        ["aes-xcbc-96"] = ("xcbc(aes)", 96),
        ["aes-cmac-96"] = ("cmac(aes)", 96),
        ["hmac-md5-96"] = ("hmac(md5)", 96),
        ["hmac-ripemd160-96"] = ("hmac(rmd160)", 96),
    };

    /// <summary>Why the kernel does not have a suite; null where it has.</summary>
    public static string? Lacks(IpsecSuite suite) =>
        suite is { IsAh: true, Integrity.Kind: IntegrityKind.AesGmac } ? "its AH takes no algorithm with an IV (RFC 4543 §4)" : null;

    /// <summary>The words of `xfrm state add` that describe one direction of a case, behind its ends.</summary>
    public static string Of(KernelCase one, FreshKeys keys)
    {
        // A tunnel carries both families, whatever its own is. Linux fills AH up to 8 bytes over IPv4 too, where RFC 4302 §3.3.3.2.1 wants 4.
        string[] flags =
        [
            .. one.IsTunnel ? ["af-unspec"] : Array.Empty<string>(),
            .. one.Extended ? ["esn"] : Array.Empty<string>(),
            .. one is { Suite.IsAh: true, Outer: 4, Wide: false } ? ["align4"] : Array.Empty<string>(),
        ];
        string words = $"proto {one.Protocol} spi {keys.Spi} reqid 1 mode {(one.IsTunnel ? "tunnel" : "transport")} replay-window {one.Window}";
        words += flags.Length > 0 ? $" flag {string.Join(' ', flags)}" : "";
        words += one.InUdp ? " encap espinudp 4500 4500 0.0.0.0" : "";
        if (one.Suite.Cipher is { } cipher)
        {
            (_, string algorithm, string behind) = s_ciphers.Single(row => cipher.Name.StartsWith(row.Begins, StringComparison.Ordinal));
            words += $" {algorithm} {Hex(keys.Encryption)} {behind}";
        }

        if (one.Suite.Integrity is { } integrity)
        {
            (string name, int bits) = s_integrity[integrity.Name];
            words += $" auth-trunc {name} {Hex(keys.Integrity)} {bits}";
        }

        return words;
    }

    private static string Hex(byte[] key) => key.Length == 0 ? "\"\"" : $"0x{Convert.ToHexStringLower(key)}";
}
