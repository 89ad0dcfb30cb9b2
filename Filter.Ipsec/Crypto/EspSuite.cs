using System.Diagnostics.CodeAnalysis;

namespace Filter.Ipsec.Crypto;

/// <summary>
/// What an ESP SA encrypts and authenticates with: lengths only, all in bytes. A suite of two algorithms is
/// encrypt-then-MAC (RFC 4303 §3.3.2); combined modes will be further entries of the same list.
/// </summary>
public sealed class EspSuite
{
    private EspSuite(string name, string cipher, int cipherKeyLength)
    {
        Name = name;
        Cipher = cipher;
        CipherKeyLength = cipherKeyLength;
    }

    /// <summary>AES-CBC with a 128-bit key (RFC 3602) and HMAC-SHA2-256-128 (RFC 4868).</summary>
    public static EspSuite AesCbc128HmacSha256 { get; } = new("aes-cbc-128+hmac-sha2-256-128", "AES-128-CBC", 16);

    /// <summary>AES-CBC with a 192-bit key (RFC 3602) and HMAC-SHA2-256-128 (RFC 4868).</summary>
    public static EspSuite AesCbc192HmacSha256 { get; } = new("aes-cbc-192+hmac-sha2-256-128", "AES-192-CBC", 24);

    /// <summary>AES-CBC with a 256-bit key (RFC 3602) and HMAC-SHA2-256-128 (RFC 4868).</summary>
    public static EspSuite AesCbc256HmacSha256 { get; } = new("aes-cbc-256+hmac-sha2-256-128", "AES-256-CBC", 32);

    /// <summary>Every suite there is, in the order of their names.</summary>
    public static IReadOnlyList<EspSuite> All { get; } = [AesCbc128HmacSha256, AesCbc192HmacSha256, AesCbc256HmacSha256];

    /// <summary>The name that rulesets and `filterctl` use.</summary>
    public string Name { get; }

    /// <summary>The cipher's name in libcrypto.</summary>
    internal string Cipher { get; }

    /// <summary>Length of the encryption key.</summary>
    public int CipherKeyLength { get; }

    /// <summary>Length of the integrity key; for HMAC-SHA2-256-128 it is exactly 32 (RFC 4868 §2.1.1).</summary>
    public int IntegrityKeyLength { get; } = 32;

    /// <summary>What the encrypted part, trailer included, is a multiple of.</summary>
    public int BlockLength { get; } = 16;

    /// <summary>Length of the IV that each packet carries after the ESP header.</summary>
    public int IvLength { get; } = 16;

    /// <summary>Length of the integrity check value at the packet's end.</summary>
    public int IcvLength { get; } = 16;

    /// <summary>Finds a suite by the name that a ruleset gives it.</summary>
    public static bool TryFind(string name, [NotNullWhen(true)] out EspSuite? suite)
    {
        foreach (EspSuite candidate in All)
        {
            if (candidate.Name == name)
            {
                suite = candidate;
                return true;
            }
        }

        suite = null;
        return false;
    }

    /// <inheritdoc/>
    public override string ToString() => Name;
}
