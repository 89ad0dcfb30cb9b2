using System.Buffers.Binary;
using System.Security.Cryptography;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Tests.Ipsec;

public sealed class EspNegativeTests
{
    private static readonly Address s_client = Address.Parse("10.1.0.5");
    private static readonly Address s_server = Address.Parse("10.2.0.9");
    private static readonly SaConfig s_tunnel = Gateway.Sa(IpsecMode.Tunnel, "192.0.2.1", "198.51.100.1", replay: 64);
    private static readonly SaConfig s_transport = Gateway.Sa(IpsecMode.Transport);

    [Fact]
    public void A_packet_altered_anywhere_behind_its_IP_header_is_dropped()
    {
        (Gateway left, Gateway right) = Gateway.Pair(s_tunnel);
        using Gateway a = left, b = right;
        byte[] wire = Assert.Single(left.Send(PlainFrames.Udp(s_client, s_server, 40)));
        for (int at = 14 + 20 + 8; at < wire.Length; at++)
        {
            byte[] forged = [.. wire];
            forged[at] ^= 0x10;
            Assert.Empty(right.Receive(forged));
            Assert.Equal([DropReason.BadIcv], right.Ended);
        }

        // And not one of them moved the window.
        Assert.Single(right.Receive(wire));
        Assert.Equal(wire.Length - 42, right.Inbound.Statistics.BadIcv);
    }

    [Fact]
    public void A_replayed_packet_is_dropped_in_the_same_burst_and_later()
    {
        (Gateway left, Gateway right) = Gateway.Pair(s_tunnel);
        using Gateway a = left, b = right;
        byte[] wire = Assert.Single(left.Send(PlainFrames.Udp(s_client, s_server, 40)));

        Assert.Single(right.Receive(wire, wire));
        Assert.Equal([DropReason.Replayed], right.Ended);
        Assert.Empty(right.Receive(wire));
        Assert.Equal([DropReason.Replayed], right.Ended);
    }

    [Fact]
    public void Packets_out_of_order_pass_within_the_window_and_not_left_of_it()
    {
        (Gateway left, Gateway right) = Gateway.Pair(s_tunnel);
        using Gateway a = left, b = right;
        byte[][] wire = [.. Enumerable.Range(0, 70).Select(_ => left.Send(PlainFrames.Udp(s_client, s_server, 40))[0])];

        Assert.Single(right.Receive(wire[69]));
        Assert.Single(right.Receive(wire[6]));              // 70 - 63: the window's last place
        Assert.Empty(right.Receive(wire[5]));
        Assert.Equal([DropReason.Replayed], right.Ended);
        Assert.Equal(62, right.Receive(wire[7..69]).Count);
        Assert.Empty(right.Receive(wire[7..]));
    }

    [Fact]
    public void Without_replay_check_the_same_packet_passes_twice()
    {
        (Gateway left, Gateway right) = Gateway.Pair(s_transport);
        using Gateway a = left, b = right;
        byte[] wire = Assert.Single(left.Send(PlainFrames.Udp(s_client, s_server, 40)));

        Assert.Equal(2, right.Receive(wire, wire).Count);
    }

    [Fact]
    public void A_packet_cut_short_is_dropped_at_every_length()
    {
        (Gateway left, Gateway right) = Gateway.Pair(s_transport);
        using Gateway a = left, b = right;
        byte[] wire = Assert.Single(left.Send(PlainFrames.Udp(s_client, s_server, 100)));
        for (int length = 34 + 8; length < wire.Length; length++)
        {
            byte[] cut = wire[..length];
            IpHeader.SetLength(cut.AsSpan(14));

            Assert.Empty(right.Receive(cut));
            DropReason why = Assert.Single(right.Ended);
            bool whole = length - 34 >= 8 + 16 + 16 + 16 && (length - 34 - 40) % 16 == 0;
            Assert.Equal(whole ? DropReason.BadIcv : DropReason.BadEsp, why);
        }
    }

    [Fact]
    public void ESP_to_the_gateway_of_an_unknown_SPI_is_dropped_and_ESP_of_others_is_left_alone()
    {
        using var gateway = new Gateway(
            Gateway.Config([Gateway.Policy(1, IpsecAction.Protect, s_tunnel, remote: "10.2.0.0-10.2.255.255"), Gateway.Policy(2, IpsecAction.Bypass)], s_tunnel),
            own: [Address.Parse("192.0.2.77")]);
        Address peer = Address.Parse("198.51.100.1");

        foreach (string own in new[] { "192.0.2.77", "192.0.2.1" })
        {
            Assert.Empty(gateway.Receive(PlainFrames.Raw(peer, Address.Parse(own), 50, 100)));
            Assert.Equal([DropReason.UnknownSpi], gateway.Ended);
        }

        byte[] transit = PlainFrames.Raw(peer, Address.Parse("10.1.0.9"), 50, 100);
        Assert.Equal([transit], gateway.Receive(transit));
    }

    [Fact]
    public void A_clear_packet_of_protected_traffic_is_dropped()
    {
        using var gateway = new Gateway(
            Gateway.Config([Gateway.Policy(1, IpsecAction.Protect, s_tunnel, remote: "10.2.0.0-10.2.255.255"), Gateway.Policy(2, IpsecAction.Bypass)], s_tunnel));

        Assert.Empty(gateway.Receive(PlainFrames.Udp(s_server, s_client, 20)));
        Assert.Equal([DropReason.ClearForProtected], gateway.Ended);
        Assert.Single(gateway.Receive(PlainFrames.Udp(Address.Parse("10.3.0.1"), s_client, 20)));
    }

    [Fact]
    public void Traffic_that_no_policy_matches_is_dropped_both_ways()
    {
        using var gateway = new Gateway(
            Gateway.Config([Gateway.Policy(1, IpsecAction.Drop, remote: "10.2.0.9"), Gateway.Policy(2, IpsecAction.Bypass, remote: "10.2.0.0-10.2.255.255")]));

        Assert.Empty(gateway.Send(PlainFrames.Udp(s_client, s_server, 1), PlainFrames.Udp(s_client, Address.Parse("10.3.0.1"), 1)));
        Assert.Equal([DropReason.PolicyDrop, DropReason.PolicyDrop], Reasons(gateway));
        Assert.Single(gateway.Send(PlainFrames.Udp(s_client, Address.Parse("10.2.0.1"), 1)));
        Assert.Empty(gateway.Receive(PlainFrames.Udp(s_server, s_client, 1)));
        Assert.Single(gateway.Receive(PlainFrames.Udp(Address.Parse("10.2.0.1"), s_client, 1)));
    }

    [Fact]
    public void Without_an_ipsec_section_everything_bypasses()
    {
        using var gateway = new Gateway(null);
        byte[] frame = PlainFrames.Udp(s_client, s_server, 1);

        Assert.Equal([frame], gateway.Send(frame));
        Assert.Equal([frame], gateway.Receive(frame));
        Assert.Equal(IpsecAction.Bypass, gateway.Stage.Decide(default).Action);
    }

    [Fact]
    public void What_comes_by_an_SA_must_fit_its_selectors()
    {
        // Left may send anything; right takes from this SA only what its policy names.
        SaConfig mirror = Gateway.Mirror(s_tunnel);
        using var left = new Gateway(Gateway.Config([Gateway.Policy(1, IpsecAction.Protect, s_tunnel)], s_tunnel));
        using var right = new Gateway(Gateway.Config(
            [
                Gateway.Policy(1, IpsecAction.Protect, mirror, remote: "10.1.0.0-10.1.255.255"),
                Gateway.Policy(2, IpsecAction.Bypass),
            ],
            mirror));

        Assert.Empty(right.Receive(left.Send(PlainFrames.Udp(Address.Parse("10.9.0.1"), s_server, 20))));
        Assert.Equal([DropReason.WrongSelectors], right.Ended);
        Assert.Single(right.Receive(left.Send(PlainFrames.Udp(s_client, s_server, 20))));
        Assert.Equal(1, right.Stage.Databases.Spd!.Entries[0].Statistics.WrongSelectors);
    }

    [Fact]
    public void What_belongs_to_one_SA_does_not_come_by_another()
    {
        SaConfig other = Gateway.Sa(IpsecMode.Tunnel, "192.0.2.1", "198.51.100.1", spiOut: 0x2001, spiIn: 0x2002, key: 9, name: "other");
        using var left = new Gateway(Gateway.Config([Gateway.Policy(1, IpsecAction.Protect, other)], other));
        SaConfig mirror = Gateway.Mirror(s_tunnel), otherMirror = Gateway.Mirror(other);
        using var right = new Gateway(Gateway.Config(
            [
                Gateway.Policy(1, IpsecAction.Protect, mirror, remote: "10.1.0.5"),
                Gateway.Policy(2, IpsecAction.Protect, otherMirror, remote: "10.1.0.0-10.1.255.255"),
            ],
            mirror, otherMirror));

        Assert.Empty(right.Receive(left.Send(PlainFrames.Udp(s_client, s_server, 20))));
        Assert.Equal([DropReason.WrongSelectors], right.Ended);
        Assert.Single(right.Receive(left.Send(PlainFrames.Udp(Address.Parse("10.1.0.6"), s_server, 20))));
    }

    [Fact]
    public void Policies_may_share_an_SA()
    {
        SaConfig mirror = Gateway.Mirror(s_tunnel);
        using var left = new Gateway(Gateway.Config(
            [Gateway.Policy(1, IpsecAction.Protect, s_tunnel, local: "10.1.0.5"), Gateway.Policy(2, IpsecAction.Protect, s_tunnel, local: "10.1.0.6")], s_tunnel));
        using var right = new Gateway(Gateway.Config(
            [Gateway.Policy(1, IpsecAction.Protect, mirror, remote: "10.1.0.5"), Gateway.Policy(2, IpsecAction.Protect, mirror, remote: "10.1.0.6")], mirror));

        Assert.Equal(2, right.Receive(left.Send(
            PlainFrames.Udp(s_client, s_server, 20), PlainFrames.Udp(Address.Parse("10.1.0.6"), s_server, 20))).Count);
    }

    [Fact]
    public void An_ICMP_error_comes_by_the_SA_of_what_it_quotes()
    {
        ServiceSet dns = ServiceSet.Of([new Service(17, new PortRange(53, 53))]);
        SaConfig mirror = Gateway.Mirror(s_tunnel);
        using var left = new Gateway(Gateway.Config([Gateway.Policy(1, IpsecAction.Protect, s_tunnel)], s_tunnel));
        using var right = new Gateway(Gateway.Config([Gateway.Policy(1, IpsecAction.Protect, mirror, service: dns), Gateway.Policy(2, IpsecAction.Bypass)], mirror));
        byte[] quoted = PlainFrames.Udp(s_server, s_client, 20);         // what the right's server had asked
        byte[] icmp = [3, 3, 0, 0, 0, 0, 0, 0, .. quoted[14..]];
        BinaryPrimitives.WriteUInt16BigEndian(icmp.AsSpan(2), Checksum.Finish(Checksum.Sum(icmp)));

        Assert.Single(right.Receive(left.Send(PlainFrames.Ip(s_client, s_server, 1, icmp, false, 0))));

        quoted[36] ^= 1;                                            // port 309 is not theirs
        icmp = [3, 3, 0, 0, 0, 0, 0, 0, .. quoted[14..]];
        BinaryPrimitives.WriteUInt16BigEndian(icmp.AsSpan(2), Checksum.Finish(Checksum.Sum(icmp)));
        Assert.Empty(right.Receive(left.Send(PlainFrames.Ip(s_client, s_server, 1, icmp, false, 0))));
        Assert.Equal([DropReason.WrongSelectors], right.Ended);
    }

    [Theory]
    [InlineData("transport", 4, DropReason.WrongMode)]
    [InlineData("transport", 41, DropReason.WrongMode)]
    [InlineData("tunnel", 17, DropReason.WrongMode)]
    [InlineData("tunnel", 41, DropReason.BadVersion)]
    public void The_mode_inside_must_be_the_SAs(string mode, byte nextHeader, DropReason why)
    {
        SaConfig sa = mode == "tunnel" ? s_tunnel : s_transport;
        (_, Gateway right) = Gateway.Pair(sa);
        using Gateway b = right;

        Assert.Empty(right.Receive(Seal(sa, 1, PlainFrames.Udp(s_client, s_server, 40)[14..], nextHeader)));
        Assert.Equal([why], right.Ended);
    }

    [Fact]
    public void Wrong_padding_is_dropped_and_dummy_packets_end_silently()
    {
        (_, Gateway right) = Gateway.Pair(s_tunnel);
        using Gateway b = right;
        byte[] inner = PlainFrames.Udp(s_client, s_server, 40)[14..];

        Assert.Single(right.Receive(Seal(s_tunnel, 1, inner, 4)));
        foreach (Action<byte[]> harm in new Action<byte[]>[] { t => t[^3]++, t => t[^2] = 255, t => t[^2]++ })
        {
            Assert.Empty(right.Receive(Seal(s_tunnel, 2, inner, 4, harm)));
            Assert.Equal([DropReason.BadPadding], right.Ended);
            right.Stage.Adopt(IpsecDatabases.Build(RightConfig(), [], null));
        }

        Assert.Empty(right.Receive(Seal(s_tunnel, 9, inner, 59)));
        Assert.Equal([Verdict.Consumed], right.Verdicts);
        Assert.Equal([DropReason.None], right.Ended);
        Assert.Equal(1, right.Inbound.Statistics.Dummies);

        static IpsecConfig RightConfig()
        {
            SaConfig mirror = Gateway.Mirror(s_tunnel);
            return Gateway.Config([Gateway.Policy(1, IpsecAction.Protect, mirror)], mirror);
        }
    }

    [Fact]
    public void Traffic_flow_padding_behind_the_inner_packet_is_ignored()
    {
        (_, Gateway right) = Gateway.Pair(s_tunnel);
        using Gateway b = right;
        byte[] frame = PlainFrames.Udp(s_client, s_server, 40);

        byte[] inside = Assert.Single(right.Receive(Seal(s_tunnel, 1, [.. frame[14..], .. new byte[300]], 4)));

        Assert.Equal(frame[14..], PlainFrames.Datagram(inside));
    }

    [Fact]
    public void Inner_headers_that_lie_are_dropped()
    {
        (_, Gateway right) = Gateway.Pair(s_tunnel);
        using Gateway b = right;
        byte[] inner = PlainFrames.Udp(s_client, s_server, 40)[14..];
        uint sequence = 0;
        foreach ((Func<byte[], byte[]> harm, DropReason why) in new (Func<byte[], byte[]>, DropReason)[]
        {
            (_ => [], DropReason.Truncated),
            (i => i[..19], DropReason.Truncated),
            (i => [0x44, .. i[1..]], DropReason.BadHeaderLength),
            (i => [0x4f, .. i[1..50]], DropReason.BadHeaderLength),
            (i => [.. i[..10], 0, 0, .. i[12..]], DropReason.BadHeaderChecksum),
            (i => i[..^1], DropReason.BadLength),
        })
        {
            Assert.Empty(right.Receive(Seal(s_tunnel, ++sequence, harm([.. inner]), 4)));
            Assert.Equal([why], right.Ended);
        }
    }

    [Fact]
    public void Tunnels_inside_each_other_end_at_the_limit()
    {
        (_, Gateway right) = Gateway.Pair(s_tunnel);
        using Gateway b = right;
        byte[] frame = PlainFrames.Udp(s_client, s_server, 40);
        for (uint i = 1; i <= IpsecStage.DeepestNesting; i++)
        {
            frame = Seal(s_tunnel, i, frame[14..], 4);
        }

        Assert.Single(right.Receive(frame));
        Assert.Equal(IpsecStage.DeepestNesting, right.Burst.Packets[0].Depth);

        Assert.Empty(right.Receive(Seal(s_tunnel, 9, Seal(s_tunnel, 8, Seal(s_tunnel, 7, Seal(s_tunnel, 6, PlainFrames.Udp(s_client, s_server, 40)[14..], 4)[14..], 4)[14..], 4)[14..], 4)));
        Assert.Equal([DropReason.NestedTooDeep], right.Ended);
    }

    [Fact]
    public void A_transport_SA_between_named_ends_protects_nobody_else()
    {
        SaConfig sa = Gateway.Sa(IpsecMode.Transport, "10.1.0.5", "10.2.0.9");
        (Gateway left, Gateway right) = Gateway.Pair(sa);
        using Gateway a = left, b = right;

        Assert.Single(right.Receive(left.Send(PlainFrames.Udp(s_client, s_server, 20))));
        Assert.Empty(left.Send(PlainFrames.Udp(s_client, Address.Parse("10.2.0.10"), 20)));
        Assert.Equal([DropReason.NoSa], Reasons(left));
    }

    [Fact]
    public void The_counter_ends_where_replays_are_checked_and_wraps_where_not()
    {
        var settings = new SaSettings { Mode = IpsecMode.Transport, Suite = IpsecSuite.AesCbc128HmacSha256, ReplayWindow = 64 };
        using var checkedSa = new OutboundSa("a", settings, 0x1001, Key(), reserved: uint.MaxValue - 2);
        using var free = new OutboundSa("b", settings with { ReplayWindow = 0 }, 0x1001, Key(), reserved: uint.MaxValue - 1);

        Assert.True(checkedSa.TryNext(out _));
        Assert.True(checkedSa.TryNext(out ulong last));
        Assert.Equal(uint.MaxValue, last);
        Assert.False(checkedSa.TryNext(out _));
        Assert.Equal(1, checkedSa.Statistics.Exhausted);
        Assert.True(free.TryNext(out _));
        Assert.True(free.TryNext(out ulong wrapped));
        Assert.Equal(0u, (uint)wrapped);

        static Filter.Ipsec.Crypto.SaKey Key() => new(IpsecSuite.AesCbc128HmacSha256, new byte[16], new byte[32]);
    }

    [Fact]
    public void ESP_that_comes_from_the_inside_is_not_opened()
    {
        (Gateway left, Gateway right) = Gateway.Pair(s_transport);
        using Gateway a = left, b = right;
        byte[] wire = Assert.Single(left.Send(PlainFrames.Udp(s_client, s_server, 40)));

        right.Burst.Reset();
        Assert.True(right.Burst.TryAppend(wire.Length, out int index));
        ref Packet packet = ref right.Burst.Packets[index];
        packet.Length = wire.Length;
        packet.Ingress = Gateway.Inside;
        wire.CopyTo(packet.Bytes);
        Assert.Equal(DropReason.None, Parser.Parse(ref packet));

        Assert.Equal(0, right.Stage.Open(right.Burst, 0));
        Assert.False(packet.Done);
    }

    /// <summary>Random bytes, random alterations of good packets: an answer each time, never an exception.</summary>
    [Fact]
    public void Nothing_that_arrives_throws()
    {
        Random random = Fuzzing.Seeded(out int seed);
        (Gateway left, Gateway right) = Gateway.Pair(s_tunnel);
        (Gateway leftTransport, Gateway rightTransport) = Gateway.Pair(s_transport);
        using Gateway a = left, b = right, c = leftTransport, d = rightTransport;
        for (int round = 0; round < Fuzzing.Rounds(400); round++)
        {
            bool tunnel = random.Next(2) == 0;
            SaConfig sa = tunnel ? s_tunnel : s_transport;
            var frames = new List<byte[]>();
            for (int i = 0; i < 24; i++)
            {
                byte[] inner = new byte[random.Next(200)];
                random.NextBytes(inner);
                if (inner.Length > 0 && random.Next(2) == 0)
                {
                    inner[0] = (byte)((random.Next(2) == 0 ? 0x40 : 0x60) | random.Next(16));
                }

                byte[] frame = random.Next(3) switch
                {
                    0 => PlainFrames.Raw(s_client, Address.Parse("198.51.100.1"), 50, random.Next(120)),
                    1 => Seal(sa, (uint)random.Next(), inner, (byte)random.Next(256), t => t[random.Next(t.Length)] = (byte)random.Next(256)),
                    _ => Seal(sa, (uint)random.Next(), inner, (byte)(random.Next(2) == 0 ? 4 : 41)),
                };
                for (int harm = random.Next(3); harm > 0; harm--)
                {
                    frame[random.Next(frame.Length)] = (byte)random.Next(256);
                }

                frames.Add(random.Next(10) == 0 ? frame[..random.Next(frame.Length)] : frame);
            }

            try
            {
                (tunnel ? right : rightTransport).Receive(frames);
            }
            catch (Exception e) when (e is not Xunit.Sdk.XunitException)
            {
                Assert.Fail($"seed {seed}, round {round}: {e}");
            }
        }
    }

    private static IEnumerable<DropReason> Reasons(Gateway gateway) =>
        gateway.Burst.Packets.Take(gateway.Burst.Count).Where(p => p.Verdict == Verdict.Drop).Select(p => p.Reason);

    /// <summary>Seals with .NET's own cryptography whatever it is given, as left to right would.</summary>
    internal static byte[] Seal(SaConfig sa, uint sequence, byte[] carried, byte nextHeader, Action<byte[]>? harm = null)
    {
        int padding = (16 - ((carried.Length + 2) % 16)) % 16;
        byte[] text = [.. carried, .. Enumerable.Range(1, padding).Select(i => (byte)i), (byte)padding, nextHeader];
        harm?.Invoke(text);
        using var aes = Aes.Create();
        aes.Key = sa.Out.EncryptionKey.Reveal().ToArray();
        byte[] iv = RandomNumberGenerator.GetBytes(16);
        byte[] esp = [0, 0, 0, 0, 0, 0, 0, 0, .. iv, .. aes.EncryptCbc(text, iv, PaddingMode.None)];
        BinaryPrimitives.WriteUInt32BigEndian(esp, sa.Out.Spi);
        BinaryPrimitives.WriteUInt32BigEndian(esp.AsSpan(4), sequence);
        byte[] icv = HMACSHA256.HashData(sa.Out.IntegrityKey.Reveal(), esp)[..16];
        return PlainFrames.Ip(sa.Settings.Local ?? s_client, sa.Settings.Remote ?? s_server, 50, [.. esp, .. icv], dontFragment: false, 0);
    }
}
