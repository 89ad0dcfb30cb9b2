using Filter.Engine.Fragments;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Engine.Wire;

namespace Filter.Tests.Fragments;

/// <summary>Fragments through the whole walk, between two ports.</summary>
public sealed class FragmentWalkTests : IDisposable
{
    private readonly MemoryPort _inside = new() { Name = "inside", Number = 0, Side = Side.Protected };
    private readonly MemoryPort _outside = new() { Name = "outside", Number = 1, Side = Side.Unprotected };
    private readonly Burst _burst = new() { Now = 1_000_000_000 };
    private PacketPath? _path;

    public static TheoryData<string, string> Families =>
        new() { { "192.0.2.5", "198.51.100.7" }, { "2001:db8:1::5", "2001:db8:f::7" } };

    [Theory]
    [MemberData(nameof(Families))]
    public void A_fragmented_answer_is_one_answer(string client, string server)
    {
        Cross(_inside, Datagram(client, 4000, server, 53, 40));
        byte[][] answer = Cut(server, client, Frames.Udp(server, 53, client, 4000, Frames.Pattern(3500)), 1400, 1);
        Assert.Equal(answer.Reverse(), Cross(_outside, [.. answer.Reverse()]));

        // And nobody owes a second one, whole or in pieces.
        Assert.Empty(Cross(_outside, Cut(server, client, Frames.Udp(server, 53, client, 4000, Frames.Pattern(3500)), 1400, 2)));
        Assert.Empty(Cross(_outside, Datagram(server, 53, client, 4000, 40)));
        AssertBalance();
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Pieces_that_never_get_whole_open_nothing(string client, string server)
    {
        byte[][] query = Cut(client, server, Frames.Udp(client, 4000, server, 53, Frames.Pattern(3500)), 1400, 1);
        Assert.Empty(Cross(_inside, query[..2]));
        Assert.Equal(0, Path.Flows.Count);
        Assert.Equal(2, Path.HeldNow);
        _burst.Now += 61_000_000_000;
        Path.Tick(_burst);
        Assert.Equal(0, Path.HeldNow);
        Assert.Equal(2, Path.Counters[DropReason.FragmentTimeout]);
        AssertBalance();
    }

    [Fact]
    public void Pieces_too_big_for_the_far_port_are_cut_further_or_answered()
    {
        _path = Make(new MemoryPort(1280) { Name = "outside", Number = 1, Side = Side.Unprotected });
        byte[] udp = Frames.Udp("192.0.2.5", 4000, "198.51.100.7", 53, Frames.Pattern(2000));
        List<byte[]> sent = Cross(_inside, Cut("192.0.2.5", "198.51.100.7", udp, 1480, 1));
        Assert.Equal(3, sent.Count);
        var there = new FragmentNet();
        Assert.Equal(udp, there.Send([.. sent])[2].Whole![34..]);

        byte[] udp6 = Frames.Udp("2001:db8:1::5", 4000, "2001:db8:f::7", 53, Frames.Pattern(2000));
        List<byte[]> back = Cross(_inside, Cut("2001:db8:1::5", "2001:db8:f::7", udp6, 1448, 1));
        Assert.Equal(Frames.Client, Parser.DestinationMac(Assert.Single(back)));
        Assert.Equal(2, Path.Counters[Verdict.Answered]);
        AssertBalance();
    }

    public void Dispose()
    {
        _inside.Dispose();
        _outside.Dispose();
    }

    private PacketPath Path => _path ??= Make(_outside);

    private PacketPath<NoTrace> Make(MemoryPort outside) =>
        new PacketPath<NoTrace>(new PathSettings { Ports = [_inside, outside], Ruleset = new OneAnswer(), Flows = 100 });

    private List<byte[]> Cross(MemoryPort from, params byte[][] frames)
    {
        _burst.Reset();
        foreach (byte[] frame in frames)
        {
            from.Inject(frame);
        }

        from.Receive(_burst);
        Path.Walk(_burst);
        var sent = new List<byte[]>();
        foreach (Port port in Path.Settings.Ports)
        {
            port.Transmit(_burst);
            sent.AddRange(((MemoryPort)port).TakeSent().Select(frame => frame.Bytes));
        }

        _burst.Reset();
        return sent;
    }

    private void AssertBalance()
    {
        Assert.Equal(Path.Counters.In, Enum.GetValues<Verdict>().Sum(verdict => Path.Counters[verdict]));
        Assert.Equal(Path.HeldNow, Path.Counters[Verdict.Held]);
    }

    private static byte[] Datagram(string from, int fromPort, string to, int toPort, int length) =>
        Frames.Ethernet(Frames.Ip(from, to, IpProtocol.Udp, Frames.Udp(from, fromPort, to, toPort, Frames.Pattern(length))));

    private static byte[][] Cut(string from, string to, byte[] data, int size, uint id) =>
        [.. Enumerable.Range(0, (data.Length + size - 1) / size).Select(i => Frames.Ethernet(Frames.Fragment(
            from, to, IpProtocol.Udp, id, i * size, (i + 1) * size < data.Length,
            data.AsSpan(i * size, Math.Min(size, data.Length - (i * size))))))];

    /// <summary>What comes from the inside earns one answer; nothing else passes.</summary>
    private sealed class OneAnswer : IRuleset
    {
        public int RuleCount => 3;

        public PathPolicy Policy => PathPolicy.Default;

        public Judgement Judge(in OpeningFacts facts) => facts.Ingress == 0
            ? new Judgement(Verdict.Pass, 1, PinholeKind.OneAnswer, false, false, false)
            : new Judgement(Verdict.Drop, 2, PinholeKind.Flow, false, false, true);

        public bool Advance(long now) => false;

        public bool PassesEtherType(ushort etherType) => true;

        public RuleName Name(int rule) => new(rule == 1 ? "one" : "default in", "test.yaml", rule);

        public RuleLimit? Limit(int rule) => null;
    }
}
