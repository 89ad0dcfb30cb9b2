using Filter.Engine.Flows;
using Filter.Engine.Packets;

namespace Filter.Engine.Path;

/// <content>
/// Flows under a new policy: whoever no packet asks for is judged again a few at a time, in a circle. First flows that rules let
/// in, then expectations, then flows that came by them.
/// </content>
public sealed partial class PacketPath<TTrace>
{
    private int _at;
    private Lap _policyLap, _bookLap;
    private RuleBook? _lapBook;
    private RuleBook _oldest;
    private long _looked;

    /// <inheritdoc/>
    public override int? JudgedAgain =>
        _policyLap.Runs ? (int)Math.Min(99, 100 * _looked / Math.Max(1, (2L * Flows.Last) + Flows.Expectations.Last)) : null;

    private int EndOfFlows => Flows.Capacity + 1;

    private int EndOfExpectations => EndOfFlows + Flows.Expectations.Capacity + 1;

    private int EndOfAll => EndOfExpectations + EndOfFlows;

    /// <inheritdoc/>
    public override bool Sweep(long now, int most)
    {
        if (_policyLap.Runs && !_timely)
        {
            LookAtTime(now);
        }

        for (; most > 0 && (_policyLap.Runs || _bookLap.Runs); most--)
        {
            LookAt(_at, now);
            Advance();
        }

        return _policyLap.Runs || _bookLap.Runs;
    }

    /// <inheritdoc/>
    public override RuleName RuleOf(in Flow flow) => Counters.Rules.Name(NumberNow(flow.Rule, flow.Generation));

    /// <summary>The policy changed: every flow is judged again, from where the circle stands.</summary>
    private void BeginSweep()
    {
        Generation++;
        _looked = 0;
        _policyLap = new Lap(_at);
    }

    /// <summary>
    /// Numbers are another book's from this generation on. The books before are kept until all flows have been met: so a flow's
    /// number always has a name.
    /// </summary>
    private void Adopt(RuleBook rules)
    {
        rules.Since = Generation;
        Counters.Rules.Next = rules;
        Counters.Adopt(rules);
        if (!_bookLap.Runs)
        {
            _lapBook = rules;
            _bookLap = new Lap(_at);
        }
    }

    /// <summary>The number in force of the rule that had this number in that generation.</summary>
    private int NumberNow(int rule, int generation)
    {
        for (RuleBook book = BookOf(generation); book.Next is { } next; book = next)
        {
            rule = next.Renumber(rule);
        }

        return rule;
    }

    /// <summary>An opening of that generation, with the number in force of the policy by which it came.</summary>
    private OpeningFacts Renewed(in OpeningFacts opening, int generation)
    {
        if (opening.ArrivedBy == 0)
        {
            return opening;
        }

        ushort policy = opening.ArrivedBy;
        for (RuleBook book = BookOf(generation); book.Next is { } next; book = next)
        {
            policy = next.Arrival(policy);
        }

        return opening with { ArrivedBy = policy };
    }

    private RuleBook BookOf(int generation)
    {
        RuleBook book = _oldest;
        while (book.Next is { } later && generation - later.Since >= 0)
        {
            book = later;
        }

        return book;
    }

    private void LookAt(int at, long now)
    {
        if (at >= EndOfFlows && at < EndOfExpectations)
        {
            ref Expectation expectation = ref Flows.Expectations[at - EndOfFlows];
            if ((expectation.Open || expectation.Holders > 0) && expectation.Generation != Generation)
            {
                StillAllowed(at - EndOfFlows);
            }

            return;
        }

        bool children = at >= EndOfExpectations;
        int number = children ? at - EndOfExpectations : at;
        ref Flow flow = ref Flows[number];
        if (!flow.Live || flow.Generation == Generation || children != (flow.Parent.Number != 0))
        {
            return;
        }

        if (flow.Deadline <= now)
        {
            Flows.End(number, now);                         // its time was over before: no policy ended it
            Counters.Expired++;
            return;
        }

        JudgeAgain(number, now);
    }

    /// <summary>One further, past what was never used.</summary>
    private void Advance()
    {
        _looked++;
        _at++;
        if (_at > Flows.Last && _at < EndOfFlows)
        {
            _at = EndOfFlows;
        }
        else if (_at - EndOfFlows > Flows.Expectations.Last && _at < EndOfExpectations)
        {
            _at = EndOfExpectations;
        }
        else if (_at - EndOfExpectations > Flows.Last)
        {
            _at = 0;
            _policyLap.Wrapped = _bookLap.Wrapped = true;
        }

        _policyLap.Reach(_at);
        _bookLap.Reach(_at);
        if (!_bookLap.Runs && _lapBook is { } all)
        {
            // No flow has a number of a book before this one.
            _oldest = all;
            _lapBook = all == Counters.Rules ? null : Counters.Rules;
            _bookLap = _lapBook is null ? default : new Lap(_at);
        }
    }

    /// <summary>One round, from where it began to there.</summary>
    private struct Lap(int from)
    {
        public bool Runs = true;
        public bool Wrapped;

        public void Reach(int at) => Runs &= !(Wrapped && at >= from);
    }
}
