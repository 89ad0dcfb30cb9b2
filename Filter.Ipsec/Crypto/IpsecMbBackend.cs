using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Filter.Ipsec.Crypto;

/// <summary>
/// Whole bursts through ipsec-mb: its lanes work on different packets at once, which serial modes such as CBC and
/// SHA-256 cannot do within one. The library does not compare ICVs; that is done here, before anything is decrypted.
/// </summary>
internal sealed unsafe class IpsecMbBackend : CryptoBackend
{
    private const int MostAtOnce = 64;
    private const int TagRoom = 16;

    private readonly IpsecMb _library;
    private readonly byte* _manager;
    private readonly IpsecMbJob* _native;
    private readonly byte* _tags;
    private readonly int[] _chosen = new int[MostAtOnce];
    private readonly byte[] _received = new byte[MostAtOnce * TagRoom];
    private bool _disposed;

    private IpsecMbBackend(IpsecMb library, byte* manager)
    {
        _library = library;
        _manager = manager;
        _native = (IpsecMbJob*)NativeMemory.AlignedAlloc((nuint)(MostAtOnce * sizeof(IpsecMbJob)), 64);
        _tags = (byte*)NativeMemory.AlignedAlloc(MostAtOnce * TagRoom, 64);
    }

    ~IpsecMbBackend() => Dispose(false);

    /// <inheritdoc/>
    public override string Name => $"ipsec-mb {_library.Version}";

    /// <summary>Makes a backend where the library of the right version is there and the processor is fit for it.</summary>
    internal static bool TryCreate([NotNullWhen(true)] out IpsecMbBackend? backend)
    {
        backend = null;
        if (IpsecMb.Current is not { } library)
        {
            return false;
        }

        byte* manager = library.CreateManager();
        if (manager is null)
        {
            return false;
        }

        backend = new IpsecMbBackend(library, manager);
        return true;
    }

    internal override void SealWithIvs(Span<CryptoJob> jobs)
    {
        for (int first = 0; first < jobs.Length; first += MostAtOnce)
        {
            Span<CryptoJob> some = jobs.Slice(first, Math.Min(MostAtOnce, jobs.Length - first));
            foreach (ref CryptoJob job in some)
            {
                job.Good = job.IsBounded;
            }

            Crypt(some, IpsecMbJob.Encrypt);
            Authenticate(some);
            for (int i = 0; i < some.Length; i++)
            {
                if (some[i].Good)
                {
                    Tag(i, some[i]).CopyTo(some[i].Slab.AsSpan(some[i].Icv));
                }
            }
        }
    }

    /// <inheritdoc/>
    public override void Open(Span<CryptoJob> jobs)
    {
        for (int first = 0; first < jobs.Length; first += MostAtOnce)
        {
            Span<CryptoJob> some = jobs.Slice(first, Math.Min(MostAtOnce, jobs.Length - first));
            for (int i = 0; i < some.Length; i++)
            {
                ref CryptoJob job = ref some[i];
                job.Good = job.IsBounded;
                if (job.Good)
                {
                    job.Slab.AsSpan(job.Icv, job.Key.Suite.IcvLength).CopyTo(Received(i, job));
                }
            }

            Authenticate(some);
            for (int i = 0; i < some.Length; i++)
            {
                ref CryptoJob job = ref some[i];
                job.Good = job.Good
                    && CryptographicOperations.FixedTimeEquals(Tag(i, job), Received(i, job));
            }

            Crypt(some, IpsecMbJob.Decrypt);
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (!_disposed)
        {
            _disposed = true;
            _library.FreeManager(_manager);
            NativeMemory.AlignedFree(_native);
            NativeMemory.AlignedFree(_tags);
        }

        base.Dispose(disposing);
    }

    /// <summary>The slab's address; slabs lie on the pinned heap.</summary>
    private static byte* AddressOf(byte[] slab) => (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(slab));

    private Span<byte> Tag(int index, in CryptoJob job) => new(_tags + (index * TagRoom), job.Key.Suite.IcvLength);

    private Span<byte> Received(int index, in CryptoJob job) =>
        _received.AsSpan(index * TagRoom, job.Key.Suite.IcvLength);

    /// <summary>Runs the good ones through the cipher, one call for each length of key among them.</summary>
    private void Crypt(Span<CryptoJob> jobs, int direction)
    {
        int left = 0;
        foreach (ref readonly CryptoJob job in jobs)
        {
            left += job.Good ? 1 : 0;
        }

        for (int keyLength = 16; keyLength <= 32 && left > 0; keyLength += 8)
        {
            uint count = 0;
            for (int i = 0; i < jobs.Length; i++)
            {
                ref readonly CryptoJob job = ref jobs[i];
                if (!job.Good || job.Key.Suite.CipherKeyLength != keyLength)
                {
                    continue;
                }

                byte* slab = AddressOf(job.Slab);
                _chosen[count] = i;
                _native[count++] = new IpsecMbJob
                {
                    EncryptKeys = job.Key.EncryptSchedule,
                    DecryptKeys = job.Key.DecryptSchedule,
                    KeyLength = (ulong)keyLength,
                    Source = slab,
                    Destination = slab + job.Text,
                    CipherStart = (ulong)job.Text,
                    CipherLength = (ulong)(job.Icv - job.Text),
                    Iv = slab + job.Iv,
                    IvLength = (ulong)job.Key.Suite.IvLength,
                    CipherMode = IpsecMbJob.Cbc,
                    CipherDirection = direction,
                };
            }

            if (count > 0)
            {
                IpsecMb.Crypt(_manager, _native, count, direction, keyLength);
                Judge(jobs, count, IpsecMbJob.CipherDone);
                left -= (int)count;
            }
        }
    }

    /// <summary>Computes the ICVs of the good ones into the scratch tags, each at its own job's index.</summary>
    private void Authenticate(Span<CryptoJob> jobs)
    {
        uint count = 0;
        for (int i = 0; i < jobs.Length; i++)
        {
            ref CryptoJob job = ref jobs[i];
            if (!job.Good)
            {
                continue;
            }

            byte* slab = AddressOf(job.Slab);
            int length = job.Icv - job.Header;
            if (job.Extended)
            {
                // The high half counts as the message's end (RFC 4303 §2.2.1); the ICV's own place holds it meanwhile.
                BinaryPrimitives.WriteUInt32BigEndian(job.Slab.AsSpan(job.Icv), job.SequenceHigh);
                length += sizeof(uint);
            }

            _chosen[count] = i;
            _native[count++] = new IpsecMbJob
            {
                Source = slab,
                HashStart = (ulong)job.Header,
                HashLength = (ulong)length,
                Tag = _tags + (i * TagRoom),
                TagLength = (ulong)job.Key.Suite.IcvLength,
                InnerState = job.Key.InnerState,
                OuterState = job.Key.OuterState,
                HashAlgorithm = IpsecMbJob.HmacSha256,
            };
        }

        if (count > 0)
        {
            IpsecMb.Authenticate(_manager, _native, count);
            Judge(jobs, count, IpsecMbJob.HashDone);
        }
    }

    /// <summary>The library refuses by leaving a job's status as it was: such a packet is not good.</summary>
    private void Judge(Span<CryptoJob> jobs, uint count, int done)
    {
        for (int k = 0; k < count; k++)
        {
            if ((_native[k].Status & done) == 0)
            {
                jobs[_chosen[k]].Good = false;
            }
        }
    }
}
