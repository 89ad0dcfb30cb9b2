using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Ipsec.Ike;
using Filter.Ipsec.Ike.Payloads;
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
    public void Four_messages_are_enough_and_the_packet_that_asked_is_the_first_selector()
    {
        using IkeNet net = new();
        (IkeNode east, _) = net.Sites();
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(10);
        Assert.Equal(4, net.Sent.Count);
    }

    [Fact]
    public void Either_side_begins()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = net.Sites();
        west.Acquire("office", "10.2.0.5", "10.1.0.9");
        net.Run(1);
        Assert.False(east.Sa.IsInitiator);
        Assert.True(west.Sa.IsInitiator);
        Assert.Equal(east.Child.InboundSpi, west.Child.OutboundSpi);
    }

    [Theory]
    [InlineData("aes-cbc-256+hmac-sha2-256-128+prf-hmac-sha2-256+modp-2048", "aes-cbc-128+hmac-sha2-256-128")]
    [InlineData("aes-gcm-16-128+prf-hmac-sha2-512+ecp-384", "chacha20-poly1305")]
    [InlineData("chacha20-poly1305+prf-aes-cmac+x448", "aes-gcm-16-128")]
    public void Suites_of_all_kinds_are_agreed_on(string ike, string esp)
    {
        using IkeNet net = new();
        IkePeer With(IkePeer peer) => peer with { Proposals = [Proposal(ike)], Child = Child(esp) };
        (IkeNode east, IkeNode west) = net.Sites(With, With);
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(2);
        Assert.Equal(ike, east.Sa.Suite);
        Assert.Equal(esp, west.Child.Settings.Suite.Name);
    }

    [Fact]
    public void An_answerer_that_wants_another_group_gets_it()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = net.Sites(
            static p => p with { Proposals = [Proposal("aes-gcm-16-256+prf-hmac-sha2-256+x25519+ecp-256")] },
            static p => p with { Proposals = [Proposal("aes-gcm-16-256+prf-hmac-sha2-256+ecp-256")] });
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        Assert.EndsWith("ecp-256", east.Sa.Suite, StringComparison.Ordinal);
        Assert.Equal(6, net.Sent.Count);
        Assert.Equal(0, west.Engine.HalfOpen.Count);
    }

    [Fact]
    public void A_cookie_is_asked_for_and_brought()
    {
        using IkeNet net = new();
        IkePeer peer = Peer("east", West, East, "west.example", "east.example");
        IkeNode east = net.Add("east", East, EastConfig());
        IkeNode west = net.Add("west", West, Config(new IkeLimits(CookieThreshold: 0), [peer], Policy("office", peer, "10.2.0.0/16", "10.1.0.0/16")));
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        Assert.True(east.IsUp);
        Assert.Equal(1, west.Engine.Counters.Cookies);
        Assert.Equal(6, net.Sent.Count);
    }

    [Fact]
    public void What_is_asked_for_is_narrowed_to_what_both_have()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = net.Sites(
            eastPolicy: static p => p with { Local = Net("10.1.0.0/16", "10.3.0.0/16"), Remote = Net("10.0.0.0/8") },
            westPolicy: static p => p with { Local = Net("10.2.0.0/16", "10.4.0.0/16") });
        east.Acquire("office", "10.1.0.5", "10.4.0.9");
        net.Run(1);
        Assert.Equal("10.1.0.0/16", Assert.Single(east.Child.Local).ToString());
        Assert.Equal(["10.4.0.0/16", "10.2.0.0/16"], east.Child.Remote.OrderByDescending(static s => s.Addresses.First).Select(static s => s.ToString()));
        Assert.NotNull(east.Child.Selectors);
        Assert.True(east.Child.Selectors.Contain(new(Address.Parse("10.1.0.1"), Address.Parse("10.2.0.1"), 6, 1, 2)));
        Assert.True(east.Child.Selectors.Contain(new(Address.Parse("10.1.0.1"), Address.Parse("10.4.0.1"), 6, 1, 2)));
        Assert.False(east.Child.Selectors.Contain(new(Address.Parse("10.3.0.1"), Address.Parse("10.2.0.1"), 6, 1, 2)));
        Assert.Null(west.Child.Selectors);
    }

    [Fact]
    public void Ports_and_protocols_are_selectors_too()
    {
        using IkeNet net = new();
        ServiceSet web = ServiceSet.Of([new Service(6, new(443, 443)), new Service(17, new(53, 53))]);
        (IkeNode east, IkeNode west) = net.Sites(
            eastPolicy: p => p with { Service = web }, westPolicy: static p => p with { LocalPorts = [new(443, 443)], Service = ServiceSet.Of([new Service(6, PortRange.All)]) });
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        Assert.Equal("10.2.0.0/16 protocol 6 port 443", Assert.Single(east.Child.Remote).ToString());
        Assert.Equal("10.1.0.0/16 protocol 6", Assert.Single(west.Child.Remote).ToString());
    }

    [Fact]
    public void Several_children_share_an_IKE_SA()
    {
        using IkeNet net = new();
        IkePeer toWest = Peer("west", East, West, "east.example", "west.example") with { Start = IkeStart.AtOnce };
        IkePeer toEast = Peer("east", West, East, "west.example", "east.example");
        IkeNode east = net.Add("east", East, Config(toWest, Policy("one", toWest, "10.1.0.0/16", "10.2.0.0/16"), Policy("two", toWest, "10.3.0.0/16", "10.4.0.0/16", 2)));
        IkeNode west = net.Add("west", West, Config(toEast, Policy("a", toEast, "10.2.0.0/16", "10.1.0.0/16"), Policy("b", toEast, "10.4.0.0/16", "10.3.0.0/16", 2)));
        net.Run(2);
        Assert.Equal(["one", "two"], east.Children.Select(static c => c.Policy.Name));
        Assert.Equal(["a", "b"], west.Children.Select(static c => c.Policy.Name));
        Assert.Single(east.Peer.Sas);
    }

    [Fact]
    public void Each_host_gets_a_child_of_its_own_where_policy_says_so()
    {
        using IkeNet net = new();
        IpsecPolicy Each(IpsecPolicy policy) => policy with { Populate = PopulatedSelectors.Local | PopulatedSelectors.Remote };
        (IkeNode east, IkeNode west) = net.Sites(eastPolicy: Each, westPolicy: Each);
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        east.Acquire("office", "10.1.0.6", "10.2.0.9");
        east.Acquire("office", "10.1.0.6", "10.2.0.9", localPort: 1234);
        net.Run(1);
        Assert.Equal(2, east.Children.Count());
        Assert.Equal(["10.1.0.5", "10.1.0.6"], west.Children.Select(static c => Assert.Single(c.Remote).ToString()));
        Assert.All(east.Children, static c => Assert.NotNull(c.Selectors));
    }

    [Fact]
    public void Transport_is_between_the_ends_themselves()
    {
        using IkeNet net = new();
        IkePeer Transport(IkePeer p) => p with { Child = p.Child with { Settings = p.Child.Settings with { Mode = IpsecMode.Transport } } };
        (IkeNode east, IkeNode west) = net.Sites(
            Transport, Transport, static p => p with { Local = null, Remote = Net("198.51.100.1/32") }, static p => p with { Local = null, Remote = Net("192.0.2.1/32") });
        east.Acquire("office", "192.0.2.1", "198.51.100.1");
        net.Run(1);
        Assert.Equal(IpsecMode.Transport, east.Child.Settings.Mode);
        Assert.Equal("192.0.2.1", Assert.Single(west.Child.Remote).ToString());
        Assert.Equal(East, west.Child.Settings.Remote);
    }

    [Fact]
    public void Transport_that_the_peer_makes_a_tunnel_of_is_deleted()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = net.Sites(
            static p => p with { Child = p.Child with { Settings = p.Child.Settings with { Mode = IpsecMode.Transport } } }, null,
            static p => p with { Local = null, Remote = Net("198.51.100.1/32") }, static p => p with { Local = null, Remote = Net("192.0.2.1/32") });
        east.Acquire("office", "192.0.2.1", "198.51.100.1");
        net.Run(1);
        Assert.Empty(east.Children);
        Assert.Empty(west.Children);
        Assert.Contains("tunnel", east.Failure.Text, StringComparison.Ordinal);
        Assert.True(east.IsUp);
    }

    [Fact]
    public void AH_is_agreed_on_as_ESP_is()
    {
        using IkeNet net = new();
        Assert.True(IpsecSuite.TryFindAh("hmac-sha2-256-128", out IpsecSuite? ah));
        IkePeer Ah(IkePeer p) => p with { Child = p.Child with { Suites = [ah], ExtendedSequence = false, Settings = p.Child.Settings with { Suite = ah, Protocol = 51 } } };
        (IkeNode east, IkeNode west) = net.Sites(Ah, Ah);
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        Assert.Equal(((byte)51, ah, false), (east.Child.Settings.Protocol, west.Child.Settings.Suite, west.Child.Settings.ExtendedSequence));
        east.SendPacket("office");
        net.Run(1);
        Assert.Equal(1, west.Received);
    }

    [Fact]
    public void Behind_a_translator_both_go_to_port_4500_and_put_ESP_in_UDP()
    {
        using IkeNet net = new();
        IkeNode east = net.Add("east", Address.Parse("192.168.1.5"), EastConfig(static p => p with { Local = null }));
        IkeNode west = net.Add("west", West, WestConfig(static p => p with { Remote = null }));
        net.Translator = (east, Address.Parse("203.0.113.9"));
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        Assert.True(east.Sa.IsLocalTranslated && west.Sa.IsRemoteTranslated);
        Assert.False(east.Sa.IsRemoteTranslated || west.Sa.IsLocalTranslated);
        Assert.Equal((ushort)4500, east.Sa.Path.RemotePort);
        Assert.Equal((Address.Parse("203.0.113.9"), (ushort)24500), (west.Sa.Path.Remote, west.Sa.Path.RemotePort));
        Assert.Equal((ushort)24500, west.Child.Settings.Encapsulation!.Value.RemotePort);
        Assert.True(west.Child.Settings.Encapsulation.Value.FollowsPeer);
        Assert.Equal(20 * Second, east.Child.Settings.Encapsulation!.Value.KeepAlive);
        Assert.False(east.Child.Settings.Encapsulation.Value.FollowsPeer);
    }

    [Fact]
    public void Transport_behind_a_translator_remembers_what_the_far_end_believes()
    {
        using IkeNet net = new();
        IkePeer Transport(IkePeer p) => p with { Local = null, Remote = p.Name == "east" ? null : p.Remote, Child = p.Child with { Settings = p.Child.Settings with { Mode = IpsecMode.Transport } } };
        IkeNode east = net.Add("east", Address.Parse("192.168.1.5"), EastConfig(Transport, static p => p with { Local = null, Remote = Net("198.51.100.1/32") }));
        IkeNode west = net.Add("west", West, WestConfig(Transport, static p => p with { Local = null, Remote = null }));
        net.Translator = (east, Address.Parse("203.0.113.9"));
        east.Acquire("office", "192.168.1.5", "198.51.100.1");
        net.Run(1);
        UdpEncapsulation udp = west.Child.Settings.Encapsulation!.Value;
        Assert.Equal((West, Address.Parse("192.168.1.5")), (udp.OriginalLocal, udp.OriginalRemote));
        Assert.Equal("203.0.113.9", Assert.Single(west.Child.Remote).ToString());
        Assert.Equal("192.168.1.5", Assert.Single(east.Child.Local).ToString());
        west.Engine.Rekey("office", net.Now);
        net.Run(1);
        Assert.Equal((West, Address.Parse("192.168.1.5")), (west.Child.Settings.Encapsulation!.Value.OriginalLocal, west.Child.Settings.Encapsulation.Value.OriginalRemote));
        Assert.Equal("203.0.113.9", Assert.Single(west.Child.Remote).ToString());
    }

    [Fact]
    public void UDP_can_be_forced_where_nobody_translates()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = net.Sites(static p => p with { ForceUdp = true });
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        Assert.NotNull(east.Child.Settings.Encapsulation);
        Assert.NotNull(west.Child.Settings.Encapsulation);
    }

    [Fact]
    public void Long_messages_go_in_fragments_that_may_be_lost()
    {
        using IkeNet net = new(7) { Lost = 20, Spread = 20_000_000 };
        IkePeer Small(IkePeer p) => p with { FragmentSize = 200 };
        (IkeNode east, IkeNode west) = net.Sites(Small, Small);
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        Assert.True(net.RunUntil(() => east.Children.Any() && west.Children.Any()));
        Assert.All(net.Sent.Where(static s => s.Message[18] != (byte)ExchangeType.IkeSaInit), static s => Assert.True(s.Message.Length <= 200 - 28, $"{s.Message.Length}"));
        Assert.Contains(net.Sent, static s => s.Message[16] == (byte)PayloadType.EncryptedFragment);
    }

    [Fact]
    public void Addresses_of_a_pool_are_given_narrow_the_child_and_come_back()
    {
        using IkeNet net = new();
        AddressPool pool = new("guests", At, new(Address.Parse("10.9.0.1"), Address.Parse("10.9.0.1")));
        IkeNode east = net.Add("east", East, EastConfig(static p => p with { Requests = RequestedAddresses.IPv4 }, static p => p with { Local = null, Remote = null }));
        IkeNode west = net.Add("west", West, WestConfig(p => p with { Pools = [pool] }, static p => p with { Remote = Net("10.9.0.0/24") }));
        east.Engine.Up("office", net.Now);
        net.Run(1);
        Assert.Equal("10.9.0.1", Assert.Single(east.Sa.Given).ToString());
        Assert.Equal("10.9.0.1", Assert.Single(east.Child.Local).ToString());
        Assert.Equal("10.9.0.1", Assert.Single(west.Child.Remote).ToString());
        Assert.Single(east.Told(IkeEventKind.AddressesGiven));
        east.Engine.Rekey("west", net.Now);
        net.Run(1);
        Assert.Single(east.Sa.Given);
        east.Engine.Down("west", net.Now);
        net.Run(1);
        Assert.Single(east.Told(IkeEventKind.AddressesTaken));
        east.Engine.Up("west", net.Now);
        net.Run(2);
        Assert.Equal("10.9.0.1", Assert.Single(east.Sa.Given).ToString());
    }

    [Fact]
    public void Who_asks_for_no_address_gets_no_child_where_there_is_a_pool()
    {
        using IkeNet net = new();
        AddressPool pool = new("guests", At, new(Address.Parse("10.9.0.1"), Address.Parse("10.9.0.1")));
        (IkeNode east, IkeNode west) = net.Sites(west: p => p with { Pools = [pool] });
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        Assert.Equal(IkeFailureKind.Address, east.Failure.Kind);
        Assert.Equal(IkeFailureKind.Address, west.Failure.Kind);
        Assert.True(east.IsUp);
    }

    [Fact]
    public void Losses_repetitions_and_disorder_do_not_keep_two_apart()
    {
        for (int seed = 1; seed <= Fuzzing.Rounds(15); seed++)
        {
            using IkeNet net = new(seed) { Lost = 30, Doubled = 30, Spread = 400_000_000 };
            (IkeNode east, IkeNode west) = net.Sites(static p => p with { Start = IkeStart.AtOnce });
            Assert.True(net.RunUntil(() => east.Children.Any() && west.Children.Any()), $"seed {seed}");
        }
    }

    [Fact]
    public void Both_begin_at_once_and_there_is_a_tunnel()
    {
        for (int seed = 1; seed <= 10; seed++)
        {
            using IkeNet net = new(seed);
            (IkeNode east, IkeNode west) = net.Sites(static p => p with { Start = IkeStart.AtOnce }, static p => p with { Start = IkeStart.AtOnce });
            net.Run(5);
            east.SendPacket("office");
            west.SendPacket("office");
            net.Run(1);
            Assert.Equal((1, 1), (east.Received, west.Received));
            Assert.Equal(east.Children.Count(), west.Children.Count());
        }
    }

    [Fact]
    public void Keys_are_shown_to_who_may_ask()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = net.Sites();
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        string line = Assert.Single(east.Engine.ExportKeys());
        Assert.Equal(line, Assert.Single(west.Engine.ExportKeys()));
        Assert.StartsWith($"{east.Sa.InitiatorSpi:x16},{east.Sa.ResponderSpi:x16}", line, StringComparison.Ordinal);
    }
}
