using Filter.Engine.Memory;

using System.Runtime.CompilerServices;

namespace Filter.Engine.Flows;

/// <summary>Which list a link of a flow belongs to: a flow stands in at most one of each kind.</summary>
internal enum Listed
{
    /// <summary>One of the table's lists of what it may give up.</summary>
    Table,

    /// <summary>Its opener's flows that are not proven.</summary>
    Source,

    /// <summary>The half-open flows to its destination.</summary>
    Destination,

    /// <summary>Flows of its rule that are not proven.</summary>
    Rule,

    /// <summary>Those of them that its source has opened.</summary>
    RuleSource,
}

/// <summary>A flow's neighbours in a list by age; 0 for none.</summary>
internal struct AgeLink
{
    public int Older, Newer;
}

/// <summary>A flow's links, one for each <see cref="Listed"/>.</summary>
[InlineArray(5)]
internal struct AgeLinks
{
    private AgeLink _link;
}

/// <summary>Flows by age, through their records: entered at one end, given up from the other, left from anywhere.</summary>
internal struct AgeList
{
    /// <summary>The first to go; 0 where the list is empty.</summary>
    public int Oldest;

    /// <summary>The last to go.</summary>
    public int Newest;

    /// <summary>Puts a flow in, as the last to go.</summary>
    public void Enter(Records<Flow> flows, int flow, Listed list)
    {
        flows[flow].Links[(int)list] = new AgeLink { Older = Newest };
        (Newest == 0 ? ref Oldest : ref flows[Newest].Links[(int)list].Newer) = flow;
        Newest = flow;
    }

    /// <summary>Puts a flow in, as the first to go.</summary>
    public void EnterFirst(Records<Flow> flows, int flow, Listed list)
    {
        flows[flow].Links[(int)list] = new AgeLink { Newer = Oldest };
        (Oldest == 0 ? ref Newest : ref flows[Oldest].Links[(int)list].Older) = flow;
        Oldest = flow;
    }

    /// <summary>Takes a flow out; it must be in.</summary>
    public void Leave(Records<Flow> flows, int flow, Listed list)
    {
        AgeLink link = flows[flow].Links[(int)list];
        (link.Older == 0 ? ref Oldest : ref flows[link.Older].Links[(int)list].Newer) = link.Newer;
        (link.Newer == 0 ? ref Newest : ref flows[link.Newer].Links[(int)list].Older) = link.Older;
    }
}
