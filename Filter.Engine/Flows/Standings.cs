using Filter.Engine.Memory;

namespace Filter.Engine.Flows;

/// <summary>
/// Which flows may be given up, by age, and who has how many: of the whole table, of each opener, of each service. Touched
/// where a flow opens, where its <see cref="FlowStanding"/> changes, and where it ends; never by a packet of a proven flow.
/// </summary>
internal sealed class Standings(Records<Flow> flows)
{
    /// <summary>What is over; openings; both, of rules marked `management`.</summary>
    private readonly AgeList[] _lists = new AgeList[3];

    /// <summary>Openers, with their flows; those not proven by age.</summary>
    public ShareTable Sources { get; } = new(flows.Length - 1);

    /// <summary>Services, with the half-open flows to them, by age.</summary>
    public ShareTable Destinations { get; } = new(flows.Length - 1);

    /// <summary>Rules whose flows are counted, and sources there; null where no rule ever asked for it.</summary>
    public ShareTable? Rules { get; set; }

    /// <summary>Flows that may be given up.</summary>
    public int Unproven { get; private set; }

    /// <summary>Flows of rules marked `management`.</summary>
    public int Management { get; private set; }

    /// <summary>A flow that was opened.</summary>
    public void Add(int flow)
    {
        ref Flow record = ref flows[flow];
        Management += record.Management ? 1 : 0;
        record.SourceShare = Sources.Reach(ShareKey.OfSource(record.Key, record.Management));
        Sources.Take(record.SourceShare);
        Enter(flow, ref record);
    }

    /// <summary>A flow that ends.</summary>
    public void Remove(int flow)
    {
        ref Flow record = ref flows[flow];
        Leave(flow, ref record);
        Sources.Return(record.SourceShare);
        if ((record.RuleShare | record.RuleSourceShare) != 0)
        {
            Return(record.RuleShare);
            Return(record.RuleSourceShare);
        }

        Management -= record.Management ? 1 : 0;
    }

    /// <summary>A flow counts in these shares of its rule's, and in no other; one that it is in already, it keeps its age in.</summary>
    public void Count(int flow, ShareKey? whole, ShareKey? source)
    {
        ref Flow record = ref flows[flow];
        Move(flow, ref record, ref record.RuleShare, whole, Listed.Rule);
        Move(flow, ref record, ref record.RuleSourceShare, source, Listed.RuleSource);
    }

    /// <summary>A flow that has shown more of itself, or has ended.</summary>
    public void Change(int flow, FlowStanding standing)
    {
        ref Flow record = ref flows[flow];
        Leave(flow, ref record);
        record.Standing = standing;
        Enter(flow, ref record);
    }

    /// <summary>
    /// The flow that is given up first: one that is over, then the oldest opening. An opening of a rule marked
    /// `management` goes only for another such, and last.
    /// </summary>
    /// <returns>Its number, or 0 where there is none.</returns>
    public int First(bool management) => _lists[0].Oldest != 0 ? _lists[0].Oldest
        : _lists[1].Oldest != 0 || !management ? _lists[1].Oldest
        : _lists[2].Oldest;

    /// <summary>The flow behind one in its list; 0 at the end.</summary>
    public int Next(int flow) => flows[flow].Links[(int)Listed.Table].Newer;

    /// <summary>How many lists there are of what may be given up.</summary>
    public int Lists => _lists.Length;

    /// <summary>The first flow of such a list; 0 where it is empty.</summary>
    public int First(int list) => _lists[list].Oldest;

    private void Enter(int flow, ref Flow record)
    {
        if (record.Standing == FlowStanding.Proven)
        {
            return;
        }

        Unproven++;
        ref AgeList ofTable = ref ListOf(record);
        ref AgeList ofSource = ref Sources[record.SourceShare].Openings;
        if ((record.RuleShare | record.RuleSourceShare) != 0)
        {
            EnterRule(flow, record, record.RuleShare, Listed.Rule);
            EnterRule(flow, record, record.RuleSourceShare, Listed.RuleSource);
        }

        if (record.Standing == FlowStanding.Ended)
        {
            ofTable.EnterFirst(flows, flow, Listed.Table);
            ofSource.EnterFirst(flows, flow, Listed.Source);
            return;
        }

        ofTable.Enter(flows, flow, Listed.Table);
        ofSource.Enter(flows, flow, Listed.Source);
        if (record.Standing == FlowStanding.HalfOpen)
        {
            record.DestinationShare = Destinations.Reach(ShareKey.OfDestination(record.Key, record.Management));
            Destinations.Take(record.DestinationShare);
            Destinations[record.DestinationShare].Openings.Enter(flows, flow, Listed.Destination);
        }
    }

    private void Leave(int flow, ref Flow record)
    {
        if (record.Standing == FlowStanding.Proven)
        {
            return;
        }

        Unproven--;
        ListOf(record).Leave(flows, flow, Listed.Table);
        Sources[record.SourceShare].Openings.Leave(flows, flow, Listed.Source);
        if ((record.RuleShare | record.RuleSourceShare) != 0)
        {
            LeaveRule(flow, record.RuleShare, Listed.Rule);
            LeaveRule(flow, record.RuleSourceShare, Listed.RuleSource);
        }

        if (record.DestinationShare != 0)
        {
            Destinations[record.DestinationShare].Openings.Leave(flows, flow, Listed.Destination);
            Destinations.Return(record.DestinationShare);
            record.DestinationShare = 0;
        }
    }

    private void Move(int flow, ref Flow record, ref int share, ShareKey? key, Listed list)
    {
        ShareTable rules = Rules!;
        if (share != 0 && rules[share].Key == key)
        {
            return;
        }

        if (record.Standing != FlowStanding.Proven)
        {
            LeaveRule(flow, share, list);
        }

        Return(share);
        share = 0;
        if (key is { } own)
        {
            share = rules.Reach(own);
            rules.Take(share);
            if (record.Standing != FlowStanding.Proven)
            {
                EnterRule(flow, record, share, list);
            }
        }
    }

    private void Return(int share)
    {
        if (share != 0)
        {
            Rules!.Return(share);
        }
    }

    private void EnterRule(int flow, in Flow record, int share, Listed list)
    {
        if (share == 0)
        {
            return;
        }

        ref AgeList openings = ref Rules![share].Openings;
        if (record.Standing == FlowStanding.Ended)
        {
            openings.EnterFirst(flows, flow, list);
        }
        else
        {
            openings.Enter(flows, flow, list);
        }
    }

    private void LeaveRule(int flow, int share, Listed list)
    {
        if (share != 0)
        {
            Rules![share].Openings.Leave(flows, flow, list);
        }
    }

    private ref AgeList ListOf(in Flow record) =>
        ref _lists[record.Management ? 2 : record.Standing == FlowStanding.Ended ? 0 : 1];
}
