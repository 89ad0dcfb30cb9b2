namespace Filter.Rules.Policy;

/// <summary>The integrity algorithms of ESP and AH.</summary>
public enum IntegrityKind : byte
{
    /// <summary>HMAC-SHA1-96 (RFC 2404).</summary>
    HmacSha1,

    /// <summary>HMAC-SHA-256-128 (RFC 4868).</summary>
    HmacSha256,

    /// <summary>HMAC-SHA-384-192 (RFC 4868).</summary>
    HmacSha384,

    /// <summary>HMAC-SHA-512-256 (RFC 4868).</summary>
    HmacSha512,

    /// <summary>AES-XCBC-MAC-96 (RFC 3566).</summary>
    AesXcbc,

    /// <summary>AES-CMAC-96 (RFC 4494).</summary>
    AesCmac,

    /// <summary>HMAC-MD5-96 (RFC 2403).</summary>
    HmacMd5,

    /// <summary>HMAC-RIPEMD-160-96 (RFC 2857).</summary>
    HmacRipemd160,

    /// <summary>AES-GMAC in AH (RFC 4543).</summary>
    AesGmac,
}

/// <summary>An integrity algorithm: what it asks of keys and packets, in bytes.</summary>
public sealed record IntegrityAlgorithm
{
    private IntegrityAlgorithm(IntegrityKind kind, string name, int keyLength, int icvLength)
    {
        Kind = kind;
        Name = name;
        KeyLength = keyLength;
        IcvLength = icvLength;
    }

    /// <summary>Those that go with a cipher and with AH, the recommended first, the legacy ones last.</summary>
    public static IReadOnlyList<IntegrityAlgorithm> All { get; } =
    [
        new(IntegrityKind.HmacSha256, "hmac-sha2-256-128", 32, 16),
        new(IntegrityKind.HmacSha384, "hmac-sha2-384-192", 48, 24),
        new(IntegrityKind.HmacSha512, "hmac-sha2-512-256", 64, 32),
        new(IntegrityKind.HmacSha1, "hmac-sha1-96", 20, 12),
        new(IntegrityKind.AesXcbc, "aes-xcbc-96", 16, 12),
        new(IntegrityKind.AesCmac, "aes-cmac-96", 16, 12),
        new(IntegrityKind.HmacMd5, "hmac-md5-96", 16, 12) { IsLegacy = true },
        new(IntegrityKind.HmacRipemd160, "hmac-ripemd160-96", 20, 12) { IsLegacy = true },
    ];

    /// <summary>AES-GMAC, which as an integrity algorithm is for AH alone: in ESP it is a combined mode.</summary>
    public static IReadOnlyList<IntegrityAlgorithm> OnlyAh { get; } =
        [.. new[] { 128, 192, 256 }.Select(static bits => new IntegrityAlgorithm(IntegrityKind.AesGmac, $"aes-gmac-{bits}", bits / 8, 16)
        {
            SaltLength = 4, IvLength = 8,
        })];

    /// <summary>Which algorithm.</summary>
    public IntegrityKind Kind { get; }

    /// <summary>Its name in rulesets.</summary>
    public string Name { get; }

    /// <summary>Length of the key proper; each has exactly one (RFC 4868 §2.1.1).</summary>
    public int KeyLength { get; }

    /// <summary>Length of the salt that follows the key; 0 for all but AES-GMAC.</summary>
    public int SaltLength { get; private init; }

    /// <summary>Length of the IV that AH carries before the ICV; 0 for all but AES-GMAC.</summary>
    public int IvLength { get; private init; }

    /// <summary>Length of the integrity check value.</summary>
    public int IcvLength { get; }

    /// <summary>Whether it is of the tier that must be asked for.</summary>
    public bool IsLegacy { get; private init; }

    /// <inheritdoc/>
    public override string ToString() => Name;
}
