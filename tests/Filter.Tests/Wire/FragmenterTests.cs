using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Tests.Fragments;

namespace Filter.Tests.Wire;

public sealed class FragmenterTests(ITestOutputHelper output)
{
    public static TheoryData<string, string> Families => new() { { "198.51.100.1", "192.0.2.80" }, { "2001:db8::1", "2001:db8:f::80" } };

    private readonly Burst _burst = new();

    [Theory]
    [MemberData(nameof(Families))]
    public void What_is_cut_fits_and_is_put_together_again_as_it_was(string from, string to)
    {
        int seed = Random.Shared.Next();
        output.WriteLine($"seed {seed}");
        var random = new Random(seed);
        var net = new FragmentNet();
        for (int round = 0; round < 200; round++)
        {
            int mtu = random.Next(300, 1501);
            byte[] udp = Frames.Udp(from, 4000, to, 53, Frames.Pattern(random.Next(1500, 6000), round));
            byte[] options = [IpProtocol.Udp, 0, 1, 4, 0, 0, 0, 0];
            byte[] frame = Frames.Ethernet(Address.Parse(from).IsIPv4
                ? Frames.Ip(from, to, IpProtocol.Udp, udp, id: (ushort)round, options: [1, 1, 7, 3, 4, 0, 0, 0])
                : Frames.Ip(from, to, IpProtocol.HopByHop, [.. options, .. udp]), vlans: 5);
            byte[][] pieces = Cut(frame, mtu, (uint)round);

            Assert.True(pieces.Length > 1);
            Assert.All(pieces, piece => Assert.True(piece.Length - 18 <= mtu, $"{piece.Length - 18} > {mtu}"));
            Fate[] fates = net.Send(pieces);
            Assert.Equal(Verdict.Pass, fates[^1].Verdict);
            Assert.Equal(frame, fates[^1].Whole);
        }
    }

    [Fact]
    public void A_fragment_can_be_cut_further()
    {
        byte[] udp = Frames.Udp("198.51.100.1", 4000, "192.0.2.80", 53, Frames.Pattern(3000));
        byte[] whole = Frames.Ethernet(Frames.Ip("198.51.100.1", "192.0.2.80", IpProtocol.Udp, udp, id: 77));
        byte[][] pieces = [.. Cut(whole, 1500, 0).SelectMany(piece => Cut(piece, 576, 0))];
        Assert.True(pieces.Length >= 6);
        Assert.Equal(whole, new FragmentNet().Send(pieces)[^1].Whole);
    }

    [Fact]
    public void Without_room_nothing_is_changed()
    {
        var burst = new Burst();
        byte[] udp = Frames.Udp("198.51.100.1", 4000, "192.0.2.80", 53, Frames.Pattern(3000));
        int index = Frames.Append(burst, Frames.Ethernet(Frames.Ip("198.51.100.1", "192.0.2.80", IpProtocol.Udp, udp)));
        burst.Packets[index].Egress = 2;
        while (burst.Count < Burst.Capacity - 2)
        {
            burst.TryAppend(0, out _);
        }

        Assert.False(Fragmenter.TryCut(burst, index, 1280, 0));
        Assert.Equal(Burst.Capacity - 2, burst.Count);
        Assert.Equal(2, burst.Packets[index].Egress);
        Assert.False(Fragmenter.TryCut(burst, index, 24, 0));
    }

    private byte[][] Cut(byte[] frame, int mtu, uint identification)
    {
        Burst burst = _burst;
        burst.Reset();
        int index = Frames.Append(burst, frame);
        burst.Packets[index].Egress = 2;
        Assert.True(Fragmenter.TryCut(burst, index, mtu, identification));
        Assert.Equal(0, burst.Packets[index].Egress);
        return [.. burst.Packets[(index + 1)..burst.Count].Select(packet => packet.Bytes.ToArray())];
    }
}
