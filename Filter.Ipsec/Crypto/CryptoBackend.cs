using System.Buffers.Binary;
using System.Security.Cryptography;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Crypto;

/// <summary>
/// Seals and opens bursts of ESP and AH packets in place, of whatever suites. One per worker: a backend is not for two
/// threads at once, and neither is a key.
/// </summary>
public abstract class CryptoBackend : IDisposable
{
    private readonly byte[] _random = new byte[4096];
    private int _drawn;

    /// <summary>Nothing drawn yet.</summary>
    protected CryptoBackend() => _drawn = _random.Length;

    /// <summary>The libraries behind it, for `status`: `BouncyCastle`, or `ipsec-mb 1.3.0 + libcrypto + BouncyCastle`.</summary>
    public abstract string Name { get; }

    /// <summary>
    /// All that this machine has: ipsec-mb where version 1.3 is installed, libcrypto where it is, and BouncyCastle, which
    /// always is; each suite by the best of them.
    /// </summary>
    public static CryptoBackend CreateBest() => new BestBackend(
        IpsecMbBackend.TryCreate(out IpsecMbBackend? batched) ? batched : null,
        Libcrypto.IsPresent ? new LibcryptoBackend() : null,
        new BouncyCastleBackend());

    /// <summary>Whether it does a suite; a packet of another comes back not good.</summary>
    public abstract bool Has(IpsecSuite suite);

    /// <summary>
    /// Gives each packet its IV, encrypts, and writes the ICV. The IV is random (RFC 3602 §3: it must not be predictable),
    /// or in counter modes the packet's number. A job that does not fit its slab comes back not good.
    /// </summary>
    public void Seal(Span<CryptoJob> jobs)
    {
        foreach (ref CryptoJob job in jobs)
        {
            job.Good = job.IsBounded;
            if (!job.Good || job.Key.IvLength == 0)
            {
                continue;
            }

            Span<byte> iv = job.Slab.AsSpan(job.Iv);
            if (job.Key.IvIsRandom)
            {
                Draw(iv[..job.Key.IvLength]);
            }
            else
            {
                BinaryPrimitives.WriteUInt64BigEndian(iv, job.Sequence);
            }
        }

        SealReady(jobs);
    }

    /// <summary>
    /// Compares each packet's ICV; the result stands in <see cref="CryptoJob.Good"/>. What has a bad one is not decrypted, or
    /// was decrypted at no extra cost and is to be thrown away.
    /// </summary>
    public void Open(Span<CryptoJob> jobs)
    {
        foreach (ref CryptoJob job in jobs)
        {
            job.Good = job.IsBounded;
        }

        OpenReady(jobs);
    }

    /// <summary>Lets go of what it keeps of a key; before the key is disposed of, by the worker that used it.</summary>
    public virtual void Forget(SaKey key)
    {
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Seals with the IVs that already stand in the packets: for known answers.</summary>
    internal void SealWithIvs(Span<CryptoJob> jobs)
    {
        foreach (ref CryptoJob job in jobs)
        {
            job.Good = job.IsBounded;
        }

        SealReady(jobs);
    }

    /// <summary>Seals the good ones, whose IVs stand in the packets; leaves good those that it sealed.</summary>
    internal abstract void SealReady(Span<CryptoJob> jobs);

    /// <summary>Opens the good ones; leaves good those whose ICV is right.</summary>
    internal abstract void OpenReady(Span<CryptoJob> jobs);

    /// <summary>Gives native memory back.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }

    /// <summary>Random bytes out of a stock: asking for few at a time costs far more.</summary>
    private void Draw(Span<byte> bytes)
    {
        if (_drawn + bytes.Length > _random.Length)
        {
            RandomNumberGenerator.Fill(_random);
            _drawn = 0;
        }

        _random.AsSpan(_drawn, bytes.Length).CopyTo(bytes);
        _drawn += bytes.Length;
    }
}
