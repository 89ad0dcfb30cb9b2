using System.Runtime.CompilerServices;

namespace Filter.Engine.Ports.Native;

/// <summary>
/// The receive ring of a packet socket (TPACKET_V3): blocks that the kernel fills with frames of any length and hands over
/// when they are full, or after a millisecond. Each offset that it names is held against its block before it is followed.
/// </summary>
internal sealed unsafe class PacketRing : IDisposable
{
    /// <summary>A super-frame fits three times.</summary>
    private const int BlockSize = 256 << 10;

    private const int BlockCount = 64;
    private const uint RetireMilliseconds = 1;
    private const int HeaderSize = 48;

    private readonly KernelMemory _memory;
    private readonly byte* _blocks;
    private int _block;
    private bool _inBlock;
    private uint _left;
    private uint _offset;

    /// <summary>Sizes the ring of a socket that is not bound yet, its virtio headers switched on, and maps it.</summary>
    public PacketRing(FileDescriptor socket, string purpose)
    {
        const uint FrameSize = 2048;        // only its number counts, and only for the kernel's own checks
        socket.SetOption(PacketAbi.Level, PacketAbi.RingVersion, PacketAbi.RingOfBlocks, purpose);
        PacketRingRequest request = new()
        {
            BlockSize = BlockSize,
            BlockCount = BlockCount,
            FrameSize = FrameSize,
            FrameCount = BlockSize / FrameSize * BlockCount,
            RetireMilliseconds = RetireMilliseconds,
        };
        if (Libc.SetSocketOption(socket, PacketAbi.Level, PacketAbi.ReceiveRing, &request, sizeof(PacketRingRequest)) < 0)
        {
            throw PortException.FromErrno(purpose, Errno.Last);
        }

        _memory = new KernelMemory(socket, 0, BlockSize * BlockCount, purpose);
        _blocks = (byte*)_memory.At(0, BlockSize * BlockCount, sizeof(ulong), purpose);
    }

    /// <summary>The next frame that waits; what is left of its block stays for the next call.</summary>
    /// <param name="frame">From its virtio header on; valid until <see cref="Next"/> has given back its block.</param>
    /// <returns>Whether there is one; <see cref="PacketRingStep.Broken"/> where the kernel contradicts itself.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public PacketRingStep TryPeek(out RingFrame frame)
    {
        frame = default;
        byte* block = _blocks + ((nint)_block * BlockSize);
        if (!_inBlock)
        {
            var head = (PacketBlock*)block;
            if ((Volatile.Read(ref head->Status) & PacketAbi.StatusOurs) == 0)
            {
                return PacketRingStep.Empty;
            }

            (_left, _offset) = (head->Count, head->FirstOffset);
            if (_left == 0)
            {
                GiveBack(block);
                return PacketRingStep.Empty;        // the next look is at the block behind it
            }

            _inBlock = true;
        }

        if (_offset > BlockSize - HeaderSize || _offset % sizeof(uint) != 0)
        {
            return PacketRingStep.Broken;
        }

        var packet = (PacketInBlock*)(block + _offset);
        uint length = packet->CapturedLength, start = packet->MacOffset;
        if (start < HeaderSize + VirtioNetHeader.Size || length > BlockSize || _offset + start + length > BlockSize)
        {
            return PacketRingStep.Broken;
        }

        byte* mac = block + _offset + start;
        frame = new RingFrame
        {
            Header = Unsafe.ReadUnaligned<VirtioNetHeader>(mac - VirtioNetHeader.Size),
            Bytes = new ReadOnlySpan<byte>(mac, (int)length),
            IsWhole = packet->Length == length,
            Status = packet->Status,
            VlanTci = (ushort)packet->VlanTci,
            VlanTpid = packet->VlanTpid,
        };
        return PacketRingStep.Frame;
    }

    /// <summary>Is done with the frame that was peeked at; its block goes back to the kernel with the last of its frames.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Next()
    {
        byte* block = _blocks + ((nint)_block * BlockSize);
        if (--_left == 0)
        {
            GiveBack(block);
            return;
        }

        uint next = ((PacketInBlock*)(block + _offset))->NextOffset;
        _offset = next <= BlockSize ? _offset + next : BlockSize;       // beyond the block: the next look says so
    }

    /// <inheritdoc/>
    public void Dispose() => _memory.Dispose();

    private void GiveBack(byte* block)
    {
        Volatile.Write(ref ((PacketBlock*)block)->Status, PacketAbi.StatusKernel);
        _inBlock = false;
        _block = (_block + 1) % BlockCount;
    }
}

/// <summary>What a look into the ring finds.</summary>
internal enum PacketRingStep
{
    /// <summary>Nothing waits.</summary>
    Empty,

    /// <summary>A frame.</summary>
    Frame,

    /// <summary>An offset outside of its block.</summary>
    Broken,
}

/// <summary>A frame as it lies in the ring.</summary>
internal ref struct RingFrame
{
    /// <summary>What is left to do of its checksum and segmentation.</summary>
    public VirtioNetHeader Header;

    /// <summary>From its MAC header on.</summary>
    public ReadOnlySpan<byte> Bytes;

    /// <summary>The ring holds all of it.</summary>
    public bool IsWhole;

    /// <summary>TP_STATUS_ bits.</summary>
    public uint Status;

    /// <summary>The tag that was taken out.</summary>
    public ushort VlanTci;

    /// <summary>Its ethertype.</summary>
    public ushort VlanTpid;
}
