using System.Collections.Immutable;
using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>A tree becomes a ruleset, or a list of everything that is wrong with it.</summary>
internal static class RulesetReader
{
    private static readonly string[] s_keys = ["filter", "include", "ports", "workers", "profile", "timers", "link", "limits", "sets", "schedules", "defaults", "rules", "ipsec", "tests"];
    private static readonly string[] s_linkKeys = ["arp", "ethertypes", "unknown", "tagged", "verify-neighbours"];
    private static readonly string[] s_defaultKeys = ["out", "in", "across", "unsolicited-syn"];

    /// <summary>Reads the whole file. Null if there is at least one error.</summary>
    public static Ruleset? Read(string file, Node root, string directory, Diagnostics found)
    {
        if (Fields.Of(root, "a ruleset", found, s_keys) is not { } fields || !SpeaksOurLanguage(root, fields, found))
        {
            return null;
        }

        Folders folders = new(directory);
        MapNode whole = new Includes(folders, found).Gather(file, (MapNode)root, s_keys);
        fields = whole == root ? fields : Fields.Over(whole, "a ruleset", found);

        PortsReader ports = new(found);
        ImmutableArray<PortConfig> portConfigs = ports.Read(fields.Required("ports", "a ruleset names the ports it stands between"));
        RunMode mode = fields["ports"] is MapNode ? ports.Mode(fields.KeyAt("ports")) : RunMode.Bridge;
        Sets sets = new(fields["sets"], new LiveSetReader(portConfigs, ports.Names, folders, found), found);
        IpsecNames policies = new(fields["ipsec"]);
        Schedules schedules = new(fields["schedules"], found);
        ConditionsReader conditions = new(schedules, policies, found);
        Profile profile = Values.Word(fields["profile"], "'profile'", found, ("default", Profile.Default), ("rfc6092", Profile.Rfc6092)) ?? Profile.Default;
        FlowTimers timers = TimersReader.Read(fields["timers"], profile, found);
        RulesReader rules = new(ports.Names, portConfigs.Length == ports.Names.Count ? ProtectedPorts(portConfigs) : Rule.AnyPort, sets, conditions, new Narrowing(schedules, found), timers, profile, found);
        ImmutableArray<Rule> ruleList = rules.Read(fields["rules"]);
        Fields? linkFields = fields["link"] is { } linkNode ? Fields.Of(linkNode, "'link'", found, s_linkKeys) : null;
        LinkPolicy link = Link(linkFields, found);
        LimitsReader limitsReader = new(found);
        (Limits limits, PathPolicy path) = limitsReader.Read(fields["limits"], LimitsReader.Of(profile, timers), ruleList.Any(static rule => rule.Management));
        path = path with { Admission = AdmissionReader.Read(portConfigs, linkFields, path.Admission, found) };
        Defaults defaults = ReadDefaults(fields["defaults"], limitsReader, ref path, found);
        IpsecConfig? ipsec = new IpsecReader(sets, portConfigs, folders, found).Read(fields["ipsec"]);
        Rule[] byItself = ipsec?.Ike is null ? [] : [.. IkePassage.Rules(ipsec.Policies[0].At, portConfigs)];
        ImmutableArray<TestEntry> tests = new TestsReader([.. rules.Names, .. byItself.Select(static rule => rule.Name)], sets, new PacketLines(ports.Names, portConfigs, policies, found), found).Read(fields["tests"]);
        Ruleset ruleset = new()
        {
            File = file,
            Ports = portConfigs,
            Mode = mode,
            Path = path with { Midstream = ruleList.Any(static rule => rule.Midstream) },
            Link = link,
            Limits = limits,
            Workers = Workers(fields["workers"], found),
            AddressSets = sets.AddressSets,
            ServiceSets = sets.ServiceSets,
            LiveSets = [.. sets.LiveSets],
            Defaults = defaults,
            Rules = [.. byItself, .. ruleList],
            Ipsec = ipsec,
            Tests = tests,
        };
        if (!found.HasErrors)
        {
            return ruleset;
        }

        ruleset.WipeKeys();
        return null;
    }

    private static ushort ProtectedPorts(ImmutableArray<PortConfig> ports) =>
        (ushort)ports.Where(static port => port.Side == Side.Protected).Sum(static port => 1 << port.Number);

    private static int? Workers(Node? node, Diagnostics found) =>
        node is ScalarNode { Text: "auto" } ? null : node is null ? 1 : (int?)Values.Number(node, "'workers'", 1, Crew.Most, found) ?? 1;

    /// <summary>Another version is another language: nothing else in the file can be judged.</summary>
    internal static bool SpeaksOurLanguage(Node root, Fields fields, Diagnostics found)
    {
        Node? version = fields.Required("filter", "the first line of a ruleset is 'filter: 1'");
        if (version is not null && version is not ScalarNode { Text: "1" })
        {
            found.Error(version.At, $"this Filter reads language version {Ruleset.Language}, not {version.Kind}", "the first line of a ruleset is 'filter: 1'");
            return false;
        }

        if (version is not null && root is MapNode map && map.Entries[0].Key.Text != "filter")
        {
            found.Error(fields.KeyAt("filter"), "'filter' is not the first key", "move it to the first line");
        }

        return true;
    }

    private static LinkPolicy Link(Fields? fields, Diagnostics found)
    {
        if (fields is null)
        {
            return new LinkPolicy();
        }

        bool arp = Values.Word(fields["arp"], "'arp'", found, ("allow", true), ("drop", false)) ?? true;
        bool unknown = Values.Word(fields["unknown"], "'unknown'", found, ("allow", true), ("drop", false)) ?? false;
        List<ushort> types = [];
        foreach (Node entry in Values.Each(fields["ethertypes"]))
        {
            if (Values.Number(entry, "an ethertype", EtherTypes.FirstType, 0xffff, found) is not { } type)
            {
                continue;
            }

            string? wrong = type switch
            {
                EtherTypes.Arp => "ARP has a key of its own: arp: allow",
                EtherTypes.IPv4 or EtherTypes.IPv6 => "IP is what the rules decide on",
                EtherTypes.Vlan or EtherTypes.ServiceVlan or EtherTypes.OldServiceVlan => "VLAN tags are read through; the type behind them counts",
                EtherTypes.MacControl or EtherTypes.SlowProtocols => "pause and LACP frames belong to one link; no bridge forwards them",
                _ => null,
            };
            if (wrong is not null)
            {
                found.Error(entry.At, $"the ethertype 0x{type:x4} cannot be listed", wrong);
            }

            types.Add((ushort)type);
        }

        return new LinkPolicy { PassArp = arp, PassUnknown = unknown, EtherTypes = [.. types.Distinct().Order()] };
    }

    private static Defaults ReadDefaults(Node? node, LimitsReader limits, ref PathPolicy path, Diagnostics found)
    {
        if (node is null || Fields.Of(node, "'defaults'", found, s_defaultKeys) is not { } fields)
        {
            return new Defaults();
        }

        path = limits.ReadUnsolicitedSyn(fields["unsolicited-syn"], path);
        DefaultAction Of(string direction) =>
            fields.Has(direction)
                ? new(Values.Word(fields[direction], $"'{direction}'", found, ("allow", RuleAction.Allow), ("drop", RuleAction.Drop), ("reject", RuleAction.Reject)) ?? RuleAction.Drop, fields.KeyAt(direction))
                : new(RuleAction.Drop, null);
        return new Defaults { Out = Of("out"), In = Of("in"), Across = Of("across") };
    }
}
