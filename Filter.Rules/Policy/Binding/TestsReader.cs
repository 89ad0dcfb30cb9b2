using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads <c>tests:</c>.</summary>
internal sealed class TestsReader(IReadOnlyCollection<string> rules, Sets sets, PacketLines lines, Diagnostics found)
{
    private static readonly string[] s_verdicts = ["pass", "drop", "reject", "held", "answered"];
    private static readonly string[] s_packetKeys = [.. s_verdicts, "by", "counted-by", "reason", "ipsec"];
    private static readonly string[] s_stepKeys = [.. s_packetKeys, "after", "at", "holds"];
    private static readonly string[] s_entryKeys = [.. s_packetKeys, "conversation", "steps", "at", "holds"];
    private static readonly string[] s_reasons = [.. Enum.GetValues<DropReason>().Where(static r => r != DropReason.None).Select(static r => r.Name())];

    /// <summary>The tests in order.</summary>
    public ImmutableArray<TestEntry> Read(Node? node)
    {
        List<TestEntry> tests = [];
        foreach (Node entry in Values.List(node, "'tests'", found))
        {
            bool talks = entry is MapNode map && (map.Find("conversation") ?? map.Find("steps")) is not null;
            if (Fields.Of(entry, "a test", found, s_entryKeys) is not { } fields)
            {
                continue;
            }

            if (talks)
            {
                tests.Add(Conversation(fields));
            }
            else if (Packet(fields, "a test") is { } step)
            {
                tests.Add(new TestEntry(step.Line.Value, fields.At, false, [.. Given(fields), step]));
            }
        }

        return [.. tests];
    }

    private TestEntry Conversation(Fields fields)
    {
        fields.Refuse("belongs to a step of the conversation", "move it under 'steps'", s_packetKeys);
        Located<string>? name = Values.Text(fields.Required("conversation", "say in a few words what it shows"), "'conversation'", found);
        List<TestStep> steps = [.. Given(fields)];
        IReadOnlyList<Node> nodes = Values.List(fields.Required("steps"), "'steps'", found);
        if (nodes.Count == 0 && fields["steps"] is ListNode empty)
        {
            found.Error(empty.At, "the conversation has no steps");
        }

        foreach (Node node in nodes)
        {
            if (Fields.Of(node, "a step", found, s_stepKeys) is not { } step)
            {
                continue;
            }

            if (step.Has("after"))
            {
                step.Refuse("cannot stand beside 'after'", "make two steps of it", [.. s_packetKeys, "at", "holds"]);
                if (Values.Duration(step["after"], "'after'", found) is { } pause)
                {
                    steps.Add(new PauseStep(step.At, pause));
                }
            }
            else if ((step.Has("at") || step.Has("holds")) && !s_packetKeys.Any(step.Has))
            {
                steps.AddRange(Given(step));
            }
            else if (Packet(step, "a step") is { } packet)
            {
                steps.AddRange(Given(step));
                steps.Add(packet);
            }
        }

        return new TestEntry(name?.Value ?? "", fields.At, true, [.. steps]);
    }

    /// <summary>What else is so from now on: the hour, what sets hold.</summary>
    private IEnumerable<TestStep> Given(Fields fields) => [.. Clock(fields), .. Holds(fields)];

    private IEnumerable<TestStep> Holds(Fields fields)
    {
        if (fields["holds"] is not { } node)
        {
            return [];
        }

        string[] known = [.. sets.LiveSets.Select(static set => set.SetName)];
        if (Fields.Of(node, "'holds'", found, known) is not { } held)
        {
            return [];
        }

        return
        [
            new HoldsStep(fields.KeyAt("holds"),
            [
                .. sets.LiveSets.Where(set => held[set.SetName] is not null)
                    .Select(set => (set, sets.FixedAddresses(held[set.SetName], $"what {Wording.Quote(set.SetName)} holds", "name addresses") ?? AddressSet.Any)),
            ]),
        ];
    }

    /// <summary>The clock on the wall, where it is set.</summary>
    private IEnumerable<TestStep> Clock(Fields fields) =>
        ScheduleWords.Moment(fields["at"], "'at'", found) is { } minute ? [new ClockStep(fields.KeyAt("at"), minute)] : [];

    private string? Rule(Node? node, string what, params string[] besides)
    {
        if (Values.Text(node, what, found) is not { } rule)
        {
            return null;
        }

        if (!besides.Contains(rule.Value) && !rules.Contains(rule.Value))
        {
            found.Error(rule.At, $"there is no rule {Wording.Quote(rule.Value)}", Wording.DidYouMean(rule.Value, [.. rules, .. besides]));
        }

        return rule.Value;
    }

    private PacketStep? Packet(Fields fields, string what)
    {
        string? key = fields.ExactlyOne(s_verdicts);
        if (key is null)
        {
            return null;
        }

        Verdict verdict = key switch { "pass" => Verdict.Pass, "reject" => Verdict.Reject, "held" => Verdict.Held, "answered" => Verdict.Answered, _ => Verdict.Drop };
        Located<string>? line = lines.Read(fields[key]);
        string? by = Rule(fields["by"], "'by'", PacketStep.DefaultRule);
        string[] countedBy = [.. Values.Each(fields["counted-by"]).Select(node => Rule(node, "an entry of 'counted-by'")).OfType<string>()];

        DropReason? reason = null;
        if (Values.Text(fields["reason"], "'reason'", found) is { } word)
        {
            if (DropReasons.TryParse(word.Value, out DropReason known) && known != DropReason.None)
            {
                reason = known;
            }
            else
            {
                found.Error(word.At, $"{Wording.Quote(word.Value)} is no drop reason", Wording.DidYouMean(word.Value, s_reasons) ?? "filterctl counters lists them all");
            }

            if (verdict == Verdict.Pass)
            {
                found.Error(fields.KeyAt("reason"), "a packet that passes has no drop reason", "leave 'reason' out");
            }
        }

        IpsecAction? ipsec = Values.Word(fields["ipsec"], "'ipsec'", found, ("bypass", IpsecAction.Bypass), ("protect", IpsecAction.Protect), ("opened", IpsecAction.Opened));
        return line is { } good ? new PacketStep(fields.At, verdict, good) { By = by, CountedBy = [.. countedBy], Reason = reason, Ipsec = ipsec } : null;
    }
}
