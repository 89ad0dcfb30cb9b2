using System.Collections.Immutable;
using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Rules.Policy;

namespace Filter.Rules.Analysis;

/// <summary>What a ruleset says beside its rules on openings, compared.</summary>
internal static class Surroundings
{
    /// <summary>What of the ports makes packets incomparable: their names and sides; null for nothing.</summary>
    public static string? PortsDiffer(Ruleset before, Ruleset after)
    {
        string Of(Ruleset ruleset) => string.Join(", ", ruleset.Ports.OrderBy(static p => p.Name, StringComparer.Ordinal).Select(static p => $"{p.Name} ({p.Side.ToString().ToLowerInvariant()})"));
        return Of(before) == Of(after) ? null : $"the ports differ, so no packet is the same to both: {Of(before)} there, {Of(after)} here";
    }

    /// <summary>A ruleset whose ports have the numbers of another's of their names.</summary>
    public static Ruleset InTheOrderOf(Ruleset order, Ruleset ruleset)
    {
        if (order.Ports.Select(static p => p.Name).SequenceEqual(ruleset.Ports.Select(static p => p.Name)))
        {
            return ruleset;
        }

        byte[] numbers = [.. ruleset.Ports.Select(port => order.FindPort(port.Name)!.Number)];
        ushort Moved(ushort mask) => mask == Rule.AnyPort ? mask : (ushort)ruleset.Ports.Where(p => (mask >> p.Number & 1) != 0).Sum(p => 1 << numbers[p.Number]);
        return ruleset with
        {
            Ports = [.. ruleset.Ports.Select(port => port with { Number = numbers[port.Number] }).OrderBy(static p => p.Number)],
            Rules = [.. ruleset.Rules.Select(rule => rule with { From = Moved(rule.From), To = Moved(rule.To) })],
        };
    }

    /// <summary>Everything else that differs, in sentences.</summary>
    public static IEnumerable<string> Differences(Ruleset before, Ruleset after)
    {
        foreach (PortConfig port in before.Ports)
        {
            if (after.FindPort(port.Name) is { } other && Described(port) != Described(other))
            {
                yield return $"port {port.Name}: {Described(port)}, now {Described(other)}";
            }
        }

        if (before.Workers != after.Workers)
        {
            yield return $"workers: {Count(before.Workers)}, now {Count(after.Workers)}";
        }

        if (before.Path.Profile != after.Path.Profile)
        {
            yield return $"profile: {Word(before.Path.Profile)}, now {Word(after.Path.Profile)}";
        }

        foreach ((string word, FlowTimer timer) in FlowTimers.Words)
        {
            if (before.Path.Timers[timer] != after.Path.Timers[timer])
            {
                yield return $"timer {word}: {Seconds(before.Path.Timers[timer])}, now {Seconds(after.Path.Timers[timer])}";
            }
        }

        (string What, object? Before, object? After)[] parts =
        [
            ("limits: flows", before.Limits.Flows, after.Limits.Flows),
            ("limits", before.Path.Limits, after.Path.Limits),
            ("answers", before.Path.Answers, after.Path.Answers),
            ("limits: solicitations", before.Path.Admission.Solicitations, after.Path.Admission.Solicitations),
            ("link", Link(before), Link(after)),
            ("ipsec", Ipsec(before), Ipsec(after)),
            ("sets that change", Classes(before), Classes(after)),
            ("rules that look at each packet", EachPacket(before), EachPacket(after)),
            ("rules that count", Text(before, static r => r.Action == RuleAction.Count), Text(after, static r => r.Action == RuleAction.Count)),
        ];
        foreach ((string what, object? mine, object? its) in parts)
        {
            if (!Equals(mine, its))
            {
                yield return mine is int ? $"{what}: {mine}, now {its}" : $"{what}: described otherwise";
            }
        }

        foreach (string sentence in Peers(before.Ipsec?.Ike, after.Ipsec?.Ike))
        {
            yield return sentence;
        }
    }

    /// <summary>With whom keys are negotiated; not the secrets, which may be wiped.</summary>
    private static IEnumerable<string> Peers(IkeConfig? before, IkeConfig? after)
    {
        Dictionary<string, IkePeer> later = (after?.Peers ?? []).ToDictionary(static p => p.Name, StringComparer.Ordinal);
        foreach (IkePeer peer in before?.Peers ?? [])
        {
            if (!later.Remove(peer.Name, out IkePeer? other))
            {
                yield return $"peer {peer.Name}: gone";
            }
            else if (!peer.IsDescribedAs(other))
            {
                yield return $"peer {peer.Name}: described otherwise";
            }
        }

        foreach (IkePeer peer in (after?.Peers ?? []).Where(peer => later.ContainsKey(peer.Name)))
        {
            yield return $"peer {peer.Name}: new";
        }

        if ((before?.Limits ?? new()) != (after?.Limits ?? new()))
        {
            yield return "ike limits: described otherwise";
        }

        string Pools(IkeConfig? ike) => string.Join('\n', (ike?.Pools ?? []).Select(static pool => $"{pool.Name} {pool.Range}"));
        if (Pools(before) != Pools(after))
        {
            yield return "ike pools: described otherwise";
        }
    }

    /// <summary>What classes of addresses are, that rules name. What they hold belongs to no ruleset.</summary>
    private static string Classes(Ruleset ruleset) => string.Join('\n', ruleset.Rules
        .SelectMany(static rule => rule.Conditions?.All() ?? [])
        .SelectMany(static one => new[] { one.Source, one.Destination }.OfType<AddressConditions>())
        .SelectMany(static end => end.AnyOf.Concat(end.NoneOf))
        .Select(static one => one.ToString()).Distinct().Order(StringComparer.Ordinal));

    /// <summary>The rules that look at each packet, in words that two rulesets have in common where they have these rules.</summary>
    public static string EachPacket(Ruleset ruleset) => Text(ruleset, static rule => rule.EachPacket);

    private static string Described(PortConfig port) =>
        $"{(port.Kind == PortKind.Nic ? "nic" : "tap")} {port.Device}, {port.Driver}{(port.BusyPoll ? ", busy-poll" : "")}, {port.Role.ToString().ToLowerInvariant()}{(port.Antispoof ? ", antispoof" : "")}, mtu {port.Mtu?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "as is"}, "
        + $"prefixes [{string.Join(", ", port.Prefixes)}], addresses [{string.Join(", ", port.Addresses)}], routes [{string.Join(", ", port.Routes.Select(static r => $"{r.To} via {r.Via}"))}]";

    private static string Count(int? workers) => workers?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "auto";

    private static string Word(Profile profile) => profile == Profile.Rfc6092 ? "rfc6092" : "default";

    private static string Seconds(long nanoseconds) => nanoseconds <= 0 ? "never" : $"{nanoseconds / 1e9:0.###} s";

    private static string Link(Ruleset ruleset) =>
        $"{ruleset.Link.PassArp} {ruleset.Link.PassUnknown} {string.Join(' ', ruleset.Link.EtherTypes)} {ruleset.Path.Admission.VerifyNeighbours} {ruleset.Path.Admission.PassTagged}";

    /// <summary>Policies and SAs without their keys.</summary>
    private static string? Ipsec(Ruleset ruleset) => ruleset.Ipsec is not { } ipsec ? null : string.Join('\n',
        ipsec.Policies.Select(static p => $"{p.Name} {p.Action} {p.Local} {p.Remote} {p.Service} {p.Outbound} {p.Inbound} {string.Join(' ', p.Sas.Select(static s => s.Name))} {p.Populate} {p.Peer?.Name} {Child(p.Child)}")
            .Concat(ipsec.Sas.Select(static s => $"{s.Name} {s.Settings} {s.Out.Spi} {s.In.Spi}")));

    private static string? Child(ChildTemplate? child) => child is null ? null
        : $"{string.Join(' ', child.Suites)} {string.Join<IkeTransform>(' ', child.Groups)} {child.ExtendedSequence} {child.Settings}";

    /// <summary>Rules that decide on no opening alone, as they are written: what they match, in order.</summary>
    private static string Text(Ruleset ruleset, Func<Rule, bool> which)
    {
        Meaning meaning = new(ruleset.Ports.Length);
        return string.Join('\n', ruleset.Rules.Where(which).Select(rule => $"{rule.Name} {rule.Action} {rule.Log} {rule.Limit} "
            + string.Join(" or ", meaning.Of(rule).Select(shape => string.Join(' ', shape.Runs.OrderBy(static r => r.Key).Select(r => $"{r.Key}:{string.Join(',', r.Value)}"))))));
    }
}
