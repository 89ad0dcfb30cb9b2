using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules;
using Filter.Rules.Policy;

namespace Filter.Tests.Ipsec;

/// <summary>Attacks on what policy protects, through the whole walk: nothing of it may leave in the clear, or come in so.</summary>
public sealed class LeakTests
{
    private const string Keys0 = "encryption-key: 0x000102030405060708090a0b0c0d0e0f, integrity-key: 0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    private const string Keys1 = "encryption-key: 0x100102030405060708090a0b0c0d0e0f, integrity-key: 0x200102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    private const string Bridge = "  outside: { nic: eth0, side: unprotected }\n  inside: { nic: eth1, side: protected }\n";
    private const string Self = "  self: { tap: filter0, side: protected, mac: 02:00:00:00:01:01, addresses: [ 192.0.2.2/24, 10.2.0.1/16, \"2001:db8:2::1/64\" ] }\n";
    private const string AllowAll = "  - allow: all\n";
    private const string ProtectAll = "    - protect: all\n      sa: pair\n";

    private static readonly Address s_client = Address.Parse("10.1.0.5");
    private static readonly Address s_server = Address.Parse("10.2.0.9");
    private static readonly Address s_client6 = Address.Parse("2001:db8:1::5");
    private static readonly Address s_server6 = Address.Parse("2001:db8:2::9");

    /// <summary>Neither tracked nor an error, and yet no business of the link's.</summary>
    public static TheoryData<byte[]> UntrackedBeyondTheLink =>
    [
        PlainFrames.Ip(s_server6, s_client6, 58, Icmp6(s_server6, s_client6, 150), false, 0),
        PlainFrames.Ip(s_server6, s_client6, 58, Icmp6(s_server6, s_client6, 155), false, 0),
        PlainFrames.Ip(s_server6, s_client6, 58, Icmp6(s_server6, s_client6, 144), false, 0),
        PlainFrames.Ip(s_server, s_client, 1, Icmp4(5), false, 0),
        PlainFrames.Ip(s_server, s_client, 1, Icmp4(42), false, 0),
        PlainFrames.Ip(s_server, s_client, 2, Icmp4(0x16), false, 0),
    ];

    [Theory]
    [MemberData(nameof(UntrackedBeyondTheLink))]
    public void What_is_judged_packet_by_packet_is_protected_too(byte[] frame)
    {
        using Site right = Right(Bridge, AllowAll, ProtectAll, "transport"), left = Left(Bridge, AllowAll, ProtectAll, "transport");

        List<byte[]> wire = right.Carry("inside", frame)["outside"];
        Assert.Equal(IpProtocol.Esp, PlainFrames.Parsed(Assert.Single(wire)).Key.Protocol);
        Assert.Equal([frame], left.Carry("outside", [.. wire])["inside"]);

        Assert.Empty(left.Carry("outside", frame));
        Assert.Equal(1, left.Path.Counters[DropReason.ClearForProtected]);
    }

    [Fact]
    public void What_stays_on_the_link_is_never_sealed_and_never_comes_out_of_an_SA()
    {
        using Site right = Right(Bridge, AllowAll, ProtectAll, "tunnel", Self);
        byte[] solicitation = PlainFrames.Ip(s_client6, s_server6, 58, Icmp6(s_client6, s_server6, 135), false, 0);
        solicitation[14 + 7] = 255;
        byte[] query = PlainFrames.Ip(s_client, Address.Parse("224.0.0.1"), 2, Icmp4(0x11), false, 0);

        Assert.Equal([solicitation], right.Carry("outside", solicitation)["inside"]);
        Assert.Equal([query], right.Carry("outside", query)["inside"]);

        Assert.DoesNotContain("inside", right.Carry("outside", FromLeft(1, solicitation[14..], 41), FromLeft(2, query[14..], 4)));
        Assert.Equal(2, right.Path.Counters[DropReason.WrongSelectors]);
    }

    [Fact]
    public void A_clear_packet_of_protected_traffic_spends_no_rate_and_hears_no_answer()
    {
        const string Rules = "  - allow: dns\n    service: udp/53\n    limit: 1/h burst 1\n  - reject: rest\n";
        using Site right = Right(Bridge, Rules, ProtectAll, "transport"), left = Left(Bridge, AllowAll, ProtectAll, "transport");
        byte[] question = PlainFrames.Udp(s_client, s_server, 20);

        Assert.Empty(right.Carry("outside", question, PlainFrames.Tcp(s_client, s_server, 0, TcpFlags.Syn)));
        Assert.Equal(2, right.Path.Counters[DropReason.ClearForProtected]);
        Assert.Equal((0, 0, 0), (right.Path.Counters.Rule(1), right.Path.Counters.Rule(2), right.Path.Counters.Own));

        // The one packet that the rate has room for is still the peer's.
        Assert.Equal([question], right.Carry("outside", [.. left.Carry("inside", question)["outside"]])["inside"]);
    }

    [Fact]
    public void What_came_by_an_SA_and_is_rejected_or_too_big_is_not_answered()
    {
        const string Rules = "  - allow: dns\n    service: udp/53\n  - reject: rest\n";
        using Site right = Right(Bridge, Rules, ProtectAll, "tunnel", Self.Replace("side: protected,", "side: protected, mtu: 1280,", StringComparison.Ordinal));
        byte[] big = PlainFrames.Udp(s_client, Address.Parse("10.2.0.1"), 1400, dontFragment: true);

        Assert.Empty(right.Carry(
            "outside",
            FromLeft(1, PlainFrames.Tcp(s_client, s_server, 0, TcpFlags.Syn)[14..], 4),
            FromLeft(2, PlainFrames.Raw(s_client, s_server, 47, 40)[14..], 4),
            FromLeft(3, big[14..], 4)));
        Assert.Equal(2, right.Path.Counters[Verdict.Reject]);
        Assert.Equal(1, right.Path.Counters[DropReason.TooBig]);
        Assert.Equal(0, right.Path.Counters.Own);
    }

    [Theory]
    [InlineData("transport")]
    [InlineData("tunnel")]
    public void What_was_opened_leaves_by_no_unprotected_port(string mode)
    {
        const string Ports = Bridge + "  outside2: { nic: eth2, side: unprotected }\n";
        using Site right = Right(Ports, AllowAll, ProtectAll, mode, mode == "tunnel" ? Self : "");
        byte[] inner = PlainFrames.Udp(s_client, mode == "tunnel" ? Address.Parse("10.2.0.1") : s_server, 20);
        byte[] wire = mode == "tunnel"
            ? FromLeft(1, inner[14..], 4)
            : EspNegativeTests.Seal(Gateway.Between(Peer("transport"), s_client, s_server), 1, inner[34..], 17);

        Dictionary<string, List<byte[]>> sent = right.Carry("outside", wire);

        Assert.Equal([mode == "tunnel" ? "self" : "inside"], sent.Keys);
        Assert.Equal(inner[14..], sent.Values.Single().Single()[14..]);

        // For somebody else beyond the unprotected side it is for nobody.
        if (mode == "tunnel")
        {
            byte[] astray = PlainFrames.Udp(s_client, Address.Parse("198.51.100.77"), 20);
            Assert.DoesNotContain(right.Carry("outside", FromLeft(2, astray[14..], 4)), port => port.Key.StartsWith("outside", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void A_clear_packet_that_is_flooded_to_both_sides_is_one_that_comes_in()
    {
        // The other unprotected port stands first among those it would leave by.
        const string Ports = "  beside: { nic: eth2, side: unprotected }\n" + Bridge;
        const string Inward = "    - protect: some\n      local: 10.2.0.0/16\n      remote: 10.1.0.0/16\n      sa: pair\n    - bypass: rest\n";
        const string Rules = "  - allow: all\n    limit: 1/h burst 1\n";
        using Site right = Right(Ports, Rules, Inward, "transport");

        Assert.Empty(right.Carry(
            "outside",
            PlainFrames.Udp(s_client, s_server, 20),
            PlainFrames.Ip(s_client, s_server, 1, Icmp4(42), false, 0)));
        Assert.Equal(2, right.Path.Counters[DropReason.ClearForProtected]);
        Assert.Equal(0, right.Path.Counters.Rule(1));
    }

    [Fact]
    public void A_neighbour_is_not_learnt_from_inside_a_tunnel()
    {
        // The far gateway stands on the link and is asked for; its answer does not come out of its own tunnel.
        string text = Text(Bridge + Self, AllowAll, ProtectAll, "tunnel", "\"2001:db8:2::1\"", "\"2001:db8:2::ff\"", $"spi: 0x1002, {Keys1}", $"spi: 0x1001, {Keys0}");
        using Site right = new(text);
        Assert.Equal(135, PlainFrames.Parsed(Assert.Single(right.Carry("inside", Flooded(PlainFrames.Udp(s_server, s_client, 20), 0x0200_0000_0101))["outside"])).IcmpType);
        Assert.Equal(1, right.Path.HeldNow);
        Address peer = Address.Parse("2001:db8:2::ff"), own = Address.Parse("2001:db8:2::1");
        byte[] claim = PlainFrames.Ip(peer, own, 58, Icmp6(peer, own, 136, target: peer), false, 0);
        claim[14 + 7] = 255;

        right.Carry("outside", EspNegativeTests.Seal(Gateway.Between(Peer("tunnel"), peer, own), 1, claim[14..], 41));
        Assert.Equal(1, right.Path.HeldNow);

        right.Carry("outside", claim);
        Assert.Equal(0, right.Path.HeldNow);
    }

    [Fact]
    public void ESP_of_others_with_the_SPI_of_a_transport_SA_without_addresses_is_transit()
    {
        const string Some = "    - protect: some\n      local: 10.2.0.9\n      remote: 10.1.0.0/16\n      sa: pair\n    - bypass: rest\n";
        using Site right = Right(Bridge, AllowAll, Some, "transport");
        SaConfig foreign = Gateway.Between(Peer("transport"), Address.Parse("10.7.0.1"), Address.Parse("10.2.0.77"));
        byte[] transit = EspNegativeTests.Seal(foreign, 1, new byte[40], 17);

        Assert.Equal([transit], right.Carry("outside", transit)["inside"]);

        // To the protected host itself it is meant for the SA, and a forgery.
        transit = PlainFrames.Ip(s_client, s_server, 50, [0, 0, 0x10, 1, .. new byte[84]], false, 0);
        Assert.Empty(right.Carry("outside", transit));
        Assert.Equal(1, right.Path.Counters[DropReason.BadIcv]);
    }

    [Fact]
    public void ESP_to_a_host_whose_address_nobody_told_us_must_name_an_SA()
    {
        const string Host = "  outside: { nic: eth0, side: unprotected }\n  box: { tap: filter0, side: protected, mac: 02:00:00:00:00:02 }\n";
        using Site box = Right(Host, AllowAll, "    - protect: some\n      remote: 10.1.0.0/16\n      sa: pair\n    - bypass: rest\n", "transport");
        byte[] esp = PlainFrames.Raw(Address.Parse("10.7.0.1"), s_server, 50, 96);

        Assert.Empty(box.Carry("outside", Flooded(esp, 0x0200_0000_0002)));
        Assert.Equal(1, box.Path.Counters[DropReason.UnknownSpi]);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_fragmented_ESP_packet_is_opened_whole_and_its_pieces_go_nowhere(bool ipv6)
    {
        using Site right = Right(Bridge, AllowAll, ProtectAll, "transport");
        (Address from, Address to) = ipv6 ? (s_client6, s_server6) : (s_client, s_server);
        byte[] inner = PlainFrames.Udp(from, to, 1400);
        byte[] whole = EspNegativeTests.Seal(Gateway.Between(Peer("transport"), from, to), 1, inner[(ipv6 ? 54 : 34)..], 17);
        byte[][] pieces = Cut(whole, 600);
        Assert.Equal(3, pieces.Length);

        Assert.Empty(right.Carry("outside", pieces[2]));
        Assert.Empty(right.Carry("outside", pieces[0]));
        Dictionary<string, List<byte[]>> sent = right.Carry("outside", pieces[1]);

        Assert.Equal([inner[14..]], sent["inside"].Select(f => f[14..]));
        Assert.Equal(0, right.Path.HeldNow);
        Assert.Single(sent);
    }

    [Fact]
    public void Fragments_inside_a_tunnel_are_judged_by_its_selectors_once_they_are_whole()
    {
        const string Some = "    - protect: some\n      remote: 10.1.0.0/16\n      service: udp/4000\n      sa: pair\n    - drop: rest\n";
        using Site right = Right(Bridge, AllowAll, Some, "tunnel", Self);
        foreach ((ushort port, string? reaches) in new[] { ((ushort)4000, (string?)"self"), ((ushort)4001, null) })
        {
            byte[] inner = PlainFrames.Udp(s_client, Address.Parse("10.2.0.1"), 1200);
            BinaryPrimitives.WriteUInt16BigEndian(inner.AsSpan(34), port);
            inner[40] = inner[41] = 0;
            inner[19] = (byte)port;
            IpHeader.FinishIPv4(inner.AsSpan(14));
            byte[][] pieces = Cut(inner, 700);

            Assert.Empty(right.Carry("outside", FromLeft(1, pieces[0][14..], 4)));
            Dictionary<string, List<byte[]>> sent = right.Carry("outside", FromLeft(2, pieces[1][14..], 4));
            Assert.Equal(reaches is null ? [] : [reaches], sent.Keys);
        }

        Assert.Equal(2, right.Path.Counters[DropReason.WrongSelectors]);

        // A clear piece does not complete what came by the SA.
        byte[][] mixed = Cut(PlainFrames.Udp(s_client, Address.Parse("10.2.0.1"), 1200), 700);
        Assert.Empty(right.Carry("outside", FromLeft(3, mixed[0][14..], 4)));
        Assert.Empty(right.Carry("outside", mixed[1]));
        Assert.Equal(2, right.Path.HeldNow);
    }

    [Fact]
    public void Pieces_out_of_an_SA_do_not_outlive_a_change_of_policy()
    {
        using Site right = Right(Bridge, AllowAll, ProtectAll, "tunnel", Self);
        byte[][] pieces = Cut(PlainFrames.Udp(s_client, Address.Parse("10.2.0.1"), 1200), 700);
        Assert.Empty(right.Carry("outside", FromLeft(1, pieces[0][14..], 4)));
        Assert.Equal(1, right.Path.HeldNow);

        right.Path.Publish(right.Path.Ruleset, stage: worker => right.Stage.Lanes[worker]);

        Assert.Equal(0, right.Path.HeldNow);
        Assert.Equal(1, right.Path.Counters[DropReason.WrongSelectors]);
        Assert.Empty(right.Carry("outside", FromLeft(2, pieces[1][14..], 4)));
    }

    [Fact]
    public void Congestion_on_the_way_does_not_mend_an_inner_header()
    {
        using Site right = Right(Bridge, AllowAll, ProtectAll, "tunnel", Self);
        byte[] inner = PlainFrames.Udp(s_client, Address.Parse("10.2.0.1"), 20, trafficClass: 2);
        byte[] marked = FromLeft(1, inner[14..], 4);
        marked[15] |= 3;
        IpHeader.FinishIPv4(marked.AsSpan(14));
        byte[] taken = Assert.Single(right.Carry("outside", marked)["self"]);
        Assert.Equal(3, PlainFrames.Parsed(taken).TrafficClass);

        inner[24] ^= 0x55;
        marked = FromLeft(2, inner[14..], 4);
        marked[15] |= 3;
        IpHeader.FinishIPv4(marked.AsSpan(14));
        Assert.Empty(right.Carry("outside", marked));
        Assert.Equal(1, right.Path.Counters[DropReason.BadHeaderChecksum]);
    }

    [Fact]
    public void An_inner_packet_from_the_gateways_own_address_or_with_a_mapped_one_ends()
    {
        using Site right = Right(Bridge, AllowAll, "    - protect: some\n      local: [ 10.2.0.0/16, \"2001:db8:2::/48\" ]\n      remote: [ 10.1.0.0/16, \"2001:db8:1::/48\" ]\n      sa: pair\n    - bypass: rest\n", "tunnel", Self);
        byte[] mapped = PlainFrames.Udp(s_client6, s_server6, 20);
        Convert.FromHexString("00000000000000000000ffff0a010005").CopyTo(mapped, 22);

        Assert.Empty(right.Carry(
            "outside",
            FromLeft(1, PlainFrames.Udp(Address.Parse("10.2.0.1"), s_server, 20)[14..], 4),
            FromLeft(2, PlainFrames.Udp(Address.Parse("192.0.2.2"), s_server, 20)[14..], 4),
            FromLeft(3, mapped[14..], 41)));
        Assert.Equal(2, right.Path.Counters[DropReason.WrongSelectors]);
        Assert.Equal(1, right.Path.Counters[DropReason.MappedAddress]);
        Assert.Equal(0, right.Path.Flows.Count);
    }

    [Fact]
    public void The_layer_too_deep_ends_and_is_not_transit()
    {
        using Site right = Right(Bridge, AllowAll, ProtectAll, "tunnel", Self);
        byte[] frame = PlainFrames.Udp(s_client, Address.Parse("10.2.0.1"), 20);
        for (uint layer = 1; layer <= 6; layer++)
        {
            frame = FromLeft(layer, frame[14..], 4);
            Dictionary<string, List<byte[]>> sent = right.Carry("outside", frame);
            Assert.Equal(layer <= 3 ? ["self"] : [], sent.Keys);
        }

        Assert.Equal(3, right.Path.Counters[DropReason.NestedTooDeep]);
    }

    [Fact]
    public void A_flow_that_was_clear_is_sealed_dropped_or_refused_with_the_next_packet_after_a_reload()
    {
        const string Bypass = "    - bypass: all\n", Drop = "    - drop: all\n", Out = "    - protect: all\n      direction: out\n      sa: pair\n";
        byte[] question = PlainFrames.Udp(s_server, s_client, 20), answer = PlainFrames.Ip(s_client, s_server, 17, Swapped(question), false, 0);
        using Site right = Right(Bridge, AllowAll, Bypass, "transport");
        Assert.Equal([question], right.Carry("inside", question)["outside"]);
        Assert.Equal([answer], right.Carry("outside", answer)["inside"]);

        right.Reload(RightText(ProtectAll));
        Assert.Equal(IpProtocol.Esp, PlainFrames.Parsed(Assert.Single(right.Carry("inside", question)["outside"])).Key.Protocol);
        Assert.Empty(right.Carry("outside", answer));
        Assert.Equal(1, right.Path.Counters[DropReason.ClearForProtected]);

        right.Reload(RightText(Drop));
        Assert.Empty(right.Carry("inside", question));
        Assert.Empty(right.Carry("outside", answer));

        // A policy for one direction leaves the other without one: that is dropped too.
        right.Reload(RightText(Out));
        Assert.Equal(IpProtocol.Esp, PlainFrames.Parsed(Assert.Single(right.Carry("inside", question)["outside"])).Key.Protocol);
        Assert.Empty(right.Carry("outside", answer));
        Assert.Equal(3, right.Path.Counters[DropReason.PolicyDrop]);

        static string RightText(string policies) =>
            Text(Bridge, AllowAll, policies, "transport", "", "", $"spi: 0x1002, {Keys1}", $"spi: 0x1001, {Keys0}");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_kept_flow_is_kept_from_the_rules_and_not_from_the_policies(bool swept)
    {
        const string Bypass = "    - bypass: all\n", DropAll = "    - drop: all\n";
        byte[] question = PlainFrames.Udp(s_server, s_client, 20);
        using Site right = Right(Bridge, AllowAll, ProtectAll, "transport");
        Assert.Equal(IpProtocol.Esp, PlainFrames.Parsed(Assert.Single(right.Carry("inside", question)["outside"])).Key.Protocol);

        const string NoRules = "  - drop: all\n";
        Reload(Bypass);
        Assert.Equal([question], right.Carry("inside", question)["outside"]);
        Reload(DropAll);
        Assert.Empty(right.Carry("inside", question));
        Reload(ProtectAll);
        Assert.Equal(IpProtocol.Esp, PlainFrames.Parsed(Assert.Single(right.Carry("inside", question)["outside"])).Key.Protocol);
        Assert.Equal((1, 1, 1), (right.Path.Flows.Count, right.Path.Counters.Kept, right.Path.Counters[DropReason.PolicyDrop]));

        void Reload(string policies)
        {
            right.Reload(Text(Bridge, NoRules, policies, "transport", "", "", $"spi: 0x1002, {Keys1}", $"spi: 0x1001, {Keys0}"), keepsFlows: true);
            if (swept)
            {
                right.Tick();
            }
        }
    }

    [Fact]
    public void An_ICMP_error_in_the_clear_about_protected_traffic_ends_and_one_that_goes_out_is_sealed()
    {
        using Site right = Right(Bridge, AllowAll, ProtectAll, "transport"), left = Left(Bridge, AllowAll, ProtectAll, "transport");
        byte[] question = PlainFrames.Udp(s_server, s_client, 20);
        left.Carry("outside", [.. right.Carry("inside", question)["outside"]]);
        byte[] error = [3, 3, 0, 0, 0, 0, 0, 0, .. question[14..]];
        BinaryPrimitives.WriteUInt16BigEndian(error.AsSpan(2), Checksum.Finish(Checksum.Sum(error)));
        byte[] unreachable = PlainFrames.Ip(s_client, s_server, 1, error, false, 0);

        Assert.Empty(right.Carry("outside", unreachable));
        Assert.Equal(1, right.Path.Counters[DropReason.ClearForProtected]);

        List<byte[]> wire = left.Carry("inside", unreachable)["outside"];
        Assert.Equal(IpProtocol.Esp, PlainFrames.Parsed(Assert.Single(wire)).Key.Protocol);
        Assert.Equal([unreachable], right.Carry("outside", [.. wire])["inside"]);
    }

    [Fact]
    public void An_ICMP_error_may_come_by_the_SA_of_ICMP_about_traffic_of_another()
    {
        const string policies = "    - { protect: icmp, service: icmp, sa: pair }\n    - { protect: rest, sa: rest }\n";
        string text = Text(Bridge, AllowAll, policies, "transport", "", "", $"spi: 0x1002, {Keys1}", $"spi: 0x1001, {Keys0}")
            + $"    rest: {{ mode: transport, suite: aes-cbc-128+hmac-sha2-256-128, replay: off, out: {{ spi: 0x2002, {Keys1} }}, in: {{ spi: 0x2001, {Keys0} }} }}\n";
        using Site right = new(text), clear = new(text.Replace("protect: icmp, service: icmp, sa: pair", "bypass: icmp, service: icmp", StringComparison.Ordinal));
        byte[] question = PlainFrames.Udp(s_server, s_client, 20), other = PlainFrames.Udp(s_server, Address.Parse("10.1.0.6"), 20);
        right.Carry("inside", question);
        clear.Carry("inside", question);
        byte[] error = BroughtSaTests.ErrorAbout(s_client, s_server, question), stray = BroughtSaTests.ErrorAbout(s_client, s_server, other);

        Assert.Equal([error], right.Carry("outside", EspNegativeTests.Seal(Peer("transport"), 1, error[34..], 1))["inside"]);
        Assert.Empty(right.Carry("outside", EspNegativeTests.Seal(Peer("transport"), 2, stray[34..], 1)));
        Assert.Equal(1, right.Path.Counters[DropReason.StrayIcmpError]);

        // That ICMP may come in the clear does not mean that it may speak of what is protected.
        Assert.Empty(clear.Carry("outside", error));
        Assert.Equal(1, clear.Path.Counters[DropReason.ClearForProtected]);
    }

    [Fact]
    public void More_segments_than_a_burst_holds_are_lost_and_not_leaked()
    {
        using Site right = Right(Bridge, AllowAll, ProtectAll, "transport");
        byte[] super = PlainFrames.Udp(s_server, s_client, 60_000);
        var offload = new Offload { Gso = GsoKind.Udp, SegmentSize = 500, Checksum = ChecksumState.Partial, ChecksumStart = 34, ChecksumOffset = 6 };

        List<byte[]> wire = right.Carry("inside", Enumerable.Repeat((super, offload), Burst.Intake))["outside"];

        Assert.All(wire, static frame => Assert.Equal(IpProtocol.Esp, PlainFrames.Parsed(frame).Key.Protocol));
        long lost = right.Path.Counters[DropReason.NoRoom];
        Assert.InRange(lost, 1, Burst.Intake - 1);
        Assert.Equal((Burst.Intake - lost) * 120, wire.Count);
    }

    private static byte[] Swapped(byte[] frame)
    {
        // Both ports change places, as both addresses do: the checksum stays right.
        byte[] udp = frame[34..];
        (udp[0], udp[1], udp[2], udp[3]) = (udp[2], udp[3], udp[0], udp[1]);
        return udp;
    }

    private static Site Right(string ports, string rules, string policies, string mode, string self = "") =>
        new(Text(ports + self, rules, policies, mode, "192.0.2.2", "198.51.100.1", $"spi: 0x1002, {Keys1}", $"spi: 0x1001, {Keys0}"));

    private static Site Left(string ports, string rules, string policies, string mode) =>
        new(Text(ports, rules, policies, mode, "198.51.100.1", "192.0.2.2", $"spi: 0x1001, {Keys0}", $"spi: 0x1002, {Keys1}"));

    private static string Text(string ports, string rules, string policies, string mode, string local, string remote, string @out, string @in) =>
        $"filter: 1\nports:\n{ports}rules:\n{rules}ipsec:\n  policies:\n{policies}  sas:\n    pair:\n      mode: {mode}\n"
        + (mode == "tunnel" ? $"      local: {local}\n      remote: {remote}\n" : "")
        + $"      suite: aes-cbc-128+hmac-sha2-256-128\n      replay: off\n      out: {{ {@out} }}\n      in: {{ {@in} }}\n";

    /// <summary>The SA that the left seals with.</summary>
    private static SaConfig Peer(string mode)
    {
        string text = Text(Bridge + (mode == "tunnel" ? "  self: { tap: f0, side: protected, addresses: [ 198.51.100.1/24 ] }\n" : ""), AllowAll, ProtectAll, mode, "198.51.100.1", "192.0.2.2", $"spi: 0x1001, {Keys0}", $"spi: 0x1002, {Keys1}");
        return RulesetFile.Parse("peer.yaml", text).Ruleset!.Ipsec!.Sas[0];
    }

    /// <summary>A tunnel packet of the left's, whatever it carries.</summary>
    private static byte[] FromLeft(uint sequence, byte[] carried, byte nextHeader) => EspNegativeTests.Seal(Peer("tunnel"), sequence, carried, nextHeader);

    private static byte[] Flooded(byte[] frame, ulong mac)
    {
        Frames.WriteMac(frame, mac);
        return frame;
    }

    private static byte[] Icmp4(byte type)
    {
        byte[] message = [type, 0, 0, 0, .. new byte[28]];
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(2), Checksum.Finish(Checksum.Sum(message)));
        return message;
    }

    private static byte[] Icmp6(Address from, Address to, byte type, Address target = default)
    {
        byte[] message = [type, 0, 0, 0, .. new byte[28]];
        target.Write(message.AsSpan(8));
        (message[24], message[25], message[26]) = (2, 1, 2);
        ulong sum = Checksum.Sum(message, Checksum.PseudoHeader(from, to, 58, message.Length));
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(2), Checksum.Finish(sum));
        return message;
    }

    private static byte[][] Cut(byte[] frame, int mtu)
    {
        var burst = new Burst();
        Assert.True(burst.TryAppend(frame.Length, out int index));
        ref Packet packet = ref burst.Packets[index];
        packet.Length = frame.Length;
        frame.CopyTo(packet.Bytes);
        Assert.Equal(DropReason.None, Parser.Parse(ref packet));
        Assert.True(Fragmenter.TryCut(burst, index, mtu, 77));
        return [.. Enumerable.Range(1, burst.Count - 1).Select(i => burst.Packets[i].Bytes.ToArray())];
    }
}
