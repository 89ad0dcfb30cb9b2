using System.Buffers.Binary;
using System.Text;

namespace Filter.Engine.Ports;

/// <summary>
/// Writes a pcapng file (draft-ietf-opsawg-pcapng) as packets come: one section, one interface block for each port,
/// enhanced packet blocks with nanoseconds. Nothing is allocated per packet.
/// </summary>
public sealed class PcapngWriter : IDisposable
{
    /// <summary>Flags of a frame that came in (draft-ietf-opsawg-pcapng, epb_flags).</summary>
    public const uint Inbound = 1;

    /// <summary>Flags of a frame that went out.</summary>
    public const uint Outbound = 2;

    private const uint SectionHeaderBlock = 0x0A0D0D0A;
    private const uint InterfaceBlock = 1;
    private const uint EnhancedPacketBlock = 6;
    private const uint ByteOrderMagic = 0x1A2B3C4D;
    private const ushort MajorVersion = 1;
    private const ushort MinorVersion = 0;
    private const ushort OptionEnd = 0;
    private const ushort OptionInterfaceName = 2;
    private const ushort OptionTimestampResolution = 9;
    private const ushort OptionFlags = 2;
    private const byte Nanoseconds = 9;
    private const int PacketHeaderLength = 28;
    private const int FileBuffer = 128 * 1024;

    private readonly Stream _stream;
    private readonly byte[] _scratch = new byte[PacketHeaderLength];
    private int _interfaces;

    /// <summary>Writes to a stream, which is closed with the writer.</summary>
    public PcapngWriter(Stream stream)
    {
        _stream = stream;
        Span<byte> section = stackalloc byte[28];
        BinaryPrimitives.WriteUInt32LittleEndian(section, SectionHeaderBlock);
        BinaryPrimitives.WriteInt32LittleEndian(section[4..], section.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(section[8..], ByteOrderMagic);
        BinaryPrimitives.WriteUInt16LittleEndian(section[12..], MajorVersion);
        BinaryPrimitives.WriteUInt16LittleEndian(section[14..], MinorVersion);
        BinaryPrimitives.WriteInt64LittleEndian(section[16..], -1);      // section length: not said
        BinaryPrimitives.WriteInt32LittleEndian(section[24..], section.Length);
        _stream.Write(section);
    }

    /// <summary>Makes a file, in place of one that is there.</summary>
    /// <exception cref="PortException">It cannot be made.</exception>
    public static PcapngWriter Create(string path)
    {
        try
        {
            return new PcapngWriter(new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read, FileBuffer));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new PortException($"{path}: it cannot be written: {e.Message}", e);
        }
    }

    /// <summary>Adds an interface and returns its number, to write packets with.</summary>
    /// <param name="name">The port's name.</param>
    /// <param name="linkType">LINKTYPE_ value; 1 is Ethernet.</param>
    public int AddInterface(string name, ushort linkType = 1)
    {
        byte[] text = Encoding.UTF8.GetBytes(name);
        int nameRoom = Padded(text.Length);
        var block = new byte[16 + 4 + nameRoom + 8 + 4 + 4];
        Span<byte> at = block;
        BinaryPrimitives.WriteUInt32LittleEndian(at, InterfaceBlock);
        BinaryPrimitives.WriteInt32LittleEndian(at[4..], block.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(at[8..], linkType);
        BinaryPrimitives.WriteUInt32LittleEndian(at[12..], 0);           // snap length: no limit
        at = WriteOption(at[16..], OptionInterfaceName, text);
        at = WriteOption(at, OptionTimestampResolution, [Nanoseconds]);
        at = WriteOption(at, OptionEnd, []);
        BinaryPrimitives.WriteInt32LittleEndian(at, block.Length);
        _stream.Write(block);
        return _interfaces++;
    }

    /// <summary>Writes one packet.</summary>
    /// <param name="interfaceNumber">As <see cref="AddInterface"/> returned it.</param>
    /// <param name="time">Nanoseconds since 1970.</param>
    /// <param name="frame">What is kept of it.</param>
    /// <param name="originalLength">How long it was on the wire.</param>
    /// <param name="flags">Which way it went; 0 where that is not said.</param>
    public void Write(int interfaceNumber, long time, ReadOnlySpan<byte> frame, int originalLength, uint flags = 0)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)interfaceNumber, (uint)_interfaces);
        int padding = Padded(frame.Length) - frame.Length;
        int options = flags == 0 ? 0 : 12;
        int total = PacketHeaderLength + frame.Length + padding + options + sizeof(int);
        Span<byte> header = _scratch;
        BinaryPrimitives.WriteUInt32LittleEndian(header, EnhancedPacketBlock);
        BinaryPrimitives.WriteInt32LittleEndian(header[4..], total);
        BinaryPrimitives.WriteInt32LittleEndian(header[8..], interfaceNumber);
        BinaryPrimitives.WriteUInt32LittleEndian(header[12..], (uint)(time >> 32));
        BinaryPrimitives.WriteUInt32LittleEndian(header[16..], (uint)time);
        BinaryPrimitives.WriteInt32LittleEndian(header[20..], frame.Length);
        BinaryPrimitives.WriteInt32LittleEndian(header[24..], originalLength);
        _stream.Write(header);
        _stream.Write(frame);
        Span<byte> trailer = stackalloc byte[20];
        trailer.Clear();
        if (flags != 0)
        {
            Span<byte> value = stackalloc byte[sizeof(uint)];
            BinaryPrimitives.WriteUInt32LittleEndian(value, flags);
            WriteOption(WriteOption(trailer[padding..], OptionFlags, value), OptionEnd, []);
        }

        BinaryPrimitives.WriteInt32LittleEndian(trailer[(padding + options)..], total);
        _stream.Write(trailer[..(padding + options + sizeof(int))]);
    }

    /// <summary>Hands what was written to the stream's owner, so that others can read it.</summary>
    public void Flush() => _stream.Flush();

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();

    private static int Padded(int length) => (length + 3) & ~3;

    private static Span<byte> WriteOption(Span<byte> at, ushort code, ReadOnlySpan<byte> value)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(at, code);
        BinaryPrimitives.WriteUInt16LittleEndian(at[2..], (ushort)value.Length);
        value.CopyTo(at[4..]);
        return at[(4 + Padded(value.Length))..];
    }
}
