using System.Buffers.Binary;
using System.Security.Cryptography;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Crypto;

/// <summary>One packet after another through libcrypto's EVP.</summary>
internal sealed unsafe class LibcryptoBackend : CryptoBackend
{
    /// <summary>Length of the longest untruncated MAC.</summary>
    private const int LongestMac = 64;

    private readonly LibcryptoContexts _contexts = new();

    /// <inheritdoc/>
    public override string Name => "libcrypto";

    /// <inheritdoc/>
    public override bool Has(IpsecSuite suite) => LibcryptoSuite.Of(suite) is not null;

    /// <inheritdoc/>
    public override void Forget(SaKey key) => _contexts.Forget(key);

    internal override void SealReady(Span<CryptoJob> jobs)
    {
        Span<byte> mac = stackalloc byte[LongestMac];
        foreach (ref CryptoJob job in jobs)
        {
            if (!job.Good)
            {
                continue;
            }

            fixed (byte* slab = job.Slab)
            {
                job.Good = Has(job.Key.Suite) && _contexts.TryGet(job.Key, encrypt: true, out nint cipher, out nint macContext)
                    && (IsCombined(job.Key.Suite)
                        ? SealCombined(job, slab, cipher)
                        : Crypt(job, slab, cipher) && Authenticate(job, slab, macContext, mac) && Put(job, mac));
            }
        }
    }

    internal override void OpenReady(Span<CryptoJob> jobs)
    {
        Span<byte> mac = stackalloc byte[LongestMac];
        Span<byte> received = stackalloc byte[32];
        foreach (ref CryptoJob job in jobs)
        {
            if (!job.Good)
            {
                continue;
            }

            int length = job.Key.IcvLength;
            job.Slab.AsSpan(job.Icv, length).CopyTo(received);
            fixed (byte* slab = job.Slab)
            {
                job.Good = Has(job.Key.Suite) && _contexts.TryGet(job.Key, encrypt: false, out nint cipher, out nint macContext)
                    && (IsCombined(job.Key.Suite)
                        ? OpenCombined(job, slab, cipher, received[..length])
                        : Authenticate(job, slab, macContext, mac)
                            && CryptographicOperations.FixedTimeEquals(mac[..length], received[..length])
                            && Crypt(job, slab, cipher));
            }
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _contexts.Dispose();
        }

        base.Dispose(disposing);
    }

    private static bool IsCombined(IpsecSuite suite) => suite.IsCombined || suite.Integrity is { Kind: IntegrityKind.AesGmac };

    private static bool Put(in CryptoJob job, ReadOnlySpan<byte> mac)
    {
        mac[..job.Key.IcvLength].CopyTo(job.Slab.AsSpan(job.Icv));
        return true;
    }

    /// <summary>Encrypts or decrypts, as the context was keyed for.</summary>
    private static bool Crypt(in CryptoJob job, byte* slab, nint context)
    {
        if (job.Key.Suite.Cipher is null or { Kind: CipherKind.Null })
        {
            return true;
        }

        byte* iv = slab + job.Iv;
        byte* block = stackalloc byte[16];
        if (job.Key.Suite.Cipher.Kind == CipherKind.AesCtr)
        {
            // Nonce, IV, and a counter from 1 (RFC 3686 §4).
            Nonce(job, slab, block);
            BinaryPrimitives.WriteUInt32BigEndian(new Span<byte>(block + 12, 4), 1);
            iv = block;
        }

        int length = job.Icv - job.Text, written;
        return Libcrypto.EVP_CipherInit_ex(context, 0, 0, null, iv, -1) == 1
            && Libcrypto.EVP_CipherUpdate(context, slab + job.Text, &written, slab + job.Text, length) == 1
            && written == length;
    }

    private static bool Authenticate(in CryptoJob job, byte* slab, nint context, Span<byte> mac)
    {
        nuint written;
        bool ah = job.Key.Suite.IsAh;
        if (ah)
        {
            job.Slab.AsSpan(job.Icv, job.Key.IcvLength).Clear();
        }

        int end = ah ? job.End : job.Icv;
        if (job.Key.Suite.Integrity!.Kind == IntegrityKind.AesXcbc)
        {
            return LibcryptoXcbc.Compute(context, job.Key, slab + job.Header, end - job.Header, job.Extended ? job.SequenceHigh : null, mac);
        }

        uint high = BinaryPrimitives.ReverseEndianness(job.SequenceHigh);
        fixed (byte* output = mac)
        {
            return Libcrypto.EVP_MAC_init(context, null, 0, null) == 1
                && Libcrypto.EVP_MAC_update(context, slab + job.Header, (nuint)(end - job.Header)) == 1
                && (!job.Extended || Libcrypto.EVP_MAC_update(context, (byte*)&high, sizeof(uint)) == 1)
                && Libcrypto.EVP_MAC_final(context, output, &written, (nuint)mac.Length) == 1;
        }
    }

    private static bool SealCombined(in CryptoJob job, byte* slab, nint context)
    {
        int written;
        byte* nonce = stackalloc byte[16];
        Nonce(job, slab, nonce);
        if (Libcrypto.EVP_CipherInit_ex(context, 0, 0, null, nonce, -1) != 1 || !Feed(job, slab, context))
        {
            return false;
        }

        byte* tag = stackalloc byte[16];
        return Libcrypto.EVP_CipherFinal_ex(context, tag, &written) == 1
            && Libcrypto.EVP_CIPHER_CTX_ctrl(context, Libcrypto.GetTag, job.Key.IcvLength, tag) == 1
            && Put(job, new ReadOnlySpan<byte>(tag, job.Key.IcvLength));
    }

    private static bool OpenCombined(in CryptoJob job, byte* slab, nint context, ReadOnlySpan<byte> received)
    {
        int written;
        byte* nonce = stackalloc byte[16];
        byte* rest = stackalloc byte[16];
        Nonce(job, slab, nonce);
        fixed (byte* tag = received)
        {
            return Libcrypto.EVP_CipherInit_ex(context, 0, 0, null, null, -1) == 1
                && Libcrypto.EVP_CIPHER_CTX_ctrl(context, Libcrypto.SetTag, received.Length, tag) == 1
                && Libcrypto.EVP_CipherInit_ex(context, 0, 0, null, nonce, -1) == 1
                && Feed(job, slab, context)
                && (job.Key.Suite.Cipher is { Kind: CipherKind.AesCcm } || Libcrypto.EVP_CipherFinal_ex(context, rest, &written) == 1);
        }
    }

    /// <summary>Salt and IV.</summary>
    private static void Nonce(in CryptoJob job, byte* slab, byte* to)
    {
        IpsecSuite suite = job.Key.Suite;
        int keyLength = suite.IsAh ? suite.Integrity!.KeyLength : suite.CipherKeyLength;
        new ReadOnlySpan<byte>(job.Key.CombinedKey + keyLength, suite.SaltLength).CopyTo(new Span<byte>(to, 16));
        new ReadOnlySpan<byte>(slab + job.Iv, 8).CopyTo(new Span<byte>(to + suite.SaltLength, 8));
    }

    /// <summary>Additional data, then the text; of GMAC all is additional.</summary>
    private static bool Feed(in CryptoJob job, byte* slab, nint context)
    {
        IpsecSuite suite = job.Key.Suite;
        int written, length = job.Icv - job.Text;
        uint high = BinaryPrimitives.ReverseEndianness(job.SequenceHigh);
        if (suite.IsAh)
        {
            ulong iv = *(ulong*)(slab + job.Iv);
            new Span<byte>(slab + job.Iv, job.Icv + job.Key.IcvLength - job.Iv).Clear();
            bool fed = Libcrypto.EVP_CipherUpdate(context, null, &written, slab + job.Header, job.End - job.Header) == 1
                && (!job.Extended || Libcrypto.EVP_CipherUpdate(context, null, &written, (byte*)&high, sizeof(uint)) == 1);
            *(ulong*)(slab + job.Iv) = iv;
            return fed;
        }

        byte* additional = stackalloc byte[12];
        int additionalLength = job.Extended ? 12 : 8;
        *(uint*)additional = *(uint*)(slab + job.Header);
        *(uint*)(additional + 4) = high;
        *(uint*)(additional + additionalLength - 4) = *(uint*)(slab + job.Header + 4);
        return suite.Cipher!.Kind == CipherKind.AesGmac
            ? Libcrypto.EVP_CipherUpdate(context, null, &written, additional, additionalLength) == 1
                && Libcrypto.EVP_CipherUpdate(context, null, &written, slab + job.Header + 8, job.Icv - job.Header - 8) == 1
            : (suite.Cipher.Kind != CipherKind.AesCcm || Libcrypto.EVP_CipherUpdate(context, null, &written, null, length) == 1)
                && Libcrypto.EVP_CipherUpdate(context, null, &written, additional, additionalLength) == 1
                && Libcrypto.EVP_CipherUpdate(context, slab + job.Text, &written, slab + job.Text, length) == 1;
    }
}
