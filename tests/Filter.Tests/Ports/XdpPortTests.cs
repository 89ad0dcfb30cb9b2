using System.Diagnostics;
using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Engine.Ports.Xdp;
using Filter.Engine.Wire;
using Filter.Tests.Worlds;

namespace Filter.Tests.Ports;

/// <summary>The XDP port on one end of a cable, a packet socket on the other.</summary>
[Collection(InNamespaces.Name)]
public class XdpPortTests
{
    /// <summary>The longest frame of a link of 1,500 bytes, with and without a tag.</summary>
    private const int Full = 1514, FullTagged = 1518;

    [Theory]
    [InlineData(XdpMode.Native)]
    [InlineData(XdpMode.Generic)]
    public void Frames_of_every_length_cross_both_ways_in_order(XdpMode mode)
    {
        using var cable = new Cable();
        using XdpPort nic = Open(cable, mode);
        using PacketSocketPort end = cable.OpenEnd();
        byte[][] frames = [.. Enumerable.Range(60, Full - 60 + 1).Select(static length => Cable.Frame(length, (byte)length))];

        foreach (byte[][] some in frames.Chunk(100))
        {
            cable.Send(end, some);
            Assert.Equal(some, cable.Hear(nic, some.Length).Select(static heard => heard.Frame));
            cable.Send(nic, some);
            Assert.Equal(some, cable.Hear(end, some.Length).Select(static heard => heard.Frame));
        }

        Assert.Empty(cable.HearNow(nic));
        long bytes = frames.Sum(static frame => (long)frame.Length);
        Assert.Equal(
            (frames.Length, bytes, frames.Length, bytes, 0, 0),
            (nic.Counters.ReceivedPackets, nic.Counters.ReceivedBytes, nic.Counters.SentPackets, nic.Counters.SentBytes, nic.Counters.SendErrors, nic.Counters.KernelDrops));
    }

    [Theory]
    [InlineData(XdpMode.Native)]
    [InlineData(XdpMode.Generic)]
    public void The_rings_go_round_and_lose_nothing(XdpMode mode)
    {
        const int Rounds = 200, Each = 50;
        using var cable = new Cable();
        using XdpPort nic = Open(cable, mode);
        using PacketSocketPort end = cable.OpenEnd();
        byte[][] frames = [.. Enumerable.Range(0, Each).Select(static i => Cable.Frame(60 + i, (byte)i))];

        for (int i = 0; i < Rounds; i++)
        {
            cable.Send(end, frames);
            Assert.Equal(frames, cable.Hear(nic, Each).Select(static heard => heard.Frame));
            cable.Send(nic, frames);
            Assert.Equal(frames, cable.Hear(end, Each).Select(static heard => heard.Frame));
        }

        Assert.Equal((Rounds * Each, 0), (nic.Counters.SentPackets, nic.Counters.SendErrors));
    }

    [Theory]
    [InlineData(XdpMode.Native, false)]
    [InlineData(XdpMode.Native, true)]
    [InlineData(XdpMode.Generic, false)]
    [InlineData(XdpMode.Generic, true)]
    public void A_checksum_that_the_far_end_left_to_its_device_is_known_for_unfinished(XdpMode mode, bool tagged)
    {
        using var cable = new Cable();
        using XdpPort nic = Open(cable, mode);
        using PacketSocketPort end = cable.OpenEnd();
        byte[] frame = PacketSocketPortTests.TcpFrame(1000, tagged, out Offload offload);
        int field = offload.ChecksumStart + offload.ChecksumOffset;
        ulong pseudo = Checksum.PseudoHeader(Address.Parse("10.0.0.0"), Address.Parse("10.0.0.1"), IpProtocol.Tcp, 1020);
        (frame[field], frame[field + 1]) = ((byte)(Checksum.Fold(pseudo) >> 8), (byte)Checksum.Fold(pseudo));
        offload = offload with { Gso = GsoKind.None, SegmentSize = 0, HeaderLength = 0 };

        cable.Send(end, (frame, offload));
        (byte[] heard, Packet packet) = Assert.Single(cable.Hear(nic, 1));
        Assert.Equal(frame, heard);
        Assert.Equal(offload, packet.Offload);

        // Sent on, it is finished: that a device would do it is not said to XDP.
        Burst burst = Parsed(frame, offload);
        burst.Packets[0].Egress = nic.Mask;
        nic.Transmit(burst);
        heard = Assert.Single(cable.Hear(end, 1)).Frame;
        Assert.Equal(ushort.MaxValue, Checksum.Fold(Checksum.Sum(heard.AsSpan(offload.ChecksumStart), pseudo)));
    }

    [Fact]
    public void A_super_frame_is_cut_into_what_the_wire_carries()
    {
        using var cable = new Cable();
        using XdpPort nic = Open(cable, XdpMode.Native);
        using PacketSocketPort end = cable.OpenEnd();
        byte[] frame = PacketSocketPortTests.TcpFrame(10_000, tagged: false, out Offload offload);
        Burst burst = Parsed(frame, offload);
        burst.Packets[0].Egress = nic.Mask;

        nic.Transmit(burst);
        List<(byte[] Frame, Packet Packet)> heard = cable.Hear(end, 7);
        Assert.Equal([.. Enumerable.Repeat(1448 + 54, 6), 10_000 - (6 * 1448) + 54], heard.Select(static one => one.Frame.Length));
        Assert.Equal(frame[54..], heard.SelectMany(static one => one.Frame[54..]).ToArray());
        Assert.Equal((7, 0), (nic.Counters.SentPackets, nic.Counters.SendErrors));
    }

    [Fact]
    public void What_no_wire_carries_is_counted_and_the_rest_goes()
    {
        using var cable = new Cable();
        using XdpPort nic = Open(cable, XdpMode.Native);
        using PacketSocketPort end = cable.OpenEnd();
        byte[] first = Cable.Frame(60, 1), last = Cable.Frame(FullTagged, 2);
        (last[12], last[13]) = (0x81, 0x00);

        cable.Send(nic, first, Cable.Frame(FullTagged + 1), Cable.Frame(9000), Cable.Frame(60)[..10], last);
        Assert.Equal([first, last], cable.Hear(end, 2).Select(static heard => heard.Frame));
        Assert.Equal((2, 3), (nic.Counters.SentPackets, nic.Counters.SendErrors));
    }

    [Fact]
    public void A_frame_that_fits_in_no_chunk_is_counted_as_lost()
    {
        using var cable = new Cable();
        using XdpPort nic = Open(cable, XdpMode.Generic);
        using PacketSocketPort end = cable.OpenEnd();
        byte[] superFrame = PacketSocketPortTests.TcpFrame(60_000, tagged: false, out Offload offload), frame = Cable.Frame(60);

        cable.Send(end, (superFrame, offload), (frame, default));
        Assert.Equal(frame, Assert.Single(cable.Hear(nic, 1)).Frame);
        cable.HearNow(nic);
        Assert.Equal((1, 1), (nic.Counters.ReceivedPackets, nic.Counters.KernelDrops));
    }

    [Fact]
    public void Frames_that_the_rings_had_no_room_for_are_counted()
    {
        using var cable = new Cable();
        using XdpPort nic = Open(cable, XdpMode.Generic);
        using PacketSocketPort end = cable.OpenEnd();
        byte[][] frames = [.. Enumerable.Range(0, 50).Select(static i => Cable.Frame(60, (byte)i))];
        for (int i = 0; i < 100; i++)
        {
            cable.Send(end, frames);
        }

        long heard = 0, sent = end.Counters.SentPackets;
        long deadline = Stopwatch.GetTimestamp() + (10 * Stopwatch.Frequency);
        while (heard + nic.Counters.KernelDrops < sent && Stopwatch.GetTimestamp() < deadline)
        {
            heard += cable.HearNow(nic).Count;
        }

        Assert.InRange(heard, 1, sent - 1);
        Assert.Equal(sent, heard + nic.Counters.KernelDrops);
    }

    [Theory]
    [InlineData(XdpMode.Native)]
    [InlineData(XdpMode.Generic)]
    public void The_NIC_is_as_it_was_once_the_port_is_closed(XdpMode mode)
    {
        using var cable = new Cable();
        string box = Facts(cable.Box, "nic"), far = Facts(cable.Far, "end");
        using (XdpPort nic = Open(cable, mode))
        {
            Assert.Contains("xdp", cable.Box.Ip("link show nic"), StringComparison.Ordinal);
            Assert.NotEqual(box, Facts(cable.Box, "nic"));
        }

        Assert.Equal(box, Facts(cable.Box, "nic"));
        Assert.Equal(far, Facts(cable.Far, "end"));

        static string Facts(NetNs space, string device) => $"{space.Exec("ethtool", "-k", device)}\n{space.Ip($"-d link show {device}")}";
    }

    [Fact]
    public void What_an_XDP_port_that_was_killed_changed_is_put_back_with_the_rest()
    {
        using var cable = new Cable();
        string records = Directory.CreateTempSubdirectory("filter-records-").FullName;
        string before = cable.Box.Exec("ethtool", "-k", "nic");
        cable.Box.Run(() => new NicGate(records).Close("nic"));

        // A process that is killed leaves what it said to the NIC as it is.
        cable.Box.Exec("ethtool", "-K", "nic", "gro", "off", "rxvlan", "off");
        Assert.NotEqual(before, cable.Box.Exec("ethtool", "-k", "nic"));
        Assert.Empty(cable.Box.Run(() => new NicGate(records).Restore("nic")));
        Assert.Equal(before, cable.Box.Exec("ethtool", "-k", "nic"));
        Directory.Delete(records, recursive: true);
    }

    [Fact]
    public void A_NIC_that_another_program_holds_is_refused_and_left_alone()
    {
        using var cable = new Cable();
        using XdpPort nic = Open(cable, XdpMode.Native);
        using PacketSocketPort end = cable.OpenEnd();
        Assert.Equal("cannot open nic by XDP: another program holds its queue 0", Assert.Throws<PortException>(() => Open(cable, XdpMode.Native)).Message);

        cable.Send(end, Cable.Frame(60));
        Assert.Single(cable.Hear(nic, 1));
    }

    [Theory]
    [InlineData("nic", 9000, XdpMode.Native, false, "cannot open nic by XDP: its MTU is 9000, and a frame must fit in a page: at most 3818")]
    [InlineData("nic", 1500, XdpMode.Native, true, "cannot open nic by XDP: its driver veth copies each frame")]
    [InlineData("lo", 0, XdpMode.Generic, false, "lo is not an Ethernet device")]
    [InlineData("eth7", 0, XdpMode.Native, false, "there is no network device named 'eth7'")]
    public void What_cannot_be_opened_says_why_in_one_line(string device, int mtu, XdpMode mode, bool zeroCopyOnly, string line)
    {
        using var cable = new Cable();
        if (mtu > 0)
        {
            cable.Box.Ip($"link set {device} mtu {mtu}");
        }

        string before = cable.Box.Exec("ethtool", "-k", "nic");
        var error = Assert.Throws<PortException>(() => cable.Box.Run(() => new XdpPort(device, mode, zeroCopyOnly) { Name = "x", Number = 0, Side = Side.Protected }));
        Assert.Equal(line, error.Message);
        Assert.Equal(before, cable.Box.Exec("ethtool", "-k", "nic"));
    }

    [Fact]
    public void A_far_end_of_large_frames_is_refused_by_the_driver()
    {
        using var cable = new Cable();
        cable.Far.Ip("link set end mtu 9000");
        string line = Assert.Throws<PortException>(() => Open(cable, XdpMode.Native)).Message;
        Assert.Equal("cannot open nic by XDP: its MTU, or that of its far end, is too large", line);
    }

    [Fact]
    public void A_link_of_3000_bytes_carries_them()
    {
        using var cable = new Cable();
        cable.Far.Ip("link set end mtu 3000");
        cable.Box.Ip("link set nic mtu 3000");
        using XdpPort nic = Open(cable, XdpMode.Native);
        using PacketSocketPort end = cable.OpenEnd();
        byte[] frame = Cable.Frame(3014);

        cable.Send(end, frame);
        Assert.Equal(frame, Assert.Single(cable.Hear(nic, 1)).Frame);
        cable.Send(nic, frame);
        Assert.Equal(frame, Assert.Single(cable.Hear(end, 1)).Frame);
    }

    [Theory]
    [InlineData(XdpMode.Native)]
    [InlineData(XdpMode.Generic)]
    public void Every_queue_of_a_NIC_is_heard(XdpMode mode)
    {
        using var cable = new Cable(queues: 4);
        using XdpPort nic = Open(cable, mode);
        using PacketSocketPort end = cable.OpenEnd();
        byte[][] frames = [.. Enumerable.Range(0, 64).Select(static i => Frames.Udp("10.0.0.1", 1000 + i, "10.0.0.2", 53, [.. Enumerable.Repeat((byte)i, 20)]))];

        cable.Send(end, frames);
        Assert.Equal(frames.Select(Convert.ToHexString).Order(), cable.Hear(nic, frames.Length).Select(static heard => Convert.ToHexString(heard.Frame)).Order());
        cable.Send(nic, frames);
        Assert.Equal(frames, cable.Hear(end, frames.Length).Select(static heard => heard.Frame));
    }

    [Theory]
    [InlineData(XdpMode.Native)]
    [InlineData(XdpMode.Generic)]
    public void A_companion_sends_beside_the_port_and_hears_nothing(XdpMode mode)
    {
        using var cable = new Cable();
        using XdpPort nic = Open(cable, mode);
        using PacketSocketPort end = cable.OpenEnd();
        using Port companion = cable.Box.Run(() => nic.Companion())!;
        byte[] one = Cable.Frame(60, 1), two = Cable.Frame(70, 2), back = Cable.Frame(80, 3);

        cable.Send(companion, one);
        cable.Send(nic, two);
        Assert.Equal([one, two], cable.Hear(end, 2).Select(static heard => heard.Frame));
        cable.Send(end, back);
        Assert.Equal(back, Assert.Single(cable.Hear(nic, 1)).Frame);
        Assert.Empty(cable.HearNow(companion));
        Assert.Equal((nic.Mask, nic.Driver, 1), (companion.Mask, companion.Driver, companion.Counters.SentPackets));
    }

    [Fact]
    public void A_device_that_vanishes_becomes_a_failure_and_nothing_throws()
    {
        using var cable = new Cable();
        using XdpPort nic = Open(cable, XdpMode.Native);
        using var poller = new PortPoller([nic]);
        cable.Box.Ip("link delete nic");

        cable.Send(nic, Cable.Frame(60));
        Assert.Equal("nic has vanished: there is no such device", nic.Failure);
        Assert.Empty(cable.HearNow(nic));
        Assert.Equal(-1, nic.PollHandle);
    }

    [Fact]
    public void A_device_that_vanishes_is_noticed_by_listening_too()
    {
        using var cable = new Cable();
        using XdpPort nic = Open(cable, XdpMode.Native);
        using var poller = new PortPoller([nic]);
        cable.Box.Ip("link delete nic");

        for (int i = 0; i < 1000 && nic.Failure is null; i++)
        {
            poller.Wait(50);
            Assert.Empty(cable.HearNow(nic));
        }

        Assert.Equal("nic has vanished: there is no such device", nic.Failure);
    }

    [Theory]
    [InlineData(XdpMode.Native)]
    [InlineData(XdpMode.Generic)]
    public void A_device_that_goes_down_and_up_again_goes_on(XdpMode mode)
    {
        using var cable = new Cable();
        using XdpPort nic = Open(cable, mode);
        using PacketSocketPort end = cable.OpenEnd();
        cable.Box.Ip("link set nic down");
        Assert.Empty(cable.HearNow(nic));
        cable.Send(nic, Cable.Frame(60));
        cable.Send(nic, Cable.Frame(60), Cable.Frame(60));
        Assert.Null(nic.Failure);
        Assert.Equal(2, nic.Counters.SendErrors);

        cable.Box.Ip("link set nic up");
        cable.HearNow(nic);
        Assert.Single(cable.Hear(end, 1));          // the first waited in the ring
        cable.Send(end, Cable.Frame(61));
        Assert.Equal(61, Assert.Single(cable.Hear(nic, 1)).Frame.Length);
        cable.Send(nic, Cable.Frame(62));
        Assert.Equal(62, Assert.Single(cable.Hear(end, 1)).Frame.Length);
    }

    [Fact]
    public void Receiving_and_sending_allocate_nothing()
    {
        using var cable = new Cable();
        using XdpPort nic = Open(cable, XdpMode.Native);
        using PacketSocketPort end = cable.OpenEnd();
        var burst = new Burst();
        byte[] frame = Cable.Frame(100);
        long least = Allocations.Least(() =>
        {
            Fill(burst, frame, end);
            end.Transmit(burst);
            burst.Reset();
            nic.Receive(burst);
            Fill(burst, frame, nic);
            nic.Transmit(burst);
        }, rounds: 100);

        Assert.Equal(0, least);
        Assert.InRange(nic.Counters.ReceivedPackets, 1, 6400);
        Assert.Equal(6400, nic.Counters.SentPackets);

        static void Fill(Burst burst, byte[] frame, Port port)
        {
            burst.Reset();
            for (int i = 0; i < 32; i++)
            {
                burst.TryAppend(frame.Length, out int index);
                ref Packet packet = ref burst.Packets[index];
                packet.Length = frame.Length;
                frame.CopyTo(packet.Bytes);
                packet.Verdict = Verdict.Pass;
                packet.Egress = port.Mask;
            }
        }
    }

    private static XdpPort Open(Cable cable, XdpMode mode) =>
        cable.Box.Run(() => new XdpPort("nic", mode) { Name = "nic", Number = 0, Side = Side.Unprotected });

    /// <summary>A burst of one packet, parsed as the walk does.</summary>
    private static Burst Parsed(byte[] frame, Offload offload)
    {
        var burst = new Burst();
        Assert.True(burst.TryAppend(frame.Length, out int index));
        ref Packet packet = ref burst.Packets[index];
        packet.Length = frame.Length;
        frame.CopyTo(packet.Bytes);
        packet.Offload = offload;
        Assert.Equal(DropReason.None, Parser.Parse(ref packet));
        packet.Verdict = Verdict.Pass;
        return burst;
    }
}
