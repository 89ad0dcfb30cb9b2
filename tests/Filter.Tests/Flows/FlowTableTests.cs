using Filter.Engine.Flows;
using Filter.Engine.Packets;

namespace Filter.Tests.Flows;

public sealed class FlowTableTests(ITestOutputHelper output)
{
    [Fact]
    public void A_flow_is_found_from_both_sides()
    {
        var table = new FlowTable(16);
        FlowKey key = Key(1, 2, 1000, 53);
        int flow = table.Add(Opening(key), 0, long.MaxValue);

        Assert.Equal(flow, table.Find(key, out bool reply));
        Assert.False(reply);
        Assert.Equal(flow, table.Find(key.Reverse, out reply));
        Assert.True(reply);
        Assert.Equal(0, table.Find(key with { SourcePort = 1001 }, out _));
    }

    [Fact]
    public void A_key_that_differs_in_anything_is_another_flow_s_though_its_hash_were_the_same()
    {
        var table = new FlowTable(16);
        FlowKey key = Key(1, 2, 1000, 53);
        int flow = table.Add(Opening(key), 0, long.MaxValue);
        Assert.True(table.Is(flow, key, reply: false));
        Assert.True(table.Is(flow, key.Reverse, reply: true));
        Assert.False(table.Is(flow, key, reply: true));
        ulong high = key.Source.High ^ 1;
        foreach (FlowKey other in (FlowKey[])
        [
            key with { Source = key.Source.Next() }, key with { Destination = key.Destination.Next() },
            key with { Source = new Address(high, key.Source.Low) }, key with { Destination = new Address(high, key.Destination.Low) },
            key with { SourcePort = 1001 }, key with { DestinationPort = 54 }, key with { Protocol = 6 }, key with { Segment = VlanStack.Push(0, 7) },
            key with { SourcePort = key.DestinationPort, DestinationPort = key.SourcePort },
        ])
        {
            Assert.False(table.Is(flow, other, reply: false));
            Assert.False(table.Is(flow, other.Reverse, reply: true));
        }
    }

    [Fact]
    public void A_flow_with_itself_is_one_flow()
    {
        var table = new FlowTable(4);
        FlowKey key = new(Address.Parse("10.0.0.1"), Address.Parse("10.0.0.1"), 7, 7, 17, 0);
        int flow = table.Add(Opening(key), 0, long.MaxValue);
        table.Remove(flow);
        Assert.Equal(0, table.Find(key, out _));
        Assert.Equal(0, table.Count);
    }

    [Fact]
    public void A_full_table_refuses_and_takes_again_after_a_removal()
    {
        var table = new FlowTable(3);
        int[] flows = [.. Enumerable.Range(0, 3).Select(i => table.Add(Opening(Key(i, 99, 1, 2)), 0, long.MaxValue))];
        Assert.Equal(0, table.Add(Opening(Key(50, 99, 1, 2)), 0, long.MaxValue));

        table.Remove(flows[1]);
        Assert.NotEqual(0, table.Add(Opening(Key(50, 99, 1, 2)), 0, long.MaxValue));
        Assert.Equal(3, table.Count);
    }

    [Fact]
    public void Random_additions_removals_and_searches_agree_with_a_dictionary()
    {
        int seed = Random.Shared.Next();
        output.WriteLine($"seed {seed}");
        var random = new Random(seed);
        var table = new FlowTable(500);
        var model = new Dictionary<FlowKey, int>();
        for (int step = 0; step < 50_000; step++)
        {
            // Few keys, so that each is added and removed many times and buckets overflow.
            FlowKey key = Key(random.Next(30), 1000 + random.Next(30), random.Next(2), 53);
            bool known = model.TryGetValue(key, out int flow);
            Assert.Equal(known ? flow : 0, table.Find(key, out bool reply));
            Assert.Equal(known ? flow : 0, table.Find(key.Reverse, out reply));
            Assert.Equal(known, reply);
            if (known)
            {
                table.Remove(flow);
                model.Remove(key);
            }
            else
            {
                flow = table.Add(Opening(key), 0, long.MaxValue);
                Assert.Equal(model.Count < 500, flow != 0);
                if (flow != 0)
                {
                    model[key] = flow;
                }
            }

            Assert.Equal(model.Count, table.Count);
        }
    }

    [Fact]
    public void A_table_that_grows_and_shrinks_finds_what_it_holds_and_nothing_else()
    {
        Random random = Fuzzing.Seeded(out _);
        var table = new FlowTable(60_000);
        var model = new Dictionary<FlowKey, int>();
        int next = 0;
        foreach (int size in (int[])[60_000, 200, 30_000, 0, 5_000])
        {
            while (model.Count != size)
            {
                if (model.Count < size)
                {
                    FlowKey key = Key(next++, 7, (ushort)random.Next(1, 60_000), 443);
                    model[key] = table.Add(Opening(key), 0, long.MaxValue);
                }
                else
                {
                    (FlowKey gone, int flow) = model.First();
                    table.Remove(flow);
                    Assert.True(model.Remove(gone));
                    Assert.Equal(0, table.Find(gone, out _));
                }

                if (random.Next(100) == 0)
                {
                    table.Trim();
                }
            }

            Assert.Equal(size, table.Count);
            Assert.Equal(size, model.Values.Distinct().Count());
            foreach ((FlowKey key, int flow) in model)
            {
                Assert.Equal(flow, table.Find(key, out bool reply));
                Assert.False(reply);
                Assert.Equal(flow, table.Find(key.Reverse, out reply));
                Assert.True(reply);
                Assert.Equal(key, table[flow].Key);
            }
        }
    }

    [Fact]
    public void A_burst_is_found_as_its_packets_are_one_by_one()
    {
        Random random = Fuzzing.Seeded(out _);
        var table = new FlowTable(2_000);
        for (int i = 0; i < 2_000; i++)
        {
            table.Add(Opening(Key(i, 7, 1000, 443)), 0, long.MaxValue);
        }

        var burst = new Burst();
        for (int i = 0; i < 300; i++)
        {
            burst.TryAppend(64, out int index);
            FlowKey key = Key(random.Next(3_000), 7, 1000, 443);
            burst.Packets[index].Key = random.Next(2) == 0 ? key : key.Reverse;
            burst.Packets[index].Kind = random.Next(9) == 0 ? PacketKind.Untracked : PacketKind.Tracked;
            burst.Packets[index].Done = random.Next(9) == 0;
        }

        table.Find(burst);
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            bool looked = packet.Kind == PacketKind.Tracked && !packet.Done;
            Assert.Equal(looked ? table.Find(packet.Key, out bool reply) : 0, packet.Flow);
            Assert.Equal(looked && table.Find(packet.Key, out reply) != 0 && reply, packet.Reply);
        }
    }

    [Fact]
    public void What_a_flow_was_opened_with_comes_back_as_it_was()
    {
        Random random = Fuzzing.Seeded(out _);
        var table = new FlowTable(1);
        for (int i = 0; i < 1_000; i++)
        {
            OpeningFacts opening = new(
                new FlowKey(
                    new Address((ulong)random.NextInt64(), (ulong)random.NextInt64()), new Address((ulong)random.NextInt64(), (ulong)random.NextInt64()),
                    (ushort)random.Next(65536), (ushort)random.Next(65536), (byte)random.Next(256), (uint)random.NextInt64()),
                (byte)random.Next(16), (byte)random.Next(16), (Direction)random.Next(3), (TcpFlags)random.Next(256),
                (byte)random.Next(256), (byte)random.Next(256), (byte)random.Next(256), (ushort)random.Next(65536))
            {
                SourceMac = (ulong)random.NextInt64() >> 16,
                DestinationMac = (ulong)random.NextInt64() >> 16,
                PacketLength = (ushort)random.Next(65536),
                Extensions = (ExtensionHeaders)random.Next(256),
                Fragmented = random.Next(2) == 0,
            };
            int flow = table.Add(opening, 0, long.MaxValue);
            Assert.Equal(opening, table[flow].Opening);
            table.Remove(flow);
        }
    }

    [Fact]
    public void A_search_in_a_table_of_few_buckets_ends_though_each_of_them_has_overflowed()
    {
        Random random = Fuzzing.Seeded(out _);
        var table = new FlowTable(12);
        List<int> flows = [];
        for (int step = 0; step < 100_000; step++)
        {
            if (flows.Count == 12)
            {
                int at = random.Next(flows.Count);
                table.Remove(flows[at]);
                flows.RemoveAt(at);
            }

            flows.Add(table.Add(Opening(Key(step, 1, 1, 1)), 0, long.MaxValue));
            Assert.NotEqual(0, table.Find(table[flows[^1]].Opening.Key.Reverse, out bool reply));
            Assert.True(reply);
            Assert.Equal(0, table.Find(Key(step + 1, 1, 1, 1), out _));
        }
    }

    [Fact]
    public void Random_deadlines_are_kept_whatever_the_clock_does()
    {
        int seed = Random.Shared.Next();
        output.WriteLine($"seed {seed}");
        var random = new Random(seed);
        const long Second = 1_000_000_000;
        var table = new FlowTable(300);
        var model = new Dictionary<int, long>();
        long now = random.NextInt64(1_000_000 * Second);
        int next = 0;
        for (int step = 0; step < 5_000; step++)
        {
            if (model.Count < 300)
            {
                long deadline = now + random.NextInt64(1, 4000 * Second);
                model[table.Add(Opening(Key(next++, 1, 1, 1)), now, deadline)] = deadline;
            }

            foreach (int flow in model.Keys.Where(_ => random.Next(20) == 0).ToArray())
            {
                model[flow] = now + random.NextInt64(1, 8000 * Second);
                table.Extend(flow, model[flow]);
            }

            now += random.Next(50) == 0 ? random.NextInt64(5000 * Second) : random.NextInt64(2 * Second);
            table.Expire(now, int.MaxValue);

            // The wheel's slots are a quarter of a second wide: none lives longer than two of them.
            foreach ((int flow, long deadline) in model.ToArray())
            {
                if (!table[flow].Live)
                {
                    Assert.True(deadline <= now, "a flow ended before its time");
                    model.Remove(flow);
                }
                else
                {
                    Assert.True(deadline > now - (Second / 2), $"a flow outlived its time by {now - deadline} ns");
                }
            }

            Assert.Equal(model.Count, table.Count);
        }
    }

    private static FlowKey Key(int source, int destination, int from, int to) => new(
        Address.FromIPv4((uint)(0x0a00_0000 + source)), new Address(0x2001_0db8_0000_0000, (ulong)destination),
        (ushort)from, (ushort)to, 17, 0);

    private static OpeningFacts Opening(FlowKey key) => new(key, 0, 1, Direction.Out, 0, 0, 0, 0, 0);
}
