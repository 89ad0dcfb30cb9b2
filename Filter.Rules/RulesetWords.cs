using Filter.Rules.Policy;
using Filter.Rules.Policy.Binding;
using Filter.Rules.Syntax;

namespace Filter.Rules;

/// <summary>Words of the language, for who is given them elsewhere than in a ruleset: on a command line, over the control socket.</summary>
public static class RulesetWords
{
    /// <summary>Reads an address, a prefix or a range.</summary>
    /// <param name="text">The word.</param>
    /// <param name="error">What is wrong with it, with a hint, where it is none.</param>
    /// <returns>Its runs; empty where it is none.</returns>
    public static IReadOnlyList<AddressRange> Addresses(string text, out string? error)
    {
        if (!AddressWords.LooksLikeOne(text))
        {
            error = $"{Wording.Quote(text)} is no address, prefix or range";
            return [];
        }

        Diagnostics found = new();
        IReadOnlyList<AddressRange> ranges = AddressWords.Read(new Located<string>(text, default), found);
        Diagnostic? wrong = found.HasErrors ? found.All[0] : null;
        error = wrong is null ? null : wrong.Hint is null ? wrong.Message : $"{wrong.Message} ({wrong.Hint})";
        return wrong is null ? ranges : [];
    }

    /// <summary>A time such as <c>90s</c> or <c>2h4m</c> in seconds, rounded up; null where it is none.</summary>
    public static long? Seconds(string text) => Values.Seconds(text);
}
