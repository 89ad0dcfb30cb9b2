using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Crypto;

/// <summary>
/// The keys of one SA in one direction, and what the libraries make of them, in unmanaged memory that no collector
/// copies. Wiped by <see cref="Dispose"/>, or by the finalizer where nobody did. One worker uses a key at a time.
/// </summary>
public sealed unsafe class SaKey : IDisposable
{
    /// <summary>Length of the untruncated MAC.</summary>
    internal const int MacLength = 32;

    private const int CipherKeyAt = 0;
    private const int IntegrityKeyAt = 64;
    private const int EncryptScheduleAt = 128;
    private const int DecryptScheduleAt = 384;
    private const int InnerStateAt = 640;
    private const int OuterStateAt = 704;
    private const int BlockSize = 768;

    private static readonly Dictionary<string, nint> s_ciphers = [];
    private static readonly Lock s_fetching = new();
    private static nint s_hmac;

    private byte* _block;

    /// <summary>Copies the keys; the caller wipes its own.</summary>
    /// <param name="suite">What they are for.</param>
    /// <param name="keyMaterial">The encryption key and the salt behind it; empty where nothing is encrypted.</param>
    /// <param name="integrityKey">The integrity key; empty where the cipher authenticates.</param>
    /// <exception cref="ArgumentException">A key is not of the suite's length.</exception>
    /// <exception cref="CryptographicException">libcrypto refused.</exception>
    public SaKey(IpsecSuite suite, ReadOnlySpan<byte> keyMaterial, ReadOnlySpan<byte> integrityKey)
    {
        if (keyMaterial.Length != suite.KeyMaterialLength)
        {
            throw new ArgumentException($"{suite} needs key material of {suite.KeyMaterialLength} bytes", nameof(keyMaterial));
        }

        if (integrityKey.Length != suite.IntegrityKeyLength)
        {
            throw new ArgumentException($"{suite} needs an integrity key of {suite.IntegrityKeyLength} bytes", nameof(integrityKey));
        }

        if (suite.IsAh || suite.Cipher is not { Kind: CipherKind.AesCbc } || suite.Integrity is not { Kind: IntegrityKind.HmacSha256 })
        {
            throw new CryptographicException($"{suite} is not done yet");
        }

        Suite = suite;
        IvLength = suite.IvLength;
        IcvLength = suite.IcvLength;
        BlockLength = suite.BlockLength;
        _block = (byte*)NativeMemory.AlignedAlloc(BlockSize, 64);
        Block.Clear();
        keyMaterial.CopyTo(Block[CipherKeyAt..]);
        integrityKey.CopyTo(Block[IntegrityKeyAt..]);
        if (!PrepareLibcrypto())
        {
            Dispose();
            throw new CryptographicException($"libcrypto does not do {suite}");
        }

        IpsecMb.Current?.Prepare(this);
    }

    /// <summary>Wipes what <see cref="Dispose"/> was not called for.</summary>
    ~SaKey() => Free();

    /// <summary>What the keys are for.</summary>
    public IpsecSuite Suite { get; }

    internal int IvLength { get; }

    internal int IcvLength { get; }

    internal int BlockLength { get; }

    /// <summary>EVP_CIPHER_CTX that encrypts, keyed.</summary>
    internal nint Encryptor { get; private set; }

    /// <summary>EVP_CIPHER_CTX that decrypts, keyed.</summary>
    internal nint Decryptor { get; private set; }

    /// <summary>EVP_MAC_CTX, keyed.</summary>
    internal nint Mac { get; private set; }

    internal byte* CipherKey => _block + CipherKeyAt;

    internal byte* IntegrityKey => _block + IntegrityKeyAt;

    /// <summary>AES round keys in the layout of ipsec-mb, encrypting.</summary>
    internal byte* EncryptSchedule => _block + EncryptScheduleAt;

    /// <summary>AES round keys in the layout of ipsec-mb, decrypting.</summary>
    internal byte* DecryptSchedule => _block + DecryptScheduleAt;

    /// <summary>SHA-256's state after the block of key xor ipad.</summary>
    internal byte* InnerState => _block + InnerStateAt;

    /// <summary>SHA-256's state after the block of key xor opad.</summary>
    internal byte* OuterState => _block + OuterStateAt;

    private Span<byte> Block => new(_block, BlockSize);

    /// <summary>Whether suite and keys are the same, in time that does not tell how much of them is.</summary>
    public bool SameAs(SaKey other)
    {
        ObjectDisposedException.ThrowIf(_block is null, this);
        ObjectDisposedException.ThrowIf(other._block is null, other);
        return Suite == other.Suite
            && CryptographicOperations.FixedTimeEquals(Block[..EncryptScheduleAt], other.Block[..EncryptScheduleAt]);
    }

    /// <summary>The suite's name; never the key.</summary>
    public override string ToString() => $"key of {Suite}";

    /// <summary>Wipes and frees. No worker may be using the key.</summary>
    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private bool PrepareLibcrypto()
    {
        (nint cipher, nint hmac) = Fetch(Suite);
        Encryptor = Libcrypto.EVP_CIPHER_CTX_new();
        Decryptor = Libcrypto.EVP_CIPHER_CTX_new();
        Mac = hmac == 0 ? 0 : Libcrypto.EVP_MAC_CTX_new(hmac);
        if (cipher == 0 || Encryptor == 0 || Decryptor == 0 || Mac == 0)
        {
            return false;
        }

        fixed (byte* digestName = "digest\0"u8, digest = "SHA256\0"u8)
        {
            Libcrypto.Parameter* parameters = stackalloc Libcrypto.Parameter[2];
            parameters[0] = new Libcrypto.Parameter { Key = digestName, Type = Libcrypto.Parameter.Utf8String, Data = digest, Size = 6 };
            parameters[1] = default;
            return Libcrypto.EVP_CipherInit_ex(Encryptor, cipher, 0, CipherKey, null, 1) == 1
                && Libcrypto.EVP_CipherInit_ex(Decryptor, cipher, 0, CipherKey, null, 0) == 1
                && Libcrypto.EVP_CIPHER_CTX_set_padding(Encryptor, 0) == 1
                && Libcrypto.EVP_CIPHER_CTX_set_padding(Decryptor, 0) == 1
                && Libcrypto.EVP_MAC_init(Mac, IntegrityKey, (nuint)Suite.IntegrityKeyLength, parameters) == 1;
        }
    }

    private static (nint Cipher, nint Hmac) Fetch(IpsecSuite suite)
    {
        lock (s_fetching)
        {
            string name = $"AES-{suite.CipherKeyLength * 8}-CBC";
            if (!s_ciphers.TryGetValue(name, out nint cipher))
            {
                cipher = Libcrypto.EVP_CIPHER_fetch(0, name, 0);
                s_ciphers[name] = cipher;
            }

            if (s_hmac == 0)
            {
                s_hmac = Libcrypto.EVP_MAC_fetch(0, "HMAC", 0);
            }

            return (cipher, s_hmac);
        }
    }

    private void Free()
    {
        if (_block is null)
        {
            return;
        }

        CryptographicOperations.ZeroMemory(Block);
        NativeMemory.AlignedFree(_block);
        _block = null;
        if ((Encryptor | Decryptor | Mac) != 0)
        {
            // Only what was made: where the library is missing, calling it would throw in the finalizer.
            Libcrypto.EVP_CIPHER_CTX_free(Encryptor);
            Libcrypto.EVP_CIPHER_CTX_free(Decryptor);
            Libcrypto.EVP_MAC_CTX_free(Mac);
        }

        Encryptor = 0;
        Decryptor = 0;
        Mac = 0;
    }
}
