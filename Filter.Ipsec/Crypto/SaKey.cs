using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Security.Cryptography;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Crypto;

/// <summary>
/// The keys of one SA in one direction, and what ipsec-mb makes of them once a packet needs it, in one block of unmanaged
/// memory that no collector copies, as long as the suite asks for. Wiped by <see cref="Dispose"/>, or by the finalizer
/// where nobody did. One worker uses a key at a time.
/// </summary>
public sealed unsafe class SaKey : IDisposable
{
    private const int Alignment = 64;

    /// <summary>Round keys, and the first powers of the hash key.</summary>
    private const int WarmBytes = 6 * Alignment;

    private static ulong s_last;

    private readonly int _integrityKeyAt;
    private readonly int _preparedAt;
    private readonly int _length;
    private byte* _block;

    /// <summary>Copies the keys; the caller wipes its own.</summary>
    /// <param name="suite">What they are for.</param>
    /// <param name="keyMaterial">The encryption key and the salt behind it; empty where nothing is encrypted.</param>
    /// <param name="integrityKey">The integrity key; empty where the cipher authenticates.</param>
    /// <param name="forBursts">Whether room is made for what ipsec-mb needs: an IKE SA's messages come one by one.</param>
    /// <exception cref="ArgumentException">A key is not of the suite's length, or is one that DES must not have.</exception>
    public SaKey(IpsecSuite suite, ReadOnlySpan<byte> keyMaterial, ReadOnlySpan<byte> integrityKey, bool forBursts = true)
    {
        if (keyMaterial.Length != suite.KeyMaterialLength)
        {
            throw new ArgumentException($"{suite} needs key material of {suite.KeyMaterialLength} bytes", nameof(keyMaterial));
        }

        if (integrityKey.Length != suite.IntegrityKeyLength)
        {
            throw new ArgumentException($"{suite} needs an integrity key of {suite.IntegrityKeyLength} bytes", nameof(integrityKey));
        }

        if (DesKeys.WhyNot(suite.Cipher, keyMaterial) is { } why)
        {
            throw new ArgumentException($"the key {why}", nameof(keyMaterial));
        }

        Suite = suite;
        Id = Interlocked.Increment(ref s_last);
        IvLength = suite.IvLength;
        IcvLength = suite.IcvLength;
        BlockLength = suite.BlockLength;
        IvIsRandom = IvLength > 0 && !suite.IsCounterMode;
        Batched = !forBursts ? null : IpsecMb.Current?.Suites[suite.Number];
        _integrityKeyAt = (keyMaterial.Length + 15) & ~15;
        int derived = suite.Integrity is { Kind: IntegrityKind.AesXcbc } ? LibcryptoXcbc.KeysLength : 0;
        _preparedAt = (_integrityKeyAt + integrityKey.Length + derived + Alignment - 1) & ~(Alignment - 1);
        _length = _preparedAt + (Batched?.Room ?? 0);
        _block = (byte*)NativeMemory.AlignedAlloc((nuint)_length, Alignment);
        keyMaterial.CopyTo(new Span<byte>(KeyMaterial, keyMaterial.Length));
        integrityKey.CopyTo(new Span<byte>(IntegrityKey, integrityKey.Length));
    }

    /// <summary>Wipes what <see cref="Dispose"/> was not called for.</summary>
    ~SaKey() => Free();

    /// <summary>What the keys are for.</summary>
    public IpsecSuite Suite { get; }

    /// <summary>Its own for as long as the process lives, so that a cache never takes one key for another.</summary>
    internal ulong Id { get; }

    internal int IvLength { get; }

    internal int IcvLength { get; }

    internal int BlockLength { get; }

    /// <summary>Whether the IV of what is sealed is drawn at random; else it is the packet's number, or there is none.</summary>
    internal bool IvIsRandom { get; }

    /// <summary>How ipsec-mb does the suite; null where it does not.</summary>
    internal IpsecMbSuite? Batched { get; }

    /// <summary>Whether ipsec-mb has made of the keys what it needs.</summary>
    internal bool IsPrepared { get; set; }

    internal byte* KeyMaterial => _block;

    internal byte* IntegrityKey => _block + _integrityKeyAt;

    /// <summary>The key of a combined mode, or of AES-GMAC in AH, and its salt behind it.</summary>
    internal byte* CombinedKey => Suite.IsAh ? IntegrityKey : KeyMaterial;

    /// <summary>The three keys that AES-XCBC derives of the integrity key, right behind it; libcrypto's, once it has made them.</summary>
    internal byte* XcbcKeys => IntegrityKey + Suite.IntegrityKeyLength;

    /// <summary>What ipsec-mb makes of the keys.</summary>
    internal byte* Prepared => _block + _preparedAt;

    /// <summary>Has the key schedule fetched, as far as short packets need it; what it gives is of no meaning.</summary>
    internal long Warm()
    {
        if (Sse.IsSupported && Batched is not null)
        {
            for (int at = 0; at < WarmBytes; at += Alignment)
            {
                Sse.Prefetch0(_block + _preparedAt + at);
            }
        }

        return IvLength;
    }

    /// <summary>Whether suite and keys are the same, in time that does not tell how much of them is.</summary>
    public bool SameAs(SaKey other)
    {
        ObjectDisposedException.ThrowIf(_block is null, this);
        ObjectDisposedException.ThrowIf(other._block is null, other);
        return Suite == other.Suite
            && CryptographicOperations.FixedTimeEquals(new(KeyMaterial, Suite.KeyMaterialLength), new(other.KeyMaterial, Suite.KeyMaterialLength))
            & CryptographicOperations.FixedTimeEquals(new(IntegrityKey, Suite.IntegrityKeyLength), new(other.IntegrityKey, Suite.IntegrityKeyLength));
    }

    /// <summary>The same keys in a block of their own.</summary>
    internal SaKey Copy()
    {
        ObjectDisposedException.ThrowIf(_block is null, this);
        return new SaKey(Suite, new(KeyMaterial, Suite.KeyMaterialLength), new(IntegrityKey, Suite.IntegrityKeyLength));
    }

    /// <summary>The encryption key with its salt, and the integrity key, for who hands them on and wipes them.</summary>
    internal (SecretKey Encryption, SecretKey Integrity) Lend()
    {
        ObjectDisposedException.ThrowIf(_block is null, this);
        return (new SecretKey(new(KeyMaterial, Suite.KeyMaterialLength)), new SecretKey(new(IntegrityKey, Suite.IntegrityKeyLength)));
    }

    /// <summary>The encryption key with its salt, and the integrity key, as hex; empty where there is none. For root who asks for them, and nothing else.</summary>
    internal (string Encryption, string Integrity) Reveal() =>
        (Convert.ToHexStringLower(new ReadOnlySpan<byte>(KeyMaterial, Suite.KeyMaterialLength)), Convert.ToHexStringLower(new ReadOnlySpan<byte>(IntegrityKey, Suite.IntegrityKeyLength)));

    /// <summary>The suite's name; never the key.</summary>
    public override string ToString() => $"key of {Suite}";

    /// <summary>
    /// Wipes and frees. No worker may be using the key, and the one that did has had its backend forget it
    /// (<see cref="CryptoBackend.Forget"/>).
    /// </summary>
    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        if (_block is not null)
        {
            CryptographicOperations.ZeroMemory(new Span<byte>(_block, _length));
            NativeMemory.AlignedFree(_block);
            _block = null;
        }
    }
}
