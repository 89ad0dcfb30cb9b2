using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Tests.Conversations;
using Filter.Tests.Worlds;

namespace Filter.Tests.Captures;

/// <summary>Real transfers and calls: what their control connections announced is what comes, and nothing of it is dropped.</summary>
public sealed class HelperCaptureTests
{
    private const string Ruleset = Nets.Ports + """
        rules:
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
            service: [ udp/5060-5061, tcp/5060-5061 ]
            helper: sip

        """;

    private static readonly string s_captures = Path.Combine(Repository.Root, "..", "shared", "captures");

    [Theory]
    [InlineData("ftp/sv__ftp-ftp-download-passive-input.pcap", 3)]
    [InlineData("ftp/sv__ftp-ftp-upload-active-input.pcap", 3)]
    [InlineData("ftp/zeek__ftp-ipv6.pcap", 5)]
    [InlineData("ftp/zeek__ftp-retr.pcap", 1)]
    [InlineData("ftp/sv__firewall-ruletype-firewall-117-ftp-all-data-ipv6-input.pcap", 14)]
    [InlineData("dns-udp-tftp/sv__output-eve-tftp-01-input.pcap", 1)]
    public void Every_data_connection_was_expected(string capture, long connections)
    {
        TestNet net = Replayed(capture);
        net.ExpectsNoDrops();
        Assert.Equal(connections, net.Path.Counters.Met);
    }

    [Fact]
    public void A_caller_whose_media_are_elsewhere_is_not_believed_and_the_called_one_at_its_own_address_is()
    {
        TestNet net = Replayed("irc-sip-alg/sv__sip-body-frames-public-cloudshark-sip-s0.pcap");
        net.ExpectsNoDrops();
        Assert.True(net.Path.Counters is { Announced: >= 2, AnnouncementsRefused: >= 1 });
    }

    /// <summary>Walks a capture; of each two hosts the one that spoke first stands inside.</summary>
    private static TestNet Replayed(string capture)
    {
        Assert.SkipUnless(Directory.Exists(s_captures), "../shared/captures is absent");
        var net = new TestNet(Ruleset, mtu: 65535);
        Dictionary<(Address, Address), Address> first = [];
        var burst = new Burst { Now = 1_000_000_000_000 };
        using CaptureReader reader = new(Path.Combine(s_captures, capture));
        while (reader.TryRead(out CapturedFrame frame))
        {
            Assert.True(CaptureIntake.TryAppend(burst, frame.Bytes, frame.OriginalLength, frame.IsEthernet, out int index));
            ref Packet packet = ref burst.Packets[index];
            Packet look = packet;
            if (Filter.Engine.Wire.Parser.Parse(ref look) == DropReason.None && look.Kind == PacketKind.Tracked)
            {
                (Address, Address) hosts = look.Key.Source < look.Key.Destination ? (look.Key.Source, look.Key.Destination) : (look.Key.Destination, look.Key.Source);
                first.TryAdd(hosts, look.Key.Source);
                packet.Ingress = net[first[hosts] == look.Key.Source ? "inside" : "outside"].Number;
                net.Path.Walk(burst, static _ => { });
            }

            burst.Now += 1_000_000;
            burst.Reset();
        }

        return net;
    }
}
