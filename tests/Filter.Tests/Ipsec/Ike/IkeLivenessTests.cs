using Filter.Ipsec.Ike;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;
using static Filter.Tests.Ipsec.Ike.IkeSettings;

namespace Filter.Tests.Ipsec.Ike;

/// <summary>Peers that live, die, start anew, or hear nothing (RFC 7296 §2.1 to §2.4).</summary>
public sealed class IkeLivenessTests
{
    [Fact]
    public void Silence_is_asked_about_and_answered()
    {
        using IkeNet net = new();
        (IkeNode east, _) = Up(net, static p => p with { DeadPeerAfter = 10 * Second });
        int before = net.Sent.Count;
        net.Run(65);
        Assert.InRange(net.Sent.Count - before, 10, 28);
        Assert.True(east.IsUp);
    }

    [Fact]
    public void Packets_that_are_opened_are_as_good_as_an_answer()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net, static p => p with { DeadPeerAfter = 10 * Second });
        int before = net.Sent.Count;
        for (int i = 0; i < 60; i++)
        {
            east.SendPacket("office");
            west.SendPacket("office");
            net.Run(1);
        }

        Assert.Equal(before, net.Sent.Count);
    }

    [Fact]
    public void A_peer_that_does_not_answer_is_dead_and_is_called_again_where_it_is_to_be_up()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net, static p => p with { DeadPeerAfter = 10 * Second, Start = p.Name == "west" ? IkeStart.AtOnce : IkeStart.OnDemand });
        net.Drops = static (_, _) => true;
        net.Run(120);
        Assert.Single(east.Told(IkeEventKind.PeerDead));
        Assert.Empty(east.Children);
        Assert.False(east.IsUp || west.IsUp);
        Assert.Equal(0, east.InboundCount);
        net.Drops = null;
        Assert.True(net.RunUntil(() => east.Children.Any() && west.Children.Any()));
    }

    [Fact]
    public void A_peer_that_started_anew_says_so_and_what_was_before_goes()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);
        uint before = west.Child.InboundSpi;
        east.Restart(EastConfig());
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        Assert.Single(west.Peer.Sas);
        Assert.NotEqual(before, west.Child.InboundSpi);
        Assert.Equal(1, west.InboundCount);
        east.SendPacket("office");
        west.SendPacket("office");
        net.Run(1);
        Assert.Equal((1, 1), (east.Received, west.Received));
    }

    [Fact]
    public void A_request_that_comes_again_gets_the_same_answer_and_is_done_once()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);
        int before = net.Sent.Count;
        east.Engine.Rekey("office", net.Now);
        net.Run(1);
        (IkeNode from, IkePath path, byte[] request) = net.Sent[before];
        (_, _, byte[] answer) = net.Sent[before + 1];
        net.Deliver(path, request);
        net.Run(0.1);
        Assert.Same(east, from);

        // The deletion has come since: the answer to what is older is not kept.
        Assert.Equal(before + 4, net.Sent.Count);
        (_, path, request) = net.Sent[before + 2];
        net.Deliver(path, request);
        net.Run(0.1);
        Assert.Equal(net.Sent[before + 3].Message, net.Sent[^1].Message);
        Assert.NotEqual(answer, net.Sent[^1].Message);
        Assert.Single(west.Told(IkeEventKind.ChildRekeyed));
    }

    [Fact]
    public void Only_who_asks_sends_again()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net, static p => p with { DeadPeerAfter = 0 });
        int answers = 0, requests = 0;
        net.Drops = (from, _) => from == west ? answers++ >= 0 : requests++ < 0;
        east.Engine.Rekey("office", net.Now);
        net.Run(70);
        Assert.Equal(8, requests);
        Assert.Equal(8, answers);
        Assert.False(east.IsUp);
    }

    [Fact]
    public void One_request_at_a_time()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);
        net.Drops = (from, _) => from == west;
        int before = net.Sent.Count;
        east.Engine.Rekey("office", net.Now);
        east.Engine.Rekey("west", net.Now);
        net.Run(0.4);
        Assert.Equal(1, net.Sent.Skip(before).Count(s => s.From == east));
        net.Drops = null;
        net.Run(10);
        Assert.Equal((2, 2), (east.Told(IkeEventKind.ChildRekeyed).Count() + east.Told(IkeEventKind.IkeRekeyed).Count(), west.Told(IkeEventKind.ChildRekeyed).Count() + west.Told(IkeEventKind.IkeRekeyed).Count()));
    }

    [Fact]
    public void Farewell_is_said_and_heard()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);
        east.Engine.Close(net.Now);
        Assert.Equal(0, east.InboundCount);
        net.Run(1);
        Assert.False(west.IsUp);
        Assert.Equal(0, west.InboundCount);
        Assert.Equal(IkePeerState.Down, west.Peer.State);
    }

    [Fact]
    public void A_deletion_whose_answer_is_lost_is_answered_again()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);
        int answers = 0;
        net.Drops = (from, _) => from == west && answers++ == 0;
        east.Engine.Down("west", net.Now);
        net.Run(2);
        Assert.Equal(2, answers);
        Assert.Empty(east.Peer.Sas);
        Assert.Empty(west.Peer.Sas);
    }

    [Fact]
    public void Orders_of_people_are_answered()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = net.Sites();
        Assert.False(east.Engine.Rekey("office", net.Now).Done);
        Assert.True(east.Engine.Up("office", net.Now).Done);
        net.Run(1);
        Assert.Equal("up already", east.Engine.Up("west", net.Now).Text);
        Assert.True(east.Engine.Down("office", net.Now).Done);
        net.Run(1);
        Assert.Empty(east.Children);
        Assert.Empty(west.Children);
        Assert.True(east.IsUp);
        Assert.True(east.Engine.Down("west", net.Now).Done);
        net.Run(1);
        Assert.False(east.IsUp || west.IsUp);
    }

    [Fact]
    public void What_is_to_be_up_and_was_taken_down_by_a_person_stays_down()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = net.Sites(static p => p with { Start = IkeStart.AtOnce });
        net.Run(1);
        Assert.True(east.IsUp);
        east.Engine.Down("west", net.Now);
        net.Run(60);
        Assert.False(east.IsUp || west.IsUp);
        east.Engine.Up("west", net.Now);
        net.Run(1);
        Assert.Single(east.Children);
        west.Engine.HardExpired(west.Child, net.Now);
        net.Run(5);
        Assert.Single(east.Children);
    }

    [Fact]
    public void A_peer_moves_to_where_its_newest_message_came_from()
    {
        using IkeNet net = new();
        IkeNode east = net.Add("east", Filter.Engine.Packets.Address.Parse("192.168.1.5"), EastConfig(static p => p with { Local = null, DeadPeerAfter = 5 * Second }));
        IkeNode west = net.Add("west", West, WestConfig(static p => p with { Remote = null, DeadPeerAfter = 0 }));
        net.Translator = (east, Filter.Engine.Packets.Address.Parse("203.0.113.9"));
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        net.Translator = (east, Filter.Engine.Packets.Address.Parse("203.0.113.77"));
        net.Run(10);
        Assert.Equal("203.0.113.77", west.Sa.Path.Remote.ToString());
        Assert.True(east.IsUp);
    }

    [Fact]
    public void A_ruleset_that_says_the_same_keeps_SAs_and_another_one_deletes_them()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);
        ChildSa child = east.Child;
        east.Engine.Adopt(EastConfig(), net.Now);
        net.Run(1);
        Assert.Same(child, east.Child);
        east.Engine.Rekey("office", net.Now);
        net.Run(1);
        Assert.Single(east.Children);
        east.Engine.Adopt(EastConfig(policy: static p => p with { Remote = Net("10.2.0.0/17") }), net.Now);
        net.Run(1);
        Assert.Empty(east.Children);
        Assert.Empty(west.Children);
        Assert.True(east.IsUp);
        east.Engine.Adopt(EastConfig(static p => p with { LocalCredential = Psk("a new one"), RemoteCredential = Psk("a new one") }), net.Now);
        net.Run(1);
        Assert.False(east.IsUp || west.IsUp);
        east.Engine.Adopt(new([], []), net.Now);
        Assert.Empty(east.Engine.Report(net.Now));
    }

    private static (IkeNode East, IkeNode West) Up(IkeNet net, Func<IkePeer, IkePeer>? change = null)
    {
        (IkeNode east, IkeNode west) = net.Sites(change, change);
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        Assert.True(net.RunUntil(() => east.Children.Any() && west.Children.Any()));
        return (east, west);
    }
}
