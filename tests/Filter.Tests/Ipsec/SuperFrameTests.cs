using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;
using Filter.Rules.Policy;

namespace Filter.Tests.Ipsec;

/// <summary>A super-frame goes into one gateway, and out of the other comes the same one.</summary>
public sealed class SuperFrameTests
{
    private const string Text = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        rules:
          - allow: all
        ipsec:
          policies:
            - protect: everything
              sa: pair
          sas:
            pair:
              mode: transport
              suite: aes-cbc-128+hmac-sha2-256-128
              replay: 64
              out: { spi: 0xOUT, encryption-key: 0xOUT102030405060708090a0b0c0d0e0f, integrity-key: 0xOUT102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f }
              in: { spi: 0xIN, encryption-key: 0xIN102030405060708090a0b0c0d0e0f, integrity-key: 0xIN102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f }
        """;

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void A_super_frame_crosses_as_segments_and_leaves_whole(bool six, bool udp)
    {
        using Site left = Make("101", "102"), right = Make("102", "101");
        if (udp)
        {
            Cross(left, right, (Ethernet(six, back: false, Frames.Udp(Client(six), 40000, Server(six), 443, 1)), default));
        }
        else
        {
            Cross(left, right, (Segment(six, back: false, TcpFlags.Syn, 99, 0, 0), default));
            Cross(right, left, (Segment(six, back: true, TcpFlags.Syn | TcpFlags.Ack, 9, 100, 0), default));
            Cross(left, right, (Segment(six, back: false, TcpFlags.Ack, 100, 10, 0), default));
        }

        (byte[], Offload) whole = Whole(six, udp, 13_337);
        long came = right.Path.Counters.In, out0 = right.Path.Counters.Out;

        (byte[] frame, Offload offload) = Assert.Single(Cross(left, right, whole));

        Assert.Equal(whole, (frame, offload), Comparer);
        PathCounters counters = right.Path.Counters;
        Assert.Equal((10, 1, 9), (counters.In - came, counters.Out - out0, counters.Coalesced));
        Assert.Equal(counters.In, counters[Verdict.Pass]);
        Assert.Equal(0, left.Path.Counters.Coalesced);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_follows_a_super_frame_in_its_burst_leaves_behind_its_segments(bool six)
    {
        using Site left = Make("101", "102"), right = Make("102", "101");
        byte[] before = Small(1), between = Small(2), behind = Small(3);
        (byte[], Offload) whole = Whole(six, udp: true, 13_337);

        List<byte[]> wire = left.Carry("inside", [(before, default), whole, (between, default), whole, (behind, default)])["outside"];
        List<byte[]> inside = right.Carry("outside", [.. wire])["inside"];

        Assert.Equal(Enumerable.Range(1, 23).Select(static n => (uint)n), wire.Select(static f => PlainFrames.Parsed(f).Sequence));
        Assert.Equal([before, whole.Item1, between, whole.Item1, behind], inside);
        PathCounters counters = left.Path.Counters;
        Assert.Equal((5, 5, 23), (counters.In, counters[Verdict.Pass], counters.Out));

        byte[] Small(byte what) => Ethernet(six, back: false, Frames.Udp(Client(six), 40000, Server(six), 443, what));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_follows_a_packet_that_is_fragmented_leaves_behind_its_fragments(bool outside)
    {
        SaConfig sa = Gateway.Sa(IpsecMode.Tunnel, "192.0.2.1", "198.51.100.1");
        sa = sa with { Settings = sa.Settings with { FragmentAfterSealing = outside } };
        (Gateway left, Gateway right) = Gateway.Pair(sa);
        using Gateway a = left, b = right;
        Address from = Address.Parse(Client(six: false)), to = Address.Parse(Server(six: false));

        List<byte[]> wire = left.Send(PlainFrames.Udp(from, to, 10), PlainFrames.Udp(from, to, 1460), PlainFrames.Udp(from, to, 20));

        Assert.Equal(4, wire.Count);
        Assert.True(PlainFrames.Parsed(wire[^1]) is { Fragmented: false, Sequence: var last } && last == (outside ? 3 : 4));
        Assert.Equal(20, right.Receive(wire[^1])[0].Length - 42);
    }

    [Fact]
    public void ESP_in_UDP_that_came_as_a_super_frame_counts_as_the_packets_in_it_and_allocates_nothing()
    {
        using Site left = MakeInUdp("101", "102"), right = MakeInUdp("102", "101");
        byte[][] frames = [.. Enumerable.Range(0, 10).Select(_ => Ethernet(false, back: false, Frames.Udp(Client(false), 40000, Server(false), 443, Frames.Pattern(500))))];
        (byte[] whole, Offload offload) = UdpEncapsulationTests.SuperFrame([.. left.Carry("inside", frames)["outside"]]);

        // Each is a datagram of its own, with an identification of its own.
        Assert.Equal(frames.Select(static f => f[34..]), right.Carry("outside", [(whole, offload)])["inside"].Select(static f => f[34..]));
        Assert.Equal((10, 10, 10), (right.Path.Counters.In, right.Path.Counters[Verdict.Pass], right.Path.Counters.Out));

        var burst = new Burst();
        Assert.Equal(0, Allocations.Least(() =>
        {
            burst.Reset();
            burst.TryAppend(whole.Length, out int index);
            ref Packet packet = ref burst.Packets[index];
            (packet.Length, packet.Offload) = (whole.Length, offload);
            whole.CopyTo(packet.Bytes);
            right.Path.Single.Walk(burst);
        }));
        Assert.Equal(10 + (40 * 10), right.Path.Counters[Verdict.Pass]);

        static Site MakeInUdp(string leaves, string comes) => new(Text
            .Replace("replay: 64", "replay: off\n      udp: {}", StringComparison.Ordinal)
            .Replace("OUT", leaves, StringComparison.Ordinal).Replace("IN", comes, StringComparison.Ordinal), workers: 1);
    }

    [Fact]
    public void What_came_in_the_clear_is_left_as_it_came()
    {
        using Site site = new(Text.Replace("protect: everything\n      sa: pair", "bypass: everything", StringComparison.Ordinal)
            .Replace("OUT", "101", StringComparison.Ordinal).Replace("IN", "102", StringComparison.Ordinal), superFrames: true);
        byte[][] datagrams = [.. Enumerable.Range(0, 5).Select(i => Ethernet(false, back: false, Frames.Udp(Client(false), 40000, Server(false), 443, Frames.Pattern(500, i))))];

        Assert.Equal(datagrams, site.Carry("outside", datagrams)["inside"]);
        Assert.Equal(0, site.Path.Counters.Coalesced);
    }

    private static IEqualityComparer<(byte[] Frame, Offload Offload)> Comparer { get; } =
        EqualityComparer<(byte[] Frame, Offload Offload)>.Create((a, b) => a.Frame.AsSpan().SequenceEqual(b.Frame) && a.Offload.Equals(b.Offload));

    private static Site Make(string leaves, string comes) =>
        new(Text.Replace("OUT", leaves, StringComparison.Ordinal).Replace("IN", comes, StringComparison.Ordinal), superFrames: true);

    private static List<(byte[] Frame, Offload Offload)> Cross(Site from, Site to, (byte[], Offload) frame)
    {
        List<byte[]> wire = from.Carry("inside", [frame])["outside"];
        Assert.All(wire, f => Assert.Equal(IpProtocol.Esp, PlainFrames.Parsed(f).Key.Protocol));
        Assert.All(from.Offloads["outside"], offload => Assert.Equal(GsoKind.None, offload.Gso));
        List<byte[]> inside = to.Carry("outside", [.. wire])["inside"];
        return [.. inside.Zip(to.Offloads["inside"])];
    }

    /// <summary>As the stack of a sender gives it to its NIC.</summary>
    private static (byte[], Offload) Whole(bool six, bool udp, int length)
    {
        byte[] frame = udp
            ? Ethernet(six, back: false, Frames.Udp(Client(six), 40000, Server(six), 443, Frames.Pattern(length)))
            : Segment(six, back: false, TcpFlags.Ack | TcpFlags.Psh, 100, 10, length);
        int transport = 14 + (six ? 40 : 20), field = udp ? 6 : 16;
        ulong pseudo = Checksum.PseudoHeader(
            Address.Parse(Client(six)), Address.Parse(Server(six)), udp ? IpProtocol.Udp : IpProtocol.Tcp, frame.Length - transport);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(transport + field), Checksum.Fold(pseudo));
        return (frame, new Offload
        {
            Checksum = ChecksumState.Partial,
            Gso = udp ? GsoKind.Udp : six ? GsoKind.TcpV6 : GsoKind.TcpV4,
            HeaderLength = (ushort)(transport + (udp ? 8 : 20)),
            SegmentSize = 1370,
            ChecksumStart = (ushort)transport,
            ChecksumOffset = (ushort)field,
        });
    }

    private static byte[] Segment(bool six, bool back, TcpFlags flags, uint sequence, uint acknowledgment, int length)
    {
        (string from, string to) = back ? (Server(six), Client(six)) : (Client(six), Server(six));
        byte[] tcp = Frames.Tcp(from, back ? 443 : 40000, to, back ? 40000 : 443, flags, sequence, acknowledgment, Frames.Pattern(length));
        BinaryPrimitives.WriteUInt16BigEndian(tcp.AsSpan(14), 50_000);          // the window
        BinaryPrimitives.WriteUInt16BigEndian(
            tcp.AsSpan(16), Checksum.Update(BinaryPrimitives.ReadUInt16BigEndian(tcp.AsSpan(16)), 0, 50_000));
        return Ethernet(six, back, tcp, IpProtocol.Tcp);
    }

    private static byte[] Ethernet(bool six, bool back, byte[] segment, byte protocol = IpProtocol.Udp)
    {
        (string from, string to) = back ? (Server(six), Client(six)) : (Client(six), Server(six));
        return Frames.Ethernet(Frames.Ip(from, to, protocol, segment, id: 7), back ? Frames.Server : Frames.Client, back ? Frames.Client : Frames.Server);
    }

    private static string Client(bool six) => six ? "2001:db8:1::5" : "10.1.0.5";

    private static string Server(bool six) => six ? "2001:db8:2::9" : "10.2.0.9";
}
