using System.Runtime.CompilerServices;

namespace Filter.Engine.Ports.Native;

/// <summary>
/// One ring of an AF_XDP socket: a producer and a consumer, one of them the kernel. Both numbers run freely and are taken
/// modulo the ring's size, so no entry is ever outside; what the kernel claims beyond the ring's size is refused.
/// </summary>
internal sealed unsafe class XdpRing : IDisposable
{
    private readonly KernelMemory _memory;
    private readonly uint* _producer;
    private readonly uint* _consumer;
    private readonly uint* _flags;
    private readonly byte* _entries;
    private readonly uint _mask;
    private uint _mine;

    /// <summary>Sizes a ring of a socket and maps it.</summary>
    /// <param name="socket">The socket, not bound yet.</param>
    /// <param name="option">Which ring.</param>
    /// <param name="page">Where it is mapped.</param>
    /// <param name="size">How many entries, a power of two.</param>
    /// <param name="entrySize">Bytes of one.</param>
    /// <param name="offsetsOf">Where in the mapping what stands; asked once the ring is sized.</param>
    /// <param name="purpose">What cannot be done without it.</param>
    public XdpRing(
        FileDescriptor socket, int option, long page, int size, int entrySize, Func<XdpMmapOffsets, XdpRingOffsets> offsetsOf, string purpose)
    {
        socket.SetOption(XdpAbi.Level, option, size, purpose);
        XdpMmapOffsets all = default;
        int length = sizeof(XdpMmapOffsets);
        if (Libc.GetSocketOption(socket, XdpAbi.Level, XdpAbi.MmapOffsets, &all, &length) < 0 || length != sizeof(XdpMmapOffsets))
        {
            throw PortException.FromErrno(purpose, Errno.Last);
        }

        XdpRingOffsets offsets = offsetsOf(all);
        const ulong LargestHeader = 65536;
        ulong head = offsets.Entries <= LargestHeader ? offsets.Entries : throw new PortException($"{purpose}: the kernel's ring is of an unknown kind");
        _memory = new KernelMemory(socket, page, (int)head + (size * entrySize), purpose);
        _producer = (uint*)_memory.At(offsets.Producer, sizeof(uint), sizeof(uint), purpose);
        _consumer = (uint*)_memory.At(offsets.Consumer, sizeof(uint), sizeof(uint), purpose);
        _flags = (uint*)_memory.At(offsets.Flags, sizeof(uint), sizeof(uint), purpose);
        _entries = (byte*)_memory.At(offsets.Entries, size * entrySize, sizeof(ulong), purpose);
        _mask = (uint)size - 1;
    }

    /// <summary>How many entries it has.</summary>
    public int Size => (int)_mask + 1;

    /// <summary>Whether the kernel sleeps until it is called.</summary>
    public bool NeedsWakeup
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (Volatile.Read(ref *_flags) & XdpAbi.RingNeedsWakeup) != 0;
    }

    /// <summary>Where the kernel produces: entries that wait for us; -1 where it claims more than there can be.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Waiting()
    {
        uint waiting = Volatile.Read(ref *_producer) - _mine;
        return waiting <= _mask + 1 ? (int)waiting : -1;
    }

    /// <summary>Where the kernel consumes: entries that it has not taken yet; -1 where it claims more than there can be.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Untaken()
    {
        uint untaken = _mine - Volatile.Read(ref *_consumer);
        return untaken <= _mask + 1 ? (int)untaken : -1;
    }

    /// <summary>The descriptor of a frame, counted from the first that is ours.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref XdpDescriptor Frame(int index) => ref ((XdpDescriptor*)_entries)[(_mine + (uint)index) & _mask];

    /// <summary>The address of a chunk, counted from the first that is ours.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref ulong Chunk(int index) => ref ((ulong*)_entries)[(_mine + (uint)index) & _mask];

    /// <summary>Gives entries that were read back to the kernel.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Release(int count) => Volatile.Write(ref *_consumer, _mine += (uint)count);

    /// <summary>Hands entries that were written over to the kernel.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Submit(int count) => Volatile.Write(ref *_producer, _mine += (uint)count);

    /// <inheritdoc/>
    public void Dispose() => _memory.Dispose();
}
