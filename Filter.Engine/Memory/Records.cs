using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Filter.Engine.Ports.Native;

namespace Filter.Engine.Memory;

/// <summary>
/// A fixed number of records that begin on a cache line and never move. What was never touched costs no memory: pages come with
/// the first touch, as huge pages where the kernel lends them. Without references, all zero at first.
/// </summary>
/// <typeparam name="T">The record.</typeparam>
internal sealed class Records<T>
    where T : unmanaged
{
    private const int Line = 64;

    /// <summary>Tables smaller than this have no use for huge pages, and would only touch more than they need.</summary>
    private const long LeastHuge = 8 << 20;

    private readonly T[] _items;
    private readonly nint _first;

    /// <summary>So many records.</summary>
    public Records(int count)
    {
        Length = count;
        // A multiple of the size is enough behind the last one to begin the first one on a line.
        _items = GC.AllocateArray<T>(count + ((Line + Unsafe.SizeOf<T>() - 1) / Unsafe.SizeOf<T>()), pinned: true);
        _first = -Address(ref MemoryMarshal.GetArrayDataReference(_items)) & (Line - 1);
        if ((long)count * Unsafe.SizeOf<T>() >= LeastHuge)
        {
            AskForHugePages();
        }
    }

    /// <summary>How many.</summary>
    public int Length { get; }

    /// <summary>The record of that number.</summary>
    public ref T this[int number]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            if ((uint)number >= (uint)Length)
            {
                ThrowOutside();
            }

            return ref Unsafe.Add(ref Unsafe.AddByteOffset(ref MemoryMarshal.GetArrayDataReference(_items), _first), (nint)(uint)number);
        }
    }

    /// <summary>Has a line of a record fetched while other things are done. No more than a hint: no number is a wrong one.</summary>
    /// <param name="number">The record.</param>
    /// <param name="line">Which of its lines.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public unsafe void Fetch(int number, int line = 0)
    {
        if (Sse.IsSupported)
        {
            ref T record = ref Unsafe.Add(ref Unsafe.AddByteOffset(ref MemoryMarshal.GetArrayDataReference(_items), _first), (nint)(uint)number);
            Sse.Prefetch0((byte*)Unsafe.AsPointer(ref record) + (line * Line));
        }
    }

    /// <summary>Gives back the pages of the records from <paramref name="from"/> on; they are zero again.</summary>
    public unsafe void Forget(int from, int count)
    {
        nint page = Environment.SystemPageSize;
        nint first = Address(ref this[from]) + page - 1 & -page;
        nint end = Address(ref this[from + count - 1]) + Unsafe.SizeOf<T>() & -page;
        if (end > first)
        {
            _ = Libc.AdviseMemory((void*)first, end - first, Libc.NotNeeded);
        }
    }

    private unsafe void AskForHugePages()
    {
        nint page = Environment.SystemPageSize;
        nint first = Address(ref this[0]) & -page;
        nint end = Address(ref this[Length - 1]) + Unsafe.SizeOf<T>() + page - 1 & -page;
        _ = Libc.AdviseMemory((void*)first, end - first, Libc.HugePages);
    }

    private static unsafe nint Address(ref T record) => (nint)Unsafe.AsPointer(ref record);

    private static void ThrowOutside() => throw new ArgumentOutOfRangeException(null, "there is no record of that number");
}
