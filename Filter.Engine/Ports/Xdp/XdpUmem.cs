using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Filter.Engine.Ports.Native;

namespace Filter.Engine.Ports.Xdp;

/// <summary>
/// The memory that a port's queues share with the kernel: chunks of one size, a frame in each. The first belong to the
/// queues for what comes in; the rest are for what goes out, given back one by one when the kernel has sent it.
/// </summary>
/// <remarks>
/// It is an array, so whatever address the kernel names, a frame is looked at through a span within its chunk or not at all.
/// </remarks>
internal sealed unsafe class XdpUmem
{
    private const int Page = 4096;

    private readonly byte[] _slab;
    private readonly int _first;
    private readonly int _shift;
    private readonly int _incoming;
    private readonly int[] _free;
    private int _freeCount;

    /// <summary>Memory for so many frames.</summary>
    /// <param name="chunkSize">Bytes of a chunk: 2048 or 4096, as the kernel wants them.</param>
    /// <param name="incoming">Chunks for what comes in.</param>
    /// <param name="outgoing">Chunks for what goes out.</param>
    public XdpUmem(int chunkSize, int incoming, int outgoing)
    {
        _shift = System.Numerics.BitOperations.Log2((uint)chunkSize);
        _incoming = incoming;
        Length = (incoming + outgoing) << _shift;
        _slab = GC.AllocateArray<byte>(Length + Page, pinned: true);
        nuint start = (nuint)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_slab));
        _first = (int)((Page - (start % Page)) % Page);
        _free = [.. Enumerable.Range(incoming, outgoing).Reverse()];
        _freeCount = outgoing;
    }

    /// <summary>Bytes of a chunk.</summary>
    public int ChunkSize => 1 << _shift;

    /// <summary>Bytes of all chunks.</summary>
    public int Length { get; }

    /// <summary>Says to the kernel, by the first of the sockets, what memory it is.</summary>
    public void Register(FileDescriptor socket, string purpose)
    {
        XdpUmemRegistration registration = new()
        {
            Address = (ulong)Unsafe.AsPointer(ref _slab[_first]),
            Length = (ulong)Length,
            ChunkSize = (uint)ChunkSize,
        };
        if (Libc.SetSocketOption(socket, XdpAbi.Level, XdpAbi.RegisterUmem, &registration, sizeof(XdpUmemRegistration)) < 0)
        {
            throw PortException.FromErrno(purpose, Errno.Last);
        }
    }

    /// <summary>The address of a chunk, as rings name it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong AddressOf(int chunk) => (ulong)chunk << _shift;

    /// <summary>The bytes of a frame that came in. False where it does not lie within one chunk for such.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryRead(in XdpDescriptor descriptor, out ReadOnlySpan<byte> frame, out int chunk)
    {
        ulong address = descriptor.Address, length = descriptor.Length;
        ulong offset = address & ((ulong)ChunkSize - 1);
        if (address >= AddressOf(_incoming) || offset + length > (ulong)ChunkSize)
        {
            frame = default;
            chunk = -1;
            return false;
        }

        chunk = (int)(address >> _shift);
        frame = _slab.AsSpan(_first + (int)address, (int)length);
        return true;
    }

    /// <summary>Takes a free chunk for a frame that goes out. False where all are on their way.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryTake(out int chunk)
    {
        if (_freeCount == 0)
        {
            chunk = -1;
            return false;
        }

        chunk = _free[--_freeCount];
        return true;
    }

    /// <summary>The room of a chunk.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Span<byte> RoomOf(int chunk) => _slab.AsSpan(_first + (chunk << _shift), ChunkSize);

    /// <summary>Takes back a chunk that the kernel has sent. False where the address is none of those.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryGiveBack(ulong address)
    {
        ulong chunk = address >> _shift;
        if (chunk < (ulong)_incoming || address >= (ulong)Length || _freeCount == _free.Length)
        {
            return false;
        }

        _free[_freeCount++] = (int)chunk;
        return true;
    }
}
