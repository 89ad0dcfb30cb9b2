using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;
using Filter.Rules.Analysis;
using Filter.Rules.Compile;
using Filter.Rules.Policy;

namespace Filter.Tests.Rules.Analysis;

public sealed class ReachabilityTests
{
    [Fact]
    public void Who_reaches_a_service_is_whom_asking_for_every_packet_lets_through()
    {
        Random random = Fuzzing.Seeded(out int seed);
        int ways = 0;
        for (int round = 0; round < Fuzzing.Rounds(60); round++)
        {
            Ruleset ruleset = TinyWorld.Random(random, random.Next(1, 12));
            CompiledRuleset compiled = RulesetCompiler.Compile(ruleset);
            OpeningFacts asked = TinyWorld.Packets[random.Next(TinyWorld.Packets.Count)];
            if (asked.Key.Protocol is not (IpProtocol.Tcp or IpProtocol.Udp))
            {
                continue;
            }

            string text = $"{(asked.Key.Protocol == IpProtocol.Tcp ? "tcp" : "udp")} * > [{asked.Key.Destination}]:{asked.Key.DestinationPort}";
            ReachQuery query = ReachQuery.Parse(text, out string? error)!;
            Assert.Null(error);
            Reachability answer = Reachability.Of(ruleset, query);
            string place = $"seed {seed}, round {round}: {text}\n{string.Join('\n', answer.Ways)}\n{string.Join('\n', ruleset.Rules)}";
            Assert.Empty(answer.Undecided);
            IEnumerable<OpeningFacts> alike = TinyWorld.Packets.Where(p => p.Key.Protocol == asked.Key.Protocol && p.Key.Destination == asked.Key.Destination && p.Key.DestinationPort == asked.Key.DestinationPort);
            HashSet<(int, Address, string)> expected = [];
            foreach (OpeningFacts packet in alike)
            {
                Judgement judgement = compiled.Judge(packet);
                if (judgement.Verdict == Verdict.Pass)
                {
                    expected.Add((packet.Ingress, packet.Key.Source, compiled.Name(judgement.Rule).Name));
                }
            }

            foreach (PortConfig port in ruleset.Ports)
            {
                foreach (Address source in alike.Select(static p => p.Key.Source).Distinct())
                {
                    foreach (string rule in ruleset.Rules.Select(static r => r.Name).Append("default out"))
                    {
                        bool reaches = answer.Ways.Any(way => way.Ingress == port.Name && way.Rule == rule && way.Sources.Contains(source));
                        Assert.True(expected.Contains((port.Number, source, rule)) == reaches, $"{port.Name} {source} by {rule}: says {reaches}; {place}");
                    }
                }
            }

            foreach (Reaching way in answer.Ways)
            {
                Judgement judgement = compiled.Judge(way.Witness.Facts);
                Assert.True(judgement.Verdict == Verdict.Pass && compiled.Name(judgement.Rule).Name == way.Rule, place);
                ways++;
            }
        }

        Assert.True(ways > 20, $"seed {seed}: {ways} ways");
    }

    [Theory]
    [InlineData("tcp * > 192.0.2.1")]
    [InlineData("outside: web * > 192.0.2.0/24")]
    [InlineData("* [2001:db8::/32] > *:53")]
    [InlineData("udp 10.0.0.0/8:1024-65535 > [2001:db8::1]:53")]
    [InlineData("icmp/echo-request * > *")]
    public void Questions_are_packet_lines_with_holes(string text)
    {
        ReachQuery? query = ReachQuery.Parse(text, out string? error);
        Assert.True(query is not null, error);
        Assert.Empty(Reachability.Of(TinyWorld.Of([]), query).Undecided);
    }

    [Theory]
    [InlineData("", null)]
    [InlineData("tcp * 10.0.0.5:22", null)]
    [InlineData("tcp * > 10.0.0.5:22 syn", null)]
    [InlineData("tcp * > 10.0.0.300:22", "10.0.0.300")]
    [InlineData("tcp * > lan:22", "'lan' is no address")]
    [InlineData("tcp * > 10.0.0.5:70000", "70000")]
    [InlineData("tcp * > [2001:db8::1", "2001:db8::1")]
    [InlineData("nowhere: tcp * > 10.0.0.5:22", "there is no port 'nowhere'")]
    [InlineData("xtp * > 10.0.0.5:22", "'xtp' is no protocol")]
    [InlineData("gre * > 10.0.0.5:22", "'gre' has no port 22")]
    public void Questions_that_are_none_are_refused_in_words(string text, string? word)
    {
        if (ReachQuery.Parse(text, out string? error) is not { } query)
        {
            Assert.True(word is null && error!.Contains("as 'tcp * > 10.0.0.5:22'", StringComparison.Ordinal), error);
            return;
        }

        FormatException refused = Assert.Throws<FormatException>(() => Reachability.Of(TinyWorld.Of([]), query));
        Assert.Contains(word!, refused.Message, StringComparison.Ordinal);
    }
}
