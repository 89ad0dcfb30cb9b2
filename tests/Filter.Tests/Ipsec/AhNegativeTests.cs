using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Policy;

namespace Filter.Tests.Ipsec;

public sealed class AhNegativeTests
{
    private static readonly Address s_client4 = Address.Parse("10.1.0.5");
    private static readonly Address s_server4 = Address.Parse("10.2.0.9");
    private static readonly Address s_client6 = Address.Parse("2001:db8:1::5");
    private static readonly Address s_server6 = Address.Parse("2001:db8:2::9");

    private const string Suite = "hmac-sha2-256-128";

    [Theory]
    [InlineData("transport", false)]
    [InlineData("transport", true)]
    [InlineData("tunnel4", false)]
    [InlineData("tunnel6", false)]
    public void What_routers_change_may_change_and_nothing_else(string mode, bool v6)
    {
        (Gateway left, Gateway right) = Gateway.Pair(AhConversationTests.Sa(mode, Suite));
        using Gateway a = left, b = right;
        byte[] wire = Assert.Single(left.Send(v6 ? PlainFrames.Udp(s_client6, s_server6, 20) : PlainFrames.Udp(s_client4, s_server4, 20)));
        bool outer4 = wire[12] == 8;
        int[] mutable = outer4 ? [1, 6, 7, 8, 10, 11] : [1, 2, 3, 7];
        int ah = outer4 ? 20 : 40;
        for (int at = 0; at < wire.Length - 14; at++)
        {
            // Lengths, next headers, SPI and number lead elsewhere; of the first byte of IPv6 half is traffic class.
            bool leads = at < 1 || (outer4 ? at is 2 or 3 or 9 or (>= 12 and < 20) : at is (>= 4 and < 7) or (>= 8 and < 40)) || at == ah + 1 || (at >= ah + 4 && at < ah + 12);
            bool breaksChecksum = outer4 && at is 10 or 11, fragments = outer4 && at is 6 or 7;
            if (leads || breaksChecksum)
            {
                continue;
            }

            byte[] changed = [.. wire];
            changed[14 + at] ^= fragments ? (byte)(at == 6 ? 0x40 : 0) : (byte)0x10;
            if (outer4)
            {
                IpHeader.FinishIPv4(changed.AsSpan(14));
            }

            Assert.Equal(mutable.Contains(at) ? 1 : 0, right.Receive(changed).Count);
            Assert.Equal(mutable.Contains(at) ? [] : [DropReason.BadIcv], right.Ended);
        }
    }

    [Theory]
    [InlineData("2001:db8:1::6", null)]
    [InlineData(null, "2001:db8:2::8")]
    public void Addresses_are_covered(string? source, string? destination)
    {
        (Gateway left, Gateway right) = Gateway.Pair(AhConversationTests.Sa("transport", Suite));
        using Gateway a = left, b = right;
        byte[] wire = Assert.Single(left.Send(PlainFrames.Udp(s_client6, s_server6, 20)));
        Address.Parse(source ?? "2001:db8:1::5").Write(wire.AsSpan(14 + 8));
        Address.Parse(destination ?? "2001:db8:2::9").Write(wire.AsSpan(14 + 24));

        Assert.Empty(right.Receive(wire));
        Assert.Equal([DropReason.BadIcv], right.Ended);
    }

    [Fact]
    public void A_replay_is_dropped_and_a_forgery_moves_no_window()
    {
        (Gateway left, Gateway right) = Gateway.Pair(AhConversationTests.Sa("tunnel4", Suite, replay: 64));
        using Gateway a = left, b = right;
        byte[][] wire = [.. Enumerable.Range(0, 70).Select(_ => left.Send(PlainFrames.Udp(s_client4, s_server4, 40))[0])];

        byte[] forged = [.. wire[69]];
        forged[^1] ^= 1;
        Assert.Empty(right.Receive(forged));
        Assert.Equal([DropReason.BadIcv], right.Ended);
        Assert.Equal(0ul, right.Inbound.Window!.Top);

        Assert.Single(right.Receive(wire[69], wire[69]));
        Assert.Equal([DropReason.Replayed], right.Ended);
        Assert.Single(right.Receive(wire[6]));              // 70 - 63: the window's last place
        Assert.Empty(right.Receive(wire[5]));
        Assert.Equal([DropReason.Replayed], right.Ended);
        Assert.Equal(2, right.Inbound.Statistics.Replayed);
    }

    [Theory]
    [InlineData("transport", false)]
    [InlineData("tunnel4", false)]
    [InlineData("tunnel6", true)]
    public void A_length_that_lies_is_dropped_whatever_it_says(string mode, bool v6)
    {
        (Gateway left, Gateway right) = Gateway.Pair(AhConversationTests.Sa(mode, Suite));
        using Gateway a = left, b = right;
        byte[] wire = Assert.Single(left.Send(v6 ? PlainFrames.Udp(s_client6, s_server6, 200) : PlainFrames.Udp(s_client4, s_server4, 200)));
        int at = 14 + (wire[12] == 8 ? 20 : 40) + 1;
        int right4 = wire[at];
        for (int said = 0; said < 256; said++)
        {
            byte[] lying = [.. wire];
            lying[at] = (byte)said;

            // IPv4 may be padded to 64 bits, so that this length alone is looked at further: the ICV does not agree.
            bool padded = wire[12] == 8 && said == right4 + 1;
            Assert.Equal(said == right4 ? 1 : 0, right.Receive(lying).Count);
            Assert.Equal(said == right4 ? [] : [padded ? DropReason.BadIcv : DropReason.BadAh], right.Ended);
        }

        Assert.Equal(wire[12] == 8 ? 254 : 255, right.Inbound.Statistics.Malformed);
    }

    [Fact]
    public void A_packet_cut_short_is_dropped_at_every_length()
    {
        (Gateway left, Gateway right) = Gateway.Pair(AhConversationTests.Sa("transport", Suite));
        using Gateway a = left, b = right;
        byte[] wire = Assert.Single(left.Send(PlainFrames.Udp(s_client4, s_server4, 50)));
        for (int length = 34; length < wire.Length; length++)
        {
            byte[] cut = wire[..length];
            IpHeader.SetLength(cut.AsSpan(14));

            Assert.Empty(right.Receive(cut));
            Assert.Equal([length < 46 ? DropReason.Truncated : length < 62 ? DropReason.BadAh : DropReason.BadIcv], right.Ended);
        }
    }

    [Fact]
    public void AH_of_an_unknown_SPI_to_the_gateway_is_dropped_and_AH_of_others_is_left_alone()
    {
        SaConfig sa = AhConversationTests.Sa("tunnel4", Suite), esp = Gateway.Sa(IpsecMode.Tunnel, "192.0.2.1", "198.51.100.1", spiOut: 0x31, spiIn: 0x32, name: "esp");
        using var gateway = new Gateway(Gateway.Config(
            [Gateway.Policy(1, IpsecAction.Protect, sa, remote: "10.2.0.0-10.2.255.255"), Gateway.Policy(2, IpsecAction.Bypass)], sa, esp));
        Address peer = Address.Parse("198.51.100.1");

        byte[] named = PlainFrames.Raw(peer, Address.Parse("192.0.2.1"), 51, 100);
        Assert.Empty(gateway.Receive(named));
        Assert.Equal([DropReason.UnknownSpi], gateway.Ended);

        // The SPI of an ESP SA is none of AH.
        named[14 + 20 + 4] = named[14 + 20 + 5] = named[14 + 20 + 6] = 0;
        named[14 + 20 + 7] = 0x32;
        Assert.Empty(gateway.Receive(named));
        Assert.Equal([DropReason.UnknownSpi], gateway.Ended);

        byte[] transit = PlainFrames.Raw(peer, Address.Parse("10.1.0.9"), 51, 100);
        Assert.Equal([transit], gateway.Receive(transit));
    }

    [Fact]
    public void The_mode_inside_must_be_the_SAs()
    {
        using Gateway sender = Gateway.Pair(AhConversationTests.Sa("tunnel4", Suite)).Left;
        SaConfig transport = AhConversationTests.Sa("transport", Suite);
        using Gateway takes = Gateway.Pair(transport).Right;
        byte[] wire = Assert.Single(sender.Send(PlainFrames.Udp(s_client4, s_server4, 40)));

        Assert.Empty(takes.Receive(wire));
        Assert.Equal([DropReason.WrongMode], takes.Ended);

        using Gateway sends = Gateway.Pair(AhConversationTests.Sa("transport", Suite)).Left;
        SaConfig tunnel = Gateway.Between(AhConversationTests.Sa("tunnel4", Suite), s_client4, s_server4);
        using Gateway other = Gateway.Pair(tunnel).Right;
        Assert.Empty(other.Receive(sends.Send(PlainFrames.Udp(s_client4, s_server4, 40))));
        Assert.Equal([DropReason.WrongMode], other.Ended);
    }

    /// <summary>Random alterations of good packets, chains and options: an answer each time, never an exception.</summary>
    [Fact]
    public void Nothing_that_arrives_throws()
    {
        Random random = Fuzzing.Seeded(out int seed);
        (Gateway left, Gateway right) = Gateway.Pair(AhConversationTests.Sa("transport", Suite));
        (Gateway leftTunnel, Gateway rightTunnel) = Gateway.Pair(AhConversationTests.Sa("tunnel6", Suite));
        using Gateway a = left, b = right, c = leftTunnel, d = rightTunnel;
        int passed = 0;
        for (int round = 0; round < Fuzzing.Rounds(300); round++)
        {
            bool tunnel = random.Next(3) == 0;
            byte[][] plain =
            [
                PlainFrames.Udp(s_client4, s_server4, random.Next(100)),
                PlainFrames.Ip(s_client4, s_server4, 99, new byte[30], false, 0, options: Options(random)),
                PlainFrames.Udp(s_client6, s_server6, random.Next(100), chain: Chain(random), firstNext: 0),
            ];
            try
            {
                byte[][] wire = [.. (tunnel ? leftTunnel : left).Send(plain)];
                foreach (byte[] frame in wire)
                {
                    for (int harm = random.Next(4); harm > 0; harm--)
                    {
                        frame[14 + random.Next(frame.Length - 14)] = (byte)random.Next(256);
                    }

                    if (frame[12] == 8 && (frame[14] & 15) >= 5 && 14 + ((frame[14] & 15) * 4) <= frame.Length)
                    {
                        IpHeader.FinishIPv4(frame.AsSpan(14));
                    }
                }

                passed += (tunnel ? rightTunnel : right).Receive(wire.Select(f => random.Next(20) == 0 ? f[..random.Next(f.Length)] : f)).Count;
            }
            catch (Exception e) when (e is not Xunit.Sdk.XunitException)
            {
                Assert.Fail($"seed {seed}, round {round}: {e}");
            }
        }

        Assert.True(passed > 0);
    }

    private static byte[] Options(Random random)
    {
        byte[] kinds = [7, 68, 130, 133, 134, 148, 149, 30];
        byte[] options = new byte[4 * random.Next(1, 11)];
        for (int at = 0; at < options.Length - 1;)
        {
            int length = random.Next(2, Math.Min(12, options.Length - at) + 1);
            options[at] = kinds[random.Next(kinds.Length)];
            options[at + 1] = (byte)length;
            at += length;
        }

        return options;
    }

    /// <summary>Hop-by-hop options of random kinds, then destination options of random kinds before a routing header.</summary>
    private static byte[] Chain(Random random)
    {
        byte[] first = [60, 0, (byte)(random.Next(256) & 0x3f), 4, 1, 2, 3, 4], second = [43, 0, (byte)(random.Next(256) & 0x3f), 4, 5, 6, 7, 8];
        first[2] = first[2] == 0 ? (byte)1 : first[2];
        second[2] = second[2] == 0 ? (byte)1 : second[2];
        return [.. first, .. second, 17, 0, 253, 0, 0, 0, 0, 0];
    }
}
