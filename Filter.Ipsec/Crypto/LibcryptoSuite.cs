using Filter.Rules.Policy;

namespace Filter.Ipsec.Crypto;

/// <summary>What libcrypto has for a suite, fetched once for the process.</summary>
internal sealed class LibcryptoSuite
{
    private static readonly LibcryptoSuite?[] s_suites = new LibcryptoSuite?[IpsecSuite.All.Count];
    private static readonly bool[] s_asked = new bool[IpsecSuite.All.Count];
    private static readonly Dictionary<(string Name, bool IsLegacy), nint> s_ciphers = [];
    private static readonly Dictionary<(string Name, bool IsLegacy), nint> s_macs = [];
    private static readonly Lock s_fetching = new();
    private static readonly Lazy<nint> s_legacy = new(LoadLegacy);

    private LibcryptoSuite(IpsecSuite suite)
    {
        bool gmac = suite.Cipher is { Kind: CipherKind.AesGmac } || suite.Integrity is { Kind: IntegrityKind.AesGmac };
        KeyLength = suite.IsAh ? suite.Integrity!.KeyLength : suite.CipherKeyLength;
        IsGmac = gmac;
        string? cipher = gmac ? $"AES-{KeyLength * 8}-GCM" : CipherName(suite.Cipher);
        (string? mac, string? algorithm) = MacNames(suite.Integrity);
        Cipher = cipher is null ? 0 : Fetch(s_ciphers, cipher, suite.Cipher is { IsLegacy: true }, Libcrypto.EVP_CIPHER_fetch);
        Mac = mac is null ? 0 : Fetch(s_macs, mac, suite.Integrity is { IsLegacy: true }, Libcrypto.EVP_MAC_fetch);
        Xcbc = suite.Integrity is { Kind: IntegrityKind.AesXcbc } ? Fetch(s_ciphers, "AES-128-CBC", false, Libcrypto.EVP_CIPHER_fetch) : 0;
        MacAlgorithm = algorithm is null ? [] : [.. System.Text.Encoding.ASCII.GetBytes(algorithm), 0];
        MacParameter = mac == "CMAC" ? [.. "cipher\0"u8] : [.. "digest\0"u8];
        IsComplete = (Cipher != 0 || cipher is null) && (Mac != 0 || Xcbc != 0 || suite.Integrity is null || gmac);
    }

    /// <summary>EVP_CIPHER; 0 where nothing is encrypted.</summary>
    internal nint Cipher { get; }

    /// <summary>EVP_MAC; 0 where the cipher authenticates.</summary>
    internal nint Mac { get; }

    /// <summary>EVP_CIPHER that AES-XCBC is made of; 0 for other MACs.</summary>
    internal nint Xcbc { get; }

    /// <summary>The name of the MAC's parameter, and its value, as C has strings.</summary>
    internal byte[] MacParameter { get; }

    /// <summary>Digest or cipher that the MAC is made of.</summary>
    internal byte[] MacAlgorithm { get; }

    internal int KeyLength { get; }

    internal bool IsGmac { get; }

    private bool IsComplete { get; }

    /// <summary>What there is for a suite; null where the library, as it is installed, does not do it.</summary>
    internal static LibcryptoSuite? Of(IpsecSuite suite)
    {
        if (!Volatile.Read(ref s_asked[suite.Number]))
        {
            lock (s_fetching)
            {
                var fetched = new LibcryptoSuite(suite);
                s_suites[suite.Number] = fetched.IsComplete ? fetched : null;
                Volatile.Write(ref s_asked[suite.Number], true);
            }
        }

        return s_suites[suite.Number];
    }

    private static string? CipherName(CipherAlgorithm? cipher) => cipher?.Kind switch
    {
        null or CipherKind.Null => null,
        CipherKind.AesCbc => $"AES-{cipher.KeyLength * 8}-CBC",
        CipherKind.AesCtr => $"AES-{cipher.KeyLength * 8}-CTR",
        CipherKind.AesGcm => $"AES-{cipher.KeyLength * 8}-GCM",
        CipherKind.AesCcm => $"AES-{cipher.KeyLength * 8}-CCM",
        CipherKind.ChaCha20Poly1305 => "ChaCha20-Poly1305",
        CipherKind.CamelliaCbc => $"CAMELLIA-{cipher.KeyLength * 8}-CBC",
        CipherKind.DesCbc => "DES-CBC",
        CipherKind.TripleDesCbc => "DES-EDE3-CBC",
        CipherKind.CastCbc => "CAST5-CBC",
        _ => "BF-CBC",
    };

    private static (string? Mac, string? Algorithm) MacNames(IntegrityAlgorithm? integrity) => integrity?.Kind switch
    {
        IntegrityKind.HmacSha1 => ("HMAC", "SHA1"),
        IntegrityKind.HmacSha256 => ("HMAC", "SHA256"),
        IntegrityKind.HmacSha384 => ("HMAC", "SHA384"),
        IntegrityKind.HmacSha512 => ("HMAC", "SHA512"),
        IntegrityKind.HmacMd5 => ("HMAC", "MD5"),
        IntegrityKind.HmacRipemd160 => ("HMAC", "RIPEMD160"),
        IntegrityKind.AesCmac => ("CMAC", "AES-128-CBC"),
        _ => (null, null),
    };

    private static nint Fetch(Dictionary<(string, bool), nint> fetched, string name, bool legacy, Func<nint, string, nint, nint> fetch)
    {
        if (!fetched.TryGetValue((name, legacy), out nint handle))
        {
            nint context = legacy ? s_legacy.Value : 0;
            handle = legacy && context == 0 ? 0 : fetch(context, name, 0);
            fetched[(name, legacy)] = handle;
        }

        return handle;
    }

    /// <summary>A context of its own, so that what else uses libcrypto in this process does not get the legacy algorithms.</summary>
    private static nint LoadLegacy()
    {
        nint context = Libcrypto.OSSL_LIB_CTX_new();
        return context != 0 && Libcrypto.OSSL_PROVIDER_load(context, "default") != 0 && Libcrypto.OSSL_PROVIDER_load(context, "legacy") != 0
            ? context
            : 0;
    }
}
