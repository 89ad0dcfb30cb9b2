using Filter.Ipsec.Ike;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;
using static Filter.Tests.Ipsec.Ike.IkeSettings;

namespace Filter.Tests.Ipsec.Ike;

/// <summary>Renewing keys while packets go on (RFC 7296 §2.8, §2.25).</summary>
public sealed class IkeRekeyTests
{
    private const double Pause = 0.002;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_child_is_renewed_by_either_side(bool byInitiator)
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);
        (uint before, IkeNode who) = (east.Child.InboundSpi, byInitiator ? east : west);
        who.Engine.SoftExpired(who.Child, net.Now);
        who.Engine.SoftExpired(who.Child, net.Now);
        net.Run(1);
        Assert.NotEqual(before, east.Child.InboundSpi);
        Assert.Equal(east.Child.InboundSpi, west.Child.OutboundSpi);
        Assert.Equal(east.Child.OutboundSpi, west.Child.InboundSpi);
        Assert.Single(east.Told(IkeEventKind.ChildRekeyed));
        Assert.Equal(2, east.InboundCount);
        net.Run(10);
        Assert.Equal((1, 1), (east.InboundCount, west.InboundCount));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_IKE_SA_is_renewed_by_either_side_and_its_children_stay(bool byInitiator)
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);
        (ChildSa child, ulong before) = (east.Child, east.Sa.InitiatorSpi);
        (byInitiator ? east : west).Engine.Rekey(byInitiator ? "west" : "east", net.Now);
        net.Run(1);
        Assert.NotEqual(before, east.Sa.InitiatorSpi);
        Assert.Equal(east.Sa.InitiatorSpi, west.Sa.InitiatorSpi);
        Assert.Equal(byInitiator, east.Sa.IsInitiator);
        Assert.Same(child, east.Child);
        Assert.Same(child, Assert.Single(east.Sa.Children));
        Assert.Empty(east.Told(IkeEventKind.ChildDown));
        Assert.Empty(east.Told(IkeEventKind.IkeDown));
        west.Engine.Rekey("office", net.Now);
        net.Run(1);
        Assert.NotSame(child, east.Child);
    }

    [Fact]
    public void An_IKE_SA_is_renewed_when_its_time_comes()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net, static p => p with { Rekey = 100 * Second, DeadPeerAfter = 0 });
        net.Run(1005);
        Assert.InRange(east.Told(IkeEventKind.IkeRekeyed).Count(), 9, 25);
        Assert.Single(east.Peer.Sas);
        Assert.Single(west.Peer.Sas);
        Assert.Single(east.Told(IkeEventKind.ChildUp));
    }

    [Fact]
    public void Both_renew_a_child_at_once_and_one_is_left()
    {
        for (int seed = 1; seed <= Fuzzing.Rounds(20); seed++)
        {
            using IkeNet net = new(seed);
            (IkeNode east, IkeNode west) = Up(net);
            east.Engine.SoftExpired(east.Child, net.Now);
            west.Engine.SoftExpired(west.Child, net.Now);
            net.Run(2);
            Assert.Equal(east.Child.InboundSpi, west.Child.OutboundSpi);
            Assert.Single(east.Sa.Children);
            Assert.Single(west.Sa.Children);
            net.Run(10);
            Assert.Equal((1, 1), (east.InboundCount, west.InboundCount));
        }
    }

    [Fact]
    public void Both_renew_the_IKE_SA_at_once_and_one_is_left()
    {
        for (int seed = 1; seed <= Fuzzing.Rounds(20); seed++)
        {
            using IkeNet net = new(seed);
            (IkeNode east, IkeNode west) = Up(net);
            east.Engine.Rekey("west", net.Now);
            west.Engine.Rekey("east", net.Now);
            net.Run(70);
            Assert.Equal(east.Sa.InitiatorSpi, west.Sa.InitiatorSpi);
            Assert.Single(east.Sa.Children);
            Assert.Single(west.Sa.Children);
            Assert.Empty(east.Told(IkeEventKind.ChildDown));
        }
    }

    [Fact]
    public void A_child_and_its_IKE_SA_are_renewed_at_once_by_different_sides()
    {
        for (int seed = 1; seed <= Fuzzing.Rounds(20); seed++)
        {
            using IkeNet net = new(seed);
            (IkeNode east, IkeNode west) = Up(net);
            ChildSa before = east.Child;
            east.Engine.Rekey("west", net.Now);
            west.Engine.SoftExpired(west.Child, net.Now);
            net.Run(10);
            Assert.NotSame(before, east.Child);
            Assert.Equal(east.Sa.InitiatorSpi, west.Sa.InitiatorSpi);
            Assert.Single(east.Told(IkeEventKind.IkeRekeyed));
            Assert.Equal(east.Child.InboundSpi, west.Child.OutboundSpi);
        }
    }

    [Fact]
    public void One_renews_what_the_other_deletes()
    {
        for (int seed = 1; seed <= Fuzzing.Rounds(20); seed++)
        {
            using IkeNet net = new(seed) { Spread = 20_000_000 };
            (IkeNode east, IkeNode west) = Up(net);
            east.Engine.SoftExpired(east.Child, net.Now);
            west.Engine.HardExpired(west.Child, net.Now);
            net.Run(20);
            Assert.True(east.IsUp && west.IsUp);
            Assert.Equal(east.Children.Select(static c => c.InboundSpi), west.Children.Select(static c => c.OutboundSpi));
            Assert.Equal(east.InboundCount, west.InboundCount);
        }
    }

    [Fact]
    public void A_child_that_the_peer_deletes_before_its_making_is_heard_of_does_not_stay()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);
        int answers = 0;
        net.Drops = (from, message) => from == west && message[18] == (byte)ExchangeType.CreateChildSa && answers++ == 0;
        east.Engine.Rekey("office", net.Now);
        net.Run(0.1);
        ChildSa made = west.Inner.Children[^1];
        west.Engine.HardExpired(made, net.Now);
        net.Run(5);
        Assert.DoesNotContain(east.Children, c => c.OutboundSpi == made.InboundSpi);
        net.Run(20);
        Assert.Equal(east.Child.InboundSpi, west.Child.OutboundSpi);
    }

    [Fact]
    public void Both_delete_a_child_at_once()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);
        east.Engine.HardExpired(east.Child, net.Now);
        west.Engine.HardExpired(west.Child, net.Now);
        net.Run(1);
        Assert.Empty(east.Children);
        Assert.Empty(west.Children);
        Assert.Equal((0, 0), (east.InboundCount, west.InboundCount));
        Assert.True(east.IsUp && west.IsUp);
    }

    [Fact]
    public void Both_delete_the_IKE_SA_at_once()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);
        east.Engine.Down("west", net.Now);
        west.Engine.Down("east", net.Now);
        net.Run(1);
        Assert.Empty(east.Peer.Sas);
        Assert.Empty(west.Peer.Sas);
        Assert.Equal(IkePeerState.Down, east.Peer.State);
        Assert.Single(east.Told(IkeEventKind.IkeDown));
    }

    [Fact]
    public void One_renews_the_IKE_SA_that_the_other_deletes()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);
        east.Engine.Rekey("west", net.Now);
        west.Engine.Down("east", net.Now);
        net.Run(90);
        Assert.Empty(east.Peer.Sas);
        Assert.Empty(west.Peer.Sas);
        Assert.Equal((0, 0), (east.InboundCount, west.InboundCount));
    }

    [Fact]
    public void Forward_secrecy_takes_the_group_that_the_answerer_wants()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(
            net, static p => p with { Child = p.Child with { Groups = [Algorithm("x25519"), Algorithm("ecp-256")] } },
            static p => p with { Child = p.Child with { Groups = [Algorithm("ecp-256")] } });
        ChildSa before = east.Child;
        east.Engine.Rekey("office", net.Now);
        net.Run(1);
        Assert.NotSame(before, east.Child);
        int messages = net.Sent.Count;
        east.Engine.Rekey("office", net.Now);
        net.Run(1);
        Assert.Equal(4, net.Sent.Count - messages);
        Assert.Equal(east.Child.InboundSpi, west.Child.OutboundSpi);
    }

    [Fact]
    public void Forward_secrecy_that_only_one_side_wants_is_told()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net, static p => p with { Child = p.Child with { Groups = [Algorithm("x25519")] } }, static p => p);
        ChildSa before = east.Child;
        east.Engine.Rekey("office", net.Now);
        net.Run(1);
        Assert.Same(before, east.Child);
        Assert.Equal("group: ours none, theirs x25519", west.Failure.Mismatch!.Differs);
    }

    [Fact]
    public void A_child_that_the_peer_has_forgotten_is_made_anew()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);
        IkeSa inner = west.Inner;
        west.Engine.Children.Remove(inner, west.Child, "forgotten", net.Now);
        east.Engine.SoftExpired(east.Child, net.Now);
        net.Run(2);
        Assert.Equal(east.Child.InboundSpi, west.Child.OutboundSpi);
    }

    [Fact]
    public void An_answerer_sends_by_the_new_child_once_the_initiator_has()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);
        uint old = west.Child.OutboundSpi;
        int deletes = 0;
        east.Engine.SoftExpired(east.Child, net.Now);

        // Its word that the old one goes is held up.
        net.Drops = (from, message) => from == east && message[18] == (byte)ExchangeType.Informational && deletes++ < 3;
        net.Run(0.1);
        Assert.Equal(old, west.Children.Last().OutboundSpi);
        Assert.Equal(2, west.InboundCount);
        east.SendPacket("office");
        net.Run(0.1);
        Assert.NotEqual(old, west.Children.Last().OutboundSpi);
        Assert.Equal((1, 0), (west.Received, west.Lost));
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(2, 10)]
    [InlineData(3, 25)]
    [InlineData(4, 40)]
    [InlineData(5, 15)]
    public void A_stream_crosses_two_hundred_renewals_without_a_loss(int seed, int lost)
    {
        using IkeNet net = new(seed) { Lost = lost, Doubled = lost, Spread = 30_000_000 };
        (IkeNode east, IkeNode west) = Up(net);
        Random random = new(seed);
        int sent = 0;
        bool goes = true;
        Stream();
        for (int i = 0; i < 200; i++)
        {
            Renew(east, west, random.Next(8), net.Now);
            net.Run(0.05 + (random.NextDouble() * (lost == 0 ? 0.5 : 2)));
            Assert.True(east.Lost == 0 && west.Lost == 0 && east.Refused == 0 && west.Refused == 0, $"round {i}: lost {east.Lost} {west.Lost}\n{net.Story(30)}");
        }

        (net.Lost, net.Doubled) = (0, 0);
        net.Run(80);
        goes = false;
        net.Run(1);
        Assert.Equal((sent, sent, 0, 0), (east.Received, west.Received, east.Lost, west.Lost));
        Assert.True((east.InboundCount, west.InboundCount) == (1, 1), $"{east.State}\n{west.State}\n{net.Story(60)}");
        Assert.Equal(east.Child.InboundSpi, west.Child.OutboundSpi);
        Assert.DoesNotContain(east.Told(IkeEventKind.ChildDown).Concat(west.Told(IkeEventKind.ChildDown)), static e => e.Child!.Installed == ChildDirections.Both);

        void Stream()
        {
            if (goes)
            {
                sent++;
                east.SendPacket("office");
                west.SendPacket("office");
                net.After((long)(Pause * Second), Stream);
            }
        }
    }

    /// <summary>By one side, by the other, by both; of the child, or the IKE SA, or each of one.</summary>
    private static void Renew(IkeNode east, IkeNode west, int which, long now)
    {
        if (which is 0 or 2 or 6)
        {
            east.Engine.Rekey("office", now);
        }

        if (which is 1 or 2 or 7)
        {
            west.Engine.Rekey("office", now);
        }

        if (which is 3 or 5 or 7)
        {
            east.Engine.Rekey("west", now);
        }

        if (which is 4 or 5 or 6)
        {
            west.Engine.Rekey("east", now);
        }
    }

    private static (IkeNode East, IkeNode West) Up(IkeNet net, Func<IkePeer, IkePeer>? change = null, Func<IkePeer, IkePeer>? west = null)
    {
        (IkeNode east, IkeNode other) = net.Sites(change, west ?? change);
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        Assert.True(net.RunUntil(() => east.Children.Any() && other.Children.Any()));
        return (east, other);
    }
}
