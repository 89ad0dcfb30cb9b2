using System.Security.Cryptography;

namespace Filter.Ipsec.Crypto;

/// <summary>
/// Seals and opens bursts of ESP packets in place. One per worker: a backend is not for two threads at once, and
/// neither is a key.
/// </summary>
public abstract class CryptoBackend : IDisposable
{
    private const int LongestIv = 16;
    private const int IvsAtOnce = 64;

    private readonly byte[] _ivs = new byte[LongestIv * IvsAtOnce];

    /// <summary>The library behind it, for `status`: `libcrypto` or `ipsec-mb 1.3.0 + libcrypto`.</summary>
    public abstract string Name { get; }

    /// <summary>
    /// The best backend that this machine has: ipsec-mb for bursts where version 1.3 is installed, else libcrypto alone.
    /// </summary>
    public static CryptoBackend CreateBest() =>
        IpsecMbBackend.TryCreate(out IpsecMbBackend? batched)
            ? new BurstBackend(batched, new LibcryptoBackend())
            : new LibcryptoBackend();

    /// <summary>
    /// Gives each packet a random IV (RFC 3602 §3: it must not be predictable), encrypts, and writes the ICV. A job
    /// that does not fit its slab comes back not good.
    /// </summary>
    public void Seal(Span<CryptoJob> jobs)
    {
        for (int first = 0; first < jobs.Length; first += IvsAtOnce)
        {
            Span<CryptoJob> some = jobs.Slice(first, Math.Min(IvsAtOnce, jobs.Length - first));
            Span<byte> ivs = _ivs.AsSpan(0, some.Length * LongestIv);
            RandomNumberGenerator.Fill(ivs);
            for (int i = 0; i < some.Length; i++)
            {
                ref readonly CryptoJob job = ref some[i];
                if (job.IsBounded)
                {
                    ivs.Slice(i * LongestIv, job.Key.Suite.IvLength).CopyTo(job.Slab.AsSpan(job.Iv));
                }
            }
        }

        SealWithIvs(jobs);
    }

    /// <summary>
    /// Compares each packet's ICV and decrypts those, and only those, whose ICV is right. The result stands in
    /// <see cref="CryptoJob.Good"/>.
    /// </summary>
    public abstract void Open(Span<CryptoJob> jobs);

    /// <summary>Seals with the IVs that already stand in the packets: for known answers.</summary>
    internal abstract void SealWithIvs(Span<CryptoJob> jobs);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Gives native memory back.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }
}
