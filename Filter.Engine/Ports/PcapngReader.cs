using System.Buffers.Binary;

namespace Filter.Engine.Ports;

/// <summary>
/// Reads a pcapng file (draft-ietf-opsawg-pcapng) block by block. libpcap refuses files whose interfaces
/// differ in link type or snapshot length; such files are common, so this format is read here.
/// </summary>
internal sealed class PcapngReader : IDisposable
{
    /// <summary>The first four bytes of every pcapng file, in either byte order.</summary>
    public const uint SectionHeaderBlock = 0x0A0D0D0A;

    private const uint InterfaceBlock = 1;
    private const uint ObsoletePacketBlock = 2;
    private const uint SimplePacketBlock = 3;
    private const uint EnhancedPacketBlock = 6;
    private const uint ByteOrderMagic = 0x1A2B3C4D;
    private const ushort OptionEnd = 0;
    private const ushort OptionTimestampResolution = 9;
    private const ushort OptionTimestampOffset = 14;
    private const int LeastBlock = 12;
    private const int LongestBlock = 16 * 1024 * 1024;
    private const int MostInterfaces = 65536;
    private const long NanosecondsPerSecond = 1_000_000_000;
    private const long LastSecond = CaptureReader.LastSecond;

    private readonly Stream _stream;
    private readonly List<CapturedInterface> _interfaces = [];
    private byte[] _block = new byte[4096];
    private bool _bigEndian;
    private long _lastTime;
    private bool _opened;

    /// <summary>Reads a stream that begins with a section header; the reader owns it.</summary>
    public PcapngReader(Stream stream) => _stream = stream;

    /// <summary>Link type of the first interface, LINKTYPE_ value; -1 until one was described.</summary>
    public int FirstLinkType { get; private set; } = -1;

    /// <summary>What is wrong with the file, once something is; else null.</summary>
    public string? Failure { get; private set; }

    /// <summary>The next packet; false at the end, and at damage (see <see cref="Failure"/>).</summary>
    public bool TryRead(out CapturedFrame frame)
    {
        frame = default;
        while (Failure is null && TryReadBlock(out uint type, out int length))
        {
            if (TryTake(type, _block.AsSpan(0, length), ref frame))
            {
                return true;
            }
        }

        return false;
    }

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();

    /// <summary>Reads a block's body, without its type, its lengths on both ends.</summary>
    private bool TryReadBlock(out uint type, out int length)
    {
        type = 0;
        length = 0;
        Span<byte> head = stackalloc byte[12];
        int got = _stream.ReadAtLeast(head[..8], 8, throwOnEndOfStream: false);
        if (got == 0)
        {
            return _opened ? false : Fail("it is empty");
        }

        if (got < 8)
        {
            return Fail("it ends in the middle of a block");
        }

        int bodyStart = 0;
        if (BinaryPrimitives.ReadUInt32LittleEndian(head) == SectionHeaderBlock)
        {
            // A section says its own byte order, before which not even its length can be read.
            if (_stream.ReadAtLeast(head[8..], 4, throwOnEndOfStream: false) < 4)
            {
                return Fail("it ends in the middle of a block");
            }

            uint magic = BinaryPrimitives.ReadUInt32LittleEndian(head[8..]);
            _bigEndian = magic == BinaryPrimitives.ReverseEndianness(ByteOrderMagic);
            if (!_bigEndian && magic != ByteOrderMagic)
            {
                return Fail("a section has no byte order");
            }

            head[8..].CopyTo(_block);
            bodyStart = 4;
        }

        type = Word(head);
        uint total = Word(head[4..]);
        if (total < LeastBlock + bodyStart || total > LongestBlock || total % 4 != 0)
        {
            return Fail($"a block of {total} bytes");
        }

        int rest = (int)total - 8;                              // body and the length once more
        if (_block.Length < rest)
        {
            Array.Resize(ref _block, rest);
        }

        if (_stream.ReadAtLeast(_block.AsSpan(bodyStart, rest - bodyStart), rest - bodyStart, throwOnEndOfStream: false) < rest - bodyStart)
        {
            return Fail("it ends in the middle of a block");
        }

        length = rest - 4;
        _opened = true;
        return Word(_block.AsSpan(length)) == total || Fail("a block whose two lengths differ");
    }

    private bool TryTake(uint type, ReadOnlySpan<byte> body, ref CapturedFrame frame)
    {
        switch (type)
        {
            case SectionHeaderBlock:
                _interfaces.Clear();
                return false;

            case InterfaceBlock:
                return AddInterface(body);

            case EnhancedPacketBlock:
                return body.Length < 20
                    ? Fail("a packet block without its header")
                    : TryTake(Word(body), Time(body[4..]), Word(body[12..]), Word(body[16..]), body[20..], out frame);

            case ObsoletePacketBlock:
                return body.Length < 20
                    ? Fail("a packet block without its header")
                    : TryTake(Half(body), Time(body[4..]), Word(body[12..]), Word(body[16..]), body[20..], out frame);

            case SimplePacketBlock:
                if (body.Length < 4 || _interfaces.Count == 0)
                {
                    return Fail("a packet block without its header");
                }

                uint original = Word(body), snapped = _interfaces[0].SnapLength;
                uint captured = snapped == 0 ? original : Math.Min(original, snapped);
                return TryTake(0, null, captured, original, body[4..], out frame);

            default:
                return false;                                   // names, statistics, secrets: not packets
        }
    }

    private bool TryTake(uint number, ulong? ticks, uint captured, uint original, ReadOnlySpan<byte> data, out CapturedFrame frame)
    {
        frame = default;
        if (number >= _interfaces.Count)
        {
            return Fail($"a packet of interface {number}, which is not described");
        }

        if (captured > data.Length)
        {
            return Fail($"a packet of {captured} bytes in a block with room for {data.Length}");
        }

        CapturedInterface from = _interfaces[(int)number];
        _lastTime = ticks is { } count ? from.Nanoseconds(count) : _lastTime;
        frame = new CapturedFrame(data[..(int)captured], (int)Math.Clamp(original, captured, int.MaxValue), _lastTime, from.LinkType);
        return true;
    }

    private bool AddInterface(ReadOnlySpan<byte> body)
    {
        if (body.Length < 8 || _interfaces.Count == MostInterfaces)
        {
            return Fail("an interface without its description");
        }

        CapturedInterface added = new() { LinkType = Half(body), SnapLength = Word(body[4..]) };
        for (ReadOnlySpan<byte> options = body[8..]; options.Length >= 4;)
        {
            ushort code = Half(options), length = Half(options[2..]);
            if (code == OptionEnd || length > options.Length - 4)
            {
                break;
            }

            if (code == OptionTimestampResolution && length >= 1)
            {
                added.Resolution = options[4];
            }
            else if (code == OptionTimestampOffset && length >= 8)
            {
                added.Offset = _bigEndian ? BinaryPrimitives.ReadInt64BigEndian(options[4..]) : BinaryPrimitives.ReadInt64LittleEndian(options[4..]);
            }

            options = options[Math.Min(options.Length, 4 + ((length + 3) & ~3))..];
        }

        if (FirstLinkType < 0)
        {
            FirstLinkType = added.LinkType;
        }

        _interfaces.Add(added);
        return false;
    }

    private ulong Time(ReadOnlySpan<byte> at) => ((ulong)Word(at) << 32) | Word(at[4..]);

    private uint Word(ReadOnlySpan<byte> at) =>
        _bigEndian ? BinaryPrimitives.ReadUInt32BigEndian(at) : BinaryPrimitives.ReadUInt32LittleEndian(at);

    private ushort Half(ReadOnlySpan<byte> at) =>
        _bigEndian ? BinaryPrimitives.ReadUInt16BigEndian(at) : BinaryPrimitives.ReadUInt16LittleEndian(at);

    private bool Fail(string why)
    {
        Failure = why;
        return false;
    }

    /// <summary>One interface of a section.</summary>
    private sealed class CapturedInterface
    {
        public ushort LinkType { get; init; }

        public uint SnapLength { get; init; }

        /// <summary>Negative power of ten, or of two where the highest bit is set (option if_tsresol).</summary>
        public byte Resolution { get; set; } = 6;

        /// <summary>Seconds to add (option if_tsoffset).</summary>
        public long Offset { get; set; }

        public long Nanoseconds(ulong ticks)
        {
            int power = Math.Min(Resolution & 0x7f, 63);
            UInt128 each = (Resolution & 0x80) != 0 ? UInt128.One << power : Ten(Math.Min(power, 19));
            Int128 whole = (Int128)((UInt128)ticks * NanosecondsPerSecond / each) + ((Int128)Offset * NanosecondsPerSecond);
            return (long)Int128.Clamp(whole, 0, (Int128)LastSecond * NanosecondsPerSecond);
        }

        private static UInt128 Ten(int power)
        {
            UInt128 value = UInt128.One;
            for (int i = 0; i < power; i++)
            {
                value *= 10;
            }

            return value;
        }
    }
}
