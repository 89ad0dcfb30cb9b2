using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads the algorithms of a manual SA: <c>suite</c>, and <c>legacy</c> where they need it.</summary>
internal sealed class SuiteReader(Diagnostics found)
{
    /// <summary>Its keys of an SA.</summary>
    public static string[] Keys { get; } = ["suite", "legacy"];

    /// <summary>The suite, even one that is refused, so that its keys can be looked at; null where there is none of that name.</summary>
    public IpsecSuite? Read(Fields fields, bool isAh)
    {
        bool legacy = Values.Flag(fields["legacy"], "'legacy'", found);
        if (Values.Text(fields.Required("suite", isAh ? "suite: hmac-sha2-256-128" : "suite: aes-cbc-128+hmac-sha2-256-128"), "'suite'", found) is not { } name)
        {
            return null;
        }

        IpsecSuite? suite = Find(name, isAh);
        if (suite?.WhyNotManual is { } why)
        {
            found.Error(name.At, $"{Wording.Quote(suite.Name)} {why}", isAh ? "take hmac-sha2-256-128; a key exchange may use what needs fresh keys" : "take aes-cbc with an integrity algorithm; a key exchange may use what needs fresh keys");
        }
        else if (suite is not null && !IsRefused(suite, name.At, legacy) && legacy && !suite.IsLegacy)
        {
            found.Warn(fields.KeyAt("legacy"), $"{Wording.Quote(suite.Name)} needs no 'legacy'", "leave it out");
        }

        return suite;
    }

    /// <summary>The suite of that name; null, with an error, where there is none.</summary>
    /// <param name="name">The name.</param>
    /// <param name="isAh">Of AH; else of ESP.</param>
    /// <param name="manual">Whether who errs is told of those alone that manual keys may be for.</param>
    public IpsecSuite? Find(Located<string> name, bool isAh, bool manual = true)
    {
        if (isAh ? IpsecSuite.TryFindAh(name.Value, out IpsecSuite? suite) : IpsecSuite.TryFind(name.Value, out suite))
        {
            return suite;
        }

        (string problem, string? hint) = isAh ? ("AH has an integrity algorithm alone", null) : IpsecSuite.WhyUnknown(name.Value);
        string last = isAh ? name.Value[(name.Value.IndexOf('+', StringComparison.Ordinal) + 1)..] : name.Value;
        found.Error(name.At, $"there is no suite {Wording.Quote(name.Value)}: {problem}", hint ?? Nearest(last, isAh, manual));
        return null;
    }

    /// <summary>Whether the suite is of the legacy tier and nobody asked for that; a warning where somebody did.</summary>
    public bool IsRefused(IpsecSuite suite, SourceMark at, bool legacy)
    {
        if (suite.IsLegacy && !legacy)
        {
            found.Error(at, $"{Wording.Quote(suite.Name)} is of the legacy tier, which RFC 8221 advises against or forbids", "where the far end has nothing better: legacy: true");
        }
        else if (suite.IsLegacy)
        {
            found.Warn(at, $"{Wording.Quote(suite.Name)} protects little: RFC 8221 advises against it or forbids it", "use aes-cbc-256+hmac-sha2-256-128 as soon as the far end has it");
        }

        return suite.IsLegacy && !legacy;
    }

    private static string Nearest(string name, bool isAh, bool manual) =>
        Wording.Nearest(name, IpsecSuite.All.Where(s => s.IsAh == isAh && (s.MayBeManual || !manual)).Select(static s => s.Name)) is { } near
            ? $"did you mean {Wording.Quote(near)}?"
            : isAh ? "suite: hmac-sha2-256-128" : "suite: aes-cbc-256+hmac-sha2-256-128";
}
