using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>The code points of differentiated services by their names (RFC 2474, 2597, 3246, 5865, 8622).</summary>
internal static class DscpWords
{
    private static readonly Dictionary<string, int> s_words = Words();

    /// <summary>The bit of a code point, by name or number; 0 after an error.</summary>
    public static ulong Read(Located<string> text, Diagnostics found)
    {
        if (s_words.TryGetValue(text.Value, out int value) || (Values.TryNumber(text.Value, out long number) && (value = (int)Math.Min(number, 64)) < 64))
        {
            return 1UL << value;
        }

        string? near = Wording.Nearest(text.Value, s_words.Keys);
        found.Error(text.At, $"{Wording.Quote(text.Value)} is not a DSCP", near is null || char.IsAsciiDigit(text.Value[0])
            ? "write a number from 0 to 63, or a name: ef, af11 to af43, cs0 to cs7, le, voice-admit"
            : $"did you mean {Wording.Quote(near)}?");
        return 0;
    }

    private static Dictionary<string, int> Words()
    {
        Dictionary<string, int> words = new(StringComparer.Ordinal) { ["ef"] = 46, ["voice-admit"] = 44, ["le"] = 1 };
        for (int precedence = 0; precedence < 8; precedence++)
        {
            words.Add($"cs{precedence}", precedence << 3);
            for (int drop = 1; drop <= 3 && precedence is >= 1 and <= 4; drop++)
            {
                words.Add($"af{precedence}{drop}", (precedence << 3) | (drop << 1));
            }
        }

        return words;
    }
}
