namespace Filter.Rules.Policy;

/// <summary>The ciphers of ESP, whatever their key lengths.</summary>
public enum CipherKind : byte
{
    /// <summary>None (RFC 2410): the text stays clear.</summary>
    Null,

    /// <summary>AES in cipher block chaining (RFC 3602).</summary>
    AesCbc,

    /// <summary>AES in counter mode (RFC 3686).</summary>
    AesCtr,

    /// <summary>AES in Galois/counter mode, authenticating as it encrypts (RFC 4106).</summary>
    AesGcm,

    /// <summary>AES in counter mode with CBC-MAC, authenticating as it encrypts (RFC 4309).</summary>
    AesCcm,

    /// <summary>AES-GCM that leaves the text clear and authenticates it (RFC 4543).</summary>
    AesGmac,

    /// <summary>ChaCha20 with Poly1305 (RFC 7634).</summary>
    ChaCha20Poly1305,

    /// <summary>Camellia in cipher block chaining (RFC 4312).</summary>
    CamelliaCbc,

    /// <summary>DES in cipher block chaining (RFC 2405).</summary>
    DesCbc,

    /// <summary>Triple DES with three keys in cipher block chaining (RFC 2451).</summary>
    TripleDesCbc,

    /// <summary>CAST-128 in cipher block chaining (RFC 2451, RFC 2144).</summary>
    CastCbc,

    /// <summary>Blowfish in cipher block chaining (RFC 2451).</summary>
    BlowfishCbc,
}

/// <summary>A cipher with its key length: what it asks of keys and packets, in bytes.</summary>
public sealed record CipherAlgorithm
{
    private static readonly int[] s_aesBits = [128, 192, 256];

    private CipherAlgorithm(CipherKind kind, string name, int keyLength)
    {
        Kind = kind;
        Name = name;
        KeyLength = keyLength;
    }

    /// <summary>Every cipher, the recommended first, the legacy ones last.</summary>
    public static IReadOnlyList<CipherAlgorithm> All { get; } =
    [
        .. Aes(CipherKind.AesGcm, "aes-gcm-16", salt: 4, icv: 16), .. Aes(CipherKind.AesGcm, "aes-gcm-12", salt: 4, icv: 12),
        .. Aes(CipherKind.AesGcm, "aes-gcm-8", salt: 4, icv: 8), new(CipherKind.ChaCha20Poly1305, "chacha20-poly1305", 32)
        {
            SaltLength = 4, IvLength = 8, IcvLength = 16,
        },
        .. Aes(CipherKind.AesCcm, "aes-ccm-16", salt: 3, icv: 16), .. Aes(CipherKind.AesCcm, "aes-ccm-12", salt: 3, icv: 12),
        .. Aes(CipherKind.AesCcm, "aes-ccm-8", salt: 3, icv: 8), .. Aes(CipherKind.AesGmac, "aes-gmac", salt: 4, icv: 16),
        .. Aes(CipherKind.AesCtr, "aes-ctr", salt: 4, icv: 0),
        .. Cbc(CipherKind.AesCbc, "aes-cbc", block: 16, 128, 192, 256), .. Cbc(CipherKind.CamelliaCbc, "camellia-cbc", block: 16, 128, 192, 256),
        new(CipherKind.Null, "null", 0),
        new(CipherKind.TripleDesCbc, "3des-cbc", 24) { BlockLength = 8, IvLength = 8, IsLegacy = true },
        new(CipherKind.DesCbc, "des-cbc", 8) { BlockLength = 8, IvLength = 8, IsLegacy = true },
        .. Cbc(CipherKind.CastCbc, "cast-cbc", block: 8, 40, 80, 128),
        .. Cbc(CipherKind.BlowfishCbc, "blowfish-cbc", block: 8, 40, 64, 128, 192, 256, 320, 384, 448),
    ];

    /// <summary>Which cipher.</summary>
    public CipherKind Kind { get; }

    /// <summary>Its name in rulesets, key length included.</summary>
    public string Name { get; }

    /// <summary>Length of the key proper, without salt.</summary>
    public int KeyLength { get; }

    /// <summary>Length of the salt (the nonce, in the words of RFC 3686) that follows the key and stays with the SA.</summary>
    public int SaltLength { get; private init; }

    /// <summary>Length of the IV that each packet carries.</summary>
    public int IvLength { get; private init; }

    /// <summary>What the encrypted part, trailer included, is a multiple of: never less than 4 (RFC 4303 §2.4).</summary>
    public int BlockLength { get; private init; } = 4;

    /// <summary>Length of the integrity check value that it makes by itself; 0 where another algorithm makes it.</summary>
    public int IcvLength { get; private init; }

    /// <summary>Whether it is of the tier that must be asked for: RFC 8221 §5 says SHOULD NOT or MUST NOT.</summary>
    public bool IsLegacy { get; private init; }

    /// <summary>Whether it authenticates too, so that no integrity algorithm goes with it.</summary>
    public bool IsCombined => IcvLength > 0;

    /// <summary>
    /// Whether an IV that comes twice under one key gives the text away, or lets anybody forge: then the IV is a
    /// counter, not a random number.
    /// </summary>
    public bool IsCounterMode => SaltLength > 0;

    /// <summary>Whether its key may come from a ruleset or a key file.</summary>
    public bool MayBeManual => !IsCounterMode;

    /// <inheritdoc/>
    public override string ToString() => Name;

    private static IEnumerable<CipherAlgorithm> Aes(CipherKind kind, string name, int salt, int icv) =>
        s_aesBits.Select(bits => new CipherAlgorithm(kind, $"{name}-{bits}", bits / 8)
        {
            SaltLength = salt, IvLength = 8, IcvLength = icv,
        });

    private static IEnumerable<CipherAlgorithm> Cbc(CipherKind kind, string name, int block, params int[] bits) =>
        bits.Select(b => new CipherAlgorithm(kind, $"{name}-{b}", b / 8)
        {
            BlockLength = block, IvLength = block, IsLegacy = block < 16,
        });
}
