using System.Diagnostics;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Bench.Engine;

/// <summary>
/// Several workers at once, each with the flows that are at home with it, on a thread of its own: packets a second of all of them,
/// of the whole walk and of bare lookups. Rounds are short, so that the best one is one that nobody disturbed.
/// </summary>
internal static class WorkersBench
{
    private const int Rounds = 300;
    private const int Bursts = 60;

    /// <summary>Millions of packets a second.</summary>
    internal static (double Walk, double Lookup) Measure(int workers, int flows)
    {
        int capacity = flows + (flows / 8) + 1024;
        EnginePath[] engines = workers == 1 ? [new EnginePath(capacity)] : EnginePath.Crew(workers, 2 * capacity);
        int[][] own = [.. engines.Select(engine => engine.Own(flows))];
        foreach (EnginePath engine in engines)
        {
            engine.Establish(0, flows);
        }

        return (Best(engines, own, static (engine, burst) => engine.Path.Walk(burst), parsed: false),
            Best(engines, own, static (engine, burst) => engine.Path.Flows.Find(burst), parsed: true));
    }

    private static double Best(EnginePath[] engines, int[][] own, Action<EnginePath, Burst> work, bool parsed)
    {
        var rates = new double[engines.Length];
        double best = 0;
        using var round = new Barrier(engines.Length, _ => best = Math.Max(best, rates.Sum()));
        Thread[] threads = [.. engines.Select((engine, number) => new Thread(() => Carry(engine, number)))];
        foreach (Thread thread in threads)
        {
            thread.Start();
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        return best;

        void Carry(EnginePath engine, int number)
        {
            var random = new Random(number + 1);
            for (int i = 0; i < Rounds; i++)
            {
                long ticks = 0;
                for (int k = 0; k < Bursts; k++)
                {
                    Burst burst = engine.Burst;
                    Traffic.Fill(burst, random, own[number]);
                    for (int at = 0; parsed && at < burst.Count; at++)
                    {
                        Parser.Parse(ref burst.Packets[at]);
                    }

                    long start = Stopwatch.GetTimestamp();
                    work(engine, burst);
                    ticks += Stopwatch.GetTimestamp() - start;
                }

                rates[number] = (double)Bursts * Burst.Intake * Stopwatch.Frequency / ticks / 1e6;
                round.SignalAndWait();
            }
        }
    }
}
