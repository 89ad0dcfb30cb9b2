using System.Globalization;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;

namespace Filter.Rules.Compile.Classification;

/// <summary>Why rules take more memory than they may.</summary>
/// <param name="What">The field that had no room.</param>
/// <param name="Family">Of which family's packets.</param>
/// <param name="Classes">Into how many classes the rules divide its values.</param>
/// <param name="Widest">The rules that have a say in most of them, by index.</param>
internal sealed record Oversize(string What, Families Family, int Classes, IReadOnlyList<int> Widest)
{
    private const int Named = 3;
    private static readonly string[] s_fields = ["sources", "destinations", "services", "ports crossed", "source ports"];

    /// <summary>What to do about it.</summary>
    public const string Remedy = "let fewer of them overlap: give what is treated alike one set, and let a few rules name it";

    /// <summary>The rule to look at first.</summary>
    public SourceMark Place(Ruleset ruleset) => Widest.Count > 0 ? ruleset.Rules[Widest[0]].At : new SourceMark(ruleset.File, 1, 1);

    /// <summary>What is wrong, in one line.</summary>
    /// <param name="ruleset">The ruleset.</param>
    /// <param name="most">Bytes that its tables may take.</param>
    public string Describe(Ruleset ruleset, long most)
    {
        string widest = Widest.Count == 0 ? "" : $"; the widest are of {string.Join(", ", Widest.Select(rule => Wording.Quote(ruleset.Rules[rule].Name)))}";
        return string.Create(CultureInfo.InvariantCulture,
            $"the rules need more than {most / 1_000_000} MB of memory: their {What} overlap in {Classes:N0} ways for {(Family == Families.IPv4 ? "IPv4" : "IPv6")}{widest}");
    }

    /// <summary>The cause.</summary>
    /// <param name="rules">The rules of the family.</param>
    /// <param name="number">The field's number.</param>
    /// <param name="field">The field.</param>
    /// <param name="family">The family.</param>
    public static Oversize Of(List<int> rules, int number, Field field, Families family) =>
        new(s_fields[number], family, field.Classes,
            [.. rules.Where(rule => field.ValueOf[rule] >= 0 && field.Extents.Length > 0)
                .OrderByDescending(rule => field.Extents[field.ValueOf[rule]].Width).Take(Named)]);
}
