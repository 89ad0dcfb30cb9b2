using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Tests.Worlds;

namespace Filter.Tests.Ports;

[Collection(InNamespaces.Name)]
public class PcapLivePortTests
{
    [Fact]
    public void Frames_cross_both_ways_and_own_sends_are_not_heard()
    {
        using var cable = new Cable();
        using PcapLivePort nic = Open(cable);
        using PacketSocketPort end = cable.OpenEnd();
        byte[][] there = [Cable.Frame(60, 1), Cable.Frame(1514, 2)], back = [Cable.Frame(100, 3), Cable.Frame(200, 4)];

        cable.Send(end, there);
        Assert.Equal(there, cable.Hear(nic, 2).Select(heard => heard.Frame));
        cable.Send(nic, back);
        Assert.Equal(back, cable.Hear(end, 2).Select(heard => heard.Frame));
        Assert.Empty(cable.HearNow(nic));
        Assert.Equal((2, 1574, 2, 300), (nic.Counters.ReceivedPackets, nic.Counters.ReceivedBytes, nic.Counters.SentPackets, nic.Counters.SentBytes));
    }

    [Fact]
    public void A_super_frame_is_recognised_and_leaves_as_finished_segments()
    {
        const int Payload = 20_000, Segment = 1460;
        using var cable = new Cable();
        using PcapLivePort nic = Open(cable);
        using PacketSocketPort end = cable.OpenEnd();
        byte[] frame = PacketSocketPortTests.TcpFrame(Payload, tagged: false, out Offload offload);
        FillPseudoHeader(frame);

        cable.Send(end, (frame, offload));
        (byte[] heard, Packet packet) = Assert.Single(cable.Hear(nic, 1));
        Assert.Equal(frame, heard);
        Assert.Equal(offload with { SegmentSize = Segment }, packet.Offload);

        var burst = new Burst();
        burst.TryAppend(heard.Length, out int index);
        ref Packet again = ref burst.Packets[index];
        again.Length = heard.Length;
        heard.CopyTo(again.Bytes);
        again.Offload = packet.Offload;
        Assert.Equal(DropReason.None, Parser.Parse(ref again));
        again.Verdict = Verdict.Pass;
        again.Egress = nic.Mask;
        nic.Transmit(burst);

        int count = (Payload + Segment - 1) / Segment;
        List<(byte[] Frame, Packet Packet)> segments = cable.Hear(end, count);
        Assert.Equal((count, 0), (nic.Counters.SentPackets, nic.Counters.SendErrors));
        Assert.Equal(frame[54..], segments.SelectMany(s => s.Frame[54..]));
        Assert.All(segments, s => Assert.Equal(DropReason.None, Reparse(s.Frame)));
    }

    [Fact]
    public void An_unfinished_checksum_is_recognised_and_finished()
    {
        using var cable = new Cable();
        using PcapLivePort nic = Open(cable);
        using PacketSocketPort end = cable.OpenEnd();
        byte[] frame = PacketSocketPortTests.TcpFrame(100, tagged: false, out Offload offload);
        FillPseudoHeader(frame);

        cable.Send(end, (frame, offload with { Gso = GsoKind.None, SegmentSize = 0, HeaderLength = 0 }));
        (byte[] heard, Packet packet) = Assert.Single(cable.Hear(nic, 1));
        Assert.Equal(ChecksumState.Partial, packet.Offload.Checksum);

        var burst = new Burst();
        burst.TryAppend(heard.Length, out int index);
        ref Packet again = ref burst.Packets[index];
        again.Length = heard.Length;
        heard.CopyTo(again.Bytes);
        again.Offload = packet.Offload;
        Parser.Parse(ref again);
        again.Verdict = Verdict.Pass;
        again.Egress = nic.Mask;
        nic.Transmit(burst);
        Assert.Equal(DropReason.None, Reparse(Assert.Single(cable.Hear(end, 1)).Frame));
    }

    [Fact]
    public void A_missing_device_is_one_clear_line()
    {
        using var cable = new Cable();
        var error = Assert.Throws<PortException>(() => cable.Box.Run(() => new PcapLivePort("eth7") { Name = "x", Number = 0, Side = Side.Protected }));
        Assert.Equal("there is no network device named 'eth7'", error.Message);
    }

    [Fact]
    public void A_device_that_vanishes_becomes_a_failure_and_nothing_throws()
    {
        using var cable = new Cable();
        using PcapLivePort nic = Open(cable);
        using var poller = new PortPoller([nic]);
        cable.Box.Ip("link delete nic");

        Assert.Equal(nic.Mask, poller.Wait(10_000));
        Assert.Empty(cable.HearNow(nic));
        cable.Send(nic, Cable.Frame(60));
        Assert.Equal("nic has vanished or is down: libpcap reads no more", nic.Failure);
        Assert.Equal(1, nic.Counters.SendErrors);
    }

    private static PcapLivePort Open(Cable cable)
        => cable.Box.Run(() => new PcapLivePort("nic") { Name = "nic", Number = 0, Side = Side.Unprotected });

    /// <summary>What a stack leaves in the field: the pseudo-header's sum.</summary>
    private static void FillPseudoHeader(byte[] frame)
    {
        ulong sum = Checksum.PseudoHeader(Address.Parse("10.0.0.0"), Address.Parse("10.0.0.1"), 6, frame.Length - 34);
        frame[50] = (byte)(Checksum.Fold(sum) >> 8);
        frame[51] = (byte)Checksum.Fold(sum);
    }

    /// <summary>What the walk would say of the frame, its checksum verified.</summary>
    private static DropReason Reparse(byte[] frame)
    {
        var packet = new Packet { Slab = frame, Length = frame.Length };
        return Parser.Parse(ref packet);
    }
}
