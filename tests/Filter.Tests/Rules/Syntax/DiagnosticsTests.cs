using Filter.Rules.Syntax;

namespace Filter.Tests.Rules.Syntax;

/// <summary>Findings read like a compiler's, in the order of the file.</summary>
public sealed class DiagnosticsTests
{
    [Fact]
    public void Findings_are_told_in_the_order_of_their_places()
    {
        Diagnostics found = new();
        found.Error(new("b.yaml", 2, 1), "second");
        found.Error(new("b.yaml", 1, 9), "first", "look here");
        found.Warn(new("b.yaml", 10, 1), "third");

        Assert.Equal("b.yaml:1:9: error: first\n  hint: look here\nb.yaml:2:1: error: second\nb.yaml:10:1: warning: third\n", found.ToString());
        Assert.Equal(2, found.ErrorCount);
    }

    [Fact]
    public void The_same_finding_is_told_once()
    {
        Diagnostics found = new();
        found.Error(new("b.yaml", 1, 1), "wrong");
        found.Error(new("b.yaml", 1, 1), "wrong");
        Assert.Single(found.All);
    }

    [Fact]
    public void Warnings_alone_are_no_error()
    {
        Diagnostics found = new();
        found.Warn(new("b.yaml", 1, 1), "odd");
        Assert.False(found.HasErrors);
    }

    [Fact]
    public void What_a_file_says_cannot_reach_the_terminal_as_an_escape_sequence() =>
        Assert.Equal("f:1:1: error: \\u001b]0;gotcha\\u0007 \\u202ereversed", new Diagnostic(Severity.Error, new("f", 1, 1), "\u001b]0;gotcha\u0007 \u202ereversed", null).ToString());

    [Theory]
    [InlineData("sevice", "service")]
    [InlineData("destnation", "destination")]
    [InlineData("form", "from")]
    [InlineData("Source", "source")]
    [InlineData("colour", null)]
    public void The_nearest_key_is_the_one_that_was_meant(string written, string? meant) =>
        Assert.Equal(meant, Wording.Nearest(written, ["allow", "drop", "from", "to", "source", "destination", "service", "log"]));

    [Theory]
    [InlineData("abc", "abc", 0)]
    [InlineData("abc", "acb", 1)]
    [InlineData("abc", "ab", 1)]
    [InlineData("", "abc", 3)]
    [InlineData("kitten", "sitting", 3)]
    public void Distance_counts_edits(string a, string b, int edits) => Assert.Equal(edits, Wording.Distance(a, b));
}
