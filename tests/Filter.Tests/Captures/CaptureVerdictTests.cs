using System.Globalization;
using System.Text;
using System.Text.Json;
using Filter.Tests.Filterctl;
using Filter.Tests.Worlds;

namespace Filter.Tests.Captures;

/// <summary>
/// Captures of real, odd and hostile traffic under a permissive ruleset: what does not pass, and why, stands in
/// verdicts.tsv, read from the packets.
/// </summary>
public sealed class CaptureVerdictTests : IDisposable
{
    /// <summary>What the file says of a piece of a datagram that becomes whole: it is held, and goes on with the last piece.</summary>
    private const string Held = "held";

    /// <summary>And of a piece that waits for the rest in vain: it is held, and never goes on.</summary>
    private const string Incomplete = "incomplete";

    private static readonly string s_captures = Path.Combine(Repository.Root, "..", "shared", "captures");
    private static readonly string s_permissive = Path.Combine(Repository.Root, "rules", "permissive.yaml");
    private static readonly string s_verdicts = Path.Combine(Repository.Root, "tests", "Filter.Tests", "Captures", "verdicts.tsv");
    private readonly Scratch _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void Every_packet_that_does_not_pass_stands_in_the_file_with_why_and_nothing_else_does()
    {
        Assert.SkipUnless(Directory.Exists(s_captures), "../shared/captures is absent");
        Dictionary<string, SortedDictionary<int, string>> expected = Expected();
        StringBuilder differences = new();
        int files = 0;
        foreach (string line in File.ReadLines(Path.Combine(s_captures, "MANIFEST.tsv")).Skip(1))
        {
            string[] fields = line.Split('\t');
            files++;
            expected.Remove(fields[0], out SortedDictionary<int, string>? said);
            Compare(fields[0], int.Parse(fields[7], CultureInfo.InvariantCulture), said ?? [], differences);
        }

        Assert.True(files > 400, $"{files} files");
        Assert.True(expected.Count == 0, $"there are no such captures: {string.Join(", ", expected.Keys)}");
        Assert.True(differences.Length == 0, $"verdicts.tsv and the walk differ; read the packets:\n{differences}");
    }

    [Theory]
    [InlineData("fw-session/sv__firewall-tcp-session-midstream-policy-input.pcap")]
    [InlineData("tcp/sv__alert-testmyids-midstream-input.pcap")]
    [InlineData("tcp/sv__alert-testmyids-midstream3-input.pcap")]
    [InlineData("tcp/sv__exception-policy-midstream-06-input-http-ACK.pcap")]
    [InlineData("tcp/sv__tcp-stream-after-swap-http-start-from-response.pcap")]
    [InlineData("tcp/sv__bug-2491-02-simple_http_download.onesided.nosyn.pcap")]
    [InlineData("tcp/tcpdump__gso-ipv6.pcap")]
    public void A_connection_that_began_before_its_capture_passes_where_a_rule_says_midstream(string capture)
    {
        Assert.SkipUnless(Directory.Exists(s_captures), "../shared/captures is absent");
        string ruleset = _scratch.Write("midstream.yaml", """
            filter: 1
            ports:
              outside: { nic: eth0, side: unprotected }
              inside: { nic: eth1, side: protected }
            defaults: { out: allow, in: allow, across: allow }
            rules:
              - allow: under-way
                service: tcp
                midstream: true
            """);
        Typed ran = Typed.Run("replay", ruleset, "--port", $"inside,outside={Path.Combine(s_captures, capture)}", "--json");
        Assert.Equal(0, ran.Status);
        Assert.Equal(ran.Json.GetProperty("packets").GetInt64(), ran.Json.GetProperty("verdicts").GetProperty("pass").GetInt64());
    }

    private void Compare(string capture, int packets, SortedDictionary<int, string> said, StringBuilder differences)
    {
        string output = _scratch["out"];
        Typed ran = Typed.Run("replay", s_permissive, "--port", $"inside,outside={Path.Combine(s_captures, capture)}", "--write", output, "--json");
        Assert.True(ran.Status == 0 || ran.Error.Contains("ends in the middle", StringComparison.Ordinal), $"{capture}: {ran.Out}{ran.Error}");
        int walked = 0, passed = 0;
        SortedDictionary<(string Said, string Was), List<int>> wrong = [];
        foreach (string line in File.ReadLines(Path.Combine(output, "verdicts.jsonl")))
        {
            using JsonDocument object_ = JsonDocument.Parse(line);
            Assert.Equal(++walked, object_.RootElement.GetProperty("n").GetInt32());
            string verdict = object_.RootElement.GetProperty("verdict").GetString()!;
            string was = object_.RootElement.GetProperty("reason").GetString() ?? verdict;
            passed += verdict == "pass" ? 1 : 0;
            said.TryGetValue(walked, out string? word);
            if (was != (word == Incomplete ? Held : word ?? "pass"))
            {
                (string, string) pair = (word ?? "pass", was);
                wrong.TryAdd(pair, []);
                wrong[pair].Add(walked);
            }
        }

        Assert.True(ran.Status != 0 || walked == packets, $"{capture}: {walked} of {packets} packets");
        Assert.All(said.Keys, number => Assert.InRange(number, 1, walked));
        foreach (((string word, string was), List<int> numbers) in wrong)
        {
            differences.AppendLine(CultureInfo.InvariantCulture, $"{capture}\t{Ranges(numbers)}\tthe file says {word}, the walk says {was}");
        }

        // What was held and goes on later has no object of its own: it is sent beside what passed at once.
        long sent = ran.Json.GetProperty("sent").EnumerateObject().Sum(static port => port.Value.GetInt64());
        int released = said.Values.Count(static word => word == Held);
        if (sent - passed != released)
        {
            differences.AppendLine(
                CultureInfo.InvariantCulture, $"{capture}\t{sent - passed} held packets went on later, the file says '{Held}' of {released}");
        }
    }

    /// <summary>The file, by capture and packet.</summary>
    private static Dictionary<string, SortedDictionary<int, string>> Expected()
    {
        Dictionary<string, SortedDictionary<int, string>> captures = [];
        int number = 0;
        foreach (string line in File.ReadLines(s_verdicts))
        {
            number++;
            if (line.Length == 0 || line[0] == '#')
            {
                continue;
            }

            string[] fields = line.Split('\t');
            Assert.True(fields.Length == 4 && fields[3].Length > 10, $"verdicts.tsv:{number}: not CAPTURE, PACKETS, VERDICT and WHY, parted by tabs");
            captures.TryAdd(fields[0], []);
            foreach (int packet in Numbers(fields[1]))
            {
                Assert.True(captures[fields[0]].TryAdd(packet, fields[2]), $"verdicts.tsv:{number}: packet {packet} stands there twice");
            }
        }

        return captures;
    }

    /// <summary>3, 4, 5, 6, 7 and 9 of "3-7,9".</summary>
    private static IEnumerable<int> Numbers(string text)
    {
        foreach (string part in text.Split(','))
        {
            string[] ends = part.Split('-');
            for (int at = int.Parse(ends[0], CultureInfo.InvariantCulture); at <= int.Parse(ends[^1], CultureInfo.InvariantCulture); at++)
            {
                yield return at;
            }
        }
    }

    private static string Ranges(List<int> numbers)
    {
        StringBuilder text = new();
        for (int i = 0; i < numbers.Count; i++)
        {
            bool goesOn = i > 0 && numbers[i] == numbers[i - 1] + 1, ends = i == numbers.Count - 1 || numbers[i + 1] != numbers[i] + 1;
            if (!goesOn)
            {
                text.Append(text.Length > 0 ? "," : "").Append(numbers[i]);
            }
            else if (ends)
            {
                text.Append('-').Append(numbers[i]);
            }
        }

        return text.ToString();
    }
}
