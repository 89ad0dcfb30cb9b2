using System.Runtime.InteropServices;

namespace Filter.Ipsec.Crypto;

/// <summary>IMB_JOB of intel-ipsec-mb.h 1.3, as far as the suites need it. Lengths and offsets in bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 200)]
internal unsafe struct IpsecMbJob
{
    /// <summary>IMB_CIPHER_CBC.</summary>
    internal const int Cbc = 1;

    /// <summary>IMB_CIPHER_CNTR.</summary>
    internal const int Ctr = 2;

    /// <summary>IMB_CIPHER_NULL.</summary>
    internal const int NoCipher = 3;

    /// <summary>IMB_CIPHER_GCM.</summary>
    internal const int Gcm = 5;

    /// <summary>IMB_CIPHER_DES.</summary>
    internal const int Des = 7;

    /// <summary>IMB_CIPHER_CCM.</summary>
    internal const int Ccm = 9;

    /// <summary>IMB_CIPHER_DES3.</summary>
    internal const int TripleDes = 10;

    /// <summary>IMB_CIPHER_CHACHA20_POLY1305.</summary>
    internal const int ChaCha20Poly1305 = 19;

    /// <summary>IMB_AUTH_HMAC_SHA_1.</summary>
    internal const int HmacSha1 = 1;

    /// <summary>IMB_AUTH_HMAC_SHA_256.</summary>
    internal const int HmacSha256 = 3;

    /// <summary>IMB_AUTH_HMAC_SHA_384.</summary>
    internal const int HmacSha384 = 4;

    /// <summary>IMB_AUTH_HMAC_SHA_512.</summary>
    internal const int HmacSha512 = 5;

    /// <summary>IMB_AUTH_AES_XCBC.</summary>
    internal const int Xcbc = 6;

    /// <summary>IMB_AUTH_MD5.</summary>
    internal const int HmacMd5 = 7;

    /// <summary>IMB_AUTH_NULL.</summary>
    internal const int NoHash = 8;

    /// <summary>IMB_AUTH_AES_GMAC, which goes with AES-GCM.</summary>
    internal const int GcmHash = 9;

    /// <summary>IMB_AUTH_AES_CCM.</summary>
    internal const int CcmHash = 11;

    /// <summary>IMB_AUTH_AES_CMAC.</summary>
    internal const int Cmac = 12;

    /// <summary>IMB_AUTH_AES_GMAC_128; those for longer keys follow.</summary>
    internal const int Gmac128 = 24;

    /// <summary>IMB_AUTH_CHACHA20_POLY1305.</summary>
    internal const int ChaCha20Poly1305Hash = 29;

    /// <summary>IMB_DIR_ENCRYPT.</summary>
    internal const int Encrypt = 1;

    /// <summary>IMB_DIR_DECRYPT.</summary>
    internal const int Decrypt = 2;

    /// <summary>IMB_ORDER_CIPHER_HASH.</summary>
    internal const int CipherThenHash = 1;

    /// <summary>IMB_ORDER_HASH_CIPHER.</summary>
    internal const int HashThenCipher = 2;

    /// <summary>IMB_STATUS_COMPLETED.</summary>
    internal const int Completed = 3;

    [FieldOffset(0)]
    internal byte* EncryptKeys;

    [FieldOffset(8)]
    internal byte* DecryptKeys;

    [FieldOffset(16)]
    internal ulong KeyLength;

    [FieldOffset(24)]
    internal byte* Source;

    [FieldOffset(32)]
    internal byte* Destination;

    [FieldOffset(40)]
    internal ulong CipherStart;

    [FieldOffset(48)]
    internal ulong CipherLength;

    [FieldOffset(56)]
    internal ulong HashStart;

    [FieldOffset(64)]
    internal ulong HashLength;

    [FieldOffset(72)]
    internal byte* Iv;

    [FieldOffset(80)]
    internal ulong IvLength;

    [FieldOffset(88)]
    internal byte* Tag;

    [FieldOffset(96)]
    internal ulong TagLength;

    /// <summary>The first of the union's three words: inner state, MAC schedule, GMAC key, or additional data.</summary>
    [FieldOffset(104)]
    internal byte* First;

    /// <summary>The second: outer state, first subkey, GMAC IV, or how long the additional data is.</summary>
    [FieldOffset(112)]
    internal byte* Second;

    /// <summary>The third: second subkey, or how long the GMAC IV is.</summary>
    [FieldOffset(120)]
    internal byte* Third;

    [FieldOffset(128)]
    internal int Status;

    [FieldOffset(132)]
    internal int CipherMode;

    [FieldOffset(136)]
    internal int CipherDirection;

    [FieldOffset(140)]
    internal int HashAlgorithm;

    [FieldOffset(144)]
    internal int Order;

    /// <summary>Ours: the packet's place in its burst.</summary>
    [FieldOffset(152)]
    internal nint UserData;
}
