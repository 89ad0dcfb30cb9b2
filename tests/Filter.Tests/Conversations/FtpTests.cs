using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>FTP: data connections are let in as the control connection announces them, and no others.</summary>
public sealed class FtpTests
{
    private const string Ruleset = Nets.Ports + """
        rules:
          - allow: ftp
            from: inside
            service: tcp/21
            helper: ftp
          - allow: plain
            from: inside
            service: tcp/2121

        """;

    [Theory]
    [InlineData(4, "PORT 10,0,0,5,195,80\r\n")]
    [InlineData(4, "port 10,0,0,5,195,80\r\n")]
    [InlineData(4, "EPRT |1|10.0.0.5|50000|\r\n")]
    [InlineData(6, "EPRT |2|2001:db8::5|50000|\r\n")]
    [InlineData(6, "eprt !2!2001:0DB8:0:0:0:0:0:5!50000!\r\n")]
    public void The_server_may_open_the_data_connection_that_the_client_announced(int family, string command)
    {
        var net = new TestNet(Ruleset);
        TextTalk control = Greeted(net, family);
        control.Client(command);
        ActiveData(net, family, 50000);
        net.ExpectsNoDrops();
        Assert.Equal((1, 1), (net.Path.Counters.Announced, net.Path.Counters.Met));
    }

    [Theory]
    [InlineData(4, "PASV\r\n", "227 Entering Passive Mode (203,0,113,2,195,80).\r\n")]
    [InlineData(4, "pasv\r\n", "227 =203,0,113,2,195,80\r\n")]
    [InlineData(4, "EPSV\r\n", "229 Entering Extended Passive Mode (|||50000|)\r\n")]
    [InlineData(6, "EPSV 2\r\n", "229 Entering Extended Passive Mode (|||50000|)\r\n")]
    [InlineData(6, "EPSV\r\n", "229-So be it\r\n229 (!!!50000!)\r\n")]
    public void The_client_may_open_the_data_connection_that_the_server_announced(int family, string command, string reply)
    {
        var net = new TestNet(Ruleset);
        TextTalk control = Greeted(net, family);
        control.Client(command);
        control.Server(reply);
        PassiveData(net, family, 50000);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void The_rule_names_the_helper_not_the_port(int family)
    {
        var net = new TestNet(Ruleset);
        TextTalk control = Greeted(net, family, 2121);
        control.Client(Eprt(family, 50000));
        ExpectsNoActiveData(net, family, 50000);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_command_in_pieces_counts_once_it_is_whole(int family)
    {
        string command = Eprt(family, 50000);
        for (int cut = 1; cut < command.Length; cut++)
        {
            var net = new TestNet(Ruleset);
            TextTalk control = Greeted(net, family);
            control.Client(command[..cut]);
            Assert.Equal(0, net.Path.Flows.Expectations.Count);
            control.Client(command[cut..]);
            ActiveData(net, family, 50000);
            net.ExpectsNoDrops();
        }
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_reply_byte_by_byte_with_each_byte_sent_twice_counts_once(int family)
    {
        var net = new TestNet(Ruleset);
        TextTalk control = Greeted(net, family);
        control.Client("EPSV\r\n");
        foreach (char one in "229 Extended (|||50000|)\r\n")
        {
            control.Server(one.ToString());
            control.Again(server: true, one.ToString(), 1);
        }

        Assert.Equal(1, net.Path.Counters.Announced);
        PassiveData(net, family, 50000);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_segment_that_repeats_the_old_and_brings_the_new_is_read_from_the_new_on(int family)
    {
        var net = new TestNet(Ruleset);
        TextTalk control = Greeted(net, family);
        string command = Eprt(family, 50000);
        control.Client("TYPE I\r\n" + command[..6]);
        control.Again(server: false, command[..6] + command[6..], 6);
        ActiveData(net, family, 50000);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Commands_in_a_super_frame_are_read_as_one_text(int family)
    {
        var net = new TestNet(Ruleset);
        TextTalk control = Greeted(net, family);
        control.Client("TYPE I\r\n" + Eprt(family, 50000) + "RETR file\r\n", "gso=16");
        ActiveData(net, family, 50000);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Behind_a_hole_the_line_at_hand_is_not_guessed_and_the_next_one_counts(int family)
    {
        var net = new TestNet(Ruleset);
        TextTalk control = Greeted(net, family);
        control.Unseen(server: false, "STOR a\r\n");
        control.Client(Eprt(family, 50000));
        Assert.Equal(0, net.Path.Counters.Announced);
        control.Client(Eprt(family, 50001));
        Assert.Equal(1, net.Path.Counters.Announced);
        ActiveData(net, family, 50001);
    }

    [Fact]
    public void Behind_a_hole_in_the_servers_replies_nothing_is_believed_until_the_client_speaks()
    {
        var net = new TestNet(Ruleset);
        TextTalk control = Greeted(net, 4);
        control.Client("PASV\r\n");
        control.Unseen(server: true, "211-Here it begins\r\n");
        control.Server("x\r\n227 (203,0,113,2,195,80)\r\n");
        Assert.Equal(0, net.Path.Counters.Announced);
        control.Client("PASV\r\n");
        control.Server("227 (203,0,113,2,195,81)\r\n");
        PassiveData(net, 4, 50001);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData("PORT 203,0,113,7,195,80\r\n")]
    [InlineData("PORT 203,0,113,2,195,80\r\n")]
    [InlineData("EPRT |1|10.0.0.6|50000|\r\n")]
    [InlineData("EPRT |2|2001:db8::5|50000|\r\n")]
    [InlineData("EPRT |2|::ffff:10.0.0.5|50000|\r\n")]
    public void A_bounce_to_another_address_is_not_believed(string command)
    {
        var net = new TestNet(Ruleset);
        Greeted(net, 4).Client(command);
        ExpectsNoActiveData(net, 4, 50000);
        Assert.Equal((0, 1), (net.Path.Counters.Announced, net.Path.Counters.AnnouncementsRefused));
    }

    [Theory]
    [InlineData("PORT 10,0,0,5,0,22\r\n", 22)]
    [InlineData("PORT 10,0,0,5,3,255\r\n", 1023)]
    [InlineData("EPRT |1|10.0.0.5|139|\r\n", 139)]
    [InlineData("EPRT |1|10.0.0.5|0|\r\n", 1)]
    public void A_port_of_a_service_is_not_believed(string command, int port)
    {
        var net = new TestNet(Ruleset);
        Greeted(net, 4).Client(command);
        ExpectsNoActiveData(net, 4, port);
        Assert.Equal(1, net.Path.Counters.AnnouncementsRefused);
    }

    [Theory]
    [InlineData("PORT 10,0,0,5,195\r\n")]
    [InlineData("PORT 10,0,0,5,195,256\r\n")]
    [InlineData("PORT 10,0,0,5,195,80,1\r\n")]
    [InlineData("PORT 10,0,0,5,,80\r\n")]
    [InlineData("PORT  10,0,0,5,195,80\r\n")]
    [InlineData("PORT\r\n")]
    [InlineData("EPRT |1|10.0.0.5|65536|\r\n")]
    [InlineData("EPRT |1|10.0.0.5|50000\r\n")]
    [InlineData("EPRT |1|10.0.0.5|50000|x\r\n")]
    [InlineData("EPRT |3|10.0.0.5|50000|\r\n")]
    [InlineData("EPRT\r\n")]
    [InlineData("EPRT |\r\n")]
    public void What_is_no_announcement_is_none(string command)
    {
        var net = new TestNet(Ruleset);
        Greeted(net, 4).Client(command);
        Assert.Equal((0, 1), (net.Path.Counters.Announced, net.Path.Counters.AnnouncementsRefused));
    }

    [Theory]
    [InlineData("227 Entering Passive Mode (0,0,0,0,195,80)\r\n")]
    [InlineData("227 Entering Passive Mode (203,0,113,3,195,80)\r\n")]
    [InlineData("227 Entering Passive Mode (10,0,0,5,195,80)\r\n")]
    [InlineData("227 Entering Passive Mode (203,0,113,2,0,22)\r\n")]
    [InlineData("227 Entering Passive Mode\r\n")]
    public void A_reply_with_an_address_not_the_servers_or_a_low_port_is_not_believed(string reply)
    {
        var net = new TestNet(Ruleset);
        TextTalk control = Greeted(net, 4);
        control.Client("PASV\r\n");
        control.Server(reply);
        Assert.Equal((0, 1), (net.Path.Counters.Announced, net.Path.Counters.AnnouncementsRefused));
    }

    [Theory]
    [InlineData("(|||22|)")]
    [InlineData("(|||70000|)")]
    [InlineData("(|1|203.0.113.3|50000|)")]
    [InlineData("(||||)")]
    [InlineData("|||50000|")]
    [InlineData(")(")]
    public void An_extended_reply_that_names_no_free_port_is_not_believed(string reply)
    {
        var net = new TestNet(Ruleset);
        TextTalk control = Greeted(net, 6);
        control.Client("EPSV\r\n");
        control.Server($"229 Entering {reply}\r\n");
        Assert.Equal((0, 1), (net.Path.Counters.Announced, net.Path.Counters.AnnouncementsRefused));
    }

    [Theory]
    [InlineData("NOOP\r\n")]
    [InlineData("EPSV\r\n")]
    [InlineData("EPSV ALL\r\n")]
    public void A_reply_that_no_command_asked_for_is_not_believed(string command)
    {
        var net = new TestNet(Ruleset);
        TextTalk control = Greeted(net, 4);
        control.Client(command);
        control.Server("227 Entering Passive Mode (203,0,113,2,195,80)\r\n");
        Assert.Equal(0, net.Path.Counters.Announced);
    }

    [Fact]
    public void One_command_earns_one_reply()
    {
        var net = new TestNet(Ruleset);
        TextTalk control = Greeted(net, 4);
        control.Client("PASV\r\n");
        control.Server("227 (203,0,113,2,195,80)\r\n227 (203,0,113,2,195,81)\r\n");
        Assert.Equal(1, net.Path.Counters.Announced);
    }

    [Theory]
    [InlineData("500 '227 Entering Passive Mode (203,0,113,2,195,80)' not understood\r\n")]
    [InlineData("500 'x\n227 Entering Passive Mode (203,0,113,2,195,80)\n' not understood\r\n")]
    [InlineData("211-Status of files:\r\n227 Entering Passive Mode (203,0,113,2,195,80)\r\n211 End\r\n")]
    [InlineData(" 227 Entering Passive Mode (203,0,113,2,195,80)\r\n")]
    public void A_reply_inside_another_is_not_believed(string echo)
    {
        var net = new TestNet(Ruleset);
        TextTalk control = Greeted(net, 4);
        control.Client("PASV\r\n");
        control.Server(echo);
        Assert.Equal(0, net.Path.Counters.Announced);
    }

    [Fact]
    public void A_line_that_begins_with_a_segment_but_not_with_a_line_is_not_believed()
    {
        var net = new TestNet(Ruleset);
        TextTalk control = Greeted(net, 4);
        control.Client("PASV\r\n");
        control.Server("500 '" + new string('A', 500));
        control.Server("227 Entering Passive Mode (203,0,113,2,195,80)\r\n");
        Assert.Equal(0, net.Path.Counters.Announced);
        control.Client("X PORT 10,0,0,5,195,80\r\n" + new string('B', 300));
        control.Client("PORT 10,0,0,5,195,80\r\n");
        Assert.Equal(0, net.Path.Counters.Announced);
    }

    [Fact]
    public void A_page_that_makes_a_browser_post_ftp_lines_opens_nothing()
    {
        var net = new TestNet(Ruleset);
        var control = new TextTalk(net, 4, 21);
        control.Client("POST / HTTP/1.1\r\nHost: x\r\n\r\nPORT 10,0,0,5,195,80\r\n");
        control.Server("220 Welcome\r\n");
        control.Client("PORT 10,0,0,5,195,80\r\n");
        ExpectsNoActiveData(net, 4, 50000);
        Assert.Equal(1, net.Path.Counters.HelpersSilent);
    }

    [Fact]
    public void Who_was_silenced_is_not_read_anew_under_another_ruleset()
    {
        var net = new TestNet(Ruleset);
        var control = new TextTalk(net, 4, 21);
        control.Server("220 Welcome\r\n");
        control.Client("POST / HTTP/1.1\r\nHost: x\r\n\r\n");
        net.Reloads(Ruleset);
        control.Client("\r\nPORT 10,0,0,5,195,80\r\n");
        ExpectsNoActiveData(net, 4, 50000);
        Assert.Equal((0, 1), (net.Path.Counters.Announced, net.Path.Counters.HelpersSilent));
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_line_that_a_server_planted_in_a_ticket_of_tls_opens_nothing(int family)
    {
        // The server greets as FTP does, and the client of TLS gives it back what it chose.
        var net = new TestNet(Ruleset);
        var control = new TextTalk(net, family, 21);
        control.Server("220 Welcome\r\n");
        control.Client("\x16\x03\x01\x02\x00" + new string('A', 300));
        control.Client("\r\n" + Eprt(family, 50000));
        ExpectsNoActiveData(net, family, 50000);
        Assert.Equal((0, 1), (net.Path.Counters.Announced, net.Path.Counters.HelpersSilent));
    }

    [Fact]
    public void Nothing_is_believed_before_the_server_has_greeted()
    {
        var net = new TestNet(Ruleset);
        var control = new TextTalk(net, 4, 21);
        control.Client("PORT 10,0,0,5,195,80\r\n");
        ExpectsNoActiveData(net, 4, 50000);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_connection_that_was_sealed_is_read_no_further(int family)
    {
        var net = new TestNet(Ruleset);
        TextTalk control = Greeted(net, family);
        control.Client("AUTH TLS\r\n");
        control.Server("234 Go ahead\r\n");
        control.Client(Eprt(family, 50000));
        ExpectsNoActiveData(net, family, 50000);
        Assert.Equal(1, net.Path.Counters.HelpersSilent);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_server_that_does_not_know_tls_is_read_on(int family)
    {
        var net = new TestNet(Ruleset);
        TextTalk control = Greeted(net, family);
        control.Client("AUTH TLS\r\n");
        control.Server("502 What?\r\n");
        control.Client(Eprt(family, 50000));
        ActiveData(net, family, 50000);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_line_longer_than_is_kept_is_passed_over_and_the_next_counts(int family)
    {
        var net = new TestNet(Ruleset);
        TextTalk control = Greeted(net, family);
        control.Client("STOR " + new string('x', 1000));
        control.Client(new string('y', 1000) + "\r\n" + Eprt(family, 50000));
        ActiveData(net, family, 50000);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_command_that_is_sent_again_awaits_one_connection_still(int family)
    {
        var net = new TestNet(Ruleset);
        TextTalk control = Greeted(net, family);
        string command = Eprt(family, 50000);
        control.Client(command);
        control.Again(server: false, command, command.Length);
        control.Client(command);
        Assert.Equal((1, 1), (net.Path.Counters.Announced, net.Path.Flows.Expectations.Count));
    }

    /// <summary>The command that announces a port of the client's own.</summary>
    internal static string Eprt(int family, int port) => $"EPRT |{(family == 4 ? 1 : 2)}|{Nets.At(family, 1)}|{port}|\r\n";

    /// <summary>A control connection whose server has greeted.</summary>
    internal static TextTalk Greeted(TestNet net, int family, int port = 21, int clientPort = 40000)
    {
        var control = new TextTalk(net, family, port, clientPort);
        control.Server("220 Welcome\r\n");
        control.Client("USER x\r\n");
        return control;
    }

    private static void ActiveData(TestNet net, int family, int port)
    {
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, port), Nets.At(family, 2, 20));
        server.Reaches(client, "syn seq=9");
        client.Reaches(server, "syn,ack seq=7 ack=10");
        server.Reaches(client, "ack seq=10 ack=8 len=100");
    }

    private static void PassiveData(TestNet net, int family, int port)
    {
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 40001), Nets.At(family, 2, port));
        client.Reaches(server, "syn seq=9");
        server.Reaches(client, "syn,ack seq=7 ack=10");
        client.Reaches(server, "ack seq=10 ack=8 len=100");
    }

    private static void ExpectsNoActiveData(TestNet net, int family, int port)
    {
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, port), Nets.At(family, 2, 20));
        server.Sends("syn seq=9");
        client.HearsNothing();
        net.Expects(DropReason.DefaultDeny, 1);
    }
}
