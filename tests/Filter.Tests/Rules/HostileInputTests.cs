using System.Diagnostics;
using System.Globalization;
using System.Runtime.Versioning;
using System.Text;
using Filter.Rules;
using Filter.Rules.Format;
using Filter.Rules.Syntax;

namespace Filter.Tests.Rules;

/// <summary>However large and odd a file is: a ruleset or findings with a place, for memory in proportion to its bytes.</summary>
[SupportedOSPlatform("linux")]
public sealed class HostileInputTests
{
    private const int Most = 16 * 1024 * 1024;

    /// <summary>A mapping of two bytes a value (<c>a:</c>, a line break) is the dearest: nodes, strings, an entry in a table.</summary>
    private const int MostPerByte = 400;

    private static readonly Dictionary<string, Func<int, string>> s_files = new(StringComparer.Ordinal)
    {
        ["keys without end"] = static size => Counted(size, "k{0}: 1\n"),
        ["sets without end"] = static size => Head + "sets:\n" + Counted(size, "  s{0}: 9.9.9.9\n"),
        ["rules without end"] = static size => Head + "rules:\n" + Counted(size, "  - allow: r{0}\n"),
        ["tests without end"] = static size => Head + "tests:\n" + Counted(size, "  - pass: \"inside: udp 192.0.2.{0} > 9.9.9.9\"\n"),
        ["one key, again and again"] = static size => Repeated(size, "a: 1\n"),
        ["a list on one line"] = static size => "a: [" + Repeated(size, "x,") + "]\n",
        ["a list in lines"] = static size => "a:\n" + Repeated(size, "- x\n"),
        ["lists of nothing"] = static size => "a: [" + Repeated(size, "[],") + "]\n",
        ["as deep as may be, again and again"] = static size => Repeated(size, "- " + new string('[', 60) + new string(']', 60) + "\n"),
        ["dashes beside dashes"] = static size => Repeated(size, "- - - - - - - -\n"),
        ["a word"] = static size => "a: " + new string('x', size),
        ["a word in quotes"] = static size => "a: \"" + new string('x', size) + "\"\n",
        ["a word of escapes"] = static size => "a: \"" + Repeated(size, "\\u0041") + "\"\n",
        ["a text in lines"] = static size => "a: |\n" + Repeated(size, "  x\n"),
        ["a plain text in lines"] = static size => "a:\n" + Repeated(size, "  x\n"),
        ["a quoted text of empty lines"] = static size => "a: \"" + Repeated(size, "\n") + "\"\n",
        ["a key"] = static size => new string('k', size) + ": 1\n",
        ["a quote that never ends"] = static size => "a: \"" + Repeated(size, "x y\n"),
        ["a bracket that never ends"] = static size => "a: [ " + Repeated(size, "x, "),
        ["quotes that hide brackets"] = static size => Repeated(size, "a '[[\n"),
        ["blanks"] = static size => "a: 1" + new string(' ', size) + "\n",
        ["empty lines"] = static size => "a: 1" + new string('\n', size) + "b: 2\n",
        ["a comment"] = static size => "a: 1 #" + new string('#', size) + "\n",
        ["comments"] = static size => Repeated(size, "#\n") + "a: 1\n",
        ["comments behind values"] = static size => Counted(size, "k{0}: 1 # x\n"),
        ["anchors"] = static size => "a:\n" + Counted(size, "- &a{0} x\n"),
        ["aliases"] = static size => "a: &a x\nb: [" + Repeated(size, "*a,") + "]\n",
        ["tags"] = static size => "a:\n" + Repeated(size, "- !x y\n"),
        ["keys that are lists"] = static size => Repeated(size, "[a]: 1\n"),
        ["explicit keys"] = static size => Repeated(size, "? a\n"),
        ["nothing but colons"] = static size => Repeated(size, ": "),
        ["nothing but question marks"] = static size => "[" + Repeated(size, "?,") + "]",
        ["directives"] = static size => Repeated(size, "%X\n"),
        ["documents"] = static size => Repeated(size, "---\n"),
        ["returns of a typewriter"] = static size => Repeated(size, "\r"),
        ["tabs"] = static size => Repeated(size, "\ta: 1\n"),
        ["characters of two bytes"] = static size => "a: " + Repeated(size / 2, "ä"),
        ["characters outside of the plane"] = static size => "a: \"" + Repeated(size / 2, "\U0001F525") + "\"\n",
        ["NULs"] = static size => new string('\0', size),
    };

    private const string Head = "filter: 1\nports: { outside: { nic: a, side: unprotected }, inside: { nic: b, side: protected } }\n";

    public static TheoryData<string> Files => [.. s_files.Keys];

    [Theory]
    [MemberData(nameof(Files))]
    public void Is_read_for_memory_in_proportion(string name)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(s_files[name](Fuzzing.Rounds(64 * 1024) is var size && size < Most ? size : Most - 100_000));
        Assert.True(bytes.Length <= Most, "a file of this size is not read at all");
        RulesetFile.Parse("warm.yaml", "filter: 1\n");

        long before = GC.GetAllocatedBytesForCurrentThread();
        Stopwatch watch = Stopwatch.StartNew();
        RulesetReading reading = RulesetFile.Parse("x.yaml", bytes, "/nonexistent");
        long read = GC.GetAllocatedBytesForCurrentThread() - before;
        TestContext.Current.TestOutputHelper?.WriteLine($"{bytes.Length} bytes: {read / bytes.Length} a byte, {watch.ElapsedMilliseconds} ms");

        Assert.True(reading.Ruleset is not null || reading.ErrorCount > 0);
        Assert.InRange(reading.Diagnostics.Count, 0, Diagnostics.Limit + 1);
        Assert.All(reading.Diagnostics, static found => Assert.InRange(found.Message.Length + (found.Hint?.Length ?? 0), 1, 1000));
        Assert.InRange(read / bytes.Length, 0, MostPerByte);

        before = GC.GetAllocatedBytesForCurrentThread();
        watch.Restart();
        Diagnostics unsaid = new();
        string? laidOut = RulesetFormat.Format("x.yaml", bytes, unsaid);
        long made = GC.GetAllocatedBytesForCurrentThread() - before;
        TestContext.Current.TestOutputHelper?.WriteLine($"fmt: {made / bytes.Length} a byte, {watch.ElapsedMilliseconds} ms");

        Assert.Equal(laidOut is null, unsaid.HasErrors);
        Assert.InRange(made / bytes.Length, 0, 8 * MostPerByte);
    }

    [Fact]
    public void A_file_of_a_hundred_megabytes_is_refused_unread()
    {
        string path = Path.GetTempFileName();
        try
        {
            using (FileStream stream = File.OpenWrite(path))
            {
                stream.SetLength(100 * 1024 * 1024);
            }

            long before = GC.GetAllocatedBytesForCurrentThread();
            Diagnostic found = Assert.Single(RulesetFile.Read(path).Diagnostics);
            Assert.Equal("the file has 104,857,600 bytes; more than 16 MB is not read", found.Message);
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100_000);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void A_FIFO_is_refused_unopened_behind_a_link_too()
    {
        string folder = Directory.CreateTempSubdirectory("filter-fifo").FullName;
        try
        {
            string fifo = Path.Combine(folder, "fifo"), link = Path.Combine(folder, "link"), main = Path.Combine(folder, "main.yaml");
            using (Process make = Process.Start("mkfifo", [fifo]))
            {
                make.WaitForExit();
            }

            File.CreateSymbolicLink(link, fifo);
            File.WriteAllText(main, "filter: 1\ninclude: [ fifo, /dev/zero, . ]\nports: { outside: { nic: a, side: unprotected }, inside: { nic: b, side: protected } }\n");

            Assert.Equal("it is a FIFO, which may never end", Assert.Single(RulesetFile.Read(fifo).Diagnostics).Message);
            Assert.Equal("it is a FIFO, which may never end", Assert.Single(RulesetFile.Read(link).Diagnostics).Message);
            Assert.Equal(
                ["'fifo' cannot be included: it is not an ordinary file", "'/dev/zero' cannot be included: it is not an ordinary file", "'.' cannot be included: it is a directory"],
                RulesetFile.Read(main).Diagnostics.Select(static found => found.Message));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData("\"\\ud800\": 1")]
    [InlineData("ports: { \"\\ud800\": { nic: \"\\udfff\", side: \"\\udc00\" } }")]
    [InlineData("rules: [ { allow: \"\\udc00\", from: \"\\ud83d\" } ]\ntests: [ { pass: \"\\ud800 > \\udc00\" } ]")]
    public void Half_a_character_is_no_text(string part)
    {
        using Filterctl.Scratch folder = new();
        string file = folder.Write("half.yaml", "filter: 1\n" + part + "\n");

        Assert.Contains("half.yaml:2:", Filterctl.Typed.Run("check", file).Error, StringComparison.Ordinal);
        Assert.False(Filterctl.Typed.Run("check", file, "--json").Json.GetProperty("good").GetBoolean());
        Assert.Contains("half.yaml:2:", Filterctl.Typed.Run("fmt", file).Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("names")]
    [InlineData("prefix-of")]
    [InlineData("host")]
    [InlineData("file")]
    [InlineData("entries")]
    [InlineData("live")]
    [InlineData("timeout")]
    [InlineData("size")]
    public void A_set_whose_key_has_no_value_is_told_of_where_it_stands(string key)
    {
        RulesetReading reading = RulesetFile.Parse("x.yaml", Head + $"sets: {{ s: {{ {key}: }} }}\n");

        Assert.Contains(reading.Diagnostics, found => found.Message == $"'{key}' has no value");
        Assert.All(reading.Diagnostics, static found => Assert.Equal(("x.yaml", 3), (found.At.File, found.At.Line)));
    }

    private static string Repeated(int size, string piece) => string.Concat(Enumerable.Repeat(piece, size / piece.Length));

    private static string Counted(int size, string piece)
    {
        StringBuilder text = new(size + 64);
        CompositeFormat format = CompositeFormat.Parse(piece);
        for (int i = 0; text.Length < size; i++)
        {
            text.AppendFormat(CultureInfo.InvariantCulture, format, i);
        }

        return text.ToString();
    }
}
