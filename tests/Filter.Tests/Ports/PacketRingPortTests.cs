using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Tests.Worlds;

namespace Filter.Tests.Ports;

/// <summary>The packet port by a ring.</summary>
[Collection(InNamespaces.Name)]
public sealed class PacketRingPortTests : PacketSocketPortTests
{
    private protected override PacketPort Open(string device) => new PacketRingPort(device) { Name = "nic", Number = 0, Side = Side.Unprotected };

    [Fact]
    public void Blocks_full_of_frames_of_every_size_come_out_as_they_went_in()
    {
        const int Rounds = 60;
        using var cable = new Cable();
        using PacketPort nic = cable.Box.Run(() => Open("nic"));
        using PacketSocketPort end = cable.OpenEnd();
        int seed = Random.Shared.Next();
        var random = new Random(seed);

        for (int i = 0; i < Rounds; i++)
        {
            // Some 2 MB a round: several blocks, and the whole ring several times in all.
            (byte[] Frame, Offload Offload)[] frames = [.. Enumerable.Range(0, 50).Select(_ => random.Next(2) == 0
                ? (TcpFrame(random.Next(1500, 64_000), tagged: random.Next(2) == 0, out Offload offload), offload)
                : (Cable.Frame(random.Next(60, 1515), (byte)random.Next(256)), default))];
            cable.Send(end, frames);
            List<(byte[] Frame, Packet Packet)> heard = cable.Hear(nic, frames.Length);
            Assert.Equal(frames.Select(static one => one.Frame), heard.Select(static one => one.Frame));
            Assert.Equal(frames.Select(Words), heard.Select(one => Words((one.Frame, one.Packet.Offload))));
        }

        Assert.Equal((Rounds * 50, 0), (nic.Counters.ReceivedPackets, nic.Counters.KernelDrops));

        // Not the length of the headers: the kernel only hints at it.
        string Words((byte[] Frame, Offload Offload) one) =>
            $"seed {seed}: {one.Frame.Length} {one.Offload.Checksum} {one.Offload.Gso} {one.Offload.SegmentSize} {one.Offload.ChecksumStart} {one.Offload.ChecksumOffset}";
    }
}
