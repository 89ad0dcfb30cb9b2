using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Engine.Wire;

namespace Filter.Tests.Conversations;

/// <summary>The walk allocates nothing, whatever it does with its packets.</summary>
public sealed class AllocationTests
{
    private const string Helped = """
          - allow: ftp
            from: inside
            service: tcp/21
            helper: ftp
          - allow: tftp
            from: inside
            service: udp/69
            helper: tftp
          - allow: sip
            from: inside
            service: udp/5060
            helper: sip
          - allow: games
            from: inside
            service: udp/27015
            pinhole: endpoint-independent

        """;

    [Fact]
    public void The_walk_allocates_no_byte_for_any_packet()
    {
        var net = new TestNet(Nets.OneAnswer.Replace("allow: questions", "reject: web\n    service: tcp/80\n  - allow: tcp\n    from: inside\n    service: [ tcp/443, sctp, dccp, gre, esp ]\n" + Helped + "  - allow: questions", StringComparison.Ordinal), flows: 65536, workers: 1);
        string[] lines =
        [
            "inside: udp 10.0.0.5:4000 > 203.0.113.9:53 len=30",
            "outside: udp 203.0.113.9:53 > 10.0.0.5:4000 len=100",
            "outside: udp 203.0.113.9:53 > 10.0.0.5:4000 len=100",
            "inside: udp [2001:db8::5]:4000 > [2001:db8:f::9]:53 len=30",
            "outside: udp [2001:db8:f::9]:53 > [2001:db8::5]:4000 len=100",
            "inside: tcp 10.0.0.5:4000 > 203.0.113.9:443 syn seq=1",
            "outside: tcp 203.0.113.9:443 > 10.0.0.5:4000 syn,ack seq=1 ack=2",
            "inside: tcp 10.0.0.5:4000 > 203.0.113.9:443 ack seq=2 ack=2 len=1000",
            "outside: tcp 203.0.113.9:443 > 10.0.0.5:4000 rst,ack seq=2 ack=1002",
            "inside: tcp [2001:db8::5]:4000 > [2001:db8:f::9]:443 syn",
            "inside: tcp 10.0.0.5:4000 > 203.0.113.9:80 syn",
            "outside: tcp 203.0.113.9:80 > 10.0.0.5:22 syn",
            "outside: tcp 203.0.113.9:80 > 10.0.0.5:22 syn csum=bad",
            "outside: icmp 203.0.113.7 > 10.0.0.5 time-exceeded quote=\"udp 10.0.0.5:4000 > 203.0.113.9:53\"",
            "outside: icmp fe80::1 > ff02::1:ff00:5 neighbour-solicitation len=24 ttl=255",
            "outside: arp 10.0.0.1 > 10.0.0.5 request",
            "inside: udp 10.0.0.5:4001 > 203.0.113.9:53 len=800 total=1000 frag=0+ id=3",
            "inside: udp 10.0.0.5 > 203.0.113.9 len=200 frag=808 id=3",
            "inside: udp [2001:db8::5]:4001 > [2001:db8:f::9]:53 len=800 total=1000 frag=0+ id=3",
            "inside: udp [2001:db8::5] > [2001:db8:f::9] len=200 frag=808 id=3",
            "inside: tcp 10.0.0.5:4000 > 203.0.113.9:443 syn seq=900 len=10",
            "outside: tcp 203.0.113.9:443 > 10.0.0.5:4000 ack seq=70000000 ack=2",
            "inside: tcp [2001:db8::5]:4000 > [2001:db8:f::9]:80 syn",
            "inside: udp 10.0.0.5:4002 > 203.0.113.9:53 len=1600",
            "inside: icmp 10.0.0.5 > 203.0.113.9 echo-request id=1 seq=1",
            "inside: sctp [2001:db8::5]:4000 > [2001:db8:f::9]:2905 chunk=init itag=0xa",
            "outside: sctp [2001:db8:f::9]:2905 > [2001:db8::5]:4000 chunk=init-ack tag=0xa itag=0xb",
            "inside: sctp [2001:db8::5]:4000 > [2001:db8:f::9]:2905 chunk=cookie-echo tag=0xb",
            "outside: sctp [2001:db8:f::9]:2905 > [2001:db8::5]:4000 chunk=cookie-ack tag=0xa",
            "inside: sctp [2001:db8::5]:4000 > [2001:db8:f::9]:2905 tag=0xb len=600",
            "outside: sctp [2001:db8:f::9]:2905 > [2001:db8::5]:4000 tag=0xc",
            "outside: sctp [2001:db8:f::9]:2905 > [2001:db8::5]:4000 chunk=abort tag=0xa",
            "outside: icmp 203.0.113.7 > 10.0.0.5 destination-unreachable quote=\"tcp 10.0.0.5:4000 > 203.0.113.9:443 ack seq=7\"",
            "inside: gre 10.0.0.5 > 203.0.113.9 key=0x10002 len=40",
            "inside: dccp 10.0.0.5:4000 > 203.0.113.9:5001 len=40",
            "outside: esp 203.0.113.9 > 10.0.0.5 spi=0x1001 seq=1 len=40",
            "outside: icmp fe80::1 > ff02::1:ff00:6 neighbour-solicitation len=24 ttl=64",
            "inside: icmp fe80::5 > fe80::1 neighbour-advertisement len=24 ttl=255",
            "outside: icmp fe80::1 > ff02::1 multicast-listener-query len=20 ttl=1",
            "outside: icmp 203.0.113.7 > 10.0.0.5 type=4 len=20",
            "outside: udp 240.0.0.1:4000 > 10.0.0.5:53 len=10",
            "inside: tcp 10.0.0.5:4100 > 203.0.113.9:21 syn seq=1",
            "outside: tcp 203.0.113.9:21 > 10.0.0.5:4100 syn,ack seq=1 ack=2",
            "outside: tcp 203.0.113.9:21 > 10.0.0.5:4100 ack seq=2 ack=2 data=\"220 Hi\\r\\n\"",
            "inside: tcp 10.0.0.5:4100 > 203.0.113.9:21 ack seq=2 ack=10 data=\"PORT 10,0,0,5,195,80\\r\\nPORT 10,0,0,6,195,80\\r\\nPA\"",
            "outside: tcp 203.0.113.9:20 > 10.0.0.5:50000 syn seq=1",
            "outside: tcp 203.0.113.9:21 > 10.0.0.5:4100 rst seq=10",
            "inside: udp 10.0.0.5:4101 > 203.0.113.9:69 data=\"\\x00\\x01f\\x00octet\\x00\"",
            "outside: udp 203.0.113.9:7000 > 10.0.0.5:4101 len=40",
            "inside: udp [2001:db8::5]:5060 > [2001:db8:f::9]:5060 data=\"INVITE sip:x SIP/2.0\\r\\nCall-ID: 1\\r\\nContent-Type: application/sdp\\r\\n\\r\\nc=IN IP6 2001:db8::5\\r\\nm=audio 6000 RTP/AVP 0\\r\\n\"",
            "outside: udp [2001:db8:f::9]:7000 > [2001:db8::5]:6000 len=40",
            "inside: udp 10.0.0.5:4102 > 203.0.113.9:27015 len=40",
            "outside: udp 203.0.113.7:7000 > 10.0.0.5:4102 len=40",
            "outside: ether 02:00:00:00:00:01 > 01:80:c2:00:00:00 type=0x0026 len=46",
        ];
        (byte Port, byte[] Frame)[] frames = [.. lines.Select(text =>
        {
            PacketLine line = PacketLine.Parse(text);
            byte[] frame = new byte[FrameBuilder.Length(line)];
            FrameBuilder.Write(line, frame);
            return (net[line.Port!].Number, frame);
        })];

        var burst = new Burst { Now = 1_000_000_000_000 };
        long walked = 0;
        Assert.Equal(0, Allocations.Least(() => walked += Run(net.Path.Single, burst, frames, 20)));
        Assert.Equal(800L * frames.Length, walked);
        Assert.True(net.Path.Counters is { Announced: >= 4, Met: >= 2, AnnouncementsRefused: >= 1 }, $"announced {net.Path.Counters.Announced}, met {net.Path.Counters.Met}, refused {net.Path.Counters.AnnouncementsRefused}");
        Assert.True(net.Path.Counters[Verdict.Pass] > 3000 && net.Path.Counters[Verdict.Reject] > 500 && net.Path.Counters[Verdict.Drop] > 1000);
    }

    [Fact]
    public void Limits_that_bite_allocate_no_byte()
    {
        const string Ruleset = Nets.Ports + """
            defaults: { out: allow, in: drop, unsolicited-syn: answer-after-6s }
            limits: { per-source: { flows: 5, rate: 100/s }, half-open: 10, management-reserve: 10 }
            rules:
              - allow: manage
                service: ssh
                management: true
              - allow: web
                service: [ tcp/80, tcp/443 ]

            """;
        var net = new TestNet(Ruleset, flows: 64, workers: 1);
        net.Path.Single.Events.Muted = true;
        (byte Port, byte[] Frame)[] frames = [.. Enumerable.Range(0, 200).Select(i =>
        {
            string service = i % 7 == 0 ? "22" : i % 3 == 0 ? "81" : i % 5 == 0 ? "443" : "80";
            PacketLine line = PacketLine.Parse(i % 2 == 0
                ? $"outside: tcp 198.51.{i % 5}.{i}:{i + 1} > 10.0.0.{i % 3}:{service} syn seq={i}"
                : $"outside: tcp [2001:db8:{i % 5}::{i:x}]:{i + 1} > [2001:db8::{i % 3}]:{service} syn seq={i}");
            byte[] frame = new byte[FrameBuilder.Length(line)];
            FrameBuilder.Write(line, frame);
            return (net[line.Port!].Number, frame);
        })];
        var burst = new Burst { Now = 1_000_000_000_000 };
        long walked = 0;
        Assert.Equal(0, Allocations.Least(() => walked += Run(net.Path.Single, burst, frames, 20)));
        LimitCounters limits = net.Path.Counters.Limits;
        Assert.True(limits.GivenUp(Limit.Table) > 0 && limits.GivenUp(Limit.HalfOpen) > 0 && limits.GivenUp(Limit.SourceFlows) > 0
            && limits.Refused(Limit.Answers) > 0 && net.Path.Counters.Own > 0);
    }

    private static long Run(PacketPath path, Burst burst, (byte Port, byte[] Frame)[] frames, int rounds)
    {
        long walked = 0;
        for (int round = 0; round < rounds; round++)
        {
            burst.Now += 100_000_000;
            foreach ((byte port, byte[] frame) in frames)
            {
                if (burst.TryAppend(frame.Length, out int index))
                {
                    ref Packet packet = ref burst.Packets[index];
                    packet.Length = frame.Length;
                    packet.Ingress = port;
                    frame.CopyTo(packet.Bytes);
                    walked++;
                }
            }

            path.Walk(burst);
            burst.Reset();
            path.Tick(burst);
            burst.Reset();
        }

        return walked;
    }
}
