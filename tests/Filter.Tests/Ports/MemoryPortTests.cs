using Filter.Engine.Packets;
using Filter.Engine.Ports;

namespace Filter.Tests.Ports;

public class MemoryPortTests
{
    [Fact]
    public void What_is_put_in_arrives_in_order_and_what_is_sent_is_kept()
    {
        using MemoryPort port = New();
        var burst = new Burst { Now = 7 };
        port.Inject(Cable.Frame(60, 1), new Offload { Checksum = ChecksumState.Valid });
        port.Inject(Cable.Frame(61, 2), time: 9);

        Assert.Equal(2, port.Receive(burst));
        Assert.Equal(0, port.Receive(burst));
        Assert.Equal((7L, 1L, ChecksumState.Valid), (burst.Packets[0].Time, burst.Packets[0].Number, burst.Packets[0].Offload.Checksum));
        Assert.Equal((9L, 2L, (byte)3), (burst.Packets[1].Time, burst.Packets[1].Number, burst.Packets[1].Ingress));

        burst.Packets[1].Verdict = Verdict.Pass;
        burst.Packets[1].Egress = port.Mask;
        port.Transmit(burst);
        SentFrame sent = Assert.Single(port.TakeSent());
        Assert.Equal(Cable.Frame(61, 2), sent.Bytes);
        Assert.Empty(port.Sent);
        Assert.Equal((2, 121, 1, 61), (port.Counters.ReceivedPackets, port.Counters.ReceivedBytes, port.Counters.SentPackets, port.Counters.SentBytes));
    }

    [Fact]
    public void A_burst_takes_no_more_than_its_intake_from_one_port()
    {
        using MemoryPort port = New();
        byte[] frame = Cable.Frame(60);
        for (int i = 0; i < Burst.Intake + 1; i++)
        {
            port.Inject(frame);
        }

        var burst = new Burst();
        Assert.Equal(Burst.Intake, port.Receive(burst));
        Assert.Equal(1, port.Waiting);
    }

    [Fact]
    public void A_port_that_keeps_nothing_allocates_nothing()
    {
        using MemoryPort port = New();
        port.KeepsSent = false;
        var burst = new Burst();
        byte[] frame = Cable.Frame(60);
        Assert.Equal(0, Allocations.Least(() =>
        {
            burst.Reset();
            port.Inject(frame);
            port.Receive(burst);
            burst.Packets[0].Verdict = Verdict.Pass;
            burst.Packets[0].Egress = port.Mask;
            port.Transmit(burst);
        }));
    }

    private static MemoryPort New() => new() { Name = "m", Number = 3, Side = Side.Protected };
}
