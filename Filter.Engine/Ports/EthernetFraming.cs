using System.Buffers.Binary;
using Filter.Engine.Wire;

namespace Filter.Engine.Ports;

/// <summary>
/// Puts captured packets of other link types into Ethernet frames, so that what `tcpdump -i any`, a tunnel device, a
/// BSD's loopback or a PPP link gave can be walked: the header that the link type has comes off, an Ethernet
/// header comes on (the LINKTYPE_ values are those of tcpdump.org/linktypes.html). Link addresses that a capture
/// does not tell are zero, as on Linux's loopback.
/// </summary>
internal sealed class EthernetFraming
{
    /// <summary>LINKTYPE_ETHERNET.</summary>
    public const int Ethernet = 1;

    private const int Null = 0;                         // LINKTYPE_NULL: a BSD's loopback
    private const int Ppp = 9;
    private const int DltRaw = 12, DltRawOpenBsd = 14;  // as libpcap numbers LINKTYPE_RAW when it reads a file
    private const int Raw = 101;
    private const int Loop = 108;                       // OpenBSD's loopback
    private const int Sll = 113, Sll2 = 276;            // Linux cooked
    private const int RawIPv4 = 228, RawIPv6 = 229;
    private const byte SllBroadcast = 1;

    private byte[] _frame = new byte[2048];

    /// <summary>
    /// The packet as an Ethernet frame, valid until the next call; as it came where its link type is unknown, or
    /// where it holds nothing that has an ethertype.
    /// </summary>
    public CapturedFrame Frame(CapturedFrame captured)
    {
        ReadOnlySpan<byte> bytes = captured.Bytes;
        Span<byte> addresses = stackalloc byte[12];     // destination and source
        addresses.Clear();
        (int header, ushort type) = captured.LinkType switch
        {
            Raw or DltRaw or DltRawOpenBsd or RawIPv4 or RawIPv6 => (0, IpVersion(bytes, 0)),
            Null or Loop => (4, IpVersion(bytes, 4)),   // the address family in the capturing host's own numbers
            Ppp => PppHeader(bytes),
            Sll => SllHeader(bytes, 16, type: 14, kind: 1, addressLength: 5, addresses),
            Sll2 => SllHeader(bytes, 20, type: 0, kind: 10, addressLength: 11, addresses),
            _ => (0, (ushort)0),
        };
        if (type < EtherTypes.FirstType)
        {
            return captured;
        }

        ReadOnlySpan<byte> packet = bytes[header..];
        int length = EthernetHeader.Length + packet.Length;
        if (_frame.Length < length)
        {
            _frame = new byte[length];
        }

        addresses.CopyTo(_frame);
        BinaryPrimitives.WriteUInt16BigEndian(_frame.AsSpan(12), type);
        packet.CopyTo(_frame.AsSpan(EthernetHeader.Length));
        int missing = captured.OriginalLength - bytes.Length;
        return new CapturedFrame(
            _frame.AsSpan(0, length), (int)Math.Min((long)length + missing, int.MaxValue), captured.Time, Ethernet);
    }

    private static ushort IpVersion(ReadOnlySpan<byte> bytes, int at) => (bytes.Length > at ? bytes[at] >> 4 : 0) switch
    {
        4 => EtherTypes.IPv4,
        6 => EtherTypes.IPv6,
        _ => (ushort)0,
    };

    /// <summary>Address and control bytes may be left out (RFC 1661 §6.6), and the protocol's high byte (§6.5).</summary>
    private static (int Header, ushort Type) PppHeader(ReadOnlySpan<byte> bytes)
    {
        const byte IPv4 = 0x21, IPv6 = 0x57;
        int at = bytes.Length >= 2 && bytes[0] == 0xff && bytes[1] == 0x03 ? 2 : 0;
        at += bytes.Length > at && bytes[at] == 0 ? 1 : 0;
        return (at + 1, (bytes.Length > at ? bytes[at] : 0) switch
        {
            IPv4 => EtherTypes.IPv4,
            IPv6 => EtherTypes.IPv6,
            _ => (ushort)0,
        });
    }

    /// <summary>Linux cooked headers, of either version, hold the same fields at other places.</summary>
    private static (int Header, ushort Type) SllHeader(
        ReadOnlySpan<byte> bytes, int length, int type, int kind, int addressLength, Span<byte> addresses)
    {
        if (bytes.Length < length)
        {
            return (0, 0);
        }

        const int MacLength = 6;
        if (bytes[addressLength] == MacLength)
        {
            bytes.Slice(addressLength + 1, MacLength).CopyTo(addresses[MacLength..]);       // the sender's
        }

        if (bytes[kind] == SllBroadcast)
        {
            addresses[..MacLength].Fill(0xff);
        }

        return (length, BinaryPrimitives.ReadUInt16BigEndian(bytes[type..]));
    }
}
