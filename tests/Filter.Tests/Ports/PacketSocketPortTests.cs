using System.Buffers.Binary;
using System.Diagnostics;
using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Tests.Worlds;

namespace Filter.Tests.Ports;

/// <summary>The packet port by recvmmsg; <see cref="PacketRingPortTests"/> holds the ring to the same.</summary>
[Collection(InNamespaces.Name)]
public class PacketSocketPortTests
{
    private const int Ethernet = 14;

    [Fact]
    public void Frames_cross_both_ways_and_own_sends_are_not_heard()
    {
        using var cable = new Cable();
        using PacketPort nic = OpenNic(cable);
        using PacketSocketPort end = cable.OpenEnd();
        byte[] there = Cable.Frame(60, 1), back = Cable.Frame(1514, 2);

        cable.Send(end, there);
        Assert.Equal(there, Assert.Single(cable.Hear(nic, 1)).Frame);
        cable.Send(nic, back);
        Assert.Equal(back, Assert.Single(cable.Hear(end, 1)).Frame);

        Assert.Empty(cable.HearNow(nic));
        Assert.Equal((1, 60, 1, 1514), (nic.Counters.ReceivedPackets, nic.Counters.ReceivedBytes, nic.Counters.SentPackets, nic.Counters.SentBytes));
    }

    [Fact]
    public void A_heard_packet_knows_its_port_and_has_room_on_both_sides()
    {
        using var cable = new Cable();
        using PacketPort nic = OpenNic(cable);
        using PacketSocketPort end = cable.OpenEnd();

        cable.Send(nic, Cable.Frame(100));
        Packet packet = Assert.Single(cable.Hear(end, 1)).Packet;
        Assert.Equal(end.Number, packet.Ingress);
        Assert.Equal(FrameArena.Room, packet.Headroom);
        Assert.True(packet.Tailroom >= FrameArena.Room);
    }

    [Fact]
    public void Hundreds_of_frames_arrive_in_order()
    {
        using var cable = new Cable();
        using PacketPort nic = OpenNic(cable);
        using PacketSocketPort end = cable.OpenEnd();
        byte[][] frames = [.. Enumerable.Range(0, 500).Select(i => Cable.Frame(60 + i, (byte)i))];

        cable.Send(end, frames);
        Assert.Equal(frames, cable.Hear(nic, frames.Length).Select(heard => heard.Frame));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_super_frame_stays_whole_with_its_metadata(bool tagged)
    {
        using var cable = new Cable();
        using PacketPort nic = OpenNic(cable);
        using PacketSocketPort end = cable.OpenEnd();
        byte[] frame = TcpFrame(60_000, tagged, out Offload offload);

        cable.Send(end, (frame, offload));
        (byte[] heard, Packet packet) = Assert.Single(cable.Hear(nic, 1));
        Assert.Equal(frame, heard);
        Assert.Equal(offload, packet.Offload);
        Assert.Equal(0, end.Counters.SendErrors);

        // And on its way back out it is still one.
        cable.Send(nic, (heard, packet.Offload));
        Assert.Equal(frame, Assert.Single(cable.Hear(end, 1)).Frame);
    }

    [Theory]
    [InlineData(0x8100)]
    [InlineData(0x88a8)]
    public void A_vlan_tag_is_put_back(int tpid)
    {
        using var cable = new Cable();
        using PacketPort nic = OpenNic(cable);
        using PacketSocketPort end = cable.OpenEnd();
        byte[] frame = TcpFrame(100, tagged: true, out Offload offload);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(12), (ushort)tpid);
        offload = offload with { Gso = GsoKind.None, SegmentSize = 0, HeaderLength = 0 };

        cable.Send(end, (frame, offload));
        (byte[] heard, Packet packet) = Assert.Single(cable.Hear(nic, 1));
        Assert.Equal(frame, heard);
        Assert.Equal(ChecksumState.Partial, packet.Offload.Checksum);
        Assert.Equal(offload.ChecksumStart, packet.Offload.ChecksumStart);
        Assert.Equal(offload.ChecksumOffset, packet.Offload.ChecksumOffset);
    }

    [Fact]
    public void What_the_device_refuses_is_counted_and_the_rest_goes()
    {
        using var cable = new Cable();
        using PacketPort nic = OpenNic(cable);
        using PacketSocketPort end = cable.OpenEnd();
        byte[] first = Cable.Frame(60, 1), last = Cable.Frame(60, 2);

        cable.Send(nic, first, Cable.Frame(9000), Cable.Frame(60)[..10], last);
        Assert.Equal([first, last], cable.Hear(end, 2).Select(heard => heard.Frame));
        Assert.Equal((2, 2), (nic.Counters.SentPackets, nic.Counters.SendErrors));
    }

    [Fact]
    public void Metadata_that_contradict_the_frame_are_not_sent()
    {
        using var cable = new Cable();
        using PacketPort nic = OpenNic(cable);
        var beyond = new Offload { Checksum = ChecksumState.Partial, ChecksumStart = 50, ChecksumOffset = 16 };
        var noSize = new Offload { Gso = GsoKind.TcpV4, Checksum = ChecksumState.Partial, ChecksumStart = 34, ChecksumOffset = 16 };

        cable.Send(nic, (Cable.Frame(60), beyond), (Cable.Frame(60), noSize));
        Assert.Equal((0, 2), (nic.Counters.SentPackets, nic.Counters.SendErrors));
    }

    [Fact]
    public void Packets_for_other_ports_and_dropped_ones_are_not_sent()
    {
        using var cable = new Cable();
        using PacketPort nic = OpenNic(cable);
        var burst = new Burst();
        foreach ((Verdict verdict, ushort egress) in new[] { (Verdict.Pass, (ushort)2), (Verdict.Drop, (ushort)1), (Verdict.Held, (ushort)1) })
        {
            burst.TryAppend(60, out int index);
            burst.Packets[index].Length = 60;
            burst.Packets[index].Verdict = verdict;
            burst.Packets[index].Egress = egress;
        }

        nic.Transmit(burst);
        Assert.Equal((0, 0), (nic.Counters.SentPackets, nic.Counters.SendErrors));
    }

    [Fact]
    public void Frames_that_the_kernel_lost_are_counted()
    {
        const int Count = 2000;
        using var cable = new Cable();
        using PacketPort nic = OpenNic(cable);
        using PacketSocketPort end = cable.OpenEnd();
        byte[] frame = TcpFrame(60_000, tagged: false, out Offload offload);
        (byte[], Offload)[] frames = [.. Enumerable.Repeat((frame, offload), 50)];

        for (int i = 0; i < Count / frames.Length; i++)
        {
            cable.Send(end, frames);
        }

        long sent = end.Counters.SentPackets, heard = 0;
        using var poller = new PortPoller([nic]);
        long deadline = Stopwatch.GetTimestamp() + (10 * Stopwatch.Frequency);
        while (heard + nic.Counters.KernelDrops < sent && Stopwatch.GetTimestamp() < deadline)
        {
            poller.Wait(100);
            heard += cable.HearNow(nic).Count;
        }

        Assert.InRange(heard, 1, sent - 1);
        Assert.Equal(sent, heard + nic.Counters.KernelDrops);
    }

    [Fact]
    public void A_missing_device_is_one_clear_line()
    {
        using var cable = new Cable();
        var error = Assert.Throws<PortException>(() => cable.Box.Run(() => Open("eth7")));
        Assert.Equal("there is no network device named 'eth7'", error.Message);
    }

    [Fact]
    public void A_device_that_is_not_Ethernet_is_refused()
    {
        using var cable = new Cable();
        var error = Assert.Throws<PortException>(() => cable.Box.Run(() => Open("lo")));
        Assert.Equal("lo is not an Ethernet device", error.Message);
    }

    [Fact]
    public void A_device_that_vanishes_becomes_a_failure_and_nothing_throws()
    {
        using var cable = new Cable();
        using PacketPort nic = OpenNic(cable);
        using var poller = new PortPoller([nic]);
        cable.Box.Ip("link delete nic");

        Assert.Equal(nic.Mask, poller.Wait(10_000));
        Assert.Empty(cable.HearNow(nic));
        cable.Send(nic, Cable.Frame(60));
        Assert.Equal("nic has vanished: there is no such device", nic.Failure);
        Assert.Equal(-1, nic.PollHandle);
        Assert.Equal(1, nic.Counters.SendErrors);
    }

    [Fact]
    public void A_device_that_vanishes_is_noticed_by_sending_too()
    {
        using var cable = new Cable();
        using PacketPort nic = OpenNic(cable);
        cable.Box.Ip("link delete nic");

        cable.Send(nic, Cable.Frame(60), Cable.Frame(60), Cable.Frame(60));
        Assert.Equal("nic has vanished: there is no such device", nic.Failure);
        Assert.Equal(3, nic.Counters.SendErrors);
    }

    [Fact]
    public void A_device_that_goes_down_and_up_again_goes_on()
    {
        using var cable = new Cable();
        using PacketPort nic = OpenNic(cable);
        using PacketSocketPort end = cable.OpenEnd();
        cable.Box.Ip("link set nic down");
        Assert.Empty(cable.HearNow(nic));
        cable.Send(nic, Cable.Frame(60));
        Assert.Null(nic.Failure);
        Assert.Equal(1, nic.Counters.SendErrors);

        cable.Box.Ip("link set nic up");
        cable.HearNow(end);
        cable.Send(end, Cable.Frame(60));
        Assert.Single(cable.Hear(nic, 1));
        cable.Send(nic, Cable.Frame(60));
        Assert.Single(cable.Hear(end, 1));
    }

    [Fact]
    public void Receiving_and_sending_allocate_nothing()
    {
        using var cable = new Cable();
        using PacketPort nic = OpenNic(cable);
        using PacketSocketPort end = cable.OpenEnd();
        var burst = new Burst();
        byte[] frame = Cable.Frame(100);
        long least = Allocations.Least(() =>
        {
            burst.Reset();
            for (int i = 0; i < 32; i++)
            {
                burst.TryAppend(frame.Length, out int index);
                ref Packet packet = ref burst.Packets[index];
                packet.Length = frame.Length;
                frame.CopyTo(packet.Bytes);
                packet.Verdict = Verdict.Pass;
                packet.Egress = end.Mask;
            }

            end.Transmit(burst);
            burst.Reset();
            nic.Receive(burst);
        }, rounds: 100);

        Assert.Equal(0, least);
        Assert.Equal(6400, end.Counters.SentPackets);
    }

    /// <summary>Opens the port under test, in the namespace of the calling thread.</summary>
    private protected virtual PacketPort Open(string device) => new PacketSocketPort(device) { Name = "nic", Number = 0, Side = Side.Unprotected };

    private PacketPort OpenNic(Cable cable) => cable.Box.Run(() => Open("nic"));

    /// <summary>A TCP segment, or a super-frame of many, whose checksum is left to whoever sends it on.</summary>
    internal static byte[] TcpFrame(int payload, bool tagged, out Offload offload)
    {
        int network = Ethernet + (tagged ? 4 : 0);
        int transport = network + 20;
        var frame = new byte[transport + 20 + payload];
        Cable.Frame(frame.Length).CopyTo(frame, 0);
        int etherType = 12;
        if (tagged)
        {
            BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(12), 0x8100);
            BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(14), 0x600a);
            etherType = 16;
        }

        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(etherType), 0x0800);
        Span<byte> ip = frame.AsSpan(network);
        ip[..40].Clear();
        ip[0] = 0x45;
        BinaryPrimitives.WriteUInt16BigEndian(ip[2..], (ushort)(40 + payload));
        ip[8] = 64;
        ip[9] = 6;
        ip[12] = 10;
        ip[16] = 10;
        ip[20 + 1] = 80;
        ip[20 + 3] = 99;
        ip[19] = 1;
        BinaryPrimitives.WriteUInt16BigEndian(ip[10..], Engine.Wire.Checksum.Finish(Engine.Wire.Checksum.Sum(ip[..20])));
        ip[20 + 12] = 0x50;
        ip[20 + 13] = 0x10;
        offload = new Offload
        {
            Checksum = ChecksumState.Partial,
            Gso = GsoKind.TcpV4,
            SegmentSize = 1448,
            HeaderLength = (ushort)(transport + 20),
            ChecksumStart = (ushort)transport,
            ChecksumOffset = 16,
        };
        return frame;
    }
}
