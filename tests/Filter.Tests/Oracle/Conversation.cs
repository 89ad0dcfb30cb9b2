using System.Globalization;
using System.Text;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Tests.Oracle;

/// <summary>What the generator knows of a packet's fate, whoever judges it.</summary>
internal enum Fate
{
    /// <summary>Nothing: the kernel's verdict and Filter's are compared, no more.</summary>
    Open,

    /// <summary>Ends that keep to the RFCs send it in this place: Filter must pass it.</summary>
    MustPass,

    /// <summary>No end sends such a packet: Filter must drop it.</summary>
    MustDrop,
}

/// <summary>One packet of a conversation.</summary>
/// <param name="FromInside">Whether it comes in by the protected side.</param>
/// <param name="Line">The packet; its payload begins with <see cref="Options"/>.</param>
/// <param name="Kind">What it is in the conversation, in words that <see cref="AcceptedDifferences"/> uses.</param>
/// <param name="Fate">What the generator knows of its fate.</param>
internal sealed record Step(bool FromInside, PacketLine Line, string Kind, Fate Fate)
{
    /// <summary>TCP options, padded to words of 32 bits.</summary>
    public byte[] Options { get; init; } = [];

    /// <summary>The shift among the options; for print.</summary>
    public int? Scale { get; init; }

    /// <summary>Which piece of it comes, where it comes in pieces.</summary>
    public Piece? Piece { get; init; }

    public override string ToString()
    {
        PacketLine line = Line with { Length = Line.Length - Options.Length };
        return $"{(FromInside ? "inside" : "outside")}: {line}{(Scale is { } shift ? $" (wscale {shift})" : "")}{(Piece is { } piece ? $" ({piece})" : "")}";
    }
}

/// <summary>
/// Packets between two hosts with addresses of their own, in an order that both judges see alike. Thousands of them run
/// at the same time: the first packet of each, then the second of each, so that no timer comes into it.
/// </summary>
internal sealed class Conversation
{
    private readonly List<Step> _steps = [];

    /// <param name="number">Its number, from 0; makes its addresses.</param>
    /// <param name="subject">What it is about.</param>
    /// <param name="family">4 or 6.</param>
    /// <param name="bothMayOpen">Whether the rules let the outside open, too.</param>
    public Conversation(int number, string subject, int family, bool bothMayOpen)
    {
        Number = number;
        Subject = subject;
        Family = family;
        BothMayOpen = bothMayOpen;
        Inside = Host(1);
        Outside = Host(2);
        Other = Host(3);
    }

    public int Number { get; }

    public string Subject { get; }

    public int Family { get; }

    public bool BothMayOpen { get; }

    /// <summary>The protected host.</summary>
    public Address Inside { get; }

    /// <summary>The one it speaks to.</summary>
    public Address Outside { get; }

    /// <summary>A third, outside: a router, or an attacker.</summary>
    public Address Other { get; }

    /// <summary>Whether it is judged by datagrams that come out whole, because packets come and go in pieces.</summary>
    public bool InPieces { get; init; }

    public IReadOnlyList<Step> Steps => _steps;

    public ushort EtherType => Family == 4 ? EtherTypes.IPv4 : EtherTypes.IPv6;

    public byte Icmp => Family == 4 ? IpProtocol.Icmp : IpProtocol.IcmpV6;

    public void Add(Step step) => _steps.Add(step);

    /// <summary>A packet from one of the two hosts to the other, of which the caller fills in what is its own.</summary>
    public PacketLine From(bool inside, byte protocol) => new()
    {
        Kind = LineKind.Ip,
        EtherType = EtherType,
        Protocol = protocol,
        Source = inside ? Inside : Outside,
        Destination = inside ? Outside : Inside,
    };

    /// <summary>The frame of a step. It names its conversation and itself by the source's link address, which no bridge changes.</summary>
    public byte[] Frame(int step)
    {
        Step at = _steps[step];
        PacketLine line = at.Line with { SourceMac = Tag(step), FragmentId = (uint)step + 1 };
        var frame = new byte[FrameBuilder.Length(line)];
        FrameBuilder.Write(line, frame);
        if (at.Piece is { } piece)
        {
            return Cut(line, piece, frame);
        }

        if (at.Options.Length > 0)
        {
            WriteOptions(line, at.Options, frame.AsSpan(^(TcpHeader.Length + line.Length)..));
        }

        return frame;
    }

    /// <summary>The conversation and step that a frame names.</summary>
    public static (int Number, int Step) ReadTag(ReadOnlySpan<byte> frame)
    {
        ulong mac = Parser.SourceMac(frame);
        return ((int)(mac >> 12 & 0xff_ffff), (int)(mac & 0xfff));
    }

    /// <summary>The conversation as packet lines, with a remark behind each.</summary>
    public string Print(Func<int, string> remark)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{Subject}, conversation {Number}, {(BothMayOpen ? "both may open" : "only the inside may open")}\n");
        for (int i = 0; i < _steps.Count; i++)
        {
            text.Append(CultureInfo.InvariantCulture, $"  {i,2} {_steps[i]}   [{_steps[i].Kind}]{remark(i)}\n");
        }

        return text.ToString();
    }

    private static byte[] Cut(PacketLine line, Piece piece, byte[] frame)
    {
        // The headers are the builder's, of a fragment as long as this one; what it carries is cut out of the whole.
        int headers = EthernetHeader.Length + (line.IsIPv4 ? Ipv4Header.Length : Ipv6Header.Length);
        PacketLine cut = line with
        {
            HasTransport = false,
            IsFragment = piece.More || piece.Offset > 0 || !line.IsIPv4,
            FragmentId = piece.Id,
            FragmentOffset = piece.Offset,
            MoreFragments = piece.More,
            Length = piece.Length,
        };
        var made = new byte[FrameBuilder.Length(cut)];
        FrameBuilder.Write(cut, made);
        ReadOnlySpan<byte> carried = frame.AsSpan(headers);
        Span<byte> room = made.AsSpan(^piece.Length..);
        room.Clear();
        carried = piece.Offset < carried.Length ? carried[piece.Offset..] : default;
        carried[..Math.Min(carried.Length, room.Length)].CopyTo(room);
        return made;
    }

    private ulong Tag(int step) => 0x0200_0000_0000UL | (ulong)Number << 12 | (uint)step;

    private Address Host(int host) => Family == 4
        ? Address.FromIPv4((host == 1 ? 0x0a00_0000u : 0xc612_0000u) + (4 * (uint)Number) + (uint)host)
        : Address.Parse(string.Create(CultureInfo.InvariantCulture, $"2001:db8:{host}:{Number:x}::{host}"));

    /// <summary>Options stand where the builder put the payload's beginning; the header grows over them (RFC 9293 §3.1).</summary>
    private static void WriteOptions(PacketLine line, byte[] options, Span<byte> segment)
    {
        options.CopyTo(segment[TcpHeader.Length..]);
        segment[12] = (byte)((TcpHeader.Length + options.Length) / 4 << 4);
        segment[16] = segment[17] = 0;
        ulong pseudo = Checksum.PseudoHeader(line.Source, line.Destination, IpProtocol.Tcp, segment.Length);
        ushort sum = Checksum.Finish(Checksum.Sum(segment, pseudo));
        sum ^= (ushort)(line.Checksum == LineChecksum.Bad ? 0x5555 : 0);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt16BigEndian(segment[16..], sum);
    }
}
