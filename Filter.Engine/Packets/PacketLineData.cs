using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;

namespace Filter.Engine.Packets;

/// <summary>
/// The text of a packet line's <c>data="..."</c>: ASCII as it is, and <c>\r \n \t \" \\ \xNN</c> for the rest. A byte a character.
/// </summary>
internal static class PacketLineData
{
    /// <summary>Most bytes: what fits into one packet of an ordinary link.</summary>
    public const int Most = 1400;

    /// <summary>Reads what stands between the quotes.</summary>
    public static bool TryRead(ReadOnlySpan<char> text, [NotNullWhen(true)] out string? data)
    {
        data = null;
        var bytes = new StringBuilder(text.Length);
        for (int at = 0; at < text.Length; at++)
        {
            char one = text[at];
            if (one == '\\')
            {
                if (++at == text.Length || !TryEscape(text, ref at, out one))
                {
                    return false;
                }
            }
            else if (one is < ' ' or > '~')
            {
                return false;
            }

            bytes.Append(one);
        }

        data = bytes.ToString();
        return data.Length <= Most;
    }

    /// <summary>Writes it so that it reads as the same.</summary>
    public static string Write(string data)
    {
        var text = new StringBuilder(data.Length);
        foreach (char one in data)
        {
            _ = one switch
            {
                '\r' => text.Append("\\r"),
                '\n' => text.Append("\\n"),
                '\t' => text.Append("\\t"),
                '"' or '\\' => text.Append('\\').Append(one),
                < ' ' or > '~' => text.Append(CultureInfo.InvariantCulture, $"\\x{(int)one:x2}"),
                _ => text.Append(one),
            };
        }

        return text.ToString();
    }

    private static bool TryEscape(ReadOnlySpan<char> text, ref int at, out char one)
    {
        one = text[at] switch { 'r' => '\r', 'n' => '\n', 't' => '\t', '"' => '"', '\\' => '\\', _ => '\0' };
        if (text[at] != 'x')
        {
            return one != '\0';
        }

        byte value = 0;
        bool good = at + 2 < text.Length && byte.TryParse(text.Slice(at + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
        one = (char)value;
        at += 2;
        return good;
    }
}
