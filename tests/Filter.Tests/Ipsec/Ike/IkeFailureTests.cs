using Filter.Engine.Packets;
using Filter.Ipsec.Ike;
using Filter.Rules.Policy;
using static Filter.Tests.Ipsec.Ike.IkeSettings;

namespace Filter.Tests.Ipsec.Ike;

/// <summary>Why something was not agreed on, as each side tells it.</summary>
public sealed class IkeFailureTests
{
    [Fact]
    public void No_proposal_that_suits_is_told_with_both_sides_and_the_first_transform_that_differs()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = net.Sites(west: static p => p with { Proposals = [Proposal("aes-gcm-16-256+prf-hmac-sha2-384+x25519")] });
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        Assert.Equal(IkeFailureKind.NoProposal, west.Failure.Kind);
        Assert.Equal("prf: ours prf-hmac-sha2-384, theirs prf-hmac-sha2-256", west.Failure.Mismatch!.Differs);
        Assert.Contains("prf-hmac-sha2-256", Assert.Single(west.Failure.Mismatch.Theirs), StringComparison.Ordinal);
        Assert.Contains("prf-hmac-sha2-384", Assert.Single(west.Failure.Mismatch.Ours), StringComparison.Ordinal);
        Assert.Equal(IkeFailureKind.NoProposal, east.Failure.Kind);
        Assert.True(east.Failure.IsUnproven);
        Assert.Equal(IkePeerState.Connecting, east.Peer.State);
        net.Run(15);
        Assert.Equal(IkePeerState.Down, east.Peer.State);
        Assert.Equal(IkeFailureKind.NoProposal, east.Peer.LastFailure!.Kind);
    }

    [Fact]
    public void A_childs_proposal_that_does_not_suit_leaves_the_IKE_SA_up()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = net.Sites(west: static p => p with { Child = Child("aes-cbc-256+hmac-sha2-256-128") });
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        Assert.True(east.IsUp && west.IsUp);
        Assert.Empty(east.Children);
        Assert.Equal("encryption: ours aes-cbc-256, theirs aes-gcm-16-256", west.Failure.Mismatch!.Differs);
        Assert.Equal(IkeFailureKind.NoProposal, Assert.Single(east.Peer.Policies).LastFailure!.Kind);
    }

    [Fact]
    public void Selectors_that_do_not_meet_are_told_with_both_sides()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = net.Sites(eastPolicy: static p => p with { Remote = Net("10.7.0.0/16") });
        east.Acquire("office", "10.1.0.5", "10.7.0.9");
        net.Run(1);
        Assert.Equal(IkeFailureKind.Selectors, west.Failure.Kind);
        Assert.Contains("local 10.7.0.0/16", west.Failure.Mismatch!.Theirs);
        Assert.Contains("office: local 10.2.0.0/16", west.Failure.Mismatch.Ours);
        Assert.Equal(IkeFailureKind.Selectors, east.Failure.Kind);
        Assert.Contains("remote 10.7.0.0/16", east.Failure.Mismatch!.Ours);
        Assert.True(east.IsUp);
    }

    [Fact]
    public void A_peer_whose_children_are_for_one_pair_each_is_told_a_packets_pair_or_refuses()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = net.Sites(westPolicy: static p => p with { Populate = PopulatedSelectors.Local | PopulatedSelectors.Remote });
        east.Engine.Up("office", net.Now);
        net.Run(0.5);
        Assert.Equal((IkeFailureKind.Selectors, IkeFailureKind.Selectors), (east.Failure.Kind, west.Failure.Kind));
        Assert.Contains("pair", west.Failure.Mismatch!.Differs, StringComparison.Ordinal);
        net.Run(5);
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        Assert.Equal(("10.1.0.5", "10.2.0.9"), (Assert.Single(east.Child.Local).Addresses.ToString(), Assert.Single(east.Child.Remote).Addresses.ToString()));
    }

    [Fact]
    public void Who_fails_under_a_peers_address_does_not_speak_for_a_peer_that_is_up()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = net.Sites();
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        east.Restart(EastConfig(static p => p with { LocalCredential = Psk("a guess"), RemoteCredential = Psk("a guess") }));
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        Assert.Equal(IkeFailureKind.Authentication, west.Failure.Kind);
        Assert.True(west.IsUp);
        Assert.Null(west.Peer.LastFailure);
        Assert.Single(west.Children);
    }

    [Fact]
    public void Another_key_is_told_as_what_was_expected_of_whom()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = net.Sites(static p => p with { LocalCredential = Psk("one"), RemoteCredential = Psk("one") });
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        Assert.Equal(IkeFailureKind.Authentication, west.Failure.Kind);
        Assert.Contains("pre-shared key", west.Failure.Expected, StringComparison.Ordinal);
        Assert.NotNull(west.Failure.Found);
        Assert.Equal(IkeFailureKind.Authentication, east.Failure.Kind);
        Assert.Contains("east.example", east.Failure.Expected, StringComparison.Ordinal);
        Assert.False(east.IsUp || west.IsUp);
        Assert.Equal(0, west.Engine.HalfOpen.Count);
    }

    [Fact]
    public void An_answerer_who_is_not_believed_is_told_so_and_forgets_the_IKE_SA()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = net.Sites(static p => p with { RemoteCredential = Psk("another") });
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        Assert.False(east.IsUp || west.IsUp);
        Assert.Empty(west.Children);
        Assert.Equal(IkeFailureKind.Authentication, west.Failure.Kind);
        Assert.Equal(IkeFailureKind.Authentication, east.Failure.Kind);
    }

    [Fact]
    public void A_stranger_is_told_with_who_was_expected()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = net.Sites(static p => p with { LocalIdentity = Name("mallory.example") });
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        Assert.Equal(("east.example", "mallory.example"), (west.Failure.Expected, west.Failure.Found));
        Assert.False(east.IsUp || west.IsUp);
    }

    [Fact]
    public void Nobody_there_is_tried_again_ever_more_seldom_where_it_is_to_be_up_always()
    {
        using IkeNet net = new();
        IkeNode east = net.Add("east", East, EastConfig(static p => p with { Start = IkeStart.AtOnce }));
        net.Run(30);
        Assert.Equal(IkePeerState.Connecting, east.Peer.State);
        Assert.InRange(net.Sent.Count, 5, 8);
        net.Run(60);
        Assert.Equal(IkeFailureKind.NoAnswer, east.Peer.LastFailure!.Kind);
        int before = net.Sent.Count;
        net.Run(600);
        Assert.InRange(net.Sent.Count - before, 20, 90);
    }

    [Fact]
    public void What_nobody_needs_is_configured_but_down()
    {
        using IkeNet net = new();
        (IkeNode east, _) = net.Sites();
        net.Run(10);
        Assert.Equal(IkePeerState.Down, east.Peer.State);
        Assert.Equal(0, Assert.Single(east.Peer.Policies).Children);
        Assert.Empty(net.Sent);
    }

    [Fact]
    public void A_packet_for_a_peer_that_does_not_answer_is_not_asked_for_at_every_packet()
    {
        using IkeNet net = new();
        IkeNode east = net.Add("east", East, EastConfig());
        for (int i = 0; i < 1000; i++)
        {
            east.Acquire("office", "10.1.0.5", "10.2.0.9");
            net.Run(0.2);
        }

        Assert.InRange(net.Sent.Count, 8, 40);
    }

    [Fact]
    public void What_cannot_be_installed_is_refused_and_told()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = net.Sites();
        west.NoRoom = "no room for SAs";
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        Assert.Empty(east.Children);
        Assert.Contains("no room", west.Failure.Text, StringComparison.Ordinal);
        Assert.Equal(IkeFailureKind.Refused, east.Failure.Kind);
        Assert.True(east.IsUp);
    }

    [Fact]
    public void No_own_address_is_told()
    {
        using IkeNet net = new();
        IkePeer peer = Peer("west", null, null, "east.example", "west.example");
        IkeNode east = net.Add("east", East, Config(peer, Policy("office", peer, "10.1.0.0/16", "10.2.0.0/16")));
        Assert.False(east.Engine.Up("west", net.Now).Done);
        Assert.False(east.Engine.Up("nobody", net.Now).Done);
    }
}
