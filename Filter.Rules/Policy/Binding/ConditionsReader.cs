using System.Collections.Immutable;
using System.Globalization;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads what a rule asks of a packet beside ports, addresses, services and VLAN.</summary>
internal sealed class ConditionsReader(Schedules schedules, IpsecNames policies, Diagnostics found)
{
    /// <summary>Every key of it.</summary>
    public static readonly string[] Keys = ["tcp-flags", "dscp", "extension-headers", "fragment", "size", "source-mac", "destination-mac", "ipsec", "when"];

    private const string MacHint = "write 02:00:00:00:00:01, or the first bits of it: 02:00:5e:00:00:00/24";

    /// <summary>The conditions; null where the rule has none.</summary>
    public Conditions? Read(Fields fields)
    {
        if (!Keys.Any(fields.Has))
        {
            return null;
        }

        (ushort shortest, ushort longest) = Size(fields["size"]);
        return new Conditions
        {
            TcpFlags = Flags(fields["tcp-flags"]),
            Dscp = Dscp(fields["dscp"]),
            ExtensionHeaders = Headers(fields["extension-headers"]),
            Fragmented = fields["fragment"] is { } fragment ? Values.Flag(fragment, "'fragment'", found) : null,
            Shortest = shortest,
            Longest = longest,
            SourceMacs = Macs(fields["source-mac"], "'source-mac'"),
            DestinationMacs = Macs(fields["destination-mac"], "'destination-mac'"),
            ArrivedBy = ArrivedBy(fields["ipsec"]),
            Schedule = schedules.Read(fields["when"], "'when'"),
        };
    }

    private IEnumerable<Located<string>> Entries(Node? node, string what)
    {
        if (node is ListNode { Items.Count: 0 })
        {
            found.Error(node.At, $"{what} is an empty list, which matches nothing", "leave the key out to match everything");
        }

        foreach (Node entry in Values.Each(node))
        {
            if (Values.Text(entry, $"an entry of {what}", found) is { } text)
            {
                yield return text;
            }
        }
    }

    private ImmutableArray<FlagsMatch> Flags(Node? node)
    {
        List<FlagsMatch> matches = [];
        foreach (Located<string> entry in Entries(node, "'tcp-flags'"))
        {
            if (Words(entry, "a TCP flag", PacketLine.FlagWords, static word => PacketLine.TryFlag(word, out TcpFlags flag) ? (int)flag : 0) is { } read)
            {
                matches.Add(new((TcpFlags)read.Of, (TcpFlags)read.Set));
            }
        }

        return [.. matches.Distinct()];
    }

    private ImmutableArray<HeadersMatch> Headers(Node? node)
    {
        List<HeadersMatch> matches = [];
        foreach (Located<string> entry in Entries(node, "'extension-headers'"))
        {
            if (entry.Value == "none")
            {
                matches.Add(new((ExtensionHeaders)0xff, ExtensionHeaders.None));
            }
            else if (Words(entry, "an extension header", ExtensionWords.All, static word => ExtensionWords.TryParse(word, out ExtensionHeaders header) ? (int)header : 0) is { } read)
            {
                matches.Add(new((ExtensionHeaders)read.Of, (ExtensionHeaders)read.Set));
            }
        }

        return [.. matches.Distinct()];
    }

    /// <summary>Words with blanks or commas between them, that must all hold; with '!' those that must not be there.</summary>
    private (int Of, int Set)? Words(Located<string> text, string what, IReadOnlyList<string> known, Func<string, int> parse)
    {
        int with = 0, without = 0;
        foreach (string word in text.Value.Split([' ', ','], StringSplitOptions.RemoveEmptyEntries))
        {
            bool not = word[0] == '!';
            string name = word.TrimStart('!');
            int bit = parse(name);
            if (bit == 0)
            {
                found.Error(text.At, $"{Wording.Quote(name)} is not {what}", Wording.DidYouMean(name, known));
                return null;
            }

            with |= not ? 0 : bit;
            without |= not ? bit : 0;
        }

        if ((with & without) != 0 || (with | without) == 0)
        {
            found.Error(text.At, $"{Wording.Quote(text.Value)} matches no packet", $"a word with '!' must not be there, all others must: {known[0]} !{known[1]}");
            return null;
        }

        return (with | without, with);
    }

    private ulong Dscp(Node? node)
    {
        ulong values = 0;
        foreach (Located<string> entry in Entries(node, "'dscp'"))
        {
            values |= DscpWords.Read(entry, found);
        }

        return node is null ? ulong.MaxValue : values;
    }

    private (ushort Shortest, ushort Longest) Size(Node? node)
    {
        if (node is null || Values.Text(node, "'size'", found) is not { } text)
        {
            return (0, ushort.MaxValue);
        }

        string[] ends = text.Value.Split('-');
        if (ends.Length > 2 || !Bytes(ends[0], out ushort shortest) || !Bytes(ends[^1], out ushort longest))
        {
            found.Error(text.At, $"{Wording.Quote(text.Value)} is not a size", "write bytes of the IP packet, or a range of them: 1-128; numbers go from 0 to 65535");
            return (0, ushort.MaxValue);
        }

        if (shortest > longest)
        {
            found.Error(text.At, $"the range {Wording.Quote(text.Value)} is reversed", string.Create(CultureInfo.InvariantCulture, $"write {longest}-{shortest}"));
        }

        return (shortest, longest);
    }

    private static bool Bytes(string text, out ushort bytes) => ushort.TryParse(text.AsSpan().Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out bytes);

    private ImmutableArray<MacRange> Macs(Node? node, string what)
    {
        List<MacRange> runs = [];
        foreach (Located<string> entry in Entries(node, what))
        {
            int slash = entry.Value.IndexOf('/', StringComparison.Ordinal);
            int length = 48;
            if (!LinkAddress.TryParse(slash < 0 ? entry.Value : entry.Value.AsSpan(0, slash), out ulong first)
                || (slash >= 0 && (!int.TryParse(entry.Value.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out length) || length is < 1 or > 48)))
            {
                found.Error(entry.At, $"{Wording.Quote(entry.Value)} is not a link address", MacHint);
                continue;
            }

            ulong rest = LinkAddress.Broadcast >> length;
            if ((first & rest) != 0)
            {
                found.Error(entry.At, $"{Wording.Quote(entry.Value)} has bits beyond its first {length}", $"write {LinkAddress.Format(first & ~rest)}/{length}");
            }

            runs.Add(new(first, first | rest));
        }

        return MacRange.Merge(runs);
    }

    private ImmutableArray<ushort> ArrivedBy(Node? node)
    {
        SortedSet<ushort> numbers = [];
        foreach (Located<string> entry in Entries(node, "'ipsec'"))
        {
            switch (entry.Value)
            {
                case "clear":
                    numbers.Add(0);
                    break;

                case "protected":
                    numbers.UnionWith(policies.Protecting);
                    numbers.Add(IpsecPolicy.FirstBrought);
                    if (!policies.Protecting.Any())
                    {
                        found.Error(entry.At, "nothing comes protected: no IPsec policy says 'protect'", "policies are named under 'ipsec: policies'");
                    }

                    break;

                default:
                    if (policies.Find(entry, found) is > 0 and var number)
                    {
                        numbers.Add(number);
                    }

                    break;
            }
        }

        return [.. numbers];
    }
}
