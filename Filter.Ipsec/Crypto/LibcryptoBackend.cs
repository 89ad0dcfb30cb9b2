using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Filter.Ipsec.Crypto;

/// <summary>One packet after another through libcrypto's EVP, on the contexts that each key keeps.</summary>
internal sealed unsafe class LibcryptoBackend : CryptoBackend
{
    /// <inheritdoc/>
    public override string Name => "libcrypto";

    internal override void SealWithIvs(Span<CryptoJob> jobs)
    {
        Span<byte> mac = stackalloc byte[SaKey.MacLength];
        foreach (ref CryptoJob job in jobs)
        {
            job.Good = job.IsBounded
                && Crypt(job, job.Key.Encryptor)
                && Authenticate(job, mac);
            if (job.Good)
            {
                mac[..job.Key.Suite.IcvLength].CopyTo(job.Slab.AsSpan(job.Icv));
            }
        }
    }

    /// <inheritdoc/>
    public override void Open(Span<CryptoJob> jobs)
    {
        Span<byte> mac = stackalloc byte[SaKey.MacLength];
        foreach (ref CryptoJob job in jobs)
        {
            job.Good = job.IsBounded
                && Authenticate(job, mac)
                && CryptographicOperations.FixedTimeEquals(
                    mac[..job.Key.Suite.IcvLength], job.Slab.AsSpan(job.Icv, job.Key.Suite.IcvLength))
                && Crypt(job, job.Key.Decryptor);
        }
    }

    private static bool Crypt(in CryptoJob job, nint context)
    {
        int written;
        fixed (byte* slab = job.Slab)
        {
            int length = job.Icv - job.Text;
            return Libcrypto.EVP_CipherInit_ex(context, 0, 0, null, slab + job.Iv, -1) == 1
                && Libcrypto.EVP_CipherUpdate(context, slab + job.Text, &written, slab + job.Text, length) == 1
                && written == length;
        }
    }

    private static bool Authenticate(in CryptoJob job, Span<byte> mac)
    {
        nint context = job.Key.Mac;
        nuint written;
        uint high = BinaryPrimitives.ReverseEndianness(job.SequenceHigh);
        fixed (byte* slab = job.Slab, output = mac)
        {
            return Libcrypto.EVP_MAC_init(context, null, 0, null) == 1
                && Libcrypto.EVP_MAC_update(context, slab + job.Header, (nuint)(job.Icv - job.Header)) == 1
                && (!job.Extended || Libcrypto.EVP_MAC_update(context, (byte*)&high, sizeof(uint)) == 1)
                && Libcrypto.EVP_MAC_final(context, output, &written, (nuint)mac.Length) == 1;
        }
    }
}
