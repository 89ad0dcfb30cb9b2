using Filter.Engine.Flows;
using Filter.Engine.Flows.Trackers;
using Filter.Engine.Packets;

namespace Filter.Engine.Path;

/// <content>What an opening may take of the flow table, and what goes for it.</content>
public sealed partial class PacketPath<TTrace>
{
    /// <summary>Steps by which lifetimes shrink: so that a flow's deadline moves back at most so many times.</summary>
    private const int Steps = 16;

    private RateLimit? _sourceRate;
    private int _ordinary;
    private int _shortensFrom;
    private int _pressure;

    /// <summary>Puts the ruleset's limits in force; what is in the table stays.</summary>
    private void AdoptLimits()
    {
        FlowLimits limits = Policy.Limits;
        int capacity = Flows.Capacity;
        Flows.Standings.Sources.Most = limits.PerSource?.Of(capacity) ?? int.MaxValue;
        Flows.Standings.Destinations.Most = limits.HalfOpen?.Of(capacity) ?? int.MaxValue;
        _sourceRate = limits.SourceRate;
        _ordinary = capacity - limits.ManagementReserve.Of(capacity);
        _shortensFrom = limits.ShortensFrom is { } hundredths ? Portion.Percent(hundredths).Of(capacity) : capacity;
    }

    /// <summary>
    /// Whether an opening finds room. Who is at a limit gives up the oldest of their own that is not proven; so does the
    /// table, once nothing in it is over. What is proven is never given up.
    /// </summary>
    /// <returns>False where it finds none; the packet is dropped.</returns>
    private bool Admit(ref Packet packet, bool management, long now)
    {
        ShareKey from = ShareKey.OfSource(packet.Key, management), to = ShareKey.OfDestination(packet.Key, management);
        ShareTable sources = Flows.Standings.Sources, destinations = Flows.Standings.Destinations;
        ref Share source = ref sources[sources.Reach(from)];
        if (_sourceRate is not null && _seat is not null)
        {
            CatchUp(ref source, Listing.Sources, from);
        }

        if (_sourceRate is { } rate && !TokenBucket.TryTake(ref source.Spent, rate, now))
        {
            return Refuse(ref packet, DropReason.SourceRate, Limit.SourceRate, from);
        }

        if (!MakesWay(source, new Demand(Listing.Sources, from, Limit.SourceFlows, from), sources.Most, now))
        {
            return Refuse(ref packet, DropReason.SourceLimit, Limit.SourceFlows, from);
        }

        ref Share destination = ref destinations[destinations.Reach(to)];
        MakesWay(destination, new Demand(Listing.Destinations, to, Limit.HalfOpen, to), destinations.Most, now);

        return !IsFull(management) || MakeRoom(management, to, now)
            || Refuse(ref packet, DropReason.TableFull, Limit.Table, to);
    }

    /// <summary>
    /// Whether the rule has room for another flow, of this source and at all. As everywhere, what is not proven is given up for
    /// it, the source's own first: so whoever opens in another's name keeps that one out of nothing.
    /// </summary>
    private bool FindsPlace(ref Packet packet, in Judgement judgement, long now)
    {
        RuleLimit limit = judgement.Limited ? _limits[judgement.Rule] : RuleLimit.None;
        return (limit.SourceConnections is not { } ofSource || FindsPlace(ref packet, _limits.OfSource(judgement.Rule, packet.Key), ofSource, now))
            && (limit.Connections is not { } most || FindsPlace(ref packet, _limits.Whole(judgement.Rule), most, now));
    }

    private bool FindsPlace(ref Packet packet, in ShareKey key, int most, long now)
    {
        ShareTable shares = _limits.Shares!;
        ShareKey whose = ShareKey.OfSource(packet.Key, management: false);
        if (MakesWay(shares[shares.Reach(key)], new Demand(Listing.Rules, key, Limit.RuleFlows, whose), most, now))
        {
            return true;
        }

        Counters.Rules.CountLimited(packet.Rule);
        return Refuse(ref packet, DropReason.ConnectionLimit, Limit.RuleFlows, whose);
    }

    /// <summary>Whether a share is below its limit, or comes there because its oldest that is not proven is given up, here or at another worker.</summary>
    private bool MakesWay(in Share share, in Demand demand, int most, long now)
    {
        // Two, so that a limit that was lowered is reached in the end.
        for (int i = 0, asked = 0; i < 2 && Held(share, demand.Of, demand.Key) - asked >= most; i++)
        {
            if (GiveUp(share.Openings.Oldest, demand.Limit, demand.Whose, now))
            {
                continue;
            }

            if (_seat is null || !TryDemand(demand))
            {
                return false;
            }

            asked++;
        }

        return true;
    }

    /// <summary>A flow counts for the rule that lets it in, from now on.</summary>
    private void CountInRule(int number)
    {
        if (Flows.Standings.Rules is null)
        {
            return;
        }

        ref readonly Flow flow = ref Flows[number];
        RuleLimit limit = _limits[flow.Rule];
        Flows.Standings.Count(
            number,
            limit.Connections is null ? null : _limits.Whole(flow.Rule),
            limit.SourceConnections is null ? null : _limits.OfSource(flow.Rule, flow.Key));
    }

    /// <summary>What is over makes room first, then what nobody has proven.</summary>
    private bool MakeRoom(bool management, in ShareKey to, long now)
    {
        Counters.Expired += Flows.Expire(now, RoomBudget);
        return !IsFull(management)
            || (_seat is null ? GiveUp(Flows.Standings.First(management), Limit.Table, to, now) : MakeRoomAmongAll(management, to, now));
    }

    /// <summary>The reserve is for rules marked `management`, which may use all else too.</summary>
    private bool IsFull(bool management) =>
        FlowsOfAll() is var flows && (flows >= Flows.Capacity || (!management && flows - ManagementOfAll() >= _ordinary));

    private bool GiveUp(int flow, Limit limit, in ShareKey whose, long now)
    {
        if (flow == 0)
        {
            return false;
        }

        if (Flows[flow].Deadline <= now)
        {
            Flows.End(flow, now);
            Counters.Expired++;
            return true;
        }

        Flows.Remove(flow);
        Counters.Evicted++;
        Counters.Limits.GiveUp(limit, whose);
        return true;
    }

    private bool Refuse(ref Packet packet, DropReason why, Limit limit, in ShareKey whose)
    {
        packet.Drop(why);
        Counters.Limits.Refuse(limit, whose);
        Tell(packet, "limits", "finds no room in the flow table");
        return false;
    }

    /// <summary>
    /// How much a flow has shown. A spoofed sender gets no further than half a handshake, or datagrams that are answered:
    /// those prove nothing of who sends them from outside.
    /// </summary>
    private static FlowStanding StandingOf(in Flow flow) => flow.Class switch
    {
        FlowClass.Tcp => (TcpPhase)flow.State switch
        {
            TcpPhase.Established or TcpPhase.Closing or TcpPhase.Resetting =>
                flow.ReplyPackets == 0 ? FlowStanding.HalfOpen : FlowStanding.Proven,       // picked up midstream, perhaps by a forged segment
            TcpPhase.TimeWait or TcpPhase.Reset => FlowStanding.Ended,
            _ => FlowStanding.HalfOpen,
        },
        FlowClass.Sctp => (SctpPhase)flow.State switch
        {
            SctpPhase.Ended => FlowStanding.Ended,
            >= SctpPhase.Established => FlowStanding.Proven,
            _ => FlowStanding.HalfOpen,
        },
        _ => flow.ReplyPackets == 0 ? FlowStanding.HalfOpen
            : flow.ForwardPackets > 1 && flow.Packed.Direction != Direction.In ? FlowStanding.Proven
            : FlowStanding.Answered,
    };

    /// <summary>Looks how full the table is, once a burst.</summary>
    private void FeelPressure()
    {
        long beyond = FlowsOfAll() - _shortensFrom;
        _pressure = beyond <= 0 ? 0 : (int)(beyond * Steps / (Flows.Capacity - _shortensFrom));
    }

    /// <summary>
    /// A lifetime, under pressure less of it: from where the ruleset says to a full table, what is not proven comes down to
    /// a tenth, what is to a half.
    /// </summary>
    private long Shortened(ref Flow flow, long lifetime)
    {
        flow.Pressure = (byte)_pressure;
        return _pressure == 0 ? lifetime : lifetime - Cut(flow, lifetime, _pressure);
    }

    private static long Cut(in Flow flow, long lifetime, int pressure) =>
        flow.Proven ? lifetime / (2 * Steps) * pressure : lifetime / (10 * Steps) * 9 * pressure;

    /// <summary>
    /// Under pressure, what was given its time when there was room ends as if it had been given it now: the oldest of what
    /// is not proven is looked at.
    /// </summary>
    private void EndEarly(long now)
    {
        FeelPressure();
        Standings standings = Flows.Standings;
        int budget = BudgetOf(Flows.Count);
        for (int list = 0; list < standings.Lists && _pressure > 0; list++)
        {
            int next;
            for (int flow = standings.First(list); flow != 0 && budget > 0; flow = next, budget--)
            {
                next = standings.Next(flow);
                ref Flow record = ref Flows[flow];
                int more = _pressure - record.Pressure;
                // What a rule of an earlier ruleset had set is known no more: the sweep comes to it soon.
                bool known = record.Timers == 0 || record.Generation == Generation;
                if (more > 0 && known && record.Deadline - Cut(record, Lifetime(record), more) <= now)
                {
                    Flows.End(flow, now);
                    Counters.Expired++;
                }
            }
        }
    }
}
