using Filter.Engine.Flows;
using Filter.Engine.Packets;

namespace Filter.Engine.Path;

/// <content>What one path knows of a packet, for another one that rehearses its walk.</content>
public sealed partial class PacketPath<TTrace>
{
    /// <inheritdoc/>
    public override PathExcerpt Excerpt(in FlowKey key, byte ingress, long now)
    {
        int number = Flows.Find(key, out _);
        bool ended = Flows.EndedByTimer(key, now);
        if (number != 0 && Flows[number].Deadline <= now)
        {
            ended |= Flows[number].ReplyPackets > 0;        // its time is over, though nobody has looked yet
            number = 0;
        }

        int expected = number != 0 ? Flows[number].Expectation : Flows.Expectations.Find(key, ingress, now);
        Expectation? expectation = expected == 0 ? null : Renamed(Flows.Expectations[expected]);
        FlowReference parent = number != 0 ? Flows[number].Parent : expectation?.Parent ?? default;
        bool lives = parent.Number != 0 && Flows.Is(parent);
        return new PathExcerpt(Counters.Rules, Generation, now)
        {
            Key = key,
            Ended = ended,
            Number = number,
            Flow = Renamed(Flows[number]),
            Rule = number == 0 ? default : RuleOf(Flows[number]),
            ParentNumber = lives ? parent.Number : 0,
            Parent = lives ? Renamed(Flows[parent.Number]) : default,
            Expectation = expectation,
        };
    }

    /// <inheritdoc/>
    public override IReadOnlyDictionary<int, int> Adopt(PathExcerpt excerpt)
    {
        RuleBook rules = excerpt.Rules.Fork();
        Counters.Adopt(rules);
        (_oldest, _lapBook) = (rules, null);
        (_policyLap, _bookLap) = (default, default);
        (Generation, _timely) = (excerpt.Generation, true);

        Dictionary<int, int> numbers = [];
        FlowReference parent = new(Flows.Capacity, uint.MaxValue);      // nobody's
        if (excerpt.ParentNumber != 0)
        {
            int copy = Flows.AddCopy(excerpt.Parent, excerpt.Now);
            numbers[copy] = excerpt.ParentNumber;
            parent = Flows.ReferenceTo(copy);
        }

        if (excerpt.Ended)
        {
            Flows.NoteEnded(excerpt.Key, excerpt.Now);
        }

        int expected = 0;
        if (excerpt.Expectation is { } expectation)
        {
            expectation.Parent = parent;
            expectation.Holders = excerpt.Number == 0 ? 0 : 1;
            expected = Flows.Expectations.Add(expectation);
            if (!expectation.Open)
            {
                Flows.Expectations.Close(expected);
            }
        }

        if (excerpt.Number != 0)
        {
            int copy = Flows.AddCopy(excerpt.Flow, excerpt.Now);
            numbers[copy] = excerpt.Number;
            ref Flow flow = ref Flows[copy];
            flow.Expectation = expected;
            flow.Parent = flow.Parent.Number != 0 ? parent : default;
            if (expected != 0 && flow.Parent.Number == 0 && excerpt.Expectation!.Value.Parent == new FlowReference(excerpt.Number, excerpt.Flow.Serial))
            {
                Flows.Expectations[expected].Parent = Flows.ReferenceTo(copy);
            }
        }

        return numbers;
    }

    private Flow Renamed(in Flow flow)
    {
        Flow copy = flow;
        copy.Rule = NumberNow(flow.Rule, flow.Generation);
        copy.Opening = Renewed(flow.Opening, flow.Generation);
        return copy;
    }

    private Expectation Renamed(in Expectation expectation)
    {
        Expectation copy = expectation;
        copy.Rule = NumberNow(expectation.Rule, expectation.Generation);
        copy.Opening = Renewed(expectation.Opening, expectation.Generation);
        return copy;
    }
}
