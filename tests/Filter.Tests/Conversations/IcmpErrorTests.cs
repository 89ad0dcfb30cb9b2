using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Tests.Conversations;

/// <summary>ICMP errors whose quotes may be forged: RFC 5927 §4, RFC 5508 REQ-3 to 6, RFC 6092 REC-10, 18, 19, 36, 37, 41, 42, 45, 46.</summary>
public sealed class IcmpErrorTests
{
    [Theory]
    [InlineData(4, "destination-unreachable code=1")]
    [InlineData(6, "destination-unreachable code=0")]
    [InlineData(4, "destination-unreachable code=4 mtu=1400")]
    [InlineData(6, "packet-too-big mtu=1280")]
    [InlineData(4, "time-exceeded")]
    [InlineData(6, "time-exceeded")]
    public void An_error_about_what_is_in_flight_passes_from_any_router(int family, string error)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connected(net, family);
        client.Reaches(server, "ACK seq=100 ack=501 len=1000");
        client.Reaches(server, "ACK seq=1100 ack=501 len=1000");
        foreach (int sequence in new[] { 100, 1100, 2100 })
        {
            string line = Error(family, error, $"tcp {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 443)} ACK seq={sequence} ack=501 len=1000");
            net.Sends("outside: " + line);
            client.HearsLine(line);
        }

        net.ExpectsNoDrops();
        net.ExpectsFlows(1);
    }

    [Theory]
    [InlineData(4, 99)]
    [InlineData(6, 99)]
    [InlineData(4, 1101)]
    [InlineData(6, 1101)]
    [InlineData(4, 3000000000)]
    [InlineData(6, 3000000000)]
    public void A_blind_error_with_a_wrong_sequence_number_is_dropped(int family, long sequence)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connected(net, family);
        client.Reaches(server, "ACK seq=100 ack=501 len=1000");
        net.Sends("outside: " + Error(family, "destination-unreachable", $"tcp {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 443)} ACK seq={sequence} len=100"));
        net.Sends("outside: " + Error(family, family == 4 ? "destination-unreachable code=4 mtu=600" : "packet-too-big mtu=1280", $"tcp {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 443)} ACK seq={sequence} len=100"));
        client.HearsNothing();
        net.Expects(DropReason.StrayIcmpError, 2);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void What_was_acknowledged_is_no_more_in_flight(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connected(net, family);
        client.Reaches(server, "ACK seq=100 ack=501 len=1000");
        server.Reaches(client, "ACK seq=501 ack=1100");
        net.Sends("outside: " + Error(family, "destination-unreachable", $"tcp {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 443)} ACK seq=100 len=100"));
        client.HearsNothing();
        net.Expects(DropReason.StrayIcmpError, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_error_about_a_SYN_shows_its_number(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 443));
        client.Reaches(server, "SYN seq=99");
        net.Sends("outside: " + Error(family, "time-exceeded", $"tcp {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 443)} SYN seq=98"));
        client.HearsNothing();
        string line = Error(family, "time-exceeded", $"tcp {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 443)} SYN seq=99");
        net.Sends("outside: " + line);
        client.HearsLine(line);
        net.Expects(DropReason.StrayIcmpError, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_blind_error_that_guesses_wrong_names_no_flow(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 53), "udp");
        client.Reaches(server, "len=10");
        server.Reaches(client, "len=10");
        string[] quotes =
        [
            $"udp {Nets.At(family, 1, 4001)} > {Nets.At(family, 2, 53)} len=10",
            $"udp {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 54)} len=10",
            $"udp {Nets.At(family, 1, 4000)} > {Nets.At(family, 7, 53)} len=10",
            $"udp {Nets.At(family, 2, 53)} > {Nets.At(family, 1, 4000)} len=10",
            $"udplite {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 53)} len=10",
            $"tcp {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 53)} len=10",
        ];
        foreach (string quote in quotes)
        {
            net.Sends("outside: " + Error(family, "destination-unreachable", quote));
        }

        client.HearsNothing();
        net.Expects(DropReason.StrayIcmpError, quotes.Length);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_error_about_an_answer_that_was_never_given_is_dropped(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 53), "udp");
        client.Reaches(server, "len=10");
        string error = $"icmp {Nets.At(family, 1)} > {Nets.At(family, 2)} destination-unreachable quote=\"udp {Nets.At(family, 2, 53)} > {Nets.At(family, 1, 4000)} len=10\"";
        net.Sends("inside: " + error);
        server.HearsNothing();
        net.Expects(DropReason.StrayIcmpError, 1);
        server.Reaches(client, "len=10");
        net.Sends("inside: " + error);
        server.HearsLine(error);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_error_in_SCTP_shows_the_tag(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 2905), "sctp");
        string quote = $"sctp {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 2905)}";
        client.Reaches(server, "chunk=init itag=0xa");
        Passes("chunk=init itag=0xa");
        server.Reaches(client, "chunk=init-ack tag=0xa itag=0xb");
        client.Reaches(server, "chunk=cookie-echo tag=0xb");
        Passes("chunk=cookie-echo tag=0xb");
        server.Reaches(client, "chunk=cookie-ack tag=0xa");
        client.Reaches(server, "tag=0xb");
        Passes("tag=0xb");
        net.Sends("outside: " + Error(family, "destination-unreachable", $"{quote} tag=0xa"));
        net.Sends("outside: " + Error(family, "destination-unreachable", $"{quote} chunk=init itag=0xa"));
        client.HearsNothing();
        net.Expects(DropReason.StrayIcmpError, 2);
        server.Reaches(client, "tag=0xa");

        void Passes(string words)
        {
            string line = Error(family, "destination-unreachable", $"{quote} {words}");
            net.Sends("outside: " + line);
            client.HearsLine(line);
        }
    }

    [Theory]
    [InlineData(4, "destination-unreachable code=16")]
    [InlineData(4, "time-exceeded code=2")]
    [InlineData(6, "time-exceeded code=2")]
    [InlineData(4, "parameter-problem code=3")]
    [InlineData(6, "parameter-problem code=11")]
    [InlineData(4, "destination-unreachable code=4 mtu=67")]
    [InlineData(6, "packet-too-big mtu=1279")]
    [InlineData(6, "packet-too-big")]
    public void A_code_that_nobody_defined_and_an_MTU_that_no_link_has_are_forbidden(int family, string error)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 53), "udp");
        client.Reaches(server, "len=10");
        net.Sends("outside: " + Error(family, error, $"udp {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 53)} len=10"));
        client.HearsNothing();
        net.Expects(DropReason.IcmpForbidden, 1);
    }

    [Theory]
    [InlineData(4, "destination-unreachable", 16)]
    [InlineData(4, "time-exceeded", 2)]
    [InlineData(4, "parameter-problem", 3)]
    [InlineData(6, "destination-unreachable", 256)]
    [InlineData(6, "time-exceeded", 2)]
    [InlineData(6, "parameter-problem", 11)]
    public void Every_code_that_somebody_defined_passes(int family, string error, int codes)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 53), "udp");
        client.Reaches(server, "len=10");
        for (int code = 0; code < codes; code++)
        {
            string line = Error(family, $"{error} code={code}", $"udp {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 53)} len=10");
            net.Sends("outside: " + line);
            client.HearsLine(line);
        }

        net.ExpectsNoDrops();
    }

    [Fact]
    public void Source_quench_is_forbidden()
    {
        var net = new TestNet(Nets.Open);
        net.Sends("outside: icmp 203.0.113.3 > 10.0.0.5 type=4 len=28");
        net.HearsNothing("inside");
        net.Expects(DropReason.IcmpForbidden, 1);
    }

    [Theory]
    [InlineData(4, "destination-unreachable code=4 mtu=0")]
    [InlineData(4, "destination-unreachable code=4 mtu=68")]
    [InlineData(6, "packet-too-big code=7 mtu=1280")]
    public void Old_routers_and_careless_ones_are_heard(int family, string error)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 53), "udp");
        client.Reaches(server, "len=1000");
        string line = Error(family, error, $"udp {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 53)} len=1000");
        net.Sends("outside: " + line);
        client.HearsLine(line);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4, "239.1.1.1", "destination-unreachable", false)]
    [InlineData(6, "ff0e::5", "destination-unreachable", false)]
    [InlineData(6, "ff0e::5", "packet-too-big mtu=1400", true)]
    [InlineData(6, "ff0e::5", "parameter-problem code=2", true)]
    public void Of_what_went_to_many_only_what_path_mtu_discovery_needs_is_told(int family, string group, string error, bool passes)
    {
        var net = new TestNet(Nets.OutOnly);
        string asked = $"udp {Nets.At(family, 1, 4000)} > {(family == 4 ? $"{group}:5000" : $"[{group}]:5000")} len=1200";
        net.Sends("inside: " + asked);
        string line = Error(family, error, asked);
        net.Sends("outside: " + line);
        Assert.Equal(passes ? TestNet.Normal(line) : null, net.Take("inside", null)?.ToString());
        net.Expects(DropReason.StrayIcmpError, passes ? 0 : 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Errors_open_nothing_prove_nothing_and_keep_no_pinhole(int family)
    {
        var net = new TestNet(Nets.OneAnswer);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 53), "udp");
        client.Reaches(server, "len=30");
        string line = Error(family, "time-exceeded", $"udp {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 53)} len=30");
        for (int i = 0; i < 3; i++)
        {
            net.After("9s");
            net.Sends("outside: " + line);
            client.HearsLine(line);
        }

        Assert.False(net.Path.Flows[1].Proven);
        net.After("4s");
        net.Sends("outside: " + line);
        client.HearsNothing();
        net.ExpectsFlows(0);
        net.Expects(DropReason.StrayIcmpError, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_error_ends_no_connection(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Connected(net, family);
        client.Reaches(server, "ACK seq=100 ack=501 len=10");
        HearsErrors(net, client, family, $"tcp {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 443)} ACK seq=100 ack=501 len=10");
        server.Reaches(client, "ACK seq=501 ack=110");
        net.ExpectsNoDrops();
        net.ExpectsFlows(1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_error_ends_no_association(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 2905), "sctp");
        client.Reaches(server, "chunk=init itag=0xa");
        server.Reaches(client, "chunk=init-ack tag=0xa itag=0xb");
        client.Reaches(server, "chunk=cookie-echo tag=0xb");
        server.Reaches(client, "chunk=cookie-ack tag=0xa");
        HearsErrors(net, client, family, $"sctp {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 2905)} tag=0xb");
        net.After("2h");
        server.Reaches(client, "tag=0xa");
        client.Reaches(server, "tag=0xb");
        net.ExpectsNoDrops();
        net.ExpectsFlows(1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_error_about_DCCP_passes_and_ends_nothing(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 5001), "dccp");
        client.Reaches(server, "len=8");
        server.Reaches(client, "len=12");
        HearsErrors(net, client, family, $"dccp {Nets.At(family, 1, 4000)} > {Nets.At(family, 2, 5001)} len=8");
        net.After("2h");
        server.Reaches(client, "len=12");
        client.Reaches(server, "len=8");
        net.ExpectsNoDrops();
        net.ExpectsFlows(1);
    }

    [Fact]
    public void A_quote_of_what_was_no_packet_is_dropped()
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = net.Between("10.0.0.5:4000", "203.0.113.2:53", "udp");
        client.Reaches(server, "len=10");
        PacketLine line = PacketLine.Parse(Error(4, "destination-unreachable", "udp 10.0.0.5:4000 > 203.0.113.2:53 len=10"));
        const int Icmp = 14 + 20, Quote = Icmp + 8;
        byte[] frame = new byte[FrameBuilder.Length(line)];
        foreach ((int at, byte value) in new[] { (Quote + 3, (byte)27), (Quote + 20 + 5, (byte)7), (Quote, (byte)0x44), (Quote, (byte)0x65) })
        {
            FrameBuilder.Write(line, frame);
            frame[at] = value;
            BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(Icmp + 2), 0);
            BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(Icmp + 2), Checksum.Finish(Checksum.Sum(frame.AsSpan(Icmp))));
            net.Sends("outside", frame);
        }

        client.HearsNothing();
        net.Expects(DropReason.StrayIcmpError, 4);
    }

    /// <summary>Errors that a host of old took for the end, and one that asks for smaller packets.</summary>
    private static void HearsErrors(TestNet net, TestHost client, int family, string quote)
    {
        string tooBig = family == 4 ? "destination-unreachable code=4 mtu=1400" : "packet-too-big mtu=1280";
        foreach (string error in new[] { "destination-unreachable code=0", "destination-unreachable code=1", "destination-unreachable code=3", "parameter-problem", tooBig })
        {
            string line = Error(family, error, quote);
            net.Sends("outside: " + line);
            client.HearsLine(line);
        }
    }

    private static (TestHost Client, TestHost Server) Connected(TestNet net, int family)
    {
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 443));
        client.Reaches(server, "SYN seq=99");
        server.Reaches(client, "SYN,ACK seq=500 ack=100");
        client.Reaches(server, "ACK seq=100 ack=501");
        return (client, server);
    }

    private static string Error(int family, string error, string quote) =>
        $"icmp {Nets.At(family, 3)} > {Nets.At(family, 1)} {error} quote=\"{quote}\"";
}
