using Filter.Ctl.Output;
using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Ctl.Rehearsals;

/// <summary>One entry of a ruleset's tests, run.</summary>
/// <param name="Name">Its name, or the packet line.</param>
/// <param name="Place">Where it stands: file:line.</param>
/// <param name="Failure">The step that went wrong; null where the test passed.</param>
internal sealed record TestResult(string Name, string Place, TestFailure? Failure);

/// <summary>A step that went otherwise than expected.</summary>
/// <param name="Place">Where the step stands: file:line.</param>
/// <param name="Line">Its packet line.</param>
/// <param name="Expected">What was expected.</param>
/// <param name="Got">What came.</param>
/// <param name="Walk">The walk of the packet; null where it could not be sent.</param>
internal sealed record TestFailure(string Place, string Line, string Expected, string Got, Outcome? Walk);

/// <summary>Runs a ruleset's own tests through the data path, each with fresh state.</summary>
internal static class TestRunner
{
    /// <summary>Runs them all, in order.</summary>
    public static IEnumerable<TestResult> Run(Ruleset ruleset)
    {
        Burst burst = new();
        foreach (TestEntry entry in ruleset.Tests)
        {
            yield return Run(ruleset, entry, burst);
        }
    }

    private static TestResult Run(Ruleset ruleset, TestEntry entry, Burst burst)
    {
        using Rehearsal rehearsal = new(ruleset, burst);
        TestFailure? failure = null;
        foreach (TestStep step in entry.Steps)
        {
            if (step is PauseStep pause)
            {
                rehearsal.Pause(pause.Nanoseconds);
            }
            else if (step is ClockStep clock)
            {
                rehearsal.SetClock(clock.Minute);
            }
            else if (step is HoldsStep holds)
            {
                rehearsal.SetHeld(holds);
            }
            else if (step is PacketStep packet && Check(rehearsal, packet) is { } wrong)
            {
                failure = wrong;
                break;          // what follows builds on it
            }
        }

        return new TestResult(entry.Name, $"{entry.At.File}:{entry.At.Line}", failure);
    }

    private static TestFailure? Check(Rehearsal rehearsal, PacketStep step)
    {
        Outcome outcome;
        try
        {
            outcome = rehearsal.Send(step.Line.Value);
        }
        catch (Refusal refusal)
        {
            return new TestFailure(Place(step), step.Line.Value, Expected(step), refusal.Message, null);
        }

        bool good = outcome.Verdict == step.Expected
            && (step.By is null || IsBy(outcome, step.By))
            && step.CountedBy.All(outcome.CountedBy.Contains)
            && (step.Reason is null || outcome.Packet.Reason == step.Reason)
            && (step.Ipsec is not { } ipsec || outcome.Ipsec == ipsec.Word());
        return good ? null : new TestFailure(Place(step), step.Line.Value, Expected(step), outcome.Sentence(), outcome);
    }

    private static bool IsBy(Outcome outcome, string by) => by == PacketStep.DefaultRule
        ? outcome.Rule.Name is "default out" or "default in" or "default across"
        : outcome.Rule.Name == by;

    private static string Place(PacketStep step) => $"{step.Line.At.File}:{step.Line.At.Line}";

    private static string Expected(PacketStep step) => step.Expected.Word()
        + (step.Reason is { } reason ? $" {reason.Name()}" : "")
        + (step.By is { } by ? $", by {by}" : "")
        + (step.CountedBy.IsEmpty ? "" : $", counted by {string.Join(", ", step.CountedBy)}")
        + (step.Ipsec is { } ipsec ? $", ipsec {ipsec.Word()}" : "");
}
