using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>SIP: media come to where offers and answers say, at the sender's own address, from the other end.</summary>
public sealed class SipTests
{
    private const string Ruleset = Nets.Ports + """
        rules:
          - allow: calls
            from: inside
            service: [ udp/5060, tcp/5060 ]
            helper: sip

        """;

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Offer_and_answer_let_media_in_both_ways(int family)
    {
        var net = new TestNet(Ruleset);
        (TestHost phone, TestHost exchange) = Signal(net, family);
        phone.Reaches(exchange, Invite(family, 1, 6000));
        Comes(net, "outside", Nets.At(family, 2, 7000), Nets.At(family, 1, 6000));
        Comes(net, "outside", Nets.At(family, 2, 7001), Nets.At(family, 1, 6001));
        exchange.Reaches(phone, Answer(family, 2, 8000));
        Comes(net, "inside", Nets.At(family, 1, 6000), Nets.At(family, 2, 8000));
        Comes(net, "inside", Nets.At(family, 1, 6001), Nets.At(family, 2, 8001));
        net.ExpectsNoDrops();
        Assert.Equal((4, 4), (net.Path.Counters.Announced, net.Path.Counters.Met));
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Another_host_and_another_port_get_nothing(int family)
    {
        var net = new TestNet(Ruleset);
        (TestHost phone, TestHost exchange) = Signal(net, family);
        phone.Reaches(exchange, Invite(family, 1, 6000));
        StaysOut(net, family, 3, 6000, 1);
        StaysOut(net, family, 2, 6002, 2);
        StaysOut(net, family, 2, 5999, 3);
    }

    [Theory]
    [InlineData(4, "BYE")]
    [InlineData(6, "CANCEL")]
    public void The_end_of_a_call_ends_what_is_expected_for_it_and_for_no_other(int family, string method)
    {
        var net = new TestNet(Ruleset);
        (TestHost phone, TestHost exchange) = Signal(net, family);
        phone.Reaches(exchange, Invite(family, 1, 6000, call: "one"));
        phone.Reaches(exchange, Invite(family, 1, 6010, call: "two"));
        exchange.Reaches(phone, Data($"{method} sip:x SIP/2.0\r\nCall-ID: one\r\n\r\n"));
        StaysOut(net, family, 2, 6000, 1);
        Comes(net, "outside", Nets.At(family, 2, 7000), Nets.At(family, 1, 6010));
    }

    [Theory]
    [InlineData(4, "c=IN IP4 10.0.0.6\r\nm=audio 6000 RTP/AVP 0\r\n")]
    [InlineData(4, "c=IN IP4 0.0.0.0\r\nm=audio 6000 RTP/AVP 0\r\n")]
    [InlineData(4, "c=IN IP4 224.2.1.1/127\r\nm=audio 6000 RTP/AVP 0\r\n")]
    [InlineData(4, "c=IN IP6 2001:db8::5\r\nm=audio 6000 RTP/AVP 0\r\n")]
    [InlineData(4, "c=IN IP4 10.0.0.5\r\nm=audio 6000 RTP/AVP 0\r\nc=IN IP4 10.0.0.6\r\n")]
    [InlineData(4, "m=audio 6000 RTP/AVP 0\r\n")]
    [InlineData(4, "c=IN IP4 10.0.0.5\r\nm=audio 60000000 RTP/AVP 0\r\n")]
    [InlineData(6, "c=IN IP6 2001:db8::6\r\nm=audio 6000 RTP/AVP 0\r\n")]
    [InlineData(6, "c=IN IP6 2001:db8::5::1\r\nm=audio 6000 RTP/AVP 0\r\n")]
    public void Media_at_another_address_are_not_believed(int family, string sdp)
    {
        var net = new TestNet(Ruleset);
        (TestHost phone, TestHost exchange) = Signal(net, family);
        phone.Reaches(exchange, Invite(sdp));
        Assert.Equal((0, 1), (net.Path.Counters.Announced, net.Path.Counters.AnnouncementsRefused));
        StaysOut(net, family, 2, 6000, 1);
    }

    [Theory]
    [InlineData("m=audio 0 RTP/AVP 0\r\n")]
    [InlineData("m=image 6000 udptl t38\r\n")]
    [InlineData("m=audio 6000 TCP/MRCPv2 1\r\n")]
    [InlineData("m=\r\n")]
    [InlineData("")]
    public void Media_that_are_declined_or_not_rtp_are_not_awaited(string media)
    {
        var net = new TestNet(Ruleset);
        (TestHost phone, TestHost exchange) = Signal(net, 4);
        phone.Reaches(exchange, Invite("c=IN IP4 10.0.0.5\r\n" + media));
        Assert.Equal((0, 0), (net.Path.Counters.Announced, net.Path.Counters.AnnouncementsRefused));
    }

    [Fact]
    public void Low_ports_and_too_many_media_are_refused()
    {
        var net = new TestNet(Ruleset);
        (TestHost phone, TestHost exchange) = Signal(net, 4);
        phone.Reaches(exchange, Invite("c=IN IP4 10.0.0.5\r\nm=audio 22 RTP/AVP 0\r\n"));
        Assert.Equal((0, 2), (net.Path.Counters.Announced, net.Path.Counters.AnnouncementsRefused));
        phone.Reaches(exchange, Invite("c=IN IP4 10.0.0.5\r\n" + string.Concat(Enumerable.Range(0, 6).Select(i => $"m=video {7000 + (2 * i)} RTP/AVP 0\r\n"))));
        Assert.Equal((8, 6), (net.Path.Counters.Announced, net.Path.Counters.AnnouncementsRefused));
    }

    [Theory]
    [InlineData(4, "a=rtcp:6500\r\n", 6500)]
    [InlineData(4, "a=rtcp:6500 IN IP4 10.0.0.5\r\n", 6500)]
    [InlineData(6, "a=rtcp:6500 IN IP6 2001:db8::5\r\n", 6500)]
    public void Rtcp_has_the_port_that_is_named_for_it(int family, string attribute, int port)
    {
        var net = new TestNet(Ruleset);
        (TestHost phone, TestHost exchange) = Signal(net, family);
        phone.Reaches(exchange, Invite(Sdp(family, 1, 6000) + attribute));
        Comes(net, "outside", Nets.At(family, 2, 7000), Nets.At(family, 1, port));
        StaysOut(net, family, 2, 6001, 1);
    }

    [Theory]
    [InlineData("REGISTER sip:x SIP/2.0\r\nc: application/sdp\r\n\r\n")]
    [InlineData("INVITE sip:x SIP/2.0\r\nc: text/plain\r\n\r\n")]
    [InlineData("INVITE sip:x HTTP/1.1\r\nc: application/sdp\r\n\r\n")]
    [InlineData("SIP/2.0 486 Busy\r\nCSeq: 1 INVITE\r\nc: application/sdp\r\n\r\n")]
    [InlineData("SIP/2.0 200 OK\r\nCSeq: 1 OPTIONS\r\nc: application/sdp\r\n\r\n")]
    [InlineData("INVITE sip:x SIP/2.0\r\nc: application/sdp\r\nl: 0\r\n\r\n")]
    [InlineData("INVITE sip:x SIP/2.0\r\nc: application/sdp\r\n")]
    public void A_message_that_negotiates_no_media_announces_none(string header)
    {
        var net = new TestNet(Ruleset);
        (TestHost phone, TestHost exchange) = Signal(net, 4);
        phone.Reaches(exchange, Data(header + Sdp(4, 1, 6000)));
        Assert.Equal(0, net.Path.Counters.Announced);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Answers_may_come_to_the_port_that_via_names(int family)
    {
        var net = new TestNet(Ruleset);
        (TestHost phone, TestHost exchange) = Signal(net, family, 40000);
        string host = family == 4 ? "10.0.0.5" : "[2001:db8::5]";
        phone.Reaches(exchange, Data($"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP {host}:5070;branch=z\r\n\r\n"));
        Comes(net, "outside", Nets.At(family, 2, 5060), Nets.At(family, 1, 5070));
        phone.Reaches(exchange, Data($"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP {host}:5080;rport;branch=z\r\n\r\n"));
        phone.Reaches(exchange, Data("OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5090;branch=z\r\n\r\n"));
        Assert.Equal(1, net.Path.Counters.Announced);
    }

    /// <summary>A page chooses the user name by which a browser asks a relay for an address (RFC 8656): text in the middle of a datagram.</summary>
    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Text_behind_the_header_of_another_protocol_is_no_message(int family)
    {
        var net = new TestNet(Ruleset);
        (TestHost phone, TestHost exchange) = Signal(net, family, 40000);
        string host = family == 4 ? "10.0.0.5" : "[2001:db8::5]";
        phone.Reaches(exchange, Data($"\x00\x03\x00\x60\x21\x12\xa4\x42INVITE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP {host}:5070\r\n\r\n"));
        Assert.Equal(0, net.Path.Counters.Announced);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Over_tcp_messages_are_read_one_after_the_other(int family)
    {
        var net = new TestNet(Ruleset);
        var talk = new TextTalk(net, family, 5060);
        string sdp = Sdp(family, 1, 6000);
        talk.Client("\r\n\r\nOPTIONS sip:x SIP/2.0\r\nl: 4\r\n\r\nbody" + Message(sdp));
        Assert.Equal(2, net.Path.Counters.Announced);
        talk.Client("INFO sip:x SIP/2.0\r\nContent-Length: 10\r\n\r\n12345");
        talk.Client("67890" + Message(Sdp(family, 1, 6010)));
        Assert.Equal(4, net.Path.Counters.Announced);
        Comes(net, "outside", Nets.At(family, 2, 7000), Nets.At(family, 1, 6010));
    }

    [Theory]
    [InlineData("POST / HTTP/1.1\r\nContent-Length: 9999\r\n\r\n")]
    [InlineData("INFO sip:x SIP/2.0\r\nContent-Length: x\r\n\r\n")]
    [InlineData("INFO sip:x SIP/2.0\r\nl: 5\r\n")]
    public void A_page_that_makes_a_browser_send_sip_inside_another_protocol_opens_nothing(string before)
    {
        var net = new TestNet(Ruleset);
        var talk = new TextTalk(net, 4, 5060);
        talk.Client(before);
        talk.Client(Message(Sdp(4, 1, 6000)));
        Assert.Equal((0, 1), (net.Path.Counters.Announced, net.Path.Counters.HelpersSilent));
        StaysOut(net, 4, 2, 6000, 1);
    }

    [Fact]
    public void Behind_a_hole_a_connection_is_read_no_further()
    {
        var net = new TestNet(Ruleset);
        var talk = new TextTalk(net, 4, 5060);
        talk.Unseen(server: false, "x");
        talk.Client(Message(Sdp(4, 1, 6000)));
        Assert.Equal((0, 1), (net.Path.Counters.Announced, net.Path.Counters.HelpersSilent));
    }

    private static (TestHost Phone, TestHost Exchange) Signal(TestNet net, int family, int port = 5060) =>
        net.Between(Nets.At(family, 1, port), Nets.At(family, 2, 5060), "udp");

    private static string Sdp(int family, int host, int port) =>
        $"v=0\r\nc=IN IP{family} {Nets.At(family, host)}\r\nm=audio {port} RTP/AVP 0 8\r\na=sendrecv\r\n";

    private static string Message(string sdp) => $"INVITE sip:x SIP/2.0\r\nContent-Type: application/sdp\r\nContent-Length: {sdp.Length}\r\n\r\n{sdp}";

    private static string Invite(int family, int host, int port, string call = "one") => Data(
        $"INVITE sip:x SIP/2.0\r\nCall-ID: {call}\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp;x=y\r\n\r\n{Sdp(family, host, port)}");

    private static string Invite(string sdp) => Data(Message(sdp));

    private static string Answer(int family, int host, int port) => Data(
        $"SIP/2.0 200 OK\r\ni: one\r\nCSeq: 1 INVITE\r\nc: application/sdp\r\n\r\n{Sdp(family, host, port)}");

    private static string Data(string text) => $"data=\"{TextTalk.Escape(text)}\"";

    private static void Comes(TestNet net, string port, string from, string to)
    {
        net.Sends($"{port}: udp {from} > {to} len=172");
        net.Hears(port == "inside" ? "outside" : "inside", $"udp {from} > {to} len=172");
    }

    private static void StaysOut(TestNet net, int family, int host, int port, long dropped)
    {
        net.Sends($"outside: udp {Nets.At(family, host, 7000)} > {Nets.At(family, 1, port)} len=172");
        net.HearsNothing("inside");
        net.Expects(DropReason.DefaultDeny, dropped);
    }
}
