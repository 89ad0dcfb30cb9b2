using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Security.Cryptography;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Crypto;

/// <summary>
/// Whole bursts of whatever suites through ipsec-mb: its lanes work on different packets at once, which serial modes such
/// as CBC and SHA-256 cannot do within one. The library does not compare ICVs; that is done here, and where cipher and
/// MAC are two algorithms, before anything is decrypted: a forged packet costs less than a good one.
/// </summary>
internal sealed unsafe class IpsecMbBackend : CryptoBackend
{
    private const int MostAtOnce = 64;
    private const int LongestIcv = 32;

    private readonly IpsecMb _library;
    private readonly byte* _manager;
    private readonly Scratch* _scratch;
    private readonly IpsecMbJob** _slots;
    private bool _disposed;

    private IpsecMbBackend(IpsecMb library, byte* manager)
    {
        _library = library;
        _manager = manager;
        _scratch = (Scratch*)NativeMemory.AlignedAlloc((nuint)(MostAtOnce * sizeof(Scratch)), 64);
        _slots = (IpsecMbJob**)NativeMemory.Alloc((nuint)(MostAtOnce * sizeof(IpsecMbJob*)));
    }

    ~IpsecMbBackend() => Dispose(false);

    /// <inheritdoc/>
    public override string Name => $"ipsec-mb {_library.Version}";

    /// <inheritdoc/>
    public override bool Has(IpsecSuite suite) => _library.Suites[suite.Number] is not null;

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

    internal override void SealReady(Span<CryptoJob> jobs)
    {
        for (int first = 0; first < jobs.Length; first += MostAtOnce)
        {
            Span<CryptoJob> some = jobs.Slice(first, Math.Min(MostAtOnce, jobs.Length - first));
            Run(some, IpsecMbJob.Encrypt);
        }
    }

    internal override void OpenReady(Span<CryptoJob> jobs)
    {
        for (int first = 0; first < jobs.Length; first += MostAtOnce)
        {
            Span<CryptoJob> some = jobs.Slice(first, Math.Min(MostAtOnce, jobs.Length - first));
            Run(some, IpsecMbJob.Decrypt);
            int left = 0;
            for (int i = 0; i < some.Length; i++)
            {
                ref CryptoJob job = ref some[i];
                if (job.Good)
                {
                    job.Good = IsSame(_scratch[i].Tag, _scratch[i].Received, job.Key.IcvLength);
                    left += job.Good && IsEncryptedApart(job.Key.Batched!) ? 1 : 0;
                }
            }

            if (left > 0)
            {
                Decrypt(some, left);
            }
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (!_disposed)
        {
            _disposed = true;
            _library.FreeManager(_manager);
            NativeMemory.AlignedFree(_scratch);
            NativeMemory.Free(_slots);
        }

        base.Dispose(disposing);
    }

    /// <summary>The slab's address; slabs lie on the pinned heap.</summary>
    private static byte* AddressOf(byte[] slab) => (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(slab));

    private static bool IsEncryptedApart(IpsecMbSuite how) => how is { Shape: IpsecMbShape.CipherThenMac, CipherMode: not IpsecMbJob.NoCipher };

    /// <summary>Compares two ICVs in a time that depends on their length alone.</summary>
    private static bool IsSame(byte* one, byte* other, int length)
    {
        if (length == Vector128<byte>.Count)
        {
            return Vector128.Load(one) == Vector128.Load(other);
        }

        uint difference = 0;
        for (int i = 0; i < length; i += sizeof(uint))
        {
            difference |= *(uint*)(one + i) ^ *(uint*)(other + i);
        }

        return difference == 0;
    }

    /// <summary>Seals the good ones; or computes the ICVs of those that came, and opens the combined modes on the way.</summary>
    private void Run(Span<CryptoJob> jobs, int direction)
    {
        uint wanted = 0;
        bool borrowed = false;
        foreach (ref readonly CryptoJob job in jobs)
        {
            wanted += job.Good ? 1u : 0;
        }

        if (wanted == 0 || IpsecMb.Slots(_manager, wanted, _slots) != wanted)
        {
            Refuse(jobs);
            return;
        }

        uint count = 0;
        for (int i = 0; i < jobs.Length; i++)
        {
            ref CryptoJob job = ref jobs[i];
            if (!job.Good)
            {
                continue;
            }

            job.Good = false;
            SaKey key = job.Key;
            IpsecMbSuite how = key.Batched!;
            if (!key.IsPrepared)
            {
                how.Prepare(_manager, key);
            }

            IpsecMbJob* native = _slots[count++];
            byte* slab = AddressOf(job.Slab);
            Scratch* scratch = _scratch + i;
            bool opening = direction == IpsecMbJob.Decrypt;
            if (opening)
            {
                Copy(slab + job.Icv, scratch->Received, key.IcvLength);
            }

            native->EncryptKeys = key.Prepared + how.EncryptAt;
            native->DecryptKeys = key.Prepared + how.DecryptAt;
            native->KeyLength = (ulong)how.KeyLength;
            native->Source = slab;
            native->Destination = slab + job.Text;
            native->CipherStart = (ulong)job.Text;
            native->CipherLength = (ulong)(job.Icv - job.Text);
            native->CipherMode = how.CipherMode;
            native->CipherDirection = direction;
            native->HashAlgorithm = how.HashAlgorithm;
            native->Tag = opening ? scratch->Tag : slab + job.Icv;
            native->TagLength = (ulong)key.IcvLength;
            native->Order = direction;
            native->UserData = i;
            switch (how.Shape)
            {
                case IpsecMbShape.Combined:
                    native->Iv = Nonce(scratch, key, slab + job.Iv);
                    native->IvLength = 12;
                    AddAdditionalData(native, job, slab, scratch);
                    break;
                case IpsecMbShape.Ccm:
                    // The MAC is over the clear text: the order is the other way round.
                    native->Order = IpsecMbJob.Encrypt + IpsecMbJob.Decrypt - direction;
                    native->Iv = ShortNonce(scratch, key, slab + job.Iv);
                    native->IvLength = 11;
                    AddAdditionalData(native, job, slab, scratch);
                    break;
                case IpsecMbShape.Gmac:
                    borrowed |= AddGmac(native, job, slab, scratch);
                    break;
                default:
                    borrowed |= AddCipherAndMac(native, job, slab, scratch, opening);
                    break;
            }
        }

        Finish(jobs, count);
        if (borrowed)
        {
            GiveBack(jobs);
        }
    }

    private static void AddAdditionalData(IpsecMbJob* native, in CryptoJob job, byte* slab, Scratch* scratch)
    {
        // The library takes both ranges from here.
        native->HashStart = native->CipherStart;
        native->HashLength = native->CipherLength;
        native->Third = null;
        if (!job.Extended)
        {
            native->First = slab + job.Header;
            native->Second = (byte*)8;
            return;
        }

        WriteExtended(scratch->Additional, job, slab);
        native->First = scratch->Additional;
        native->Second = (byte*)12;
    }

    /// <summary>SPI, high and low half of the number (RFC 4106 §5).</summary>
    private static void WriteExtended(byte* to, in CryptoJob job, byte* slab)
    {
        *(uint*)to = *(uint*)(slab + job.Header);
        *(uint*)(to + 4) = BinaryPrimitives.ReverseEndianness(job.SequenceHigh);
        *(uint*)(to + 8) = *(uint*)(slab + job.Header + 4);
    }

    private static byte* Nonce(Scratch* scratch, SaKey key, byte* iv)
    {
        *(uint*)scratch->Iv = *(uint*)(key.CombinedKey + key.Batched!.KeyLength);
        *(ulong*)(scratch->Iv + 4) = *(ulong*)iv;
        return scratch->Iv;
    }

    private static byte* ShortNonce(Scratch* scratch, SaKey key, byte* iv)
    {
        byte* salt = key.KeyMaterial + key.Batched!.KeyLength;
        *(ushort*)scratch->Iv = *(ushort*)salt;
        scratch->Iv[2] = salt[2];
        *(ulong*)(scratch->Iv + 3) = *(ulong*)iv;
        return scratch->Iv;
    }

    /// <summary>Returns whether bytes behind the packet were borrowed.</summary>
    private bool AddCipherAndMac(IpsecMbJob* native, in CryptoJob job, byte* slab, Scratch* scratch, bool opening)
    {
        SaKey key = job.Key;
        IpsecMbSuite how = key.Batched!;
        native->First = key.Prepared + how.FirstAt;
        native->Second = key.Prepared + how.SecondAt;
        native->Third = key.Prepared + how.ThirdAt;
        native->Iv = slab + job.Iv;
        native->IvLength = (ulong)key.IvLength;
        if (how.IsCtr)
        {
            *(uint*)(Nonce(scratch, key, slab + job.Iv) + 12) = 0x0100_0000;
            native->Iv = scratch->Iv;
            native->IvLength = 16;
        }

        if (opening)
        {
            native->CipherMode = IpsecMbJob.NoCipher;
        }

        native->HashStart = (ulong)job.Header;
        return AddRange(native, job, slab, scratch);
    }

    /// <summary>What a MAC is over: for AH with the ICV zeroed; the number's high half, if it counts, at its end.</summary>
    private static bool AddRange(IpsecMbJob* native, in CryptoJob job, byte* slab, Scratch* scratch)
    {
        bool ah = job.Key.Suite.IsAh;
        int end = ah ? job.End : job.Icv;
        if (ah)
        {
            int from = job.Key.IvLength > 0 ? job.Iv : job.Icv;
            new Span<byte>(slab + from, job.Icv + job.Key.IcvLength - from).Clear();
            (native->CipherStart, native->CipherLength) = (native->HashStart, 0);
            native->Destination = slab;
        }

        native->HashLength = (ulong)(end - job.Header);
        if (job.Extended)
        {
            // Of ESP it is the ICV's own place that holds it meanwhile.
            scratch->Borrowed = *(uint*)(slab + end);
            *(uint*)(slab + end) = BinaryPrimitives.ReverseEndianness(job.SequenceHigh);
            native->HashLength += sizeof(uint);
        }

        return ah;
    }

    private bool AddGmac(IpsecMbJob* native, in CryptoJob job, byte* slab, Scratch* scratch)
    {
        SaKey key = job.Key;
        IpsecMbSuite how = key.Batched!;
        native->First = native->EncryptKeys;
        native->Second = Nonce(scratch, key, slab + job.Iv);
        native->Third = (byte*)12;
        native->HashStart = (ulong)job.Header;
        native->HashLength = (ulong)(job.Icv - job.Header);
        native->CipherMode = IpsecMbJob.NoCipher;
        native->Iv = scratch->Iv;
        native->IvLength = 12;
        if (key.Suite.IsAh)
        {
            return AddRange(native, job, slab, scratch);
        }

        if (job.Extended)
        {
            // SPI, both halves of the number, and the rest do not lie together. So it is done here, and the job does nothing.
            WriteExtended(scratch->Additional, job, slab);
            byte* context = stackalloc byte[128];
            IpsecMb.Gmac(
                _manager, how.KeyLength, native->EncryptKeys, context, scratch->Iv, new ReadOnlySpan<byte>(scratch->Additional, 12),
                slab + job.Header + 8, (ulong)(job.Icv - job.Header - 8), native->Tag);
            native->HashAlgorithm = IpsecMbJob.NoHash;
        }

        return false;
    }

    /// <summary>Gives AH back what was borrowed: the IV that was zeroed, and four bytes behind the packet.</summary>
    private void GiveBack(Span<CryptoJob> jobs)
    {
        for (int i = 0; i < jobs.Length; i++)
        {
            ref readonly CryptoJob job = ref jobs[i];
            if (job.Key is not { Suite.IsAh: true } key || !job.IsBounded)
            {
                continue;
            }

            byte* slab = AddressOf(job.Slab);
            if (key.IvLength > 0)
            {
                *(ulong*)(slab + job.Iv) = *(ulong*)(_scratch[i].Iv + 4);
            }

            if (job.Extended)
            {
                *(uint*)(slab + job.End) = _scratch[i].Borrowed;
            }
        }
    }

    /// <summary>Decrypts what has proved to be good.</summary>
    private void Decrypt(Span<CryptoJob> jobs, int wanted)
    {
        if (IpsecMb.Slots(_manager, (uint)wanted, _slots) != (uint)wanted)
        {
            Refuse(jobs);
            return;
        }

        uint count = 0;
        for (int i = 0; i < jobs.Length; i++)
        {
            ref CryptoJob job = ref jobs[i];
            if (!job.Good || job.Key.Batched is not { } how || !IsEncryptedApart(how))
            {
                continue;
            }

            job.Good = false;
            IpsecMbJob* native = _slots[count++];
            byte* slab = AddressOf(job.Slab);
            native->EncryptKeys = job.Key.Prepared + how.EncryptAt;
            native->DecryptKeys = job.Key.Prepared + how.DecryptAt;
            native->KeyLength = (ulong)how.KeyLength;
            native->Source = slab;
            native->Destination = slab + job.Text;
            native->CipherStart = (ulong)job.Text;
            native->CipherLength = (ulong)(job.Icv - job.Text);
            native->HashStart = 0;
            native->HashLength = 0;
            native->Iv = how.IsCtr ? _scratch[i].Iv : slab + job.Iv;
            native->IvLength = how.IsCtr ? 16u : (ulong)job.Key.IvLength;
            native->CipherMode = how.CipherMode;
            native->CipherDirection = IpsecMbJob.Decrypt;
            native->HashAlgorithm = IpsecMbJob.NoHash;
            native->Order = IpsecMbJob.CipherThenHash;
            native->UserData = i;
        }

        Finish(jobs, count);
    }

    /// <summary>Has all the jobs done; those that are not done right stay not good.</summary>
    private void Finish(Span<CryptoJob> jobs, uint count)
    {
        uint done = IpsecMb.Submit(_manager, count, _slots);
        Judge(jobs, done);
        for (uint some; done < count; done += some)
        {
            some = IpsecMb.Flush(_manager, count - done, _slots);
            if (some == 0)
            {
                break;
            }

            Judge(jobs, some);
        }
    }

    private void Judge(Span<CryptoJob> jobs, uint done)
    {
        for (uint k = 0; k < done; k++)
        {
            jobs[(int)_slots[k]->UserData].Good = _slots[k]->Status == IpsecMbJob.Completed;
        }
    }

    private static void Refuse(Span<CryptoJob> jobs)
    {
        foreach (ref CryptoJob job in jobs)
        {
            job.Good = false;
        }
    }

    private static void Copy(byte* from, byte* to, int length)
    {
        if (length == Vector128<byte>.Count)
        {
            Vector128.Load(from).Store(to);
            return;
        }

        new ReadOnlySpan<byte>(from, length).CopyTo(new Span<byte>(to, LongestIcv));
    }

    /// <summary>What a job needs besides the packet, while the library works on it.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 128)]
    private struct Scratch
    {
        internal fixed byte Iv[16];
        internal fixed byte Additional[16];
        internal fixed byte Tag[LongestIcv];
        internal fixed byte Received[LongestIcv];
        internal uint Borrowed;
    }
}
