using System.Collections.Immutable;
using System.Globalization;
using Filter.Rules.Policy;

namespace Filter.Ctl.Service;

/// <summary>What a reload changes of the rules, by name: where they stand in the file is no change, which stands first is.</summary>
/// <param name="Added">Rules whose name is new.</param>
/// <param name="Removed">Rules whose name is gone.</param>
/// <param name="Changed">Rules that say something else under the same name.</param>
/// <param name="Moved">Rules that, of those which both have, come in another order.</param>
internal readonly record struct RuleChanges(int Added, int Removed, int Changed, int Moved)
{
    /// <summary>Between two rulesets.</summary>
    public static RuleChanges Between(Ruleset before, Ruleset after)
    {
        Dictionary<string, int> places = before.Rules.Index().ToDictionary(static r => r.Item.Name, static r => r.Index, StringComparer.Ordinal);
        int added = 0, changed = 0;
        List<int> order = [];
        foreach (Rule rule in after.Rules)
        {
            if (!places.TryGetValue(rule.Name, out int place))
            {
                added++;
                continue;
            }

            order.Add(place);
            changed += Same(before.Rules[place], rule) ? 0 : 1;
        }

        return new RuleChanges(added, before.Rules.Length - order.Count, changed, order.Count - LongestRise(order));
    }

    /// <summary>"3 rules added, 1 changed"; "no rule changed".</summary>
    public override string ToString()
    {
        (int Count, string Word)[] all = [(Added, "added"), (Removed, "removed"), (Changed, "changed"), (Moved, "moved")];
        string[] parts = [.. all.Where(static part => part.Count > 0).Select(static (part, i) => string.Create(CultureInfo.InvariantCulture,
                $"{part.Count}{(i > 0 ? "" : part.Count == 1 ? " rule" : " rules")} {part.Word}"))];
        return parts.Length == 0 ? "no rule changed" : string.Join(", ", parts);
    }

    /// <summary>Whether two rules say the same. Arrays are compared by what is in them, all else as records are.</summary>
    private static bool Same(Rule one, Rule other) => one == other with
    {
        At = one.At,
        SourcePorts = Like(other.SourcePorts, one.SourcePorts),
        Service = one.Service is { } a && other.Service is { } b && a.IsAny == b.IsAny && a.Services.SequenceEqual(b.Services) ? a : other.Service,
        Vlan = one.Vlan is { } c && other.Vlan is { } d && c.Identifiers.SequenceEqual(d.Identifiers) ? c : other.Vlan,
        Conditions = one.Conditions is { } e && other.Conditions is { } f && Same(e, f) ? e : other.Conditions,
    };

    private static bool Same(Conditions one, Conditions other) => one == other with
    {
        TcpFlags = Like(other.TcpFlags, one.TcpFlags),
        ExtensionHeaders = Like(other.ExtensionHeaders, one.ExtensionHeaders),
        SourceMacs = Like(other.SourceMacs, one.SourceMacs),
        DestinationMacs = Like(other.DestinationMacs, one.DestinationMacs),
        ArrivedBy = Like(other.ArrivedBy, one.ArrivedBy),
        Source = Same(one.Source, other.Source) ? one.Source : other.Source,
        Destination = Same(one.Destination, other.Destination) ? one.Destination : other.Destination,
        Also = one.Also is { } a && other.Also is { } b && Same(a, b) ? a : other.Also,
    };

    /// <summary>What classes hold changes by itself: they are the same by name.</summary>
    private static bool Same(AddressConditions? one, AddressConditions? other) => one is not null && other is not null
        && one.Fixed.Equals(other.Fixed) && Names(one.AnyOf).SequenceEqual(Names(other.AnyOf)) && Names(one.NoneOf).SequenceEqual(Names(other.NoneOf));

    private static IEnumerable<string> Names(ImmutableArray<AddressClass> classes) => classes.Select(static one => one.Name);

    private static ImmutableArray<T> Like<T>(ImmutableArray<T> array, ImmutableArray<T> same) => array.SequenceEqual(same) ? same : array;

    /// <summary>How many can stay where they are: the longest rising subsequence, by patience sorting.</summary>
    private static int LongestRise(List<int> places)
    {
        List<int> tops = [];
        foreach (int place in places)
        {
            int pile = tops.BinarySearch(place);
            pile = pile < 0 ? ~pile : pile;
            if (pile == tops.Count)
            {
                tops.Add(place);
            }
            else
            {
                tops[pile] = place;
            }
        }

        return tops.Count;
    }
}
