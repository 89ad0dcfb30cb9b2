using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Ipsec.Ike;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;
using static Filter.Tests.Ipsec.Ike.IkeSettings;

namespace Filter.Tests.Ipsec.Ike;

/// <summary>What strangers, and peers that turned bad, may try; and that it comes to nothing.</summary>
public sealed class IkeAttackTests
{
    [Fact]
    public void Nothing_but_the_two_first_exchanges_is_answered_before_anybody_has_proved_who_he_is()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = net.Sites();
        byte[]? auth = null;
        net.Drops = (from, message) =>
        {
            auth = from == east && message[18] == (byte)ExchangeType.IkeAuth ? message : auth;
            return auth is not null;
        };
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(0.1);
        Assert.Equal(1, west.Engine.HalfOpen.Count);
        net.Drops = null;
        int before = net.Sent.Count;

        // Sealed with the keys of the exchange: whoever began it has them, whoever he is.
        net.Forge(east, ExchangeType.CreateChildSa, 1, false, Child(9), new NoncePayload(new byte[32]), Selectors(true), Selectors(false));
        net.Forge(east, ExchangeType.Informational, 1, false, new DeletePayload(IkeProtocol.Ike, []));
        net.Forge(east, ExchangeType.IkeIntermediate, 1, false);
        net.Run(0.2);
        Assert.Equal(before, net.Sent.Count);
        Assert.Equal(3, west.Engine.Counters.OutOfPlace);
        Assert.Empty(west.Children);
        Assert.True(net.RunUntil(() => east.Children.Any()));
    }

    [Fact]
    public void An_initiator_answers_nothing_before_his_peer_has_proved_himself()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = net.Sites();
        net.Drops = (from, message) => from == west && message[18] == (byte)ExchangeType.IkeAuth;
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(0.1);
        int before = net.Sent.Count(s => s.From == east);
        net.Forge(west, ExchangeType.Informational, 0, false, new DeletePayload(IkeProtocol.Ike, []));
        net.Run(0.1);
        Assert.Equal(before, net.Sent.Count(s => s.From == east));
        Assert.Single(east.Peer.Sas);
    }

    [Fact]
    public void Notifies_that_nobody_proves_end_nothing()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = net.Sites();
        NotifyType[] lies = [NotifyType.NoProposalChosen, NotifyType.AuthenticationFailed, NotifyType.InvalidSyntax, NotifyType.InvalidIkeSpi, NotifyType.InvalidMajorVersion];
        net.Drops = (from, message) =>
        {
            if (from == east && message[18] == (byte)ExchangeType.IkeSaInit && IkeHeader.TryRead(message, out IkeHeader header, out _))
            {
                foreach (NotifyType lie in lies)
                {
                    net.Deliver(new(West, 500, East, 500), Clear(header with { IsResponse = true, FromInitiator = false }, new NotifyPayload(lie)));
                }

                // The truth is slow.
                net.After(600_000_000, () => net.Deliver(new(East, 500, West, 500), message));
                return true;
            }

            return false;
        };
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(2);
        net.Drops = null;
        Assert.True(net.RunUntil(() => east.IsUp, 5));

        // Nor do they where it is up.
        IkeHeader up = new(east.Sa.InitiatorSpi, east.Sa.ResponderSpi, ExchangeType.Informational, false, false, 0);
        foreach (NotifyType lie in lies.Append(NotifyType.InvalidSpi))
        {
            net.Deliver(new(West, 500, East, 500), Clear(up, new NotifyPayload(lie)));
            net.Deliver(new(West, 500, East, 500), Clear(up with { IsResponse = true }, new NotifyPayload(lie)));
            net.Deliver(new(West, 500, East, 500), Clear(up, new DeletePayload(IkeProtocol.Ike, [])));
        }

        net.Run(1);
        Assert.True(east.IsUp && west.IsUp);
        Assert.Single(east.Children);
    }

    [Fact]
    public void Cookies_and_groups_without_end_are_not_followed()
    {
        using IkeNet net = new();
        IkeNode east = net.Add("east", East, EastConfig(static p => p with { Proposals = [Proposal("aes-gcm-16-256+prf-hmac-sha2-256+x25519+ecp-256")] }));
        bool other = false;
        net.Drops = (from, message) =>
        {
            Assert.Same(east, from);
            Assert.True(IkeHeader.TryRead(message, out IkeHeader header, out _));
            other = !other;
            net.Deliver(new(West, 500, East, 500), Clear(
                header with { IsResponse = true, FromInitiator = false },
                other ? new NotifyPayload(NotifyType.InvalidKePayload, new byte[] { 0, 19 }) : new NotifyPayload(NotifyType.Cookie, new byte[] { 1, 2, 3 })));
            return true;
        };
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(0.4);
        Assert.InRange(net.Sent.Count, 2, 6);
        int before = net.Sent.Count;
        net.Deliver(new(West, 500, East, 500), Clear(
            new(east.Inner.OwnSpi, 0, ExchangeType.IkeSaInit, true, false, 0), new NotifyPayload(NotifyType.InvalidKePayload, new byte[] { 0, 2 })));
        net.Run(0.05);
        Assert.Equal(before, net.Sent.Count);
    }

    [Fact]
    public void Forged_changed_and_replayed_messages_change_nothing()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);
        east.Engine.Rekey("office", net.Now);
        net.Run(1);
        (IkePath Path, byte[] Message)[] all = [.. net.Sent.Select(static s => (s.Path, s.Message))];
        (ChildSa ours, ChildSa theirs) = (east.Child, west.Child);
        Random random = new(1);
        foreach ((IkePath path, byte[] message) in all)
        {
            net.Deliver(path, message);
            for (int i = 0; i < 50; i++)
            {
                byte[] changed = [.. message];
                changed[random.Next(changed.Length)] ^= (byte)(1 << random.Next(8));
                net.Deliver(path, changed);
            }
        }

        // As if it were the next that is awaited, but for one bit.
        byte[] next = IkeNet.Sealed(east, ExchangeType.Informational, 4, false, new DeletePayload(IkeProtocol.Ike, []));
        for (int bit = 0; bit < next.Length * 8; bit++)
        {
            byte[] changed = [.. next];
            changed[bit / 8] ^= (byte)(1 << (bit % 8));
            net.Deliver(east.Inner.Path, changed);
        }

        net.Run(40);
        Assert.Same(ours, east.Child);
        Assert.Same(theirs, west.Child);
        Assert.Single(east.Peer.Sas);
        Assert.Single(west.Peer.Sas);
        Assert.True(west.Engine.Counters.BadIcv > 0);
        Assert.Equal(0, west.Engine.HalfOpen.Count);
    }

    [Fact]
    public void A_message_of_another_number_is_not_looked_at()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);
        int before = net.Sent.Count;
        foreach (uint id in (uint[])[0, 3, 4, 100, uint.MaxValue])
        {
            net.Forge(east, ExchangeType.Informational, id, false, new DeletePayload(IkeProtocol.Ike, []));
            net.Forge(east, ExchangeType.Informational, id, true);
        }

        net.Run(1);
        Assert.Equal(before, net.Sent.Count);
        Assert.True(west.IsUp);
        Assert.Equal(10, west.Engine.Counters.OutOfWindow);
    }

    [Fact]
    public void A_critical_payload_that_is_unknown_is_refused_and_the_IKE_SA_stays()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);
        net.Forge(east, ExchangeType.Informational, 2, false, new UnknownPayload(200, new byte[4]) { IsCritical = true });
        net.Run(0.1);
        NotifyPayload said = Assert.IsType<NotifyPayload>(Assert.Single(net.Heard(east).Payloads));
        Assert.Equal((NotifyType.UnsupportedCriticalPayload, (byte)200), (said.Notify, said.Data.Span[0]));
        net.Forge(east, ExchangeType.Informational, 3, false, new UnknownPayload(200, new byte[4]));
        net.Run(0.1);
        Assert.Empty(net.Heard(east).Payloads);
        Assert.True(west.IsUp);
    }

    [Fact]
    public void A_critical_payload_that_is_unknown_in_the_first_message_is_refused_without_state()
    {
        using IkeNet net = new();
        (_, IkeNode west) = net.Sites();
        net.Deliver(new(East, 500, West, 500), Clear(new(7, 0, ExchangeType.IkeSaInit, false, true, 0), new UnknownPayload(200, new byte[4]) { IsCritical = true }));
        net.Run(0.1);
        Assert.True(IkeCodec.TryRead(net.Sent[^1].Message, out IkeMessage? said, out _));
        Assert.True(said.Has(NotifyType.UnsupportedCriticalPayload));
        Assert.Equal(0, west.Engine.HalfOpen.Count);
    }

    [Fact]
    public void A_peer_with_the_keys_who_sends_what_is_no_message_loses_the_IKE_SA()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);

        // A nonce of one byte is malformed, and was said by who has the keys (RFC 7296 §2.21.3).
        net.Forge(east, ExchangeType.CreateChildSa, 2, false, new NoncePayload(new byte[1]));
        net.Run(0.1);
        Assert.True(net.Heard(east).Has(NotifyType.InvalidSyntax));
        Assert.False(west.IsUp);
        Assert.Equal(0, west.InboundCount);
    }

    [Fact]
    public void Half_open_floods_meet_limits_and_then_cookies()
    {
        using IkeNet net = new();
        IkePeer peer = Peer("east", West, null, "west.example", "east.example");
        IkePeer known = Peer("west", East, West, "east.example", "west.example");
        IkeNode west = net.Add("west", West, Config(new IkeLimits(CookieThreshold: 32, HalfOpen: 64, HalfOpenPerSource: 4), [peer], Policy("office", peer, "10.2.0.0/16", "10.1.0.0/16")));
        for (uint i = 0; i < 10_000; i++)
        {
            Address source = Address.FromIPv4(0x0b000000 + (i / 10));
            net.Deliver(new(source, 500, West, 500), Opening(i + 1));
        }

        net.Run(1);
        Assert.Equal(32, west.Engine.HalfOpen.Count);
        Assert.True(west.Engine.Counters.Cookies > 9000);
        Assert.Single(west.Told(IkeEventKind.CookiesAsked));

        // An honest peer brings his cookie, and is up amid the flood.
        IkeNode east = net.Add("east", East, Config(known, Policy("office", known, "10.1.0.0/16", "10.2.0.0/16")));
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        Assert.True(east.IsUp);
        net.Run(60);
        Assert.Equal(0, west.Engine.HalfOpen.Count);
    }

    [Fact]
    public void One_source_has_few_half_open_and_a_whole_slash_64_counts_as_one()
    {
        using IkeNet net = new();
        IkePeer peer = Peer("east", null, null, "west.example", "east.example");
        Address here = Address.Parse("2001:db8::1");
        IkeNode west = net.Add("west", here, Config(new IkeLimits(CookieThreshold: 1000, HalfOpen: 1000, HalfOpenPerSource: 4), [peer], Policy("office", peer, "10.2.0.0/16", "10.1.0.0/16")));
        for (uint i = 0; i < 100; i++)
        {
            net.Deliver(new(new Address(0x20010db800010000, i), 500, here, 500), Opening(i + 1));
        }

        net.Run(1);
        Assert.Equal(4, west.Engine.HalfOpen.Count);
        Assert.Equal(96, west.Engine.Counters.HalfOpenLimit);
    }

    [Fact]
    public void A_cookie_is_good_for_its_beginning_alone_and_for_two_minutes_at_most()
    {
        using IkeNet net = new();
        using Filter.Ipsec.Ike.Negotiation.Cookies cookies = new(IkeRandom.Secure);
        IkePath path = new(West, 500, East, 500);
        byte[] nonce = new byte[32];
        byte[] cookie = cookies.Make(path, 1, nonce, net.Now);
        Assert.True(cookies.IsGood(cookie, path, 1, nonce, net.Now));
        Assert.True(cookies.IsGood(cookie, path, 1, nonce, net.Now + (61 * Second)));
        Assert.False(cookies.IsGood(cookie, path, 1, nonce, net.Now + (122 * Second)));
        cookie = cookies.Make(path, 1, nonce, net.Now + (122 * Second));
        Assert.False(cookies.IsGood(cookie, path, 2, nonce, net.Now + (122 * Second)));
        Assert.False(cookies.IsGood(cookie, path with { Remote = West }, 1, nonce, net.Now + (122 * Second)));
        Assert.False(cookies.IsGood(cookie, path, 1, new byte[31], net.Now + (122 * Second)));
        Assert.False(cookies.IsGood([], path, 1, nonce, net.Now + (122 * Second)));
        Assert.False(cookies.IsGood([cookie[0]], path, 1, nonce, net.Now + (122 * Second)));
    }

    [Fact]
    public void A_child_that_is_being_deleted_is_not_renewed()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);
        net.Drops = (from, _) => from == west;
        west.Engine.HardExpired(west.Child, net.Now);
        net.Run(0.05);
        net.Drops = null;
        net.Forge(east, ExchangeType.CreateChildSa, 2, false, Rekey(east.Child.InboundSpi), Child(9), new NoncePayload(new byte[32]), Selectors(true), Selectors(false));
        net.Run(0.1);
        Assert.True(net.Heard(east).Has(NotifyType.TemporaryFailure));
    }

    [Fact]
    public void A_child_that_there_is_not_cannot_be_renewed_nor_deleted()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);
        net.Forge(east, ExchangeType.CreateChildSa, 2, false, Rekey(0x12345678), Child(9), new NoncePayload(new byte[32]), Selectors(true), Selectors(false));
        net.Run(0.1);
        Assert.True(net.Heard(east).Has(NotifyType.ChildSaNotFound));
        net.Forge(east, ExchangeType.Informational, 3, false, new DeletePayload(IkeProtocol.Esp, [0x12345678]), new DeletePayload(IkeProtocol.Ah, [east.Child.InboundSpi]));
        net.Run(0.1);
        Assert.Empty(net.Heard(east).Payloads);
        Assert.Single(west.Children);
    }

    [Fact]
    public void Children_without_what_makes_one_are_refused()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);
        Payload[][] bad =
        [
            [], [Child(9)], [Child(9), new NoncePayload(new byte[32])], [new NoncePayload(new byte[32]), Selectors(true), Selectors(false)],
            [Child(9), Selectors(true), Selectors(false)], [Child(9), new NoncePayload(new byte[32]), Selectors(true)],
            [Child(0), new NoncePayload(new byte[32]), Selectors(true), Selectors(false)], [Rekey(east.Child.InboundSpi)],
        ];
        for (int i = 0; i < bad.Length; i++)
        {
            net.Forge(east, ExchangeType.CreateChildSa, (uint)(2 + i), false, bad[i]);
            net.Run(0.1);
            Assert.True(net.Heard(east).Has(NotifyType.InvalidSyntax), $"{i}");
        }

        Assert.True(west.IsUp);
        Assert.Single(west.Children);
    }

    [Fact]
    public void Who_takes_no_padding_gets_none()
    {
        using IkeNet net = new();
        IkePeer Padded(IkePeer p) => p with { Child = p.Child with { Settings = p.Child.Settings with { Padding = new TrafficPadding(1000, 0) } } };
        (IkeNode east, IkeNode west) = net.Sites(Padded, Padded);
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        Assert.Equal(1000, west.Child.Settings.Padding.PadTo);
        net.Forge(east, ExchangeType.CreateChildSa, 2, false, new NotifyPayload(NotifyType.EspTfcPaddingNotSupported), Child(9), new NoncePayload(new byte[32]), Selectors(true), Selectors(false));
        net.Run(0.1);
        Assert.Equal(0, west.Children.Last().Settings.Padding.PadTo);
    }

    [Fact]
    public void A_peer_gets_no_selectors_that_are_not_his()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);
        TrafficSelector all = new(0, TrafficSelector.AnyPort, AddressRange.AllIPv4);
        net.Forge(east, ExchangeType.CreateChildSa, 2, false, Child(9), new NoncePayload(new byte[32]), new TrafficSelectorPayload(true, [all]), new TrafficSelectorPayload(false, [all]));
        net.Run(0.1);
        Assert.Equal("10.1.0.0/16", Assert.Single(net.Heard(east).Selectors(true)!.Selectors).ToString());
        TrafficSelector other = new(0, TrafficSelector.AnyPort, new(Address.Parse("10.5.0.0"), Address.Parse("10.5.255.255")));
        net.Forge(east, ExchangeType.CreateChildSa, 3, false, Child(10), new NoncePayload(new byte[32]), new TrafficSelectorPayload(true, [other]), new TrafficSelectorPayload(false, [all]));
        net.Run(0.1);
        Assert.True(net.Heard(east).Has(NotifyType.TsUnacceptable));
        Assert.Equal(2, west.Children.Count());
    }

    [Fact]
    public void A_peer_who_is_not_the_one_behind_the_address_gets_in_nowhere()
    {
        using IkeNet net = new();
        IkePeer honest = Peer("honest", West, null, "west.example", "honest.example", "one key"), other = Peer("other", West, null, "west.example", "other.example", "another key");
        IkeNode west = net.Add("west", West, Config(new IkeLimits(), [honest, other], Policy("a", honest, "10.2.0.0/16", "10.1.0.0/16"), Policy("b", other, "10.2.0.0/16", "10.8.0.0/16", 2)));
        IkePeer toWest = Peer("west", East, West, "other.example", "west.example", "another key");
        IkeNode east = net.Add("east", East, Config(toWest, Policy("office", toWest, "10.1.0.0/16", "10.2.0.0/16")));
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);

        // He is who he says, and another's selectors are not his.
        Assert.True(east.IsUp);
        Assert.Empty(west.Children);
        Assert.Equal(IkeFailureKind.Selectors, west.Failure.Kind);
        Assert.Equal("other", Assert.Single(west.Told(IkeEventKind.IkeUp)).Peer);
    }

    [Fact]
    public void Versions_above_ours_are_refused_seldom_and_below_it_never()
    {
        using IkeNet net = new();
        (_, IkeNode west) = net.Sites();
        for (int i = 0; i < 100; i++)
        {
            net.Deliver(new(East, 500, West, 500), Clear(new(7, 0, ExchangeType.IkeSaInit, false, true, 0, MajorVersion: 3), new NoncePayload(new byte[32])));
            net.Deliver(new(East, 500, West, 500), Clear(new(7, 0, ExchangeType.IkeSaInit, false, true, 0, MajorVersion: 1), new NoncePayload(new byte[32])));
        }

        net.Run(1);
        Assert.True(IkeCodec.TryRead(Assert.Single(net.Sent).Message, out IkeMessage? said, out _));
        Assert.True(said.Has(NotifyType.InvalidMajorVersion));
        Assert.Equal(200, west.Engine.Counters.Malformed);
    }

    [Fact]
    public void A_public_value_that_gives_the_secret_away_makes_no_keys()
    {
        using IkeNet net = new();
        (_, IkeNode west) = net.Sites();
        net.Deliver(new(East, 500, West, 500), Opening(7, new byte[32]));
        net.Run(0.1);
        IkeHeader.TryRead(net.Sent[^1].Message, out IkeHeader header, out _);
        net.Deliver(new(East, 500, West, 500), Clear(new(7, header.ResponderSpi, ExchangeType.IkeAuth, false, true, 1), new NoncePayload(new byte[32])));
        net.Run(0.1);
        Assert.Single(net.Sent);
        net.Run(40);
        Assert.Equal(0, west.Engine.HalfOpen.Count);
    }

    [Fact]
    public void Garbage_of_every_length_is_counted_and_dropped()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = Up(net);
        Random random = new(3);
        for (int i = 0; i < Fuzzing.Rounds(2000); i++)
        {
            byte[] garbage = new byte[random.Next(300)];
            random.NextBytes(garbage);
            if (garbage.Length >= 28)
            {
                // Some with a true header.
                IkeHeader header = new(east.Sa.InitiatorSpi, east.Sa.ResponderSpi, (ExchangeType)random.Next(34, 38), random.Next(2) == 0, random.Next(2) == 0, (uint)random.Next(4));
                Clear(header, new UnknownPayload((byte)random.Next(60), garbage.AsMemory(28))).AsSpan(0, 28).CopyTo(garbage);
                garbage[24] = garbage[25] = 0;
                (garbage[26], garbage[27]) = ((byte)(garbage.Length >> 8), (byte)garbage.Length);
            }

            net.Deliver(new(East, 500, West, 500), garbage);
        }

        net.Run(1);
        Assert.True(east.IsUp && west.IsUp);
        Assert.Single(west.Children);
    }

    private static NotifyPayload Rekey(uint spi) => new(NotifyType.RekeySa, default, IkeProtocol.Esp, Bytes(spi));

    private static SaPayload Child(uint spi) => new([new Proposal(1, IkeProtocol.Esp, Bytes(spi == 0 ? 0 : spi + 1000),
        [Transform.Of(Algorithm("aes-gcm-16-256")), Transform.Of(IkeTransforms.ExtendedSequence)])]);

    private static TrafficSelectorPayload Selectors(bool ofInitiator) => new(ofInitiator, [new TrafficSelector(0, TrafficSelector.AnyPort, new(
        Address.Parse(ofInitiator ? "10.1.0.0" : "10.2.0.0"), Address.Parse(ofInitiator ? "10.1.255.255" : "10.2.255.255")))]);

    private static byte[] Bytes(uint spi) => [(byte)(spi >> 24), (byte)(spi >> 16), (byte)(spi >> 8), (byte)spi];

    private static byte[] Opening(uint spi, byte[]? publicValue = null)
    {
        byte[] value = publicValue ?? [9, .. new byte[31]];
        return Clear(
            new(spi, 0, ExchangeType.IkeSaInit, false, true, 0),
            Filter.Ipsec.Ike.Negotiation.Proposals.Offer([Proposal("aes-gcm-16-256+prf-hmac-sha2-256+x25519")]), new KeyExchangePayload(31, value), new NoncePayload(new byte[32]));
    }

    private static byte[] Clear(in IkeHeader header, params Payload[] payloads) => IkeCodec.Write(new(header, [.. payloads]));

    private static (IkeNode East, IkeNode West) Up(IkeNet net)
    {
        (IkeNode east, IkeNode west) = net.Sites();
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        Assert.True(net.RunUntil(() => east.Children.Any() && west.Children.Any()));
        return (east, west);
    }
}
