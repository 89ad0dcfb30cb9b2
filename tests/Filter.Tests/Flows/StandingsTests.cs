using Filter.Engine.Flows;
using Filter.Engine.Packets;

namespace Filter.Tests.Flows;

/// <summary>Who has how many flows, and which goes first, whatever happens to them in which order.</summary>
public sealed class StandingsTests
{
    [Fact]
    public void Counts_and_orders_agree_with_a_model_after_random_openings_changes_and_ends()
    {
        Random random = Fuzzing.Seeded(out _);
        const int Capacity = 60, Most = 4;
        var table = new FlowTable(Capacity);
        Standings standings = table.Standings;
        standings.Sources.Most = standings.Destinations.Most = Most;
        List<int> model = [];                                       // by when their standing was given
        int next = 0;
        for (int step = 0; step < Fuzzing.Rounds(20_000); step++)
        {
            int what = random.Next(3);
            if (what == 0 && model.Count < Capacity)
            {
                // Many more sources than fit, so that their places are used again.
                FlowKey key = new(
                    Address.FromIPv4((uint)random.Next(200)), Address.FromIPv4((uint)(1000 + random.Next(5))), (ushort)(next >> 16),
                    (ushort)next++, 17, 0);
                bool management = random.Next(4) == 0;
                int flow = table.Add(new OpeningFacts(key, 0, 1, Direction.Out, 0, 0, 0, 0, 0), 0, long.MaxValue, management);
                Assert.NotEqual(0, flow);
                model.Add(flow);
            }
            else if (model.Count > 0)
            {
                int flow = model[random.Next(model.Count)];
                model.Remove(flow);
                var standing = (FlowStanding)random.Next(4);
                if (what == 1)
                {
                    table.Remove(flow);
                }
                else
                {
                    standings.Change(flow, standing);
                    model.Insert(standing == FlowStanding.Ended ? 0 : model.Count, flow);
                }
            }

            Agree(table, model, Most);
        }
    }

    [Fact]
    public void Every_flow_of_a_full_table_may_have_a_source_of_its_own_again_and_again()
    {
        var table = new FlowTable(8);
        for (uint i = 0; i < 100; i++)
        {
            int flow = table.Standings.First(management: false);
            if (table.Count == 8)
            {
                // The one that is about to open is looked for while the table is full.
                table.Standings.Sources.Reach(ShareKey.OfSource(Key(i), false));
                table.Remove(flow);
            }

            Assert.NotEqual(0, table.Add(new OpeningFacts(Key(i), 0, 1, Direction.Out, 0, 0, 0, 0, 0), 0, long.MaxValue));
        }

        Assert.Equal(8, table.Count);
    }

    private static FlowKey Key(uint i) => new(Address.FromIPv4(i), Address.FromIPv4(9999), 1, 2, 17, 0);

    private static void Agree(FlowTable table, List<int> model, int most)
    {
        Standings standings = table.Standings;
        Assert.Equal(model.Count, table.Count);
        Assert.Equal(model.Count(flow => table[flow].Proven), table.Proven);
        Assert.Equal(model.Count(flow => table[flow].Management), table.Management);
        for (int list = 0; list < standings.Lists; list++)
        {
            int flow = standings.First(list);
            foreach (int expected in model.Where(flow => ListOf(table[flow]) == list))
            {
                Assert.Equal(expected, flow);
                flow = standings.Next(flow);
            }

            Assert.Equal(0, flow);
        }

        var bySource = model.GroupBy(flow => ShareKey.OfSource(table[flow].Opening.Key, table[flow].Management)).ToList();
        foreach (IGrouping<ShareKey, int> source in bySource)
        {
            Share share = standings.Sources[standings.Sources.Reach(source.Key)];
            Assert.Equal(source.Count(), share.Flows);
            Assert.Equal(source.FirstOrDefault(flow => !table[flow].Proven), share.Openings.Oldest);
        }

        Assert.Equal(bySource.Count(source => source.Count() >= most), table.SourcesAtLimit);
        foreach (IGrouping<ShareKey, int> service in model.Where(flow => table[flow].Standing == FlowStanding.HalfOpen)
            .GroupBy(flow => ShareKey.OfDestination(table[flow].Opening.Key, table[flow].Management)))
        {
            Share share = standings.Destinations[standings.Destinations.Reach(service.Key)];
            Assert.Equal(service.Count(), share.Flows);
            Assert.Equal(service.First(), share.Openings.Oldest);
            Assert.Equal(service.Last(), share.Openings.Newest);
        }
    }

    private static int ListOf(in Flow flow) => flow.Proven ? -1 : flow.Management ? 2 : flow.Standing == FlowStanding.Ended ? 0 : 1;
}
