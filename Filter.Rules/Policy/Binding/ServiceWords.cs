using System.Collections.Immutable;
using System.Globalization;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>What a user may write for services: a protocol, with ports, with ICMP type and code, or a built-in name.</summary>
internal static class ServiceWords
{
    /// <summary>Whether the text can only have been meant as a service, right or wrong.</summary>
    public static bool LooksLikeOne(string text) =>
        text.Contains('/', StringComparison.Ordinal) || IsReserved(text) || text.All(char.IsAsciiDigit);

    /// <summary>Whether the language itself gives the name a meaning, so that no set may take it.</summary>
    public static bool IsReserved(string name) => BuiltInServices.ByName.ContainsKey(name) || BuiltInServices.ProtocolWords.Contains(name) || name is "none" or "proto" or "opaque";

    /// <summary>The services of one entry; empty after an error. <c>any</c> and names of sets are the caller's.</summary>
    public static IReadOnlyList<Service> Read(Located<string> entry, Diagnostics found)
    {
        if (BuiltInServices.ByName.TryGetValue(entry.Value, out ServiceSet? builtIn))
        {
            return builtIn.Services;
        }

        string[] parts = entry.Value.Split('/');
        string word = parts[0];
        if (word == "proto")
        {
            return Numbered(entry, parts, found);
        }

        ReadOnlySpan<byte> protocols = Numbers(word);
        if (protocols.IsEmpty)
        {
            string? hint = word.All(char.IsAsciiDigit) && word.Length > 0
                ? parts.Length == 2 && BuiltInServices.ProtocolWords.Contains(parts[1]) ? $"did you mean '{parts[1]}/{word}'?" : $"a port is written tcp/{word} or udp/{word}, a protocol number proto/{word}"
                : Wording.DidYouMean(word, [.. BuiltInServices.ProtocolWords, "proto"]);
            found.Error(entry.At, $"{Wording.Quote(entry.Value)} is not a service", hint ?? $"protocols are {Wording.OneOf([.. BuiltInServices.ProtocolWords, "proto/N"])}");
            return [];
        }

        if (parts.Length == 1)
        {
            return [.. protocols.ToArray().Select(static p => new Service(p, PortRange.All))];
        }

        if (protocols[0] is IpProtocol.Icmp or IpProtocol.IcmpV6)
        {
            return Icmp(entry, parts, protocols, found);
        }

        if (protocols[0] == IpProtocol.Mobility)
        {
            return Mobility(entry, parts, found);
        }

        if (!IpProtocol.HasPorts(protocols[0]))
        {
            found.Error(entry.At, $"{word} has no ports", $"write {word} alone");
            return [];
        }

        if (parts.Length > 2)
        {
            found.Error(entry.At, $"{Wording.Quote(entry.Value)} is not a service", $"write {word}/{parts[1]}");
            return [];
        }

        return ReadPorts(new(parts[1], entry.At), found) is { } ports ? [new Service(protocols[0], ports)] : [];
    }

    /// <summary>A port or a range of ports.</summary>
    public static PortRange? ReadPorts(Located<string> entry, Diagnostics found)
    {
        string text = entry.Value;
        int dash = text.IndexOf('-', StringComparison.Ordinal);
        string from = dash < 0 ? text : text[..dash].Trim();
        string to = dash < 0 ? text : text[(dash + 1)..].Trim();
        if (!TryPort(from, out ushort first) || !TryPort(to, out ushort last))
        {
            found.Error(entry.At, $"{Wording.Quote(text)} is not a port or a range of ports", "ports are numbers from 1 to 65535: 443 or 1024-65535");
            return null;
        }

        if (first > last)
        {
            found.Error(entry.At, $"the range {Wording.Quote(text)} is reversed", string.Create(CultureInfo.InvariantCulture, $"write {last}-{first}"));
            return null;
        }

        return new PortRange(first, last);
    }

    /// <summary>A list of ports and ranges, in order; empty for any.</summary>
    public static ImmutableArray<PortRange> ReadPortList(Node? node, string what, Diagnostics found)
    {
        List<PortRange> ranges = [];
        foreach (Node entry in Values.Each(node))
        {
            if (Values.Text(entry, $"an entry of {what}", found) is not { } text)
            {
                continue;
            }

            if (text.Value == "any")
            {
                return [];
            }

            if (text.Value.Contains('/', StringComparison.Ordinal))
            {
                found.Error(text.At, $"{Wording.Quote(text.Value)} is a service; here stand ports", "write the number alone; the protocol comes from 'service'");
            }
            else if (ReadPorts(text, found) is { } range)
            {
                ranges.Add(range);
            }
        }

        return [.. ranges.OrderBy(static r => r.First)];
    }

    /// <summary>The protocols of a word: one, or ICMP of both families; empty if it is none.</summary>
    private static ReadOnlySpan<byte> Numbers(string word) =>
        word == ProtocolNames.EitherIcmp ? [IpProtocol.Icmp, IpProtocol.IcmpV6] : ProtocolNames.TryParse(word, out byte number) ? new byte[] { number } : [];

    private static IReadOnlyList<Service> Numbered(Located<string> entry, string[] parts, Diagnostics found)
    {
        if (parts.Length == 2 && byte.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out byte number))
        {
            return [new Service(number, PortRange.All)];
        }

        found.Error(entry.At, $"{Wording.Quote(entry.Value)} is not a protocol number", "write proto/47; numbers go from 0 to 255");
        return [];
    }

    private static IReadOnlyList<Service> Mobility(Located<string> entry, string[] parts, Diagnostics found)
    {
        if (parts.Length == 2 && byte.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out byte type))
        {
            return [new Service(IpProtocol.Mobility, new PortRange(type, type))];
        }

        found.Error(entry.At, $"{Wording.Quote(entry.Value)} is not a type of the mobility header", "write mobility/5; types go from 0 to 255");
        return [];
    }

    private static List<Service> Icmp(Located<string> entry, string[] parts, ReadOnlySpan<byte> protocols, Diagnostics found)
    {
        byte code = 0;
        bool hasCode = parts.Length == 3;
        if (parts.Length > 3 || (hasCode && !byte.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out code)))
        {
            found.Error(entry.At, $"{Wording.Quote(entry.Value)} is not an ICMP type and code", "write icmp/destination-unreachable/4; codes go from 0 to 255");
            return [];
        }

        List<Service> services = [];
        foreach (byte protocol in protocols)
        {
            if (IcmpNames.TryParse(protocol, parts[1], out byte type) || byte.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out type))
            {
                services.Add(new Service(protocol, new PortRange(type, type), hasCode ? code : (byte)0, hasCode ? code : (byte)255));
            }
        }

        if (services.Count == 0)
        {
            string? hint = Wording.Nearest(parts[1], IcmpNames.Words) is { } near ? $"did you mean {Wording.Quote($"{parts[0]}/{near}")}?" : $"types are numbers from 0 to 255, or {Wording.OneOf(IcmpNames.Words)}";
            found.Error(entry.At, $"{parts[0]} has no type {Wording.Quote(parts[1])}", hint);
        }

        return services;
    }

    /// <summary>Port 0 is never on a wire: a packet with it is dropped before any rule.</summary>
    private static bool TryPort(string text, out ushort port) =>
        ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port > 0;
}
