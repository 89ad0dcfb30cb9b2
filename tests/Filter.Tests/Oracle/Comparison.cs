using System.Globalization;
using System.Text;

namespace Filter.Tests.Oracle;

/// <summary>The verdicts of both judges, side by side, packet by packet.</summary>
internal sealed class Comparison
{
    private readonly Dictionary<string, (int Count, string Example)> _faults = [];
    private readonly int[] _accepted = new int[AcceptedDifferences.All.Length];

    private Comparison()
    {
    }

    /// <summary>Packets that were compared.</summary>
    public int Packets { get; private set; }

    /// <summary>Packets that came after an accepted difference: there the two know different things.</summary>
    public int Behind { get; private set; }

    /// <summary>Packets that both let pass.</summary>
    public int Passed { get; private set; }

    /// <summary>Compares.</summary>
    public static Comparison Of(IReadOnlyList<Conversation> conversations, CameOut kernel, FilterWalk filter)
    {
        var comparison = new Comparison();
        foreach (Conversation conversation in conversations)
        {
            comparison.Compare(conversation, kernel, filter);
        }

        return comparison;
    }

    /// <summary>How often each accepted difference occurred, in the list's order.</summary>
    public IReadOnlyList<int> Accepted => _accepted;

    /// <summary>How many conversations of attackers ended in what is not accepted; and how many of all others.</summary>
    public (int Attacked, int Others) FaultyConversations => (
        _faults.Where(fault => IsAttacked(fault.Key)).Sum(fault => fault.Value.Count),
        _faults.Where(fault => !IsAttacked(fault.Key)).Sum(fault => fault.Value.Count));

    /// <summary>What is not accepted: each kind once, with how many there were and one conversation whole.</summary>
    public string Faults()
    {
        var text = new StringBuilder();
        foreach ((string kind, (int count, string example)) in _faults.OrderByDescending(fault => fault.Value.Count))
        {
            text.Append(CultureInfo.InvariantCulture, $"\n{count} × {kind}\n{example}");
        }

        return text.ToString();
    }

    private static bool IsAttacked(string kind) => kind.Contains(" attacked, ", StringComparison.Ordinal);

    private void Compare(Conversation conversation, CameOut kernel, FilterWalk filter)
    {
        int number = conversation.Number;
        bool together = true;
        for (int i = 0; i < conversation.Steps.Count; i++)
        {
            Step step = conversation.Steps[i];
            bool ours = filter.Passed[number, i], theirs = kernel[number, i];
            string verdict = filter.Verdict(number, i), phase = filter.Phase(number, i);
            if (step.Fate != Fate.Open && ours != (step.Fate == Fate.MustPass))
            {
                string what = ours ? "Filter lets an illegal packet pass" : $"Filter loses a legal packet ({verdict})";
                Blame($"{what}: {conversation.Subject}, {phase}, {step.Kind}", conversation, i, kernel, filter);
                return;
            }

            if (!together)
            {
                Behind++;
                continue;
            }

            Packets++;
            Passed += ours && theirs ? 1 : 0;
            if (ours == theirs)
            {
                continue;
            }

            together = false;
            int known = Array.FindIndex(
                AcceptedDifferences.All, one => one.Covers(conversation.Subject, phase, step.Kind, ours, verdict));
            if (known >= 0)
            {
                _accepted[known]++;
            }
            else
            {
                string what = ours ? "the kernel drops, Filter passes" : $"the kernel passes, Filter drops ({verdict})";
                Blame($"{what}: {conversation.Subject}, {phase}, {step.Kind}", conversation, i, kernel, filter);
                return;
            }
        }
    }

    private void Blame(string kind, Conversation conversation, int at, CameOut kernel, FilterWalk filter)
    {
        (int count, string? example) = _faults.GetValueOrDefault(kind);
        _faults[kind] = (count + 1, example ?? conversation.Print(i => i > at ? "" : string.Create(
            CultureInfo.InvariantCulture,
            $"  {filter.Phase(conversation.Number, i)}: kernel {(kernel[conversation.Number, i] ? "passes" : "drops")}, "
            + $"Filter {filter.Verdict(conversation.Number, i)}{(i == at ? "   <<<" : "")}")));
    }
}
