using Filter.Engine.Flows;
using Filter.Engine.Fragments;
using Filter.Engine.Local;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Rules;
using Filter.Rules.Compile;

namespace Filter.Tests.Conversations;

/// <summary>
/// Random traffic, legal, illegal and mangled, under rulesets that change: nothing throws, every packet is accounted for
/// once, and what people are told of a packet is what happens to it.
/// </summary>
public sealed class AccountingTests
{
    private const string Head = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
          self: { tap: tap0, side: protected }

        """;

    private static readonly string[] s_rulesets =
    [
        Head + "limits: { per-source: { flows: none }, half-open: none }\ndefaults: { out: allow, in: drop, across: allow, unsolicited-syn: answer-after-6s }\n",
        Head + """
        defaults: { out: allow, in: reject, across: drop }
        rules:
          - reject: telnet
            service: tcp/23
          - allow: questions
            from: inside
            service: udp/53
            pinhole: one-answer
          - allow: pings
            service: ping
            limit: 5/s burst 3
            log: true
          - allow: web
            to: inside
            service: [ tcp/80, udp/80 ]
          - allow: links
            service: [ nd, igmp, ra, mld ]

        """,
        Head + "link: { arp: drop, unknown: allow }\ndefaults: { out: reject, in: allow, across: reject }\n",
    ];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Every_packet_is_accounted_for_once_and_explained_as_it_went(int seed)
    {
        var random = new Random(seed);
        CompiledRuleset[] rulesets = [.. s_rulesets.Select(text => RulesetCompiler.Compile(RulesetFile.Parse("test.yaml", text).Ruleset!))];
        var silent = new PacketPath<NoTrace>(Settings(rulesets[0]));
        var told = new PacketPath<Listener>(Settings(rulesets[0]));
        Burst one = new(), other = new();
        byte[][] frames = [.. Enumerable.Range(0, 600).Select(_ => Build(Line(random)))];
        long now = 1_000_000_000;
        for (int round = 0; round < 1500; round++)
        {
            now += random.Next(20) == 0 ? random.NextInt64(100_000_000_000) : random.NextInt64(10_000_000);
            one.Now = other.Now = now;
            for (int i = random.Next(24); i >= 0; i--)
            {
                byte[] frame = Mangle(random, frames[random.Next(frames.Length)]);
                Offload offload = random.Next(8) == 0 ? Lie(random) : default;
                byte ingress = (byte)random.Next(3);
                Append(one, frame, offload, ingress);
                Append(other, frame, offload, ingress);
            }

            string place = $"seed {seed}, round {round}";
            silent.Walk(one);
            told.Walk(other);
            Check(silent, one, place);
            Compare(one, other, place);
            one.Reset();
            other.Reset();
            silent.Tick(one);
            told.Tick(other);
            one.Reset();
            other.Reset();
            Check(silent, one, place);
            if (random.Next(100) == 0)
            {
                CompiledRuleset next = rulesets[random.Next(rulesets.Length)];
                silent.Publish(next, null);
                told.Publish(next, null);
            }

            while (silent.Events.TryRead(out PathEvent happened))
            {
                Assert.NotNull(happened.Facts.Line("outside").ToString());
            }
        }

        PathCounters counters = silent.Counters;
        Assert.True(counters.Evicted > 0 && counters.Expired > 0 && counters.Own > 0 && counters[DropReason.NotOwed] + counters[DropReason.DefaultDeny] > 0,
            $"{counters.Evicted} given up, {counters.Expired} expired, {counters.Own} of its own");
        Assert.True(counters[Verdict.Pass] > 1000 && counters[Verdict.Held] >= 0 && counters[Verdict.Reject] > 100,
            $"{counters[Verdict.Pass]} passed, {counters[Verdict.Reject]} rejected");
    }

    private static void Check(PacketPath path, Burst burst, string place)
    {
        PathCounters counters = path.Counters;
        Assert.True(counters.In == Enum.GetValues<Verdict>().Sum(verdict => counters[verdict]), place);
        Assert.True(counters[DropReason.None] == 0, place);
        Assert.True(counters[Verdict.Held] == path.HeldNow, $"{place}: {counters[Verdict.Held]} held, {path.HeldNow} wait");
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            Assert.True(packet.Verdict == Verdict.Pass || packet.Egress == 0, place);
            Assert.True((packet.Egress & (1 << packet.Ingress)) == 0 || packet.Own, place);
        }
    }

    private static void Compare(Burst one, Burst other, string place)
    {
        Assert.True(one.Count == other.Count, place);
        for (int i = 0; i < one.Count; i++)
        {
            ref Packet mine = ref one.Packets[i];
            ref Packet its = ref other.Packets[i];
            Assert.True(
                mine.Verdict == its.Verdict && mine.Reason == its.Reason && mine.Rule == its.Rule && mine.Egress == its.Egress
                && mine.Flow == its.Flow && mine.Reply == its.Reply && mine.Direction == its.Direction && mine.Bytes.SequenceEqual(its.Bytes),
                $"{place}, packet {i}: {mine.Verdict} {mine.Reason} {mine.Rule}, but told {its.Verdict} {its.Reason} {its.Rule}");
        }
    }

    private static PathSettings Settings(CompiledRuleset ruleset) => new()
    {
        Ports = [.. ruleset.Source.Ports.Select(port => new MemoryPort { Name = port.Name, Number = port.Number, Side = port.Side })],
        Ruleset = ruleset,
        Local = LocalNetwork.None,
        Flows = 12,
        Fragments = new FragmentLimits { Bytes = 16 * 1024, Datagrams = 8 },
    };

    private static void Append(Burst burst, byte[] frame, in Offload offload, byte ingress)
    {
        Assert.True(burst.TryAppend(frame.Length, out int index));
        ref Packet packet = ref burst.Packets[index];
        packet.Length = frame.Length;
        frame.CopyTo(packet.Bytes);
        packet.Offload = offload;
        packet.Ingress = ingress;
        packet.Number = index + 1;
    }

    private static byte[] Build(string line)
    {
        PacketLine read = PacketLine.Parse(line);
        byte[] frame = new byte[FrameBuilder.Length(read)];
        FrameBuilder.Write(read, frame);
        return frame;
    }

    private static byte[] Mangle(Random random, byte[] frame)
    {
        switch (random.Next(10))
        {
            case 0:
                return frame[..random.Next(frame.Length)];

            case 1:
                byte[] longer = new byte[frame.Length + random.Next(100)];
                frame.CopyTo(longer, 0);
                return longer;

            case 2 or 3:
                byte[] changed = [.. frame];
                for (int i = random.Next(4); i >= 0; i--)
                {
                    changed[random.Next(Math.Min(changed.Length, 100))] = (byte)random.Next(256);
                }

                return changed;

            default:
                return frame;
        }
    }

    private static Offload Lie(Random random) => new()
    {
        Checksum = (ChecksumState)random.Next(3),
        Gso = (GsoKind)random.Next(4),
        SegmentSize = (ushort)(random.Next(3) == 0 ? random.Next(4) : random.Next(2000)),
        HeaderLength = (ushort)random.Next(200),
        ChecksumStart = (ushort)random.Next(random.Next(2) == 0 ? 100 : 65536),
        ChecksumOffset = (ushort)random.Next(random.Next(2) == 0 ? 20 : 65536),
    };

    private static string Line(Random random)
    {
        bool v6 = random.Next(2) == 0;
        string source = Host(random, v6), destination = Host(random, v6);
        string end = Of("10", "11", "99", "100", "101");
        string macs = $"src-mac=02:00:00:00:00:0{random.Next(1, 6)} dst-mac=02:00:00:00:00:0{random.Next(1, 6)}";
        string port = Of("23", "53", "80", "4000", "4001"), far = Of("23", "53", "80", "4000", "4001");
        string ends = v6 ? $"[{source}]:{port} > [{destination}]:{far}" : $"{source}:{port} > {destination}:{far}";
        string pair = $"{source} > {destination}";
        return random.Next(12) switch
        {
            0 or 1 or 2 or 3 => $"tcp {ends} {Of("syn", "syn", "syn,ack", "ack", "ack,psh", "fin,ack", "rst", "rst,ack")} seq={end} ack={Of("10", "11", "99", "100", "101")} len={Of("0", "0", "1", "500")} {macs}",
            4 or 5 => $"udp {ends} len={random.Next(1400)} {macs}",
            6 => $"icmp {pair} {Of("echo-request", "echo-reply")} id={Of("1", "8")} seq=1 len=20 {macs}",
            7 => $"icmp {pair} {Of("time-exceeded", "destination-unreachable")} quote=\"udp {ends}\" {macs}",
            8 => $"udp {pair} len={Of("16", "24", "1000")} frag={Of("8", "8+", "16", "24+", "1024", "65528")} id={Of("1", "2")} {macs}",
            9 => $"udp {ends} len=8 total={Of("16", "32")} frag=0+ id={Of("1", "2")} {macs}",
            10 => Of($"arp 10.0.0.1 > 10.0.0.2 request", "ether 02:00:00:00:00:01 > 01:80:c2:00:00:00 type=0x0026 len=46", "ether 02:00:00:00:00:01 > 02:00:00:00:00:02 type=0x88cc len=46", "icmp fe80::1 > ff02::1:ff00:5 neighbour-solicitation len=24 ttl=255"),
            _ => Of($"esp {pair} spi=0x1001 seq=1 len=40 {macs}", $"proto-47 {pair} len=20 {macs}", $"igmp 10.0.0.5 > 224.0.0.22 type=34 len=8 ttl=1"),
        };

        string Of(params string[] words) => words[random.Next(words.Length)];
    }

    private static string Host(Random random, bool v6) => v6 ? $"2001:db8::{random.Next(1, 4)}" : $"10.0.0.{random.Next(1, 4)}";

    /// <summary>Listens, and forgets.</summary>
    private readonly struct Listener : ITrace
    {
        public static bool On => true;

        public void Note(in Packet packet, string step, string what) => Assert.NotEmpty(step);

        public int Known(int flow) => flow;
    }
}
