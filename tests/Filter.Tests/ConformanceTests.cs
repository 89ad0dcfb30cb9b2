using System.Reflection;
using System.Text.RegularExpressions;
using Filter.Tests.Worlds;

namespace Filter.Tests;

/// <summary>What the pages on conformance claim of standards is proven by tests that exist.</summary>
public sealed partial class ConformanceTests
{
    /// <summary>Of a row that no test can prove: why.</summary>
    private const string Reason = "because: ";

    private const string Firewall = "docs/conformance.md";

    [Theory]
    [InlineData(Firewall, 100)]
    [InlineData("docs/conformance-ipsec.md", 60)]
    [InlineData("docs/conformance-pfkey.md", 30)]
    [InlineData("docs/conformance-ike.md", 50)]
    public void Each_row_names_a_test_that_exists_or_says_why_there_is_none(string file, int atLeast)
    {
        HashSet<string> tests = Tests();
        List<string> wrong = [];
        int rows = 0;
        foreach ((int number, string[] cells) in Rows(file))
        {
            rows++;
            string proof = cells[^1];
            string[] named = [.. Quoted().Matches(proof).Select(static match => match.Groups[1].Value)];
            wrong.AddRange(named.Where(name => !tests.Contains(name)).Select(name => $"{number}: there is no test {name}"));
            if (named.Length == 0 && !(proof.StartsWith(Reason, StringComparison.Ordinal) && proof.Length > Reason.Length + 10))
            {
                wrong.Add($"{number}: {cells[0]} has neither a test nor a reason: {proof}");
            }
        }

        Assert.True(rows > atLeast, $"{rows} rows");
        Assert.True(wrong.Count == 0, $"{file}:\n{string.Join('\n', wrong)}");
    }

    [Fact]
    public void Each_recommendation_of_rfc_6092_has_one_row()
    {
        string[] said = [.. Rows(Firewall).Select(static row => row.Cells[0]).Where(static name => name.StartsWith("REC-", StringComparison.Ordinal))];
        Assert.Equal(Enumerable.Range(1, 50).Select(static n => $"REC-{n}"), said);
    }

    /// <summary>The rows of its tables: below a line of dashes, the cells between bars.</summary>
    private static IEnumerable<(int Number, string[] Cells)> Rows(string file)
    {
        bool within = false;
        int number = 0;
        foreach (string line in File.ReadLines(Path.Combine(Repository.Root, file)))
        {
            number++;
            if (!line.StartsWith('|'))
            {
                within = false;
                continue;
            }

            if (line.StartsWith("|--", StringComparison.Ordinal))
            {
                within = true;
                continue;
            }

            if (within)
            {
                string[] cells = [.. line.Trim().Trim('|').Split('|').Select(static cell => cell.Trim())];
                Assert.True(cells.Length == 4, $"{file}:{number}: {cells.Length} cells, not 4");
                yield return (number, cells);
            }
        }
    }

    /// <summary>Every test as Class.Method.</summary>
    private static HashSet<string> Tests() =>
    [
        .. typeof(ConformanceTests).Assembly.GetTypes()
            .SelectMany(static type => type.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly))
            .Where(static method => method.GetCustomAttributes().Any(static attribute => attribute is FactAttribute))
            .Select(static method => $"{method.DeclaringType!.Name}.{method.Name}"),
    ];

    [GeneratedRegex("`([A-Z][A-Za-z0-9]*\\.[A-Za-z0-9_]+)`")]
    private static partial Regex Quoted();
}
