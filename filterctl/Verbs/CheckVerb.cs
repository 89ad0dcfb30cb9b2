using System.Collections.Immutable;
using System.CommandLine;
using System.Text.Json;
using Filter.Ctl.Control;
using Filter.Ctl.Output;
using Filter.Ipsec.Ike.Authentication;
using Filter.Rules;
using Filter.Rules.Analysis;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl check: whether a ruleset holds, all that is wrong with it, and what it says without meaning it.</summary>
internal static class CheckVerb
{
    /// <summary>Findings of one kind that are shown unless all are wanted.</summary>
    private const int Few = 10;

    /// <summary>The verb.</summary>
    public static Command Build(Screen screen)
    {
        Argument<string> file = Options.Ruleset();
        Option<bool> json = Options.Json();
        Option<bool> all = new("--all") { Description = "Show every finding, also each pair of rules that overlap so that their order decides" };
        Option<bool> strict = new("--strict") { Description = "Findings and warnings fail as errors do" };
        Option<bool> plain = new("--no-analysis") { Description = "Only read the file" };
        Command verb = new("check",
            """
            Read a ruleset and show every error in it, each with its place and a hint. One that holds is
            analysed: rules that no packet reaches, rules that change nothing, IPv6 that was forgotten,
            each with the rules to blame and a packet that shows it; IPsec policies that no packet
            reaches, and tunnels that take what their own ends say. Exact. Needs no rights.

            Example:
              filterctl check office.yaml
              filterctl check office.yaml --all --strict
            """)
        { file, all, strict, plain, json };
        verb.SetAction(parsed => Run(
            screen, parsed.GetValue(file)!, parsed.GetValue(all), parsed.GetValue(strict), parsed.GetValue(plain), parsed.GetValue(json)));
        return verb;
    }

    private static int Run(Screen screen, string file, bool all, bool strict, bool plain, bool json)
    {
        RulesetReading reading = CredentialCheck.Of(RulesetFile.Read(file));
        ImmutableArray<Finding> findings = reading.Ruleset is null || plain ? [] : RulesetAnalysis.Of(reading.Ruleset, conflicts: true);
        ImmutableArray<Diagnostic> policies = plain || reading.Ruleset?.Ipsec is not { } ipsec ? [] : PolicyAnalysis.Of(ipsec, overlaps: all);
        int overlaps = findings.Count(static finding => finding.Kind == FindingKind.Conflict);
        if (json)
        {
            Tell.Object(screen, writer => WriteJson(writer, file, reading, [.. reading.Diagnostics, .. policies], findings));
        }
        else
        {
            screen.Complain(reading.Diagnostics.Select(static d => d.ToString()));
            screen.Complain(policies.Select(static d => d.ToString()));
            Show(screen, all ? findings : findings.Where(static finding => finding.Kind != FindingKind.Conflict), all);
            if (reading.Ruleset is { } ruleset)
            {
                screen.Line($"{file}: {screen.Paint("good", Tint.Good)}: {Summary(ruleset)}{Overlaps(overlaps)}");
            }
            else
            {
                screen.Complain($"{file}: {Tell.Count(reading.ErrorCount, "error")}");
            }
        }

        reading.Ruleset?.WipeKeys();
        // Overlaps are mostly meant: they fail only where they were asked for.
        int counted = reading.Diagnostics.Count + policies.Length + findings.Length - (all ? 0 : overlaps);
        return reading.Ruleset is null || (strict && counted > 0) ? Exit.No : Exit.Done;
    }

    private static void Show(Screen screen, IEnumerable<Finding> findings, bool all)
    {
        Dictionary<FindingKind, int> shown = [];
        foreach (Finding finding in findings)
        {
            int before = shown.GetValueOrDefault(finding.Kind);
            shown[finding.Kind] = before + 1;
            if (all || before < Few)
            {
                screen.Complain([finding.ToDiagnostic().ToString()]);
            }
        }

        foreach ((FindingKind kind, int count) in shown.Where(one => !all && one.Value > Few).OrderBy(static one => one.Key))
        {
            screen.Complain([$"and {Tell.Count(count - Few, "rule")} more that {Word(kind)}: see check --all"]);
        }
    }

    private static string Overlaps(int count) => count == 0 ? ""
        : $"; {Tell.Count(count, "overlap")}{(count == RulesetAnalysis.MostConflicts ? " or more" : "")} decided by the order of rules: see check --all";

    private static string Word(FindingKind kind) => kind switch
    {
        FindingKind.Unreachable => "no packet reaches",
        FindingKind.Redundant => "change nothing",
        FindingKind.ForgottenIpv6 => "forget IPv6",
        FindingKind.Conflict => "overlap",
        _ => "are undecided",
    };

    private static string Summary(Ruleset ruleset) => string.Join(", ",
        Tell.Count(ruleset.Ports.Length, "port"),
        Tell.Count(ruleset.Rules.Length, "rule"),
        Tell.Count(ruleset.Ipsec?.Policies.Length ?? 0, "IPsec policy", "IPsec policies"),
        Tell.Count(ruleset.Tests.Length, "test"));

    private static void WriteJson(Utf8JsonWriter writer, string file, RulesetReading reading, IEnumerable<Diagnostic> said, ImmutableArray<Finding> findings)
    {
        writer.WriteString("file"u8, file);
        writer.WriteBoolean("good"u8, reading.Ruleset is not null);
        writer.WriteStartArray("diagnostics"u8);
        foreach (Diagnostic found in said)
        {
            writer.WriteStartObject();
            writer.WriteString("severity"u8, found.Severity == Severity.Error ? "error" : "warning");
            writer.WriteString("file"u8, found.At.File);
            writer.WriteNumber("line"u8, found.At.Line);
            writer.WriteNumber("column"u8, found.At.Column);
            writer.WriteString("message"u8, found.Message);
            writer.WriteString("hint"u8, found.Hint);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteStartArray("findings"u8);
        foreach (Finding finding in findings)
        {
            writer.WriteStartObject();
            writer.WriteString("kind"u8, JsonNamingPolicy.KebabCaseLower.ConvertName(finding.Kind.ToString()));
            writer.WriteString("rule"u8, finding.Rule.Name);
            writer.WriteString("file"u8, finding.Rule.At.File);
            writer.WriteNumber("line"u8, finding.Rule.At.Line);
            writer.WriteString("message"u8, finding.Message);
            writer.WriteStartArray("blame"u8);
            foreach (string rule in finding.Blame)
            {
                writer.WriteStringValue(rule);
            }

            writer.WriteEndArray();
            writer.Write("witness", WitnessReport.Of(finding.Witness));
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }
}
