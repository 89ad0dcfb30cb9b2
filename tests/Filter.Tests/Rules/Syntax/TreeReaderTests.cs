using System.Text;
using Filter.Rules.Syntax;

namespace Filter.Tests.Rules.Syntax;

/// <summary>Bytes become a tree with places, or one clear error; whatever the bytes are, soon.</summary>
public sealed class TreeReaderTests
{
    [Fact]
    public void Accepts_keys_lists_and_anchors_and_knows_where_they_stand()
    {
        MapNode root = Assert.IsType<MapNode>(Accepts("a: &x [ 1, \"2\" ]\nb:\n  c: *x\n"));

        ListNode list = Assert.IsType<ListNode>(root.Find("a"));
        Assert.Equal(["1", "2"], list.Items.Cast<ScalarNode>().Select(static s => s.Text));
        Assert.Equal(new SourceMark("f", 1, 12), list.Items[1].At);
        Assert.Equal(new SourceMark("f", 3, 3), Assert.IsType<MapNode>(root.Find("b")).At);
        Assert.Same(list, Assert.IsType<MapNode>(root.Find("b")).Find("c"));
    }

    [Fact]
    public void Accepts_a_byte_order_mark_and_line_ends_of_other_systems()
    {
        MapNode root = Assert.IsType<MapNode>(Accepts("\ufeffa: 1\r\nb: 2\r\n"));
        Assert.Equal(2, root.FindKey("b")!.At.Line);
    }

    [Theory]
    [InlineData("0.0.0.0/0")]
    [InlineData("::/0")]
    [InlineData("::1")]
    [InlineData("2001:db8:1::/64")]
    [InlineData("tcp/443")]
    [InlineData("192.0.2.1-192.0.2.9")]
    [InlineData("02:00:00:00:00:01")]
    public void Accepts_what_networks_are_made_of_without_quotes(string text)
    {
        MapNode root = Assert.IsType<MapNode>(Accepts($"a: {text}\nb: [ {text}, {text} ]\nc: {{ d: {text} }}\n"));
        Assert.Equal(text, Assert.IsType<ScalarNode>(root.Find("a")).Text);
        Assert.Equal(text, Assert.IsType<ScalarNode>(Assert.IsType<ListNode>(root.Find("b")).Items[1]).Text);
        Assert.Equal(text, Assert.IsType<ScalarNode>(Assert.IsType<MapNode>(root.Find("c")).Find("d")).Text);
    }

    [Theory]
    [InlineData("a: 1\na: 2\n", "f:2:1: error: the key 'a' is already given in line 1")]
    [InlineData("a: [ 1, 2\n", "f:1:4: error: '[' is never closed")]
    [InlineData("a: { b: [ 1 ]\nc: 2\n", "f:1:4: error: '{' is never closed")]
    [InlineData("a: \"x\n", "f:1:4: error: a quote is never closed")]
    [InlineData("a: ]\n", "f:1:4: error: a closing bracket or a comma that nothing opened")]
    [InlineData("a:\n\tb: 1\n", "f:2:1: error: a tab in the indentation")]
    [InlineData("a: \0\n", "f:1:4: error: a NUL character")]
    [InlineData("a: \u001b[31m\n", "f:1:4: error: the control character U+001B")]
    [InlineData("a: 1\n--- \nb: 2\n", "f:2:1: error: a second document starts here")]
    [InlineData("a: !!binary AAAA\n", "f:1:4: error: the tag 'tag:yaml.org,2002:binary' means nothing here")]
    [InlineData("a: *b\n", "f:1:4: error: no anchor '&b' is complete above this line")]
    [InlineData("a: &b [ *b ]\n", "f:1:9: error: no anchor '&b' is complete above this line")]
    [InlineData("? [ a, b ]\n: c\n", "f:1:3: error: a list cannot be a key")]
    [InlineData("a: @b\n", "f:1:4: error: a character that cannot start a value")]
    [InlineData("a: b: c\n", "f:1:5: error: a second ':' in one value")]
    [InlineData("a: 'it's'\n", "f:1:8: error: text after the end of a value")]
    [InlineData("a: \"\\q\"\n", "f:1:4: error: an escape in double quotes that YAML does not know")]
    [InlineData("# nothing\n", "f:1:1: error: the file is empty")]
    public void Rejects_with_a_place_and_words_for_people(string text, string error) =>
        Assert.StartsWith(error, Assert.Single(Rejects(Encoding.UTF8.GetBytes(text))).ToString(), StringComparison.Ordinal);

    [Fact]
    public void Rejects_every_tab_and_every_duplicate_at_once()
    {
        Assert.Equal(2, Rejects("a:\n\tb: 1\n\tc: 2\n"u8.ToArray()).Count);
        Assert.Equal(3, Rejects("a: 1\na: 2\nb: 1\na: 3\nb: 2\n"u8.ToArray()).Count);
    }

    [Fact]
    public void Rejects_what_is_not_utf8_at_its_byte()
    {
        byte[] latin = [.. "a: 1\nb: x"u8, 0xe9, .. "\n"u8];
        Assert.StartsWith("f:2:5: error: byte 0xe9 is not UTF-8", Assert.Single(Rejects(latin)).ToString(), StringComparison.Ordinal);
        Assert.Contains("UTF-16", Assert.Single(Rejects([.. Encoding.Unicode.GetPreamble(), .. Encoding.Unicode.GetBytes("a: 1")])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_hundred_thousand_open_brackets_are_refused_before_the_parser_sees_them()
    {
        Assert.Contains("nested deeper", Assert.Single(Rejects(Encoding.UTF8.GetBytes(new string('[', 100_000)))).Message, StringComparison.Ordinal);
        Assert.Contains("nested deeper", Assert.Single(Rejects(Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("- ", 100_000))))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_quote_does_not_hide_open_brackets_from_the_gate_for_long()
    {
        string text = "a: b 'c\n" + string.Concat(Enumerable.Repeat("- [\n", 50_000));
        Assert.NotEmpty(Rejects(Encoding.UTF8.GetBytes(text)));
    }

    [Fact]
    public void A_bomb_of_aliases_is_refused_at_the_line_that_would_explode()
    {
        StringBuilder bomb = new("a0: &a0 [ x, x, x, x, x, x, x, x, x, x ]\n");
        for (int i = 1; i < 30; i++)
        {
            bomb.Append(System.Globalization.CultureInfo.InvariantCulture, $"a{i}: &a{i} [ {string.Join(", ", Enumerable.Repeat($"*a{i - 1}", 10))} ]\n");
        }

        Assert.Contains("with all its aliases written out", Assert.Single(Rejects(Encoding.UTF8.GetBytes(bomb.ToString()))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_bomb_of_aliases_cannot_overflow_the_count_of_what_it_stands_for()
    {
        StringBuilder bomb = new("- &a0 [ x, x ]\n");
        for (int i = 1; i < 2000; i++)
        {
            bomb.Append(System.Globalization.CultureInfo.InvariantCulture, $"- &a{i} [ *a{i - 1}, *a{i - 1} ]\n");
        }

        Assert.Contains("with all its aliases written out", Assert.Single(Rejects(Encoding.UTF8.GetBytes(bomb.ToString()))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_beyond_the_size_is_refused_unread() =>
        Assert.Contains("more than 16 MB", Assert.Single(Rejects(new byte[(16 * 1024 * 1024) + 1])).Message, StringComparison.Ordinal);

    [Fact]
    public void A_flood_of_findings_ends_in_a_count()
    {
        IReadOnlyList<Diagnostic> found = Rejects(Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("a: 1\n", 5000))));
        Assert.Equal(Diagnostics.Limit + 1, found.Count);
        Assert.Equal("3999 more findings are not shown", found[^1].Message);
    }

    private static Node Accepts(string text)
    {
        Diagnostics found = new();
        Node? root = TreeReader.Read("f", Encoding.UTF8.GetBytes(text), found);
        Assert.Empty(found.All);
        return root!;
    }

    private static IReadOnlyList<Diagnostic> Rejects(byte[] bytes)
    {
        Diagnostics found = new();
        Assert.Null(TreeReader.Read("f", bytes, found));
        return found.All;
    }
}
