using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>SCTP associations through the walk: RFC 9260, RFC 6092 REC-38, 40.</summary>
public sealed class SctpTests
{
    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_association_is_set_up_works_and_ends(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        Associate(client, server);
        client.Reaches(server, "tag=0xb len=100");
        server.Reaches(client, "chunk=sack tag=0xa");
        server.Reaches(client, "tag=0xa len=1000");
        client.Reaches(server, "chunk=heartbeat tag=0xb len=40");
        server.Reaches(client, "chunk=heartbeat-ack tag=0xa len=40");
        client.Reaches(server, "chunk=shutdown tag=0xb");
        server.Reaches(client, "tag=0xa len=50");
        client.Reaches(server, "chunk=shutdown tag=0xb");
        server.Reaches(client, "chunk=shutdown-ack tag=0xa");
        client.Reaches(server, "chunk=shutdown-complete tag=0xb");
        server.Reaches(client, "chunk=shutdown-ack tag=0xa");
        client.Reaches(server, "chunk=shutdown-complete tag=0xa t-bit");
        net.ExpectsFlows(1);
        net.ExpectsNoDrops();
        net.After("61s");
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Every_step_may_be_repeated(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        for (int i = 0; i < 2; i++)
        {
            client.Reaches(server, "chunk=init itag=0xa");
        }

        for (int i = 0; i < 2; i++)
        {
            server.Reaches(client, "chunk=init-ack tag=0xa itag=0xb len=100");
        }

        client.Reaches(server, "chunk=init itag=0xa");
        for (int i = 0; i < 2; i++)
        {
            client.Reaches(server, "chunk=cookie-echo tag=0xb len=80");
        }

        server.Reaches(client, "tag=0xa len=50");
        server.Reaches(client, "chunk=cookie-ack tag=0xa");
        client.Reaches(server, "chunk=cookie-echo tag=0xb len=80");
        server.Reaches(client, "chunk=cookie-ack tag=0xa");
        client.Reaches(server, "tag=0xb");
        server.Reaches(client, "chunk=shutdown tag=0xa");
        server.Reaches(client, "chunk=shutdown tag=0xa");
        client.Reaches(server, "chunk=shutdown-ack tag=0xb");
        server.Reaches(client, "chunk=shutdown tag=0xa");
        client.Reaches(server, "chunk=shutdown-ack tag=0xb");
        server.Reaches(client, "chunk=shutdown-complete tag=0xa");
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Both_ends_may_begin_at_once(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "chunk=init itag=0xa");
        server.Reaches(client, "chunk=init itag=0xb");
        client.Reaches(server, "chunk=init-ack tag=0xb itag=0xa len=80");
        server.Reaches(client, "chunk=init-ack tag=0xa itag=0xb len=80");
        client.Reaches(server, "chunk=cookie-echo tag=0xb");
        server.Reaches(client, "chunk=cookie-echo tag=0xa");
        client.Reaches(server, "chunk=cookie-ack tag=0xb");
        server.Reaches(client, "chunk=cookie-ack tag=0xa");
        server.Reaches(client, "tag=0xa");
        client.Reaches(server, "tag=0xb");
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Both_ends_may_shut_down_at_once(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        Associate(client, server);
        client.Reaches(server, "chunk=shutdown tag=0xb");
        server.Reaches(client, "chunk=shutdown tag=0xa");
        client.Reaches(server, "chunk=shutdown-ack tag=0xb");
        server.Reaches(client, "chunk=shutdown-ack tag=0xa");
        client.Reaches(server, "chunk=shutdown-complete tag=0xb");
        server.Reaches(client, "chunk=shutdown-complete tag=0xa");
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Nothing_but_an_INIT_opens_and_none_from_outside(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        foreach (string words in new[]
                 {
                     "tag=0xb", "chunk=init-ack tag=0xb itag=0xa", "chunk=cookie-echo tag=0xb", "chunk=cookie-ack tag=0xb", "chunk=heartbeat tag=0xb",
                     "chunk=abort tag=0xb", "chunk=shutdown tag=0xb", "chunk=shutdown-ack tag=0xb", "chunk=shutdown-complete tag=0xb",
                 })
        {
            client.Sends(words);
            server.HearsNothing();
        }

        net.Expects(DropReason.NoFlow, 9);
        var other = new TestNet(Nets.OutOnly);
        (client, server) = Pair(other, family);
        server.Sends("chunk=init itag=0xb");
        client.HearsNothing();
        other.Expects(DropReason.DefaultDeny, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Blind_packets_without_the_tag_do_nothing(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        Associate(client, server);
        foreach (string words in new[]
                 {
                     "tag=0xb", "tag=0xc", "tag=0x0", "chunk=abort tag=0xb", "chunk=abort tag=0xa t-bit", "chunk=abort tag=0xc t-bit",
                     "chunk=shutdown tag=0xc", "chunk=shutdown-complete tag=0xa t-bit", "chunk=cookie-ack tag=0xc", "chunk=init-ack tag=0xa itag=0xc",
                 })
        {
            server.Sends(words);
            client.HearsNothing();
        }

        net.Expects(DropReason.WrongTag, 10);
        client.Reaches(server, "tag=0xb");
        server.Reaches(client, "tag=0xa");
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_blind_INIT_into_an_association_reaches_its_end_and_changes_nothing(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        Associate(client, server);
        server.Reaches(client, "chunk=init itag=0xbad");
        client.Reaches(server, "chunk=init-ack tag=0xbad itag=0xc len=100");
        server.Sends("chunk=cookie-echo tag=0xbad");
        server.Sends("chunk=abort tag=0xbad t-bit");
        server.Sends("tag=0xbad");
        client.HearsNothing();
        net.Expects(DropReason.WrongTag, 3);
        client.Reaches(server, "chunk=abort tag=0xbad");
        client.Reaches(server, "tag=0xb");
        server.Reaches(client, "tag=0xa");
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_blind_INIT_into_a_handshake_takes_nothing_from_it(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "chunk=init itag=0xa");
        server.Reaches(client, "chunk=init itag=0xbad");
        server.Reaches(client, "chunk=init-ack tag=0xa itag=0xb len=100");
        server.Reaches(client, "chunk=init itag=0xbad");
        server.Sends("chunk=abort tag=0xbad t-bit");
        client.HearsNothing();
        client.Reaches(server, "chunk=cookie-echo tag=0xb len=80");
        server.Reaches(client, "chunk=cookie-ack tag=0xa");
        server.Reaches(client, "tag=0xa");
        net.Expects(DropReason.WrongTag, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Blind_INITs_do_not_keep_an_association_alive(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        Associate(client, server);
        net.After("7000s");
        server.Reaches(client, "chunk=init itag=0xbad");
        net.After("441s");
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_end_that_has_forgotten_all_begins_anew_and_old_tags_are_stale(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        Associate(client, server);
        client.Reaches(server, "chunk=init itag=0x1a");
        server.Reaches(client, "tag=0xa");
        server.Reaches(client, "chunk=init-ack tag=0x1a itag=0x1b len=100");
        client.Reaches(server, "chunk=cookie-echo tag=0x1b len=80");
        server.Reaches(client, "tag=0xa");
        server.Reaches(client, "chunk=cookie-ack tag=0x1a");
        client.Reaches(server, "tag=0x1b");
        server.Sends("tag=0xa");
        client.Sends("tag=0xb");
        client.HearsNothing();
        server.HearsNothing();
        net.Expects(DropReason.WrongTag, 2);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_answerer_that_has_forgotten_all_may_begin_anew_however_many_blind_INITs_came(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        Associate(client, server);
        server.Reaches(client, "chunk=init itag=0xbad");
        client.Reaches(server, "chunk=init-ack tag=0xbad itag=0xc len=100");
        server.Reaches(client, "chunk=init itag=0x1b");
        client.Reaches(server, "chunk=init-ack tag=0x1b itag=0x1a len=100");
        server.Reaches(client, "chunk=cookie-echo tag=0x1a len=80");
        client.Reaches(server, "chunk=cookie-ack tag=0x1b");
        server.Reaches(client, "tag=0x1a");
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4, "chunk=abort tag=0xa")]
    [InlineData(6, "chunk=abort tag=0xa")]
    [InlineData(4, "chunk=abort tag=0xb t-bit")]
    [InlineData(6, "chunk=abort tag=0xb t-bit")]
    public void An_abort_closes_the_way_back_and_what_was_in_flight_is_aborted_again(int family, string abort)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        Associate(client, server);
        server.Reaches(client, abort);
        client.Reaches(server, "tag=0xb");
        server.Reaches(client, abort);
        server.Sends("tag=0xa");
        client.HearsNothing();
        net.Expects(DropReason.InvalidState, 1);
        Associate(client, server, first: 0x2a, second: 0x2b);
        server.Reaches(client, "tag=0x2a");
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_refusal_answers_the_INIT(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "chunk=init itag=0xa");
        server.Sends("chunk=abort tag=0xb");
        server.Sends("chunk=abort tag=0xa t-bit");
        client.HearsNothing();
        server.Reaches(client, "chunk=abort tag=0xa");
        net.Expects(DropReason.WrongTag, 2);
        client.Reaches(server, "chunk=init itag=0xc");
        server.Reaches(client, "chunk=init-ack tag=0xc itag=0xd");
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_cookie_that_nobody_gave_is_not_taken(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "chunk=init itag=0xa");
        server.Sends("chunk=cookie-echo tag=0xa");
        server.Sends("chunk=cookie-ack tag=0xa");
        client.HearsNothing();
        net.Expects(DropReason.InvalidState, 2);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_wrong_checksum_changes_nothing(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        Associate(client, server);
        server.Sends("chunk=abort tag=0xa csum=bad");
        server.Sends("chunk=shutdown tag=0xa csum=bad");
        client.HearsNothing();
        net.Expects(DropReason.BadChecksum, 2);
        server.Reaches(client, "tag=0xa");
        client.Reaches(server, "chunk=shutdown tag=0xb");
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_handshake_waits_four_minutes_and_an_association_two_hours_and_four(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        (TestHost client, TestHost server) = Pair(net, family);
        client.Reaches(server, "chunk=init itag=0xa");
        net.After("239s");
        server.Reaches(client, "chunk=init-ack tag=0xa itag=0xb");
        net.After("239s");
        client.Reaches(server, "chunk=cookie-echo tag=0xb");
        server.Reaches(client, "chunk=cookie-ack tag=0xa");
        net.After("7439s");
        client.Reaches(server, "chunk=shutdown tag=0xb");
        net.After("239s");
        server.Reaches(client, "chunk=shutdown-ack tag=0xa");
        net.After("241s");
        net.ExpectsFlows(0);
        net.ExpectsNoDrops();
    }

    private static void Associate(TestHost client, TestHost server, int first = 0xa, int second = 0xb)
    {
        client.Reaches(server, $"chunk=init itag=0x{first:x}");
        server.Reaches(client, $"chunk=init-ack tag=0x{first:x} itag=0x{second:x} len=100");
        client.Reaches(server, $"chunk=cookie-echo tag=0x{second:x} len=80");
        server.Reaches(client, $"chunk=cookie-ack tag=0x{first:x}");
    }

    private static (TestHost Client, TestHost Server) Pair(TestNet net, int family) =>
        net.Between(Nets.At(family, 1, 4000), Nets.At(family, 2, 2905), "sctp");
}
