using System.Collections.Immutable;
using System.Globalization;
using Filter.Ctl.Control;
using Filter.Ctl.Output;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec;
using Filter.Ipsec.Databases;
using Filter.Rules.Analysis;
using Filter.Rules.Policy;

namespace Filter.Ctl.Service;

/// <summary>What is told of policies, in the words of a ruleset.</summary>
internal static class SpdTelling
{
    /// <summary>Most words of a selector; a set may have a million runs.</summary>
    private const int MostWords = 16;

    /// <summary>Most SAs and policies in an explanation.</summary>
    private const int MostRows = 100;

    /// <summary>One policy.</summary>
    /// <param name="entry">The policy.</param>
    /// <param name="sas">The SAs that use it.</param>
    public static PolicyReport Of(SpdEntry entry, IReadOnlyCollection<SecurityAssociation> sas)
    {
        IpsecPolicy policy = entry.Policy;
        PolicyStatistics counted = entry.Statistics;
        return new PolicyReport
        {
            Name = entry.Name,
            Place = PlaceOf(policy),
            Action = Word(entry.Action),
            Direction = (policy.Outbound, policy.Inbound) switch { (true, false) => "out", (false, true) => "in", _ => "both" },
            Local = policy.Local is { } local ? Some(Networks.Of(local)) : null,
            Remote = policy.Remote is { } remote ? Some(Networks.Of(remote)) : null,
            Service = policy.Opaque || policy.Service is { IsAny: false } ? Some(ServicesOf(policy)) : null,
            LocalPort = policy.LocalPorts.IsEmpty ? null : Some(policy.LocalPorts.Select(SaTelling.PortsOf)),
            Populate = policy.Populate == PopulatedSelectors.None ? null : [.. Enum.GetValues<PopulatedSelectors>().Where(one => one != 0 && policy.Populate.HasFlag(one)).Select(Word)],
            Peer = policy.Peer?.Name,
            Sas = sas.Count,
            Decisions = Volatile.Read(ref counted.Decisions),
            Protected = Volatile.Read(ref counted.Protected),
            ProtectedBytes = Volatile.Read(ref counted.ProtectedBytes),
            Opened = Volatile.Read(ref counted.Opened),
            OpenedBytes = Volatile.Read(ref counted.OpenedBytes),
            Refused = Refused(counted, [counted.Gone, .. sas.Where(sa => sa.Policies[0] == entry).Select(static sa => sa.Statistics)]),
        };
    }

    /// <summary>One policy, with what it alone selects. Reckoning that may take seconds the first time: not for the worker.</summary>
    /// <param name="spd">The database that the policy is of.</param>
    /// <param name="entry">The policy.</param>
    /// <param name="sas">The SAs that use it.</param>
    public static PolicyReport Whole(Spd spd, SpdEntry entry, IReadOnlyCollection<SecurityAssociation> sas) => Of(entry, sas) with
    {
        AloneOut = entry.Policy.Outbound ? Alone(spd, entry, Direction.Out) : null,
        AloneIn = entry.Policy.Inbound ? Alone(spd, entry, Direction.In) : null,
    };

    private static List<string> Alone(Spd spd, SpdEntry entry, Direction direction)
    {
        if (spd.Decorrelated(direction) is not { } all)
        {
            return ["more than can be listed"];
        }

        ImmutableArray<PolicyBox> its = all[spd.PlaceOf(entry.Number)];
        List<string> boxes = [.. its.Take(MostRows).Select(static box => box.ToString())];
        int left = its.Length - boxes.Count;
        return left > 0 ? [.. boxes, string.Create(CultureInfo.InvariantCulture, $"and {left} more")] : boxes;
    }

    /// <summary>What policy says of a packet, each way: the packet itself first, its answer then.</summary>
    public static IReadOnlyList<PolicyWalkReport> Explain(IpsecStage stage, Ruleset ruleset, in Packet packet, long now)
    {
        if (stage.Databases.Spd is not { } spd)
        {
            return [];
        }

        Direction way = ruleset.Ports[packet.Ingress].Side == Side.Protected ? Direction.Out : Direction.In;
        return
        [
            Report(SpdExplanation.Of(spd, stage.Sad, packet, way, answer: false, now), answer: false),
            Report(SpdExplanation.Of(spd, stage.Sad, packet, way, answer: true, now), answer: true),
        ];
    }

    private static PolicyWalkReport Report(SpdExplanation said, bool answer)
    {
        bool outward = said.Direction == Direction.Out;
        return new PolicyWalkReport
        {
            Direction = outward ? "out" : "in",
            Answer = answer,
            Action = Word(said.Entry?.Action ?? IpsecAction.Drop),
            Policy = said.Entry?.Name,
            Place = said.Entry is { } by ? PlaceOf(by.Policy) : null,
            Passed = [.. said.Passed.Take(MostRows).Select(passed => new PassedPolicyReport(passed.Entry.Name, PlaceOf(passed.Entry.Policy), passed.Selector, Difference(passed, said)))],
            Sas = [.. said.Sas.OrderBy(static one => one.Why is not null).Take(MostRows).Select(static one => new ConsideredSaReport(one.Sa.Name, SaTelling.SpiOf(one.Sa), one.Why))],
            Sentence = Sentence(said, outward),
        };
    }

    private static string Sentence(SpdExplanation said, bool outward)
    {
        if (said.Entry is not { } entry)
        {
            return "dropped: no policy matches";
        }

        string by = $"policy '{entry.Name}' ({PlaceOf(entry.Policy)})";
        if (entry.Action != IpsecAction.Protect)
        {
            return entry.Action == IpsecAction.Bypass ? $"goes in the clear, by {by}" : $"dropped, by {by}";
        }

        ConsideredSa[] fit = [.. said.Sas.Where(static one => one.Why is null)];
        if (outward)
        {
            return fit is [var one, ..] ? $"sealed by the SA '{one.Sa.Name}' {SaTelling.SpiOf(one.Sa)}, by {by}"
                : said.Sas.Count == 0 ? $"dropped (no-sa): {by} protects it and has no SA"
                : $"dropped ({(said.Sas.Any(static one => one.Why == "it has expired") ? "sa-expired" : "no-sa")}): {by} protects it, and no SA of its carries it";
        }

        return fit.Length > 0
            ? $"must come by {string.Join(" or ", fit.Take(3).Select(static one => $"the SA '{one.Sa.Name}' {SaTelling.SpiOf(one.Sa)}"))}{(fit.Length > 3 ? " or others" : "")}; in the clear it is dropped (clear-for-protected), by {by}"
            : $"cannot come: {by} protects it, and no SA of its lets it in; in the clear it is dropped (clear-for-protected)";
    }

    private static string Difference(PassedEntry passed, SpdExplanation said)
    {
        IpsecPolicy policy = passed.Entry.Policy;
        FlowKey way = said.Way;
        return passed.Selector switch
        {
            "direction" => $"it speaks of what {(policy.Outbound ? "goes out" : "comes in")} alone",
            "local" => $"{way.Source} is not of {Words(Networks.Of(policy.Local!))}",
            "remote" => $"{way.Destination} is not of {Words(Networks.Of(policy.Remote!))}",
            "service" when policy.Opaque => $"it is for pieces that show no ports, {Words(ServicesOf(policy))}",
            "service" => $"{ServiceSet.NameOf(way.Protocol)}{(IpProtocol.HasPorts(way.Protocol) ? string.Create(CultureInfo.InvariantCulture, $"/{way.DestinationPort}") : "")} is not of {Words(ServicesOf(policy))}",
            _ => string.Create(CultureInfo.InvariantCulture, $"{way.SourcePort} is not of {Words(policy.LocalPorts.Select(SaTelling.PortsOf))}"),
        };
    }

    private static IReadOnlyList<CountReport> Refused(PolicyStatistics counted, SaStatistics[] sas)
    {
        (string Why, long Count)[] causes =
        [
            ("no-sa", Volatile.Read(ref counted.NoSa)),
            ("wrong-selectors", Volatile.Read(ref counted.WrongSelectors)),
            ("too-big", Volatile.Read(ref counted.TooBig)),
            ("bad-icv", sas.Sum(static sa => Volatile.Read(ref sa.BadIcv))),
            ("replayed", sas.Sum(static sa => Volatile.Read(ref sa.Replayed))),
            ("malformed", sas.Sum(static sa => Volatile.Read(ref sa.Malformed))),
            ("bad-padding", sas.Sum(static sa => Volatile.Read(ref sa.BadPadding))),
            ("wrong-inner", sas.Sum(static sa => Volatile.Read(ref sa.WrongInner))),
            ("sequence-exhausted", sas.Sum(static sa => Volatile.Read(ref sa.Exhausted))),
            ("sa-expired", sas.Sum(static sa => Volatile.Read(ref sa.Expired))),
        ];
        return [.. causes.Where(static cause => cause.Count > 0).Select(static cause => new CountReport(cause.Why, cause.Count))];
    }

    private static string PlaceOf(IpsecPolicy policy) => string.Create(CultureInfo.InvariantCulture, $"{policy.At.File}:{policy.At.Line}");

    private static string Word(IpsecAction action) => action switch { IpsecAction.Protect => "protect", IpsecAction.Bypass => "bypass", _ => "drop" };

    private static string Word(PopulatedSelectors one) => one switch
    {
        PopulatedSelectors.Local => "local",
        PopulatedSelectors.Remote => "remote",
        PopulatedSelectors.Protocol => "protocol",
        PopulatedSelectors.LocalPort => "local-port",
        _ => "remote-port",
    };

    private static IEnumerable<string> ServicesOf(IpsecPolicy policy) =>
        policy.Service is { } service ? service.Services.Select(one => policy.Opaque ? $"{one}/opaque" : one.ToString()) : ["opaque"];

    private static string Words(IEnumerable<string> words) => string.Join(", ", Some(words));

    private static List<string> Some(IEnumerable<string> words)
    {
        List<string> some = [.. words.Take(MostWords + 1)];
        if (some.Count > MostWords)
        {
            some[^1] = "…";
        }

        return some;
    }
}
