using System.Runtime.InteropServices;

namespace Filter.Ipsec.Crypto;

/// <summary>IMB_JOB of intel-ipsec-mb.h 1.3, as far as the suites need it. Lengths and offsets in bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 200)]
internal unsafe struct IpsecMbJob
{
    /// <summary>IMB_CIPHER_CBC.</summary>
    internal const int Cbc = 1;

    /// <summary>IMB_AUTH_HMAC_SHA_256.</summary>
    internal const int HmacSha256 = 3;

    /// <summary>IMB_DIR_ENCRYPT.</summary>
    internal const int Encrypt = 1;

    /// <summary>IMB_DIR_DECRYPT.</summary>
    internal const int Decrypt = 2;

    /// <summary>IMB_STATUS_COMPLETED_CIPHER.</summary>
    internal const int CipherDone = 1;

    /// <summary>IMB_STATUS_COMPLETED_AUTH.</summary>
    internal const int HashDone = 2;

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

    [FieldOffset(104)]
    internal byte* InnerState;

    [FieldOffset(112)]
    internal byte* OuterState;

    [FieldOffset(128)]
    internal int Status;

    [FieldOffset(132)]
    internal int CipherMode;

    [FieldOffset(136)]
    internal int CipherDirection;

    [FieldOffset(140)]
    internal int HashAlgorithm;
}
