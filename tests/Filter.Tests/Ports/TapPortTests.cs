using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Tests.Worlds;

namespace Filter.Tests.Ports;

[Collection(InNamespaces.Name)]
public class TapPortTests
{
    private const ulong OwnMac = 0x02_00_00_00_00_01;

    private static readonly TapSettings s_settings = new("filter0")
    {
        Mac = OwnMac,
        Mtu = 1400,
        Addresses = [new(Address.Parse("192.0.2.1"), 24), new(Address.Parse("2001:db8:1::1"), 64)],
        Routes =
        [
            new(Address.Parse("0.0.0.0"), 0, Address.Parse("192.0.2.254")),
            new(Address.Parse("::"), 0, Address.Parse("2001:db8:1::ff")),
            new(Address.Parse("203.0.113.0"), 24, null),
        ],
    };

    [Fact]
    public void It_is_made_with_the_name_mac_mtu_addresses_and_routes_that_were_asked_for()
    {
        using NetNs box = NetNs.Create("box");
        using TapPort tap = Open(box, s_settings);

        Assert.Equal((1400, OwnMac), (tap.Mtu, tap.Mac));
        string link = box.Ip("link show dev filter0"), addresses = box.Ip("addr show dev filter0");
        Assert.Contains("mtu 1400", link, StringComparison.Ordinal);
        Assert.Contains("02:00:00:00:00:01", link, StringComparison.Ordinal);
        Assert.Contains("UP,LOWER_UP", link, StringComparison.Ordinal);
        Assert.Contains("inet 192.0.2.1/24 brd 192.0.2.255 scope global", addresses, StringComparison.Ordinal);
        Assert.Contains("inet6 2001:db8:1::1/64 scope global", addresses, StringComparison.Ordinal);
        string four = box.Ip("-4 route show dev filter0"), six = box.Ip("-6 route show dev filter0");
        Assert.Contains("default via 192.0.2.254", four, StringComparison.Ordinal);
        Assert.Contains("203.0.113.0/24 proto static scope link", four, StringComparison.Ordinal);
        Assert.Contains("default via 2001:db8:1::ff", six, StringComparison.Ordinal);
    }

    [Fact]
    public void It_is_gone_when_its_port_is_closed_and_can_be_made_again_at_once()
    {
        using NetNs box = NetNs.Create("box");
        Open(box, s_settings).Dispose();
        Assert.DoesNotContain("filter0", box.Ip("link"), StringComparison.Ordinal);
        Open(box, s_settings).Dispose();
    }

    [Fact]
    public void The_boxs_own_stack_speaks_through_it_and_hears_through_it()
    {
        using var cable = new Cable();          // only for its eyes: it sends by any port and hears any port
        using TapPort tap = Open(cable.Box, s_settings);
        UdpClient four = cable.Box.Run(() => new UdpClient(new IPEndPoint(IPAddress.Parse("192.0.2.1"), 4000)));
        UdpClient six = cable.Box.Run(() => new UdpClient(new IPEndPoint(IPAddress.Parse("2001:db8:1::1"), 4000)));
        cable.Box.Ip("neigh add 192.0.2.9 lladdr 02:00:00:00:00:02 dev filter0");
        cable.Box.Ip("neigh add 2001:db8:1::9 lladdr 02:00:00:00:00:02 dev filter0");

        four.Send(new byte[100], new IPEndPoint(IPAddress.Parse("192.0.2.9"), 53));
        six.Send(new byte[100], new IPEndPoint(IPAddress.Parse("2001:db8:1::9"), 53));
        var outgoing = new List<(byte[] Frame, Packet Packet)>();
        while (outgoing.Count < 2)
        {
            outgoing.AddRange(cable.Hear(tap, 1).Where(heard => IsUdp(heard.Frame)));
        }

        // Unfinished checksums, as the stack leaves them to a device that can do better.
        Assert.All(outgoing, heard => Assert.Equal(ChecksumState.Partial, heard.Packet.Offload.Checksum));
        Assert.All(outgoing, heard => Assert.Equal(tap.Number, heard.Packet.Ingress));

        // Back to the sender: addresses and ports exchanged leave the checksum as it was, unfinished.
        foreach ((byte[] frame, Packet packet) in outgoing)
        {
            cable.Send(tap, (Answer(frame), packet.Offload));
        }

        var from = new IPEndPoint(IPAddress.Any, 0);
        four.Client.ReceiveTimeout = six.Client.ReceiveTimeout = 10_000;
        Assert.Equal(100, four.Receive(ref from!).Length);
        Assert.Equal(100, six.Receive(ref from!).Length);
        Assert.Equal((2, 0), (tap.Counters.SentPackets, tap.Counters.SendErrors));
        four.Dispose();
        six.Dispose();
    }

    [Fact]
    public void A_super_frame_of_the_stack_is_one_packet_and_one_given_to_it_reaches_its_sockets_in_pieces()
    {
        using var cable = new Cable();
        using TapPort tap = Open(cable.Box, s_settings with { Mtu = 1500 });
        cable.Box.Ip("neigh add 192.0.2.9 lladdr 02:00:00:00:00:02 dev filter0");
        using Socket socket = cable.Box.Run(() =>
        {
            var udp = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            udp.Bind(new IPEndPoint(IPAddress.Parse("192.0.2.1"), 4000));
            const int LevelUdp = 17, UdpSegment = 103;
            udp.SetRawSocketOption(LevelUdp, UdpSegment, BitConverter.GetBytes(1000));
            return udp;
        });

        socket.SendTo(new byte[20_000], new IPEndPoint(IPAddress.Parse("192.0.2.9"), 53));
        (byte[] Frame, Packet Packet) heard;
        do
        {
            heard = cable.Hear(tap, 1).LastOrDefault(h => IsUdp(h.Frame));
        }
        while (heard.Frame is null);

        Assert.Equal(14 + 20 + 8 + 20_000, heard.Frame.Length);
        Assert.Equal((GsoKind.Udp, 1000), (heard.Packet.Offload.Gso, heard.Packet.Offload.SegmentSize));

        Assert.True(tap.Takes(GsoKind.Udp));
        cable.Send(tap, (Answer(heard.Frame), heard.Packet.Offload));
        socket.ReceiveTimeout = 10_000;
        byte[] datagram = new byte[20_000];
        Assert.All(Enumerable.Range(0, 20), _ => Assert.Equal(1000, socket.Receive(datagram)));
    }

    [Theory]
    [InlineData("nic", "cannot make the TAP nic: a device of this name exists already")]
    [InlineData("a name with blanks", "'a name with blanks' cannot be the name of a network device")]
    [InlineData("sixteen-bytes-xx", "'sixteen-bytes-xx' cannot be the name of a network device")]
    public void A_name_that_cannot_be_is_one_clear_line(string name, string message)
    {
        using var cable = new Cable();
        var error = Assert.Throws<PortException>(() => Open(cable.Box, new TapSettings(name)));
        Assert.Equal(message, error.Message);
    }

    [Fact]
    public void An_address_that_the_kernel_refuses_is_one_clear_line_and_leaves_no_device()
    {
        using NetNs box = NetNs.Create("box");
        var settings = new TapSettings("filter0")
        {
            Routes = [new(Address.Parse("10.0.0.0"), 8, Address.Parse("192.0.2.254"))],
        };
        var error = Assert.Throws<PortException>(() => Open(box, settings));
        Assert.StartsWith("cannot route 10.0.0.0/8 via 192.0.2.254 through filter0: ", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("filter0", box.Ip("link"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_tap_that_vanishes_becomes_a_failure_and_nothing_throws()
    {
        using var cable = new Cable();
        using TapPort tap = Open(cable.Box, s_settings);
        cable.Box.Ip("link delete filter0");

        cable.HearNow(tap);
        cable.Send(tap, Cable.Frame(60));
        Assert.Equal("the TAP filter0 has vanished: there is no such device", tap.Failure);
        Assert.Equal(1, tap.Counters.SendErrors);
    }

    private static TapPort Open(NetNs box, TapSettings settings)
        => box.Run(() => new TapPort(settings) { Name = "self", Number = 2, Side = Side.Protected });

    private static bool IsUdp(byte[] frame)
        => (frame[12], frame[23]) is (0x08, 17) || (frame[12], frame[20]) is (0x86, 17);

    private static byte[] Answer(byte[] frame)
    {
        byte[] answer = [.. frame];
        bool six = frame[12] == 0x86;
        (int source, int length, int transport) = six ? (22, 16, 54) : (26, 4, 34);
        frame.AsSpan(0, 6).CopyTo(answer.AsSpan(6));
        frame.AsSpan(6, 6).CopyTo(answer);
        frame.AsSpan(source, length).CopyTo(answer.AsSpan(source + length));
        frame.AsSpan(source + length, length).CopyTo(answer.AsSpan(source));
        ushort from = BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(transport)), to = BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(transport + 2));
        BinaryPrimitives.WriteUInt16BigEndian(answer.AsSpan(transport), to);
        BinaryPrimitives.WriteUInt16BigEndian(answer.AsSpan(transport + 2), from);
        return answer;
    }
}
