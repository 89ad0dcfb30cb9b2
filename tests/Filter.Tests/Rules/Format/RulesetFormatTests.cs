using System.Text;
using Filter.Rules;
using Filter.Rules.Format;
using Filter.Rules.Syntax;

namespace Filter.Tests.Rules.Format;

/// <summary>Layout is ours, everything else the writer's: no word, no comment, no order changes.</summary>
public sealed class RulesetFormatTests
{
    public static TheoryData<string> Rulesets => [.. SampleFiles.Rulesets];

    [Theory]
    [MemberData(nameof(Rulesets))]
    public void Every_sample_is_laid_out_already(string path)
    {
        byte[] bytes = SampleFiles.Bytes(path);

        Assert.Equal(Encoding.UTF8.GetString(bytes), Format(bytes));
    }

    [Theory]
    [InlineData("filter:   1\n", "filter: 1\n")]
    [InlineData("\n\n# why\n\n\n\nfilter: 1   \n\n\n", "# why\n\nfilter: 1\n")]
    [InlineData("filter: 1\r\nsets: {a: [any,x] }\r\n", "filter: 1\nsets: { a: [ any, x ] }\n")]
    [InlineData("\ufefffilter: 1", "filter: 1\n")]
    [InlineData("sets: {}\nrules: [ ]\n", "sets: {}\nrules: []\n")]
    [InlineData("rules:\n- allow: a\n  from: b\n- drop: c\ntests:\n- pass: x\n", "rules:\n  - allow: a\n    from: b\n  - drop: c\ntests:\n  - pass: x\n")]
    [InlineData("rules:\n    -   allow: a\n        from: b\n\n    # of c\n    -   drop: c\n    # end\n# far end\n", "rules:\n  - allow: a\n    from: b\n\n  # of c\n  - drop: c\n  # end\n# far end\n")]
    [InlineData("a:\n   b:\n      - c\n      -\n         d: e\n", "a:\n  b:\n    - c\n    -\n      d: e\n")]
    [InlineData("a:\n - - x\n   - y\n -   - z\n", "a:\n  - - x\n    - y\n  - - z\n")]
    [InlineData("a: [ x,   # one\n  y ] # two\n", "a: [ x,   # one\n     y ]  # two\n")]
    [InlineData("a: [\n x,\n     # of y\n  y,\n   ]\n", "a: [\n  x,\n  # of y\n  y,\n]\n")]
    [InlineData("- {a: 1,\n   b: [\n   2\n  ]}\n", "- { a: 1,\n    b: [\n      2\n    ] }\n")]
    [InlineData("a:     1\nbcd:   2\ne: 3\n", "a:   1\nbcd: 2\ne: 3\n")]
    [InlineData("a: 1 # x\nbcd: 2     # y\n", "a: 1    # x\nbcd: 2  # y\n")]
    [InlineData("a: 1           # x\nb: 2\nc: 3     #y\n", "a: 1           # x\nb: 2\nc: 3     #y\n")]
    [InlineData("a: 'x'\nb: \"y-z\"\nc: 'no'\nd: '::/0'\ne: 'it''s'\nf: '\"'\n'g': \"a b\"\n", "a: x\nb: y-z\nc: \"no\"\nd: \"::/0\"\ne: 'it''s'\nf: '\"'\ng: \"a b\"\n")]
    [InlineData("a:   &x  [1]\nb:   *x\nc:  [*x,*x ]\n", "a: &x [ 1 ]\nb: *x\nc: [ *x, *x ]\n")]
    [InlineData("a:\n      |\n      x\n        y\n\n      z\nb: 1\n", "a:\n  |\n    x\n      y\n\n    z\nb: 1\n")]
    [InlineData("a: \"one\n        two\n\n    three\" # why\n", "a: \"one\n  two\n\n  three\"   # why\n")]
    [InlineData("---\na: 1\n", "---\na: 1\n")]
    [InlineData("a:\n      # before b\n      b: 1\n     # after b\nc: 1\n", "a:\n  # before b\n  b: 1\n  # after b\nc: 1\n")]
    public void Lays_out(string before, string after)
    {
        Assert.Equal(after, Format(Encoding.UTF8.GetBytes(before)));
        Assert.Equal(after, Format(Encoding.UTF8.GetBytes(after)));
    }

    [Theory]
    [InlineData("? a\n: b\n")]
    [InlineData("a: |+\n  x\n\n\nb: 1\n")]
    [InlineData("%YAML 1.1\n---\na: 1\n")]
    public void Leaves_alone_what_is_not_certain(string text)
    {
        Diagnostics found = new();

        Assert.Null(RulesetFormat.Format("x.yaml", Encoding.UTF8.GetBytes(text), found));
        Assert.StartsWith("x.yaml:1:1: error: the file cannot be laid out", found.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_broken_file_gets_its_errors_and_no_layout()
    {
        foreach (string path in SampleFiles.Broken)
        {
            Diagnostics found = new(), read = new();
            bool tree = TreeReader.Read(path, SampleFiles.Bytes(path), read) is not null;

            Assert.Equal(tree, RulesetFormat.Format(path, SampleFiles.Bytes(path), found) is not null);
            Assert.Equal(tree ? "" : read.ToString(), found.ToString());
        }
    }

    [Fact]
    public void However_a_ruleset_is_laid_out_it_comes_out_the_same_each_time_and_says_what_it_said()
    {
        string[] samples = [.. SampleFiles.Rulesets.Concat(SampleFiles.Broken).Where(static p => TreeReader.Read(p, SampleFiles.Bytes(p), new()) is not null)];
        Random random = Fuzzing.Seeded(out int seed);
        int rounds = Fuzzing.Rounds(400), good = 0;
        for (int round = 0; round < rounds; round++)
        {
            string path = samples[random.Next(samples.Length)];
            string text = Encoding.UTF8.GetString(SampleFiles.Bytes(path)).ReplaceLineEndings("\n");
            byte[] messy = Encoding.UTF8.GetBytes(Disarrange(text, random));
            if (Tree(messy) != Tree(Encoding.UTF8.GetBytes(text)))
            {
                continue;           // YAML does not take every blank everywhere
            }

            good++;
            string once = Format(messy);
            Assert.True(Tree(messy) == Tree(Encoding.UTF8.GetBytes(once)), $"seed {seed}, round {round}, {path}");
            Assert.True(once == Format(Encoding.UTF8.GetBytes(once)), $"not the same twice: seed {seed}, round {round}, {path}");
            Assert.Equal(Comments(text), Comments(once));
        }

        Assert.InRange(good, rounds * 3 / 4, rounds);
    }

    private static string Format(byte[] bytes)
    {
        Diagnostics found = new();
        string? text = RulesetFormat.Format("test.yaml", bytes, found);
        Assert.True(text is not null, found + "\n" + Encoding.UTF8.GetString(bytes));
        return text;
    }

    /// <summary>The same pieces with other blanks: another step for each level, more or fewer between pieces, empty lines.</summary>
    private static string Disarrange(string text, Random random)
    {
        int step = random.Next(2, 7), before = 0;
        StringBuilder messy = new();
        foreach (Piece piece in Piece.Split(text) ?? [])
        {
            string gap = text[before..piece.Start];
            int line = gap.LastIndexOf('\n');
            char last = before == 0 ? '\n' : text[before - 1];
            if (line >= 0 || before == 0)
            {
                messy.Append(' ', before == 0 ? 0 : random.Next(4)).Append(random.Next(9) == 0 ? "\n \n\n" : "").Append('\n', gap.Count(static c => c == '\n'));
                messy.Append(' ', (gap.Length - line - 1) * step / 2);
            }
            else
            {
                messy.Append(' ', piece.Kind == PieceKind.Comment ? random.Next(1, 12)
                    : last == '-' ? step - 1
                    : gap.Length == 0 ? random.Next(8) == 0 ? 1 : 0
                    : random.Next(last is '[' or '{' or ',' || piece.Kind is PieceKind.Close ? 0 : 1, 4));
            }

            string word = text[piece.Start..piece.End];
            messy.Append(piece.Kind == PieceKind.Scalar && random.Next(10) == 0 && word.All(static c => char.IsAsciiLetterOrDigit(c) || c is '/' or '.' or ':') ? $"'{word}'" : word);
            before = piece.End;
        }

        return messy.Append(random.Next(2) == 0 ? "" : "\n\n").ToString();
    }

    private static IEnumerable<string> Comments(string text) =>
        from piece in Piece.Split(text) where piece.Kind == PieceKind.Comment select text[piece.Start..piece.End];

    private static string Tree(byte[] bytes) => TreeReader.Read("", bytes, new()) is { } root ? Write(root) : "?";

    private static string Write(Node node) => node switch
    {
        ListNode list => "[" + string.Join(',', list.Items.Select(Write)) + "]",
        MapNode map => "{" + string.Join(',', map.Entries.Select(static e => Write(e.Key) + ":" + Write(e.Value))) + "}",
        _ => $"<{((ScalarNode)node).Text}>",
    };
}
