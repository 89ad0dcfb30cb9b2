using Filter.Engine.Packets;
using Filter.Ipsec.Ike;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;
using static Filter.Tests.Ipsec.Ike.IkeSettings;

namespace Filter.Tests.Ipsec.Ike;

/// <summary>Sequences of messages and orders that nobody thought of, by seeds.</summary>
public sealed class IkeSequenceFuzzTests
{
    [Fact]
    public void Whatever_is_ordered_over_a_bad_network_both_agree_in_the_end()
    {
        Random seeds = Fuzzing.Seeded(out _);
        for (int round = 0; round < Fuzzing.Rounds(30); round++)
        {
            int seed = seeds.Next();
            Random random = new(seed);
            using IkeNet net = new(seed) { Lost = random.Next(30), Doubled = random.Next(30), Spread = random.Next(200) * 1_000_000L };
            (IkeNode east, IkeNode west) = net.Sites(static p => p with { DeadPeerAfter = 10 * Second, Start = IkeStart.AtOnce }, static p => p with { DeadPeerAfter = 10 * Second });
            for (int i = 0; i < 40; i++)
            {
                Order(net, random.Next(2) == 0 ? (east, "west") : (west, "east"), random);
                net.Run(random.NextDouble() * 2);
            }

            (net.Lost, net.Doubled, net.Spread) = (0, 0, 0);
            east.Engine.Up("west", net.Now);
            net.Run(200);
            string told = $"seed {seed}\n{net.Story(40)}";
            Assert.True(east.IsUp && west.IsUp, told);
            Assert.True(east.Children.Any(), told);
            Assert.True(east.Children.Select(static c => c.InboundSpi).Order().SequenceEqual(west.Children.Select(static c => c.OutboundSpi).Order()), told);
            Assert.True((east.InboundCount, west.InboundCount) == (east.Children.Count(), west.Children.Count()), told);
            (int lost, int came) = (west.Lost + east.Lost, west.Received);
            east.SendPacket("office");
            west.SendPacket("office");
            net.Run(1);
            Assert.True(west.Lost + east.Lost == lost && west.Received == came + 1, told);
        }
    }

    [Fact]
    public void A_peer_with_the_keys_may_say_anything_and_breaks_nothing_but_his_own()
    {
        Random seeds = Fuzzing.Seeded(out _);
        for (int round = 0; round < Fuzzing.Rounds(40); round++)
        {
            int seed = seeds.Next();
            Random random = new(seed);
            using IkeNet net = new(seed);
            (IkeNode east, IkeNode west) = net.Sites();
            east.Acquire("office", "10.1.0.5", "10.2.0.9");
            Assert.True(net.RunUntil(() => east.IsUp && west.IsUp));
            net.Drops = (from, _) => from == east;
            for (uint id = 2; id < 60 && west.IsUp && west.Peer.Sas.Length == 1; id++)
            {
                Payload[] payloads = [.. Enumerable.Range(0, random.Next(7)).Select(_ => Any(random, east, west))];
                net.Forge(east, random.Next(3) == 0 ? ExchangeType.Informational : ExchangeType.CreateChildSa, id, random.Next(8) == 0, payloads);
                if (random.Next(4) == 0)
                {
                    west.Engine.Rekey(random.Next(2) == 0 ? "office" : "east", net.Now);
                }

                net.Run(random.NextDouble() / 5);
            }

            // Whatever stands is within the policy, and goes with its IKE SA.
            Traffic(west);
            net.Run(200);
            Assert.True(west.InboundCount == 0 && !west.IsUp, $"seed {seed}\n{net.Story(40)}");
        }
    }

    private static void Traffic(IkeNode node)
    {
        AddressRange here = new(Address.Parse("10.2.0.0"), Address.Parse("10.2.255.255")), there = new(Address.Parse("10.1.0.0"), Address.Parse("10.1.255.255"));
        foreach (ChildSa child in node.Children)
        {
            Assert.All(child.Local, s => Assert.True(here.Contains(s.Addresses.First) && here.Contains(s.Addresses.Last)));
            Assert.All(child.Remote, s => Assert.True(there.Contains(s.Addresses.First) && there.Contains(s.Addresses.Last)));
        }
    }

    private static void Order(IkeNet net, (IkeNode Node, string Peer) who, Random random)
    {
        IkeNode node = who.Node;
        switch (random.Next(12))
        {
            case 0:
                node.Engine.Up(who.Peer, net.Now);
                break;
            case 1:
                node.Engine.Down(random.Next(3) == 0 ? who.Peer : "office", net.Now);
                break;
            case 2 or 3:
                node.Engine.Rekey(who.Peer, net.Now);
                break;
            case 4 or 5 or 6:
                node.Engine.Rekey("office", net.Now);
                break;
            case 7 when node.Children.Any():
                node.Engine.HardExpired(node.Children.Last(), net.Now);
                break;
            case 8 when random.Next(4) == 0:
                node.Restart(node.Name == "east" ? EastConfig(static p => p with { DeadPeerAfter = 10 * Second, Start = IkeStart.AtOnce }) : WestConfig(static p => p with { DeadPeerAfter = 10 * Second }));
                break;
            case 9:
                (string local, string remote) = node.Name == "east" ? ("10.1.0.5", "10.2.0.9") : ("10.2.0.9", "10.1.0.5");
                node.Acquire("office", local, remote);
                break;
            default:
                node.SendPacket("office");
                break;
        }
    }

    private static Payload Any(Random random, IkeNode east, IkeNode west)
    {
        uint spi = random.Next(3) switch
        {
            0 => (uint)random.Next(),
            1 => east.Children.Select(static c => c.InboundSpi).FirstOrDefault(),
            _ => west.Children.Select(static c => c.OutboundSpi).LastOrDefault(),
        };
        byte[] bytes = [(byte)(spi >> 24), (byte)(spi >> 16), (byte)(spi >> 8), (byte)spi];
        byte[] eight = new byte[8], nonce = new byte[random.Next(16, 64)], value = new byte[random.Next(1, 64)];
        random.NextBytes(eight);
        random.NextBytes(nonce);
        random.NextBytes(value);
        AddressRange range = random.Next(3) switch
        {
            0 => AddressRange.AllIPv4,
            1 => new(Address.Parse("10.1.0.0"), Address.Parse("10.1.3.255")),
            _ => new(Address.Parse("10.2.0.7"), Address.Parse("10.2.0.7")),
        };
        Transform[] esp = [Transform.Of(Algorithm("aes-gcm-16-256")), Transform.Of(IkeTransforms.ExtendedSequence)];
        Transform[] ike = [Transform.Of(Algorithm("aes-gcm-16-256")), Transform.Of(Algorithm("prf-hmac-sha2-256")), Transform.Of(Algorithm("x25519"))];
        return random.Next(12) switch
        {
            0 or 1 => new SaPayload([new Proposal(1, IkeProtocol.Esp, bytes, [.. esp])]),
            2 => new SaPayload([new Proposal(1, IkeProtocol.Ike, eight, [.. ike])]),
            3 => new NoncePayload(nonce),
            4 => new TrafficSelectorPayload(true, [new TrafficSelector((byte)random.Next(20), TrafficSelector.AnyPort, range)]),
            5 => new TrafficSelectorPayload(false, [new TrafficSelector(0, random.Next(2) == 0 ? TrafficSelector.OpaquePort : TrafficSelector.AnyPort, range)]),
            6 => new KeyExchangePayload((ushort)random.Next(14, 35), random.Next(2) == 0 ? new byte[32] : value),
            7 => new NotifyPayload(NotifyType.RekeySa, default, IkeProtocol.Esp, bytes),
            8 => new NotifyPayload((NotifyType)random.Next(1, 60), value, (IkeProtocol)random.Next(4), bytes),
            9 => new NotifyPayload((NotifyType)random.Next(16384, 16450), value),
            10 => new DeletePayload(IkeProtocol.Esp, [spi, spi]),
            _ => new ConfigurationPayload((ConfigurationKind)random.Next(1, 6), [new ConfigurationAttribute((ushort)random.Next(20), value)]),
        };
    }
}
