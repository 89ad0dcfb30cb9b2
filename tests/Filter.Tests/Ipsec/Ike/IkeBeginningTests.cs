using Filter.Ipsec.Ike;
using Filter.Rules.Policy;
using static Filter.Tests.Ipsec.Ike.IkeSettings;

namespace Filter.Tests.Ipsec.Ike;

/// <summary>How an IKE SA and its first children come to be (RFC 7296 §1.2).</summary>
public sealed class IkeBeginningTests
{
    [Fact]
    public void A_packet_brings_up_a_tunnel_with_the_selectors_of_its_policy()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = net.Sites();
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        Assert.Equal(IkePeerState.Up, east.Peer.State);
        Assert.Equal(IkePeerState.Up, west.Peer.State);
        Assert.Equal(east.Child.InboundSpi, west.Child.OutboundSpi);
        Assert.Equal(east.Child.OutboundSpi, west.Child.InboundSpi);
        Assert.Equal("10.1.0.0/16", Assert.Single(east.Child.Local).ToString());
        Assert.Equal("10.2.0.0/16", Assert.Single(east.Child.Remote).ToString());
        Assert.Null(east.Child.Selectors);
        Assert.Null(west.Child.Selectors);
        Assert.True(east.Child.Settings.ExtendedSequence);
        east.SendPacket("office");
        west.SendPacket("office");
        net.Run(1);
        Assert.Equal((1, 1, 0, 0), (east.Received, west.Received, east.Lost, west.Lost));
    }

    [Fact]
    public void Four_messages_are_enough()
    {
        using IkeNet net = new();
        (IkeNode east, _) = net.Sites();
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(10);
        Assert.Equal(4, net.Sent.Count);
    }
}
