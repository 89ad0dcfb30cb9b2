using System.Diagnostics.CodeAnalysis;

namespace Filter.Rules.Policy;

/// <summary>
/// The algorithms of an SA, and what they ask of keys and packets, in bytes. There is one object for each suite, so
/// suites are compared by reference. A suite of ESP has the name of its cipher, or of cipher and integrity algorithm
/// with a plus between; a suite of AH that of its integrity algorithm.
/// </summary>
public sealed class IpsecSuite
{
    private static readonly Dictionary<string, IpsecSuite> s_esp = CipherAlgorithm.All
        .SelectMany(static c => c.IsCombined ? [new IpsecSuite(c, null)] : IntegrityAlgorithm.All.Select(i => new IpsecSuite(c, i)))
        .ToDictionary(static s => s.Name, StringComparer.Ordinal);

    private static readonly Dictionary<string, IpsecSuite> s_ah = IntegrityAlgorithm.All.Concat(IntegrityAlgorithm.OnlyAh)
        .Select(static i => new IpsecSuite(null, i))
        .ToDictionary(static s => s.Name, StringComparer.Ordinal);

    private static int s_count;

    private IpsecSuite(CipherAlgorithm? cipher, IntegrityAlgorithm? integrity)
    {
        Cipher = cipher;
        Integrity = integrity;
        Name = string.Join('+', new[] { cipher?.Name, integrity?.Name }.OfType<string>());
        Number = s_count++;
        SaltLength = (cipher?.SaltLength ?? 0) + (integrity?.SaltLength ?? 0);
        CipherKeyLength = cipher?.KeyLength ?? 0;
        KeyMaterialLength = CipherKeyLength + (cipher?.SaltLength ?? 0);
        IntegrityKeyLength = integrity is null ? 0 : integrity.KeyLength + integrity.SaltLength;
        BlockLength = cipher?.BlockLength ?? 4;
        IvLength = cipher?.IvLength ?? integrity!.IvLength;
        IcvLength = integrity?.IcvLength ?? cipher!.IcvLength;
    }

    /// <summary>AES-CBC with a 128-bit key (RFC 3602) and HMAC-SHA2-256-128 (RFC 4868).</summary>
    public static IpsecSuite AesCbc128HmacSha256 { get; } = s_esp["aes-cbc-128+hmac-sha2-256-128"];

    /// <summary>AES-CBC with a 192-bit key (RFC 3602) and HMAC-SHA2-256-128 (RFC 4868).</summary>
    public static IpsecSuite AesCbc192HmacSha256 { get; } = s_esp["aes-cbc-192+hmac-sha2-256-128"];

    /// <summary>AES-CBC with a 256-bit key (RFC 3602) and HMAC-SHA2-256-128 (RFC 4868).</summary>
    public static IpsecSuite AesCbc256HmacSha256 { get; } = s_esp["aes-cbc-256+hmac-sha2-256-128"];

    /// <summary>Every suite of ESP, then every suite of AH, each at its <see cref="Number"/>.</summary>
    public static IReadOnlyList<IpsecSuite> All { get; } = [.. s_esp.Values.Concat(s_ah.Values).OrderBy(static s => s.Number)];

    /// <summary>The name that rulesets and `filterctl` use; an AH suite may share it with an ESP one.</summary>
    public string Name { get; }

    /// <summary>From 0, without gaps: for tables by suite. Not the same from one version to the next.</summary>
    public int Number { get; }

    /// <summary>The cipher; null for AH.</summary>
    public CipherAlgorithm? Cipher { get; }

    /// <summary>The integrity algorithm; null where the cipher authenticates too.</summary>
    public IntegrityAlgorithm? Integrity { get; }

    /// <summary>Whether it is for AH; else it is for ESP.</summary>
    public bool IsAh => Cipher is null;

    /// <summary>Whether either algorithm is of the legacy tier.</summary>
    public bool IsLegacy => Cipher is { IsLegacy: true } || Integrity is { IsLegacy: true };

    /// <summary>Whether one algorithm encrypts and authenticates.</summary>
    public bool IsCombined => Cipher is { IsCombined: true };

    /// <summary>Whether the IV is a counter that must never come twice under a key: the SA may not wrap, nor forget.</summary>
    public bool IsCounterMode => SaltLength > 0;

    /// <summary>Whether its keys may come from a ruleset or a key file.</summary>
    public bool MayBeManual => WhyNotManual is null;

    /// <summary>Why its keys may not come from a ruleset or a key file; null where they may.</summary>
    public string? WhyNotManual =>
        IsCounterMode ? "must not have manual keys (RFC 8221 §3): after a restart an IV could come twice under one key" : null;

    /// <summary>Length of the encryption key proper, without salt.</summary>
    public int CipherKeyLength { get; }

    /// <summary>Length of the salt that follows a key; 0 for most.</summary>
    public int SaltLength { get; }

    /// <summary>Length of what a key exchange has to give for the cipher: the key, then the salt (RFC 4106 §8.1).</summary>
    public int KeyMaterialLength { get; }

    /// <summary>Length of the integrity key, and the salt behind it in AES-GMAC for AH; 0 where the cipher authenticates.</summary>
    public int IntegrityKeyLength { get; }

    /// <summary>What the encrypted part, trailer included, is a multiple of.</summary>
    public int BlockLength { get; }

    /// <summary>Length of the IV that each packet carries: after the ESP header, or in AH before the ICV.</summary>
    public int IvLength { get; }

    /// <summary>Length of the integrity check value.</summary>
    public int IcvLength { get; }

    /// <summary>Finds a suite of ESP by its name.</summary>
    public static bool TryFind(string name, [NotNullWhen(true)] out IpsecSuite? suite) => s_esp.TryGetValue(name, out suite);

    /// <summary>Finds a suite of AH by its name.</summary>
    public static bool TryFindAh(string name, [NotNullWhen(true)] out IpsecSuite? suite) => s_ah.TryGetValue(name, out suite);

    /// <summary>What is wrong with a name that <see cref="TryFind"/> does not know, and what may be meant.</summary>
    public static (string Problem, string? Hint) WhyUnknown(string name)
    {
        string[] parts = name.Split('+', 2);
        CipherAlgorithm? cipher = CipherAlgorithm.All.FirstOrDefault(c => c.Name == parts[0]);
        if (cipher is { IsCombined: true } && parts.Length == 2)
        {
            return ($"'{cipher}' authenticates what it encrypts, and takes no integrity algorithm besides", $"suite: {cipher}");
        }

        if (cipher is not null && (parts.Length == 1 || parts[1] == "null"))
        {
            return cipher.Kind == CipherKind.Null
                ? ("neither encryption nor integrity: one of them must be (RFC 4303 §3.2)", "suite: null+hmac-sha2-256-128")
                : ($"'{cipher}' alone encrypts without integrity, which must not be (RFC 8221 §4)", $"suite: {cipher}+hmac-sha2-256-128");
        }

        if (s_ah.ContainsKey(name))
        {
            return ($"'{name}' is a suite of AH; ESP says what it encrypts with, too", $"suite: aes-cbc-256+{name}, or null+{name}");
        }

        return ("a suite is a cipher and an integrity algorithm, or a cipher that does both", null);
    }

    /// <inheritdoc/>
    public override string ToString() => Name;
}
