using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Rules;
using Filter.Rules.Compile;

namespace Filter.Tests.Conversations;

/// <summary>What IPsec policy is asked for, and what not: nothing that it protects may cross in the clear.</summary>
public sealed class PolicyTests
{
    private const string Ruleset = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
          lab: { nic: eth2, side: protected }
        defaults: { out: allow, in: allow, across: allow }

        """;

    private const string ToOutside = "src-mac=02:00:00:00:00:01 dst-mac=02:00:00:00:00:09";
    private const string ToInside = "src-mac=02:00:00:00:00:09 dst-mac=02:00:00:00:00:01";

    [Theory]
    [InlineData("inside: udp 10.0.0.1:1 > 10.0.0.9:1", IpsecAction.Protect)]
    [InlineData("inside: icmp 10.0.0.1 > 10.0.0.9 type=5 code=1 len=24", IpsecAction.Protect)]
    [InlineData("inside: icmp 10.0.0.1 > 10.0.0.9 type=40 code=0 len=24", IpsecAction.Protect)]
    [InlineData("inside: icmp 2001:db8::1 > 2001:db8::9 type=150 code=0 len=24", IpsecAction.Protect)]
    [InlineData("inside: icmp 2001:db8::1 > 2001:db8::9 type=155 code=0 len=24", IpsecAction.Protect)]
    [InlineData("inside: icmp 2001:db8::1 > 2001:db8::9 neighbour-solicitation len=24 ttl=255", IpsecAction.Bypass)]
    [InlineData("inside: igmp 10.0.0.5 > 224.0.0.22 type=34 len=8 ttl=1", IpsecAction.Bypass)]
    public void What_goes_out_is_protected_unless_it_never_leaves_its_link(string line, IpsecAction action)
    {
        Packet packet = Walk($"{line} {ToOutside}");
        Assert.Equal(Verdict.Pass, packet.Verdict);
        Assert.Equal(action, packet.Ipsec);
    }

    [Theory]
    [InlineData("outside: udp 10.0.0.9:1 > 10.0.0.1:1", Verdict.Drop)]
    [InlineData("outside: icmp 10.0.0.9 > 10.0.0.1 type=5 code=1 len=24", Verdict.Drop)]
    [InlineData("outside: icmp 2001:db8::9 > 2001:db8::1 type=200 code=0 len=24", Verdict.Drop)]
    [InlineData("outside: icmp 2001:db8::9 > 2001:db8::1 neighbour-solicitation len=24 ttl=255", Verdict.Pass)]
    public void What_comes_in_the_clear_is_dropped_unless_it_never_left_its_link(string line, Verdict verdict)
    {
        Packet packet = Walk($"{line} {ToInside}");
        Assert.Equal(verdict, packet.Verdict);
        Assert.Equal(verdict == Verdict.Drop ? DropReason.ClearForProtected : DropReason.None, packet.Reason);
    }

    [Fact]
    public void A_flow_that_moves_across_the_boundary_is_protected_from_then_on()
    {
        var burst = new Burst { Now = 1_000_000_000 };
        PacketPath<NoTrace> path = NewPath();
        Walk(path, burst, "lab: arp 10.0.0.9 > 10.0.0.1 request src-mac=02:00:00:00:00:09 dst-mac=ff:ff:ff:ff:ff:ff");
        burst.Now += 200_000_000_000;
        Packet opening = Walk(path, burst, $"inside: udp 10.0.0.1:1 > 10.0.0.9:1 {ToOutside} len=1");
        Assert.Equal((Direction.Across, IpsecAction.None), (opening.Direction, opening.Ipsec));
        burst.Now += 200_000_000_000;       // the bridge has forgotten where the receiver was; the flow lives
        Packet flooded = Walk(path, burst, $"inside: udp 10.0.0.1:1 > 10.0.0.9:1 {ToOutside} len=2");
        Assert.Equal(opening.Flow, flooded.Flow);
        Assert.Equal(Direction.Out, flooded.Direction);
        Assert.Equal(IpsecAction.Protect, flooded.Ipsec);
    }

    private static Packet Walk(string line) => Walk(NewPath(), new Burst { Now = 1_000_000_000 }, line);

    private static Packet Walk(PacketPath path, Burst burst, string line)
    {
        PacketLine read = PacketLine.Parse(line);
        byte[] frame = new byte[FrameBuilder.Length(read)];
        FrameBuilder.Write(read, frame);
        int index = Frames.Append(burst, frame, path.Settings.Ports.Single(port => port.Name == read.Port).Number);
        burst.Packets[index].Kind = PacketKind.Unknown;
        burst.Packets[index].Offload = default;
        path.Walk(burst);
        Packet packet = burst.Packets[index];
        burst.Reset();
        return packet;
    }

    private static PacketPath<NoTrace> NewPath()
    {
        CompiledRuleset ruleset = RulesetCompiler.Compile(RulesetFile.Parse("test.yaml", Ruleset).Ruleset! with
        {
            Path = PathPolicy.Default with { Timers = PathPolicy.Default.Timers.With(FlowTimer.UdpWellKnownOpening, 600_000_000_000) },
        });
        return new PacketPath<NoTrace>(new PathSettings
        {
            Ports = [.. ruleset.Source.Ports.Select(port => new MemoryPort { Name = port.Name, Number = port.Number, Side = port.Side })],
            Ruleset = ruleset,
            Ipsec = new ProtectAll(),
            Flows = 64,
        });
    }

    /// <summary>A stage that protects everything, and leaves packets as they are.</summary>
    private sealed class ProtectAll : IIpsecStage
    {
        public PieceOrigin OriginOf(in Packet piece) => new(piece.ArrivedBy, 0, false);

        public bool Has(int sa, long association) => true;

        public int Generation => 1;

        public int Renewals => 0;

        public bool AwaitsKeys => false;

        public void Part(Burst burst)
        {
        }

        public int Open(Burst burst, int from) => 0;

        public bool Fits(ref Packet packet) => true;

        public bool CameBy(in Packet packet, ushort policy) => false;

        public bool Learns(ref Packet packet, long now) => false;

        public void Tick(Burst burst)
        {
        }

        public IpsecDecision Decide(in OpeningFacts facts) => new(IpsecAction.Protect, 1);

        public bool SealsFragments(ushort policy) => false;

        public int Protect(Burst burst) => 0;

        public bool CanSeal(in Packet packet) => true;
    }
}
