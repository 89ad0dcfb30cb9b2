using System.Globalization;
using Filter.Engine.Packets;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>What a user may write for addresses: an address, a prefix, a range.</summary>
internal static class AddressWords
{
    /// <summary>Whether the text can only have been meant as an address, right or wrong.</summary>
    public static bool LooksLikeOne(string text)
    {
        int slash = text.IndexOf('/', StringComparison.Ordinal);
        string head = slash < 0 ? text : text[..slash];
        return head.Contains(':', StringComparison.Ordinal)
            || (head.Length > 0 && char.IsAsciiDigit(head[0]) && head.Contains('.', StringComparison.Ordinal));
    }

    /// <summary>The addresses of one entry; empty after an error.</summary>
    public static IReadOnlyList<AddressRange> Read(Located<string> entry, Diagnostics found)
    {
        string text = entry.Value;
        int dash = text.IndexOf('-', StringComparison.Ordinal);
        if (dash >= 0)
        {
            return Range(entry, text[..dash].Trim(), text[(dash + 1)..].Trim(), found);
        }

        if (text.Contains('/', StringComparison.Ordinal))
        {
            return ReadPrefix(entry, found) is { } prefix ? AddressSet.RangesOf(prefix) : [];
        }

        return ReadAddress(entry, found) is { } address ? [new(address, address)] : [];
    }

    /// <summary>A prefix whose host bits are clear.</summary>
    public static Prefix? ReadPrefix(Located<string> entry, Diagnostics found)
    {
        if (!Prefix.TryParse(entry.Value, out Prefix prefix, out Address address) || !Honest(entry.Value.Split('/')[0], address))
        {
            found.Error(entry.At, $"{Wording.Quote(entry.Value)} is not a prefix", "write 192.0.2.0/24 or 2001:db8::/32");
            return null;
        }

        if (prefix.Base != address)
        {
            found.Error(entry.At, $"{Wording.Quote(entry.Value)} has host bits set", $"the network is {prefix}; the address alone is {address}");
            return null;
        }

        return prefix;
    }

    /// <summary>A single address.</summary>
    public static Address? ReadAddress(Located<string> entry, Diagnostics found)
    {
        if (TryAddress(entry.Value, out Address address))
        {
            return address;
        }

        string hint = entry.Value.Contains('/', StringComparison.Ordinal)
            ? "here stands an address, without a length"
            : "write 192.0.2.1 or 2001:db8::1";
        found.Error(entry.At, $"{Wording.Quote(entry.Value)} is not an address", hint);
        return null;
    }

    /// <summary>An address and the length of the network around it.</summary>
    public static InterfaceAddress? ReadInterface(Located<string> entry, Diagnostics found)
    {
        if (Prefix.TryParse(entry.Value, out Prefix prefix, out Address address) && Honest(entry.Value.Split('/')[0], address))
        {
            return new(address, prefix.Length);
        }

        found.Error(entry.At, $"{Wording.Quote(entry.Value)} is not an address with its prefix length", "write 192.0.2.1/24 or 2001:db8::1/64");
        return null;
    }

    private static AddressRange[] Range(Located<string> entry, string from, string to, Diagnostics found)
    {
        if (!TryAddress(from, out Address first) || !TryAddress(to, out Address last))
        {
            found.Error(entry.At, $"{Wording.Quote(entry.Value)} is not a range of addresses", "write 192.0.2.10-192.0.2.20");
            return [];
        }

        if (first.IsIPv4 != last.IsIPv4)
        {
            found.Error(entry.At, $"the range {Wording.Quote(entry.Value)} starts in one family and ends in the other", "give each family a range of its own");
            return [];
        }

        if (first > last)
        {
            found.Error(entry.At, $"the range {Wording.Quote(entry.Value)} is reversed", $"write {last}-{first}");
            return [];
        }

        // An IPv6 range may span the place where IPv4 stands.
        AddressSet range = AddressSet.Of([new(first, last)]);
        return first.IsIPv4 ? [new(first, last)] : range.Only(Families.IPv6).Ranges.ToArray();
    }

    /// <summary>An address that is written as it is meant.</summary>
    public static bool TryAddress(string text, out Address address) => Address.TryParse(text, out address) && Honest(text, address);

    /// <summary>
    /// Whether the text says what it seems to: an octet with a leading zero is octal to some and decimal to others, an
    /// IPv4-mapped address is never on a wire, and brackets and ports belong to packet lines.
    /// </summary>
    private static bool Honest(string text, Address address) =>
        address.IsIPv4
            ? !text.Contains(':', StringComparison.Ordinal) && !text.Split('.').Any(static o => o.Length > 1 && o[0] == '0')
            : !text.Contains('[', StringComparison.Ordinal);

    /// <summary>48 bits of six hex pairs, or null.</summary>
    public static ulong? ReadMac(Located<string> entry, Diagnostics found)
    {
        string[] parts = entry.Value.Split(':', '-');
        ulong mac = 0;
        bool good = parts.Length == 6;
        for (int i = 0; good && i < 6; i++)
        {
            good = parts[i].Length == 2 && byte.TryParse(parts[i], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte octet) && (mac = (mac << 8) | octet) == mac;
        }

        if (!good)
        {
            found.Error(entry.At, $"{Wording.Quote(entry.Value)} is not a MAC address", "write six pairs of hex digits: 02:00:00:00:00:01");
            return null;
        }

        if (((mac >> 40) & 1) != 0 || mac == 0)
        {
            found.Error(entry.At, $"{Wording.Quote(entry.Value)} cannot be a station's address: it is {(mac == 0 ? "zero" : "a group address")}", "an address of your own choice starts with 02");
            return null;
        }

        return mac;
    }
}
