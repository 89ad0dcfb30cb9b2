using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;

namespace Filter.Rules.Policy;

/// <summary>
/// The algorithms that IKEv2 negotiates, by their names in rulesets and by IANA's numbers
/// (https://www.iana.org/assignments/ikev2-parameters). Encryption and integrity bear the names that suites have.
/// </summary>
public static class IkeTransforms
{
    /// <summary>ESN 0: sequence numbers of 32 bits.</summary>
    public static IkeTransform ShortSequence { get; } = new(IkeTransformType.SequenceNumbers, 0, 0, "no-esn");

    /// <summary>ESN 1: extended sequence numbers.</summary>
    public static IkeTransform ExtendedSequence { get; } = new(IkeTransformType.SequenceNumbers, 1, 0, "esn");

    /// <summary>What an IKE SA may use: ciphers, integrity, PRFs, groups; the recommended first, the legacy ones last.</summary>
    public static ImmutableArray<IkeTransform> All { get; } =
    [
        .. CipherAlgorithm.All.Where(IsForIke).Select(static c => Of(c)!),
        .. IntegrityAlgorithm.All.Select(static i => Of(i)).OfType<IkeTransform>(),
        Prf(5, "sha2-256"), Prf(6, "sha2-384"), Prf(7, "sha2-512"), Prf(2, "sha1"),
        new(IkeTransformType.Prf, 4, 0, "prf-aes-xcbc"), new(IkeTransformType.Prf, 8, 0, "prf-aes-cmac"), Prf(1, "md5", legacy: true),
        Group(31, "x25519"), Group(19, "ecp-256"), Group(20, "ecp-384"), Group(21, "ecp-521"), Group(32, "x448"),
        Group(14, "modp-2048"), Group(15, "modp-3072"), Group(16, "modp-4096"), Group(17, "modp-6144"), Group(18, "modp-8192"),
        Group(5, "modp-1536", legacy: true), Group(2, "modp-1024", legacy: true), Group(1, "modp-768", legacy: true),
    ];

    /// <summary>What has no place in an IKE SA, but in a child (RFC 7296 §3.3.2).</summary>
    private static ImmutableArray<IkeTransform> OnlyChildren { get; } =
    [
        .. CipherAlgorithm.All.Where(static c => !IsForIke(c)).Select(static c => Of(c)!),
        .. IntegrityAlgorithm.OnlyAh.Select(static i => Of(i)!),
        ShortSequence, ExtendedSequence,
    ];

    private static Dictionary<string, IkeTransform> ByName { get; } = All.ToDictionary(static t => t.Name, StringComparer.Ordinal);

    private static Dictionary<(IkeTransformType, ushort, int), IkeTransform> ByNumber { get; } =
        All.Concat(OnlyChildren).ToDictionary(static t => (t.Type, t.Id, t.KeyBits));

    private static Dictionary<(IkeTransform?, IkeTransform?, bool IsAh), IpsecSuite> Suites { get; } = IpsecSuite.All
        .Where(static s => TryTransforms(s, out _, out _))
        .ToDictionary(static s => (Of(s.Cipher), Of(s.Integrity), s.IsAh));

    /// <summary>Finds a transform of the IKE SA by the name that rulesets use.</summary>
    public static bool TryFind(string name, [NotNullWhen(true)] out IkeTransform? transform) => ByName.TryGetValue(name, out transform);

    /// <summary>Finds a transform of the IKE SA or of a child by its numbers.</summary>
    /// <param name="type">What it is for.</param>
    /// <param name="id">IANA's number.</param>
    /// <param name="keyBits">The Key Length attribute; 0 for none.</param>
    /// <param name="transform">What it is.</param>
    public static bool TryFind(IkeTransformType type, ushort id, int keyBits, [NotNullWhen(true)] out IkeTransform? transform) =>
        ByNumber.TryGetValue((type, id, keyBits), out transform);

    /// <summary>As people call it, whether Filter knows it or not: <c>aes-gcm-16-256</c>, or <c>encryption 99 of 64 bits</c>.</summary>
    public static string Describe(IkeTransformType type, ushort id, int keyBits)
    {
        if (TryFind(type, id, keyBits, out IkeTransform? known))
        {
            return known.Name;
        }

        string kind = type switch
        {
            IkeTransformType.Encryption => "encryption",
            IkeTransformType.Prf => "prf",
            IkeTransformType.Integrity => "integrity",
            IkeTransformType.KeyExchange => "group",
            IkeTransformType.SequenceNumbers => "esn",
            _ => $"transform type {(byte)type}",
        };
        return keyBits == 0 ? $"{kind} {id}" : $"{kind} {id} of {keyBits} bits";
    }

    /// <summary>The transform of a cipher; null for none.</summary>
    [return: NotNullIfNotNull(nameof(cipher))]
    public static IkeTransform? Of(CipherAlgorithm? cipher) =>
        cipher is null ? null : new(IkeTransformType.Encryption, NumberOf(cipher), HasOneKeyLength(cipher) ? 0 : cipher.KeyLength * 8, cipher.Name, cipher.IsLegacy);

    /// <summary>The transform of an integrity algorithm; null for none, and for what IKEv2 has no number of (HMAC-RIPEMD-160).</summary>
    public static IkeTransform? Of(IntegrityAlgorithm? integrity) =>
        integrity is not null && NumberOf(integrity) is { } id ? new(IkeTransformType.Integrity, id, 0, integrity.Name, integrity.IsLegacy) : null;

    /// <summary>The cipher of a transform; null where it is of another type or unknown.</summary>
    public static CipherAlgorithm? CipherOf(IkeTransform transform) =>
        transform.Type == IkeTransformType.Encryption ? CipherAlgorithm.All.FirstOrDefault(c => c.Name == transform.Name) : null;

    /// <summary>The integrity algorithm of a transform; null where it is of another type or unknown.</summary>
    public static IntegrityAlgorithm? IntegrityOf(IkeTransform transform) => transform.Type != IkeTransformType.Integrity
        ? null
        : IntegrityAlgorithm.All.Concat(IntegrityAlgorithm.OnlyAh).FirstOrDefault(i => i.Name == transform.Name);

    /// <summary>What a suite of ESP or AH is in IKE; false where IKEv2 cannot say it.</summary>
    /// <param name="suite">The suite.</param>
    /// <param name="encryption">Null for AH.</param>
    /// <param name="integrity">Null where the cipher authenticates.</param>
    public static bool TryTransforms(IpsecSuite suite, out IkeTransform? encryption, out IkeTransform? integrity)
    {
        encryption = Of(suite.Cipher);
        integrity = Of(suite.Integrity);
        return integrity is not null || suite.Integrity is null;
    }

    /// <summary>The suite that two transforms make: of AH where there is no encryption.</summary>
    public static bool TrySuite(IkeTransform? encryption, IkeTransform? integrity, [NotNullWhen(true)] out IpsecSuite? suite) =>
        Suites.TryGetValue((encryption, integrity, encryption is null), out suite);

    /// <summary>
    /// What RFC 8247 says against a transform, as "MUST NOT be used (RFC 8247 §2.2)"; null where it says nothing against it. Whether
    /// a ruleset may have it all the same is its `legacy: true`.
    /// </summary>
    public static string? WhyForbidden(IkeTransform transform) => (transform.Type, transform.Id) switch
    {
        (IkeTransformType.Encryption, 2) => "MUST NOT be used (RFC 8247 §2.1)",
        (IkeTransformType.Prf, 1) => "MUST NOT be used (RFC 8247 §2.2)",
        (IkeTransformType.Integrity, 1) => "MUST NOT be used (RFC 8247 §2.3)",
        (IkeTransformType.KeyExchange, 1) => "MUST NOT be used (RFC 8247 §2.4)",
        (IkeTransformType.KeyExchange, 2 or 5) => "SHOULD NOT be used (RFC 8247 §2.4)",
        _ => null,
    };

    private static IkeTransform Prf(ushort id, string hash, bool legacy = false) => new(IkeTransformType.Prf, id, 0, $"prf-hmac-{hash}", legacy);

    private static IkeTransform Group(ushort id, string name, bool legacy = false) => new(IkeTransformType.KeyExchange, id, 0, name, legacy);

    /// <summary>Those of RFC 8247, and Camellia (RFC 5529). The rest is older, or encrypts nothing.</summary>
    private static bool IsForIke(CipherAlgorithm cipher) => cipher.Kind
        is CipherKind.AesCbc or CipherKind.AesCtr or CipherKind.AesGcm or CipherKind.AesCcm or CipherKind.ChaCha20Poly1305 or CipherKind.CamelliaCbc
        or CipherKind.TripleDesCbc;

    /// <summary>Then the Key Length attribute must not be sent (RFC 7296 §3.3.5).</summary>
    private static bool HasOneKeyLength(CipherAlgorithm cipher) =>
        cipher.Kind is CipherKind.ChaCha20Poly1305 or CipherKind.TripleDesCbc or CipherKind.DesCbc or CipherKind.Null;

    private static ushort NumberOf(CipherAlgorithm cipher) => (cipher.Kind, cipher.IcvLength) switch
    {
        (CipherKind.DesCbc, _) => 2,
        (CipherKind.TripleDesCbc, _) => 3,
        (CipherKind.CastCbc, _) => 6,
        (CipherKind.BlowfishCbc, _) => 7,
        (CipherKind.Null, _) => 11,
        (CipherKind.AesCbc, _) => 12,
        (CipherKind.AesCtr, _) => 13,
        (CipherKind.AesCcm, 8) => 14,
        (CipherKind.AesCcm, 12) => 15,
        (CipherKind.AesCcm, _) => 16,
        (CipherKind.AesGcm, 8) => 18,
        (CipherKind.AesGcm, 12) => 19,
        (CipherKind.AesGcm, _) => 20,
        (CipherKind.AesGmac, _) => 21,
        (CipherKind.CamelliaCbc, _) => 23,
        _ => 28,
    };

    private static ushort? NumberOf(IntegrityAlgorithm integrity) => (integrity.Kind, integrity.KeyLength) switch
    {
        (IntegrityKind.HmacMd5, _) => 1,
        (IntegrityKind.HmacSha1, _) => 2,
        (IntegrityKind.AesXcbc, _) => 5,
        (IntegrityKind.AesCmac, _) => 8,
        (IntegrityKind.AesGmac, 16) => 9,
        (IntegrityKind.AesGmac, 24) => 10,
        (IntegrityKind.AesGmac, _) => 11,
        (IntegrityKind.HmacSha256, _) => 12,
        (IntegrityKind.HmacSha384, _) => 13,
        (IntegrityKind.HmacSha512, _) => 14,
        _ => null,
    };
}
