using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Filter.Engine.Packets;

namespace Filter.Engine.Ports.Native;

/// <summary>
/// Messages for one recvmmsg or sendmmsg, made once: each has two vectors, its virtio_net_hdr here and its frame in the
/// burst's arena, so that a frame keeps its headroom.
/// </summary>
internal sealed unsafe class MessageRing : IDisposable
{
    /// <summary>CMSG_SPACE(sizeof(struct tpacket_auxdata)).</summary>
    private const int ControlSpace = 40;

    private readonly void* _memory;
    private readonly IoVector* _vectors;
    private readonly byte* _control;
    private bool _disposed;

    public MessageRing(int capacity, bool withControl)
    {
        Capacity = capacity;
        int messages = capacity * sizeof(MultiMessage);
        int vectors = capacity * 2 * sizeof(IoVector);
        int control = withControl ? capacity * ControlSpace : 0;
        int headers = capacity * sizeof(VirtioNetHeader);
        _memory = NativeMemory.AlignedAlloc((nuint)(messages + vectors + control + headers), 64);
        NativeMemory.Clear(_memory, (nuint)(messages + vectors + control + headers));
        Messages = (MultiMessage*)_memory;
        _vectors = (IoVector*)((byte*)_memory + messages);
        _control = (byte*)_vectors + vectors;
        Headers = (VirtioNetHeader*)(_control + control);
        for (int i = 0; i < capacity; i++)
        {
            _vectors[2 * i] = new IoVector { Base = Headers + i, Length = VirtioNetHeader.Size };
            Messages[i].Header.Vectors = _vectors + (2 * i);
            Messages[i].Header.VectorCount = 2;
            Messages[i].Header.Control = withControl ? _control + (i * ControlSpace) : null;
        }
    }

    /// <summary>How many messages there are.</summary>
    public int Capacity { get; }

    /// <summary>The messages.</summary>
    public MultiMessage* Messages { get; }

    /// <summary>Each message's virtio_net_hdr.</summary>
    public VirtioNetHeader* Headers { get; }

    /// <summary>Points a message at room for a frame.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void SetRoom(int index, byte[] slab, int start, int length)
    {
        _vectors[(2 * index) + 1] = new IoVector { Base = Address(slab) + start, Length = length };
        Messages[index].Header.ControlLength = ControlSpace;
        Messages[index].Header.Flags = 0;
    }

    /// <summary>Points a message at a packet's frame and writes its header; false where its metadata contradict it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TrySetFrame(int index, in Packet packet)
    {
        _vectors[(2 * index) + 1] = new IoVector { Base = Address(packet.Slab) + packet.Start, Length = packet.Length };
        return VirtioNet.TryWrite(packet.Offload, packet.Bytes, out Headers[index]);
    }

    /// <summary>Length of the frame that a message points at.</summary>
    public int FrameLength(int index) => (int)_vectors[(2 * index) + 1].Length;

    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            NativeMemory.AlignedFree(_memory);
        }
    }

    /// <summary>A slab is pinned by contract, so its address holds.</summary>
    private static byte* Address(byte[] slab)
        => (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(slab));
}
