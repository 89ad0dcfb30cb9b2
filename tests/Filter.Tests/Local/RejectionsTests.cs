using System.Buffers.Binary;
using Filter.Engine.Local;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;

namespace Filter.Tests.Local;

public sealed class RejectionsTests
{
    private const string V4 = "198.51.100.1", V4Far = "192.0.2.80", V6 = "2001:db8::1", V6Far = "2001:db8:f::80";
    private readonly Burst _burst = new();
    private readonly Rejections _rejections = new(new RateLimit(1_000_000, 100));

    public static TheoryData<string, string> Families => new() { { V4, V4Far }, { V6, V6Far } };

    [Theory]
    [MemberData(nameof(Families))]
    public void A_rejected_syn_hears_a_reset_that_acknowledges_it(string client, string server)
    {
        byte[] syn = Frames.Tcp(client, 40000, server, 22, TcpFlags.Syn, sequence: 99);
        Packet reset = Rejected(Frames.Ethernet(Frames.Ip(client, server, IpProtocol.Tcp, syn), vlans: [10, 20]));

        Assert.Equal(TcpFlags.Rst | TcpFlags.Ack, reset.TcpFlags);
        Assert.Equal(0u, reset.Sequence);
        Assert.Equal(100u, reset.Acknowledgment);
        Assert.Equal(Address.Parse(server), reset.Key.Source);
        Assert.Equal(22, reset.Key.SourcePort);
        Assert.Equal(40000, reset.Key.DestinationPort);
        Assert.Equal(Frames.Client, Parser.DestinationMac(reset.Bytes));
        Assert.Equal(Frames.Server, Parser.SourceMac(reset.Bytes));
        Assert.Equal(2, VlanStack.Depth(reset.Key.Segment));
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void A_reset_about_a_segment_with_ack_takes_its_sequence_from_it(string client, string server)
    {
        byte[] data = Frames.Tcp(client, 40000, server, 22, TcpFlags.Ack | TcpFlags.Fin, 7, 4711, 1, 2, 3);
        Packet reset = Rejected(Frames.Ethernet(Frames.Ip(client, server, IpProtocol.Tcp, data)));
        Assert.Equal(TcpFlags.Rst, reset.TcpFlags);
        Assert.Equal(4711u, reset.Sequence);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Data_on_a_syn_is_acknowledged_with_it(string client, string server)
    {
        byte[] syn = Frames.Tcp(client, 40000, server, 22, TcpFlags.Syn, 99, 0, Frames.Pattern(50));
        Assert.Equal(150u, Rejected(Frames.Ethernet(Frames.Ip(client, server, IpProtocol.Tcp, syn))).Acknowledgment);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void A_reset_is_never_answered(string client, string server)
    {
        byte[] reset = Frames.Tcp(client, 40000, server, 22, TcpFlags.Rst, 99);
        AssertSilent(Frames.Ethernet(Frames.Ip(client, server, IpProtocol.Tcp, reset)));
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void A_rejected_datagram_hears_administratively_prohibited(string client, string server)
    {
        byte[] query = Frames.Udp(client, 40000, server, 53, Frames.Pattern(2000));
        byte[] datagram = Frames.Ip(client, server, IpProtocol.Udp, query);
        Packet error = Rejected(Frames.Ethernet(datagram, vlans: 10));

        bool v4 = error.IsIPv4;
        Assert.Equal(v4 ? 3 : 1, error.IcmpType);
        Assert.Equal(v4 ? 13 : 1, error.IcmpCode);
        Assert.Equal(v4 ? 576 : 1280, error.Datagram.Length);
        Assert.True(error.Bytes[error.Payload..error.End].SequenceEqual(datagram.AsSpan(0, v4 ? 548 : 1232)));
        Assert.Equal(Address.Parse(server), error.Key.Source);
        Assert.Equal(10, VlanStack.Outer(error.Key.Segment));
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Icmp_errors_are_never_answered(string client, string server)
    {
        byte[] inner = Frames.Ip(server, client, IpProtocol.Udp, Frames.Udp(server, 1, client, 2));
        bool v4 = client == V4;
        byte[] error = Frames.Icmp(client, server, (byte)(v4 ? 3 : 1), 1, [0, 0, 0, 0, .. inner]);
        AssertSilent(Frames.Ethernet(Frames.Ip(client, server, v4 ? IpProtocol.Icmp : IpProtocol.IcmpV6, error)));
    }

    [Theory]
    [InlineData(V4, "224.0.0.251", 0x0100_5e00_00fb)]
    [InlineData(V4, "255.255.255.255", 0xffff_ffff_ffff)]
    [InlineData(V4, "192.0.2.255", 0xffff_ffff_ffff)]
    [InlineData("0.0.0.0", V4Far, (long)Frames.Server)]
    [InlineData(V6, "ff02::fb", 0x3333_0000_00fb)]
    [InlineData("::", V6Far, (long)Frames.Server)]
    public void Groups_and_nobody_are_never_answered(string source, string destination, long mac)
    {
        byte[] udp = Frames.Udp(source, 5353, destination, 5353, 1);
        AssertSilent(Frames.Ethernet(Frames.Ip(source, destination, IpProtocol.Udp, udp), destination: (ulong)mac));
        byte[] tcp = Frames.Tcp(source, 5353, destination, 5353, TcpFlags.Syn);
        AssertSilent(Frames.Ethernet(Frames.Ip(source, destination, IpProtocol.Tcp, tcp), destination: (ulong)mac));
    }

    [Fact]
    public void A_later_fragment_is_never_answered()
    {
        byte[] piece = Frames.Fragment(V4, V4Far, IpProtocol.Udp, 5, 1480, false, Frames.Pattern(100));
        AssertSilent(Frames.Ethernet(piece));
        byte[] piece6 = Frames.Fragment(V6, V6Far, IpProtocol.Tcp, 5, 1480, false, Frames.Pattern(100));
        AssertSilent(Frames.Ethernet(piece6));
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void A_super_frame_is_quoted_as_its_first_segment(string client, string server)
    {
        byte[] tcp = Frames.Tcp(client, 40000, server, 22, TcpFlags.Ack, 1, 1, Frames.Pattern(5000));
        int index = Frames.Append(_burst, Frames.Ethernet(Frames.Ip(client, server, IpProtocol.Tcp, tcp)));
        ref Packet super = ref _burst.Packets[index];
        super.Offload.Gso = super.IsIPv4 ? GsoKind.TcpV4 : GsoKind.TcpV6;
        super.Offload.SegmentSize = 1400;

        Assert.True(IcmpErrors.TryAppend(_burst, index, IcmpErrorKind.TooBig, 1280));
        Packet error = _burst.Packets[index + 1];
        ReadOnlySpan<byte> quote = error.Bytes[error.Payload..error.End];
        if (super.IsIPv4)
        {
            Assert.Equal(20 + 20 + 1400, BinaryPrimitives.ReadUInt16BigEndian(quote[2..]));
            Assert.Equal(0xffff, Checksum.Fold(Checksum.Sum(quote[..20])));
            Assert.Equal(1280, BinaryPrimitives.ReadUInt16BigEndian(error.Segment[6..]));
        }
        else
        {
            Assert.Equal(20 + 1400, BinaryPrimitives.ReadUInt16BigEndian(quote[4..]));
            Assert.Equal(1280u, BinaryPrimitives.ReadUInt32BigEndian(error.Segment[4..]));
        }

        Assert.Equal(DropReason.None, Frames.Reparse(error, out Packet parsed));
        Assert.True(Parser.TryReadQuote(parsed, out FlowKey quoted));
        Assert.Equal(super.Key, quoted);
    }

    [Fact]
    public void Answers_beyond_the_rate_are_not_sent()
    {
        var rejections = new Rejections(new RateLimit(1_000_000, 3));
        byte[] frame = Frames.Ethernet(Frames.Ip(V4, V4Far, IpProtocol.Udp, Frames.Udp(V4, 1, V4Far, 2)));
        int index = Frames.Append(_burst, frame);
        bool[] sent = [.. Enumerable.Range(0, 5).Select(_ => rejections.TryAppend(_burst, index))];
        Assert.Equal([true, true, true, false, false], sent);
        Assert.Equal(2, rejections.Suppressed);
        _burst.Now = 1_000_000;
        Assert.True(rejections.TryAppend(_burst, index));
        Assert.False(rejections.TryAppend(_burst, index));
    }

    [Fact]
    public void An_answer_costs_no_allocation()
    {
        byte[] syn = Frames.Tcp(V6, 40000, V6Far, 22, TcpFlags.Syn, sequence: 99);
        byte[] frame = Frames.Ethernet(Frames.Ip(V6, V6Far, IpProtocol.Tcp, syn));
        int tcp = Frames.Append(_burst, frame);
        int udp = Frames.Append(_burst, Frames.Ethernet(Frames.Ip(V4, V4Far, IpProtocol.Udp, Frames.Udp(V4, 1, V4Far, 2))));
        bool all = true;
        Assert.Equal(0, Allocations.Least(() => all &= _rejections.TryAppend(_burst, tcp) & _rejections.TryAppend(_burst, udp)));
        Assert.True(all);
    }

    private Packet Rejected(byte[] frame)
    {
        int index = Frames.Append(_burst, frame, ingress: 3);
        Assert.True(_rejections.TryAppend(_burst, index));
        Packet answer = _burst.Packets[index + 1];
        Assert.True(answer.Own);
        Assert.Equal(Verdict.Pass, answer.Verdict);
        Assert.Equal(1 << 3, answer.Egress);
        Assert.Equal(0, answer.Number);
        Assert.Equal(DropReason.None, Frames.Reparse(answer, out _));
        return answer;
    }

    private void AssertSilent(byte[] frame)
    {
        int index = Frames.Append(_burst, frame);
        Assert.False(_rejections.TryAppend(_burst, index));
        Assert.Equal(index + 1, _burst.Count);
    }
}
