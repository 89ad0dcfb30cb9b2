using System.Text;
using Filter.Rules;
using Filter.Rules.Compile;

namespace Filter.Tests.Rules.Policy;

/// <summary>Whatever is done to a ruleset, reading it ends in a ruleset or in findings, never in an exception.</summary>
public sealed class RulesetFuzzTests
{
    private static readonly string[] s_words =
        ["[", "]", "{", "}", ": ", "- ", "\n", "\t", "'", "\"", "&a ", "*a", "!!x ", "|", ">", "#", "%", "\0", "any", "0x", "::/0", "1/2", "-", "999999999999", "none", "\u2028", "<<: "];

    [Fact]
    public void A_mutated_ruleset_never_throws()
    {
        byte[][] samples = [.. SampleFiles.Rulesets.Concat(SampleFiles.Broken).Select(SampleFiles.Bytes).Where(static b => b.Length > 0)];
        Random random = Fuzzing.Seeded(out int seed);
        for (int round = 0; round < Fuzzing.Rounds(4000); round++)
        {
            byte[] mutant = Mutate(samples[random.Next(samples.Length)], samples, random);
            try
            {
                RulesetReading reading = RulesetFile.Parse("fuzz.yaml", mutant, "/nowhere");
                Assert.True(reading.Ruleset is not null || reading.ErrorCount > 0, "refused without a reason");
                Assert.All(reading.Diagnostics, static d => Assert.True(d.At is { Line: > 0, Column: > 0 } && d.Message.Length > 0));
                if (reading.Ruleset is { } ruleset)
                {
                    RulesetCompiler.Compile(ruleset);
                }
            }
            catch (Exception e) when (e is not Xunit.Sdk.XunitException)
            {
                Assert.Fail($"seed {seed}, round {round}: {e}\n{Encoding.UTF8.GetString(mutant)}");
            }
        }
    }

    private static byte[] Mutate(byte[] sample, byte[][] samples, Random random)
    {
        List<byte> bytes = [.. sample];
        for (int i = random.Next(1, 6); i > 0 && bytes.Count > 0; i--)
        {
            int at = random.Next(bytes.Count);
            switch (random.Next(6))
            {
                case 0:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 1:
                    bytes.RemoveRange(at, Math.Min(random.Next(1, 40), bytes.Count - at));
                    break;
                case 2:
                    bytes.InsertRange(at, Encoding.UTF8.GetBytes(s_words[random.Next(s_words.Length)]));
                    break;
                case 3:
                    byte[] other = samples[random.Next(samples.Length)];
                    int from = random.Next(other.Length);
                    bytes.InsertRange(at, other.AsSpan(from, Math.Min(random.Next(1, 200), other.Length - from)));
                    break;
                case 4:
                    bytes.RemoveRange(at, bytes.Count - at);
                    break;
                default:
                    byte[] again = [.. bytes[at..Math.Min(bytes.Count, at + random.Next(1, 100))]];
                    bytes.InsertRange(at, again);
                    break;
            }
        }

        return [.. bytes];
    }
}
