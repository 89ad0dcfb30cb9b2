using System.Buffers.Text;
using System.Text;
using Filter.Engine.Packets;

namespace Filter.Engine.Algs;

/// <summary>Pieces of text protocols, read from bytes without allocation.</summary>
internal static class TextScan
{
    /// <summary>The longest address text: IPv6 with a dotted quad at its end.</summary>
    private const int LongestAddress = 45;

    /// <summary>Cuts the text before the first separator off; all of it where there is none.</summary>
    public static ReadOnlySpan<byte> Cut(scoped ref ReadOnlySpan<byte> text, byte separator)
    {
        int at = text.IndexOf(separator);
        ReadOnlySpan<byte> piece = at < 0 ? text : text[..at];
        text = at < 0 ? [] : text[(at + 1)..];
        return piece;
    }

    /// <summary>Cuts a decimal number of at most five digits off the beginning.</summary>
    public static bool TryCutNumber(scoped ref ReadOnlySpan<byte> text, int most, out int number)
    {
        number = 0;
        int digits = 0;
        for (; digits < text.Length && digits < 6 && text[digits] is >= (byte)'0' and <= (byte)'9'; digits++)
        {
            number = (number * 10) + (text[digits] - '0');
        }

        bool good = digits is > 0 and < 6 && number <= most;
        text = text[digits..];
        return good;
    }

    /// <summary>The whole text is a decimal number.</summary>
    public static bool TryNumber(ReadOnlySpan<byte> text, int most, out int number) =>
        TryCutNumber(ref text, most, out number) && text.IsEmpty;

    /// <summary>The whole text is an address of that family.</summary>
    public static bool TryAddress(ReadOnlySpan<byte> text, bool ipv4, out Address address)
    {
        address = default;
        return text.Length is > 1 and <= LongestAddress && (ipv4 ? TryIPv4(text, out address) : TryIPv6(text, out address));
    }

    /// <summary>The whole text is this ASCII word, in either case.</summary>
    public static bool Is(ReadOnlySpan<byte> text, ReadOnlySpan<byte> word) => Ascii.EqualsIgnoreCase(text, word);

    /// <summary>The text begins with this ASCII word, in either case.</summary>
    public static bool Begins(ReadOnlySpan<byte> text, ReadOnlySpan<byte> word) =>
        text.Length >= word.Length && Ascii.EqualsIgnoreCase(text[..word.Length], word);

    /// <summary>The text without blanks and tabs around it.</summary>
    public static ReadOnlySpan<byte> Trim(ReadOnlySpan<byte> text) => text.Trim(" \t"u8);

    private static bool TryIPv4(ReadOnlySpan<byte> text, out Address address)
    {
        uint value = 0;
        address = default;
        for (int octet = 0; octet < 4; octet++)
        {
            if (octet > 0)
            {
                if (text.IsEmpty || text[0] != '.')
                {
                    return false;
                }

                text = text[1..];
            }

            if (!TryCutNumber(ref text, byte.MaxValue, out int number))
            {
                return false;
            }

            value = (value << 8) | (uint)number;
        }

        address = Address.FromIPv4(value);
        return text.IsEmpty;
    }

    /// <summary>Groups of hexadecimal digits with one run of zeros left out (RFC 4291 §2.2, forms 1 and 2).</summary>
    private static bool TryIPv6(ReadOnlySpan<byte> text, out Address address)
    {
        const int groups = 8;
        address = default;
        Span<ushort> words = stackalloc ushort[groups];
        words.Clear();
        int count = 0, gap = -1;
        if (text.StartsWith("::"u8))
        {
            gap = 0;
            text = text[2..];
        }

        while (!text.IsEmpty)
        {
            if (count == groups || !Utf8Parser.TryParse(text[..Math.Min(4, text.Length)], out ushort word, out int used, 'x'))
            {
                return false;
            }

            words[count++] = word;
            text = text[used..];
            if (text.IsEmpty)
            {
                break;
            }

            if (text[0] != ':' || text.Length == 1)
            {
                return false;
            }

            text = text[1..];
            if (text[0] == ':')
            {
                if (gap >= 0)
                {
                    return false;
                }

                gap = count;
                text = text[1..];
            }
        }

        if (gap < 0 ? count != groups : count == groups)
        {
            return false;
        }

        Span<ushort> whole = stackalloc ushort[groups];
        whole.Clear();
        int before = gap < 0 ? groups : gap;
        words[..before].CopyTo(whole);
        words[before..count].CopyTo(whole[(groups - (count - before))..]);
        ulong high = 0, low = 0;
        for (int i = 0; i < groups / 2; i++)
        {
            high = (high << 16) | whole[i];
            low = (low << 16) | whole[i + (groups / 2)];
        }

        address = new Address(high, low);
        return !address.IsIPv4;
    }
}
