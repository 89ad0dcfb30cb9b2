using System.Collections.Immutable;
using System.Diagnostics;
using Filter.Engine.Packets;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;

namespace Filter.Bench;

/// <summary>What finding a packet's policy costs: the index beside a look at one policy after the other, among ten and among ten thousand.</summary>
internal static class PolicyBench
{
    private const int Openings = 1 << 14;
    private const int Rounds = 9;

    internal static void Run()
    {
        (double few, _, _) = Measure(10);
        (double many, double scan, double build) = Measure(10_000);
        Console.WriteLine($"10,000 policies (two networks each, every third by its service): a lookup {many:0} ns at random, {few:0} among 10; "
            + $"one after the other {scan / 1000:0.0} µs = {scan / many:0} times; made ready in {build:0} ms");
    }

    private static (double Found, double Scanned, double Build) Measure(int count)
    {
        ImmutableArray<IpsecPolicy> policies = [.. Enumerable.Range(0, count).Select(static i => Site(i))];
        IpsecDatabases.Build(new IpsecConfig([.. Enumerable.Range(0, count).Select(static i => Site(i))], []), []);        // others: what is made of these is kept
        long start = Stopwatch.GetTimestamp();
        Spd spd = IpsecDatabases.Build(new IpsecConfig(policies, []), []).Spd!;
        double build = Stopwatch.GetElapsedTime(start).TotalMilliseconds;

        // What each policy selects, and as much that none does.
        var random = new Random(7);
        OpeningFacts[] openings = [.. Enumerable.Range(0, Openings).Select(_ => Opening(random.Next(count), random.Next(2) == 0, random))];
        int scanned = Math.Max(64, 1_000_000 / count), met = 0, seen = 0;
        List<double> find = [], scan = [];
        for (int round = -2; round < Rounds; round++)
        {
            start = Stopwatch.GetTimestamp();
            foreach (ref readonly OpeningFacts opening in openings.AsSpan())
            {
                met += spd.Find(opening) is null ? 0 : 1;
            }

            double ns = Stopwatch.GetElapsedTime(start).TotalNanoseconds / Openings;
            start = Stopwatch.GetTimestamp();
            foreach (ref readonly OpeningFacts opening in openings.AsSpan(0, Math.Min(scanned, Openings)))
            {
                seen += spd.Scan(opening) is null ? 0 : 1;
            }

            if (round >= 0)
            {
                find.Add(ns);
                scan.Add(Stopwatch.GetElapsedTime(start).TotalNanoseconds / Math.Min(scanned, Openings));
            }
        }

        return met > 0 && seen > 0 ? (find.Min(), scan.Min(), build)
            : throw new InvalidOperationException("no policy was found");
    }

    private static IpsecPolicy Site(int i) => new()
    {
        Name = $"site-{i}",
        At = default(SourceMark),
        Number = (ushort)(i + 1),
        Action = IpsecAction.Protect,
        Sas = [],
        Local = Network(0x0a00_0000u + ((uint)i << 8)),
        Remote = Network(0xac10_0000u + ((uint)i << 8)),
        Service = i % 3 == 0 ? ServiceSet.Of([new Service(6, new PortRange(443, 443)), new Service(17, new PortRange((ushort)(1000 + (i % 5000)), (ushort)(2000 + (i % 5000))))]) : null,
        Outbound = true,
        Inbound = true,
    };

    private static AddressSet Network(uint first) => AddressSet.Of([new AddressRange(Address.FromIPv4(first), Address.FromIPv4(first + 255))]);

    private static OpeningFacts Opening(int i, bool selected, Random random)
    {
        var key = new FlowKey(
            Address.FromIPv4(0x0a00_0000u + ((uint)i << 8) + (uint)random.Next(256)),
            Address.FromIPv4(0xac10_0000u + ((uint)(selected ? i : i + 1) << 8) + (uint)random.Next(256)), 40000, 443, 6, 0);
        return new OpeningFacts(key, 0, 1, Direction.Out, TcpFlags.Syn, 0, 0, 0, 0);
    }
}
