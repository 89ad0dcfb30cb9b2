using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Runtime.CompilerServices;
using Filter.Engine.Flows;
using Filter.Engine.Fragments;
using Filter.Engine.Local;
using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Engine.Wire;

namespace Filter.Engine.Path;

/// <summary>The walk, specialised by who listens to it.</summary>
/// <typeparam name="TTrace"><see cref="NoTrace"/> on the data path; a listener for `explain`.</typeparam>
public sealed partial class PacketPath<TTrace> : PacketPath
    where TTrace : struct, ITrace
{
    /// <summary>Most tunnels inside each other, and most rounds of parse and open.</summary>
    private const int MaxDepth = 4;

    /// <summary>Flows, and fragments, looked at for expiry a tick; the worker looks at more flows between its bursts.</summary>
    private const int ExpiryBudget = 256;

    /// <summary>The part of a table looked at a tick for what may end early, or waits in vain. And the most.</summary>
    private const int ExpiryPart = 64, ExpiryMost = 2048;

    /// <summary>Flows looked at a tick after the policy changed; the worker looks at more between its bursts.</summary>
    private const int SweepBudget = 256;

    /// <summary>Most flows looked at for one opening that finds the table full.</summary>
    private const int RoomBudget = 32;

    private readonly TTrace _trace;
    private readonly Reassembler _reassembler;
    private readonly Bridge _bridge;
    private readonly Neighbours _neighbours;
    private readonly WaitingRoom _waiting;
    private readonly Coalescer _coalescer = new();
    private readonly ushort _takesSegments, _takesDatagrams, _apart;
    private readonly int[] _mtus = new int[16];
    private readonly PacketFacts[] _kept = new PacketFacts[Burst.Intake];
    private readonly int _leastMtu = int.MaxValue;
    private readonly ushort _protected;
    private RuleLimits _limits;
    private FlowLifetimes[] _lifetimes;
    private long _removals;
    private bool _timely;
    private long _now;

    /// <summary>
    /// The burst has packets that are not simply of flows: other steps than finding and tracking have something to do. Where it has none,
    /// and mostly it has none, those steps do not even look.
    /// </summary>
    private bool _rare;

    /// <summary>Builds the walk; everything it will ever need is allocated here.</summary>
    public PacketPath(PathSettings settings, TTrace trace = default)
        : base(settings)
    {
        _trace = trace;
        _seat = settings.Seat;
        _reassembler = new Reassembler(settings.Fragments, Counters);
        _bridge = _seat?.Crew.Bridge ?? new Bridge(settings.Ports, settings.Local);
        _neighbours = new Neighbours(settings.Local, Counters);
        _waiting = new WaitingRoom(Counters);
        _limits = new RuleLimits(settings.Ruleset, Flows.Capacity);
        Flows.Standings.Rules = _limits.Shares;
        _oldest = Counters.Rules;
        _solicitations = new Solicitations(Policy.Admission.Solicitations);
        _kinds = settings.Ruleset.Kinds;
        AdoptLimits();
        AdoptAnswers();
        Adopt(LifetimesOf(settings.Ruleset));
        Ipsec = settings.Ipsec;
        _waiting.Open(Ipsec is { AwaitsKeys: true });
        foreach (Port port in settings.Ports)
        {
            _mtus[port.Number] = port.Mtu;
            _leastMtu = Math.Min(_leastMtu, port.Mtu);
            _protected |= port.Side == Side.Protected ? port.Mask : (ushort)0;
            _takesSegments |= port.Takes(GsoKind.TcpV4) && port.Takes(GsoKind.TcpV6) ? port.Mask : (ushort)0;
            _takesDatagrams |= port.Takes(GsoKind.Udp) ? port.Mask : (ushort)0;
            _apart |= port.ComesApart ? port.Mask : (ushort)0;
        }
    }

    /// <inheritdoc/>
    public override long HeldNow => _reassembler.HeldNow + _neighbours.HeldNow + _waiting.HeldNow;

    /// <inheritdoc/>
    public override void Walk(Burst burst)
    {
        if (!_timely)
        {
            LookAtTime(burst.Now);          // a ruleset is never asked before it knows the time
        }

        _rare = false;
        Parse(burst);                       // offsets and keys, or the reason
        Ipsec?.Part(burst);                 // what came as one super-frame, but is sealed apart
        int came = burst.Count;
        Counters.In += came;
        if (_seat is not null)
        {
            LeaveOutPieces(burst, came);
        }

        Complete(burst);                    // fragments wait for their rest
        for (int depth = 0; depth < MaxDepth && Ipsec is { } ipsec && ipsec.Open(burst, 0) > 0; depth++)
        {
            Parse(burst);                   // ours: verified, opened, and walked as if it had just arrived
            Complete(burst);
        }

        Admit(burst);                       // who may speak to the link as what: routers, servers, neighbours
        Route(burst);                       // the far port, and which way that crosses the boundary
        FindFlows(burst);                   // one lookup a packet; the inbound SPD check comes before tracking
        OpenFlows(burst);                   // misses only: rules, SPD
        Track(burst);                       // one row of one table a packet
        Answer(burst);                      // what was rejected, or is too big for its far port
        KeepFacts(burst, came);             // what a log will show of what is sealed now
        Protect(burst, came);               // what policy says to seal
        Release(burst);                     // fragments go on as they came
        ResolveHops(burst, came);           // next hops of what Filter itself addressed
        Coalesce(burst);                    // what came apart leaves in one piece
        if (_seat is not null)
        {
            LeaveOutGone(burst, came);
        }

        Account(burst, came);
    }

    /// <inheritdoc/>
    public override bool Reclaim(long now, int most)
    {
        if (Flows.HasMoreToExpire)
        {
            Counters.Expired += Flows.Expire(now, most);
        }

        return Flows.HasMoreToExpire;
    }

    private static int BudgetOf(int count) => Math.Clamp(count / ExpiryPart, ExpiryBudget, ExpiryMost);

    /// <inheritdoc/>
    public override void Tick(Burst burst)
    {
        LookAtTime(burst.Now);
        Counters.Expired += Flows.Expire(burst.Now, ExpiryBudget);
        Counters.ExpectationsExpired += Flows.Expectations.Expire(burst.Now, BudgetOf(Flows.Expectations.Count));
        EndEarly(burst.Now);
        Flows.Trim();
        Sweep(burst.Now, SweepBudget);
        _reassembler.Expire(burst.Now, ExpiryBudget);
        _neighbours.Tick(burst);
        AnswerUnsolicited(burst);
        if (Ipsec is { } ipsec)
        {
            ipsec.Tick(burst);
            _waiting.Expire(burst.Now);
            if (_waiting.Release(burst, ipsec) > 0)
            {
                Seal(burst, ipsec, came: 0);
            }

            ResolveHops(burst, came: 0);
        }

        Account(burst, 0);
    }

    /// <inheritdoc/>
    public override Publication Prepare(IRuleset ruleset, bool keepsFlows = false)
    {
        RuleBook before = Counters.Rules, rules = before.Follow(ruleset, keepsFlows);
        return new Publication(ruleset, before, rules, new RuleLimits(ruleset, Flows.Capacity, _limits, rules), LifetimesOf(ruleset));
    }

    /// <inheritdoc/>
    public override void Publish(Publication ready, IIpsecStage? ipsec)
    {
        if (ready.Follows != Counters.Rules)
        {
            ready = Prepare(ready.Ruleset, ready.Rules.Keeps);      // another one came between: late, but right
        }

        ready.Limits.GoOnFrom(_limits);
        _limits = ready.Limits;
        Flows.Standings.Rules = _limits.Shares;
        Ruleset = ready.Ruleset;
        _kinds = Ruleset.Kinds;
        Adopt(ready.Lifetimes);
        _solicitations.Adopt(Policy.Admission.Solicitations);
        AdoptLimits();
        AdoptAnswers();
        Ipsec = ipsec;
        _waiting.Open(ipsec is { AwaitsKeys: true });
        _reassembler.ForgetOpened();
        _timely = false;
        if (_seat is { Number: 0 })
        {
            Ruleset.Advance(_now);          // before another worker asks it
            _seat.Crew.Renew();
        }

        BeginSweep();
        Adopt(ready.Rules);
    }

    private void LookAtTime(long now)
    {
        _timely = true;
        _now = now;
        if (_seat is null ? Ruleset.Advance(now) : Advances(now))
        {
            BeginSweep();
        }
    }

    /// <summary>The policy's lifetimes, and behind them those of rules that set their own; up to the largest number there can be.</summary>
    private static FlowLifetimes[] LifetimesOf(IRuleset ruleset)
    {
        var lifetimes = new FlowLifetimes[byte.MaxValue + 1];
        Array.Fill(lifetimes, new FlowLifetimes(ruleset.Policy.Timers));
        for (int i = 0; i < ruleset.Timers.Count; i++)
        {
            lifetimes[i + 1] = new FlowLifetimes(ruleset.Timers[i]);
        }

        return lifetimes;
    }

    [MemberNotNull(nameof(_lifetimes))]
    private void Adopt(FlowLifetimes[] lifetimes)
    {
        _lifetimes = lifetimes;
        FlowTimers timers = Policy.Timers;
        _reassembler.Adopt(timers[FlowTimer.FragmentsIpv4], timers[FlowTimer.FragmentsIpv6]);
    }

    private void Complete(Burst burst)
    {
        if (_seat is not null)
        {
            SendHome(burst);
        }

        if (_reassembler.Complete(burst, 0, Ipsec) > 0)
        {
            Parse(burst);
            if (_seat is not null)
            {
                SendHome(burst);
            }
        }

        TellHeld(burst);
    }

    private void TellHeld(Burst burst)
    {
        for (int i = 0; TTrace.On && i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet.Kind == PacketKind.Fragment && packet.Done && !packet.Own)
            {
                _trace.Note(packet, "reassemble", packet.Verdict == Verdict.Held ? "a fragment: waits for its rest" : packet.Reason.Name());
            }
        }
    }

    private void Protect(Burst burst, int came)
    {
        if (Ipsec is { } stage)
        {
            _reassembler.Restore(burst, stage);
            _waiting.Release(burst, stage);
            Seal(burst, stage, came);
        }
    }

    private void Seal(Burst burst, IIpsecStage stage, int came)
    {
        if (_seat is not null)
        {
            MarkPieces(burst, came);
        }

        if (stage.Protect(burst) > 0)
        {
            _waiting.Take(burst, came);
            TellWaiting(burst);
        }
    }

    private void TellWaiting(Burst burst)
    {
        for (int i = 0; TTrace.On && i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet.Ipsec == IpsecAction.Protect && packet.Verdict == Verdict.Held)
            {
                _trace.Note(packet, "protect", "waits for keys: they are asked for");
            }
        }
    }

    /// <summary>Original fragments that a far port is too small for are cut further, where they may be.</summary>
    private void Release(Burst burst)
    {
        int before = burst.Count;
        _reassembler.Release(burst);
        for (int i = before, count = burst.Count; i < count; i++)
        {
            CheckSize(burst, i);
        }
    }

    private void Coalesce(Burst burst)
    {
        if (Ipsec is not null || (_apart != 0 && Coalescer.IsWorthwhile(burst, _apart)))
        {
            Counters.Coalesced += _coalescer.Merge(burst, _takesSegments, _takesDatagrams, _apart);
        }
    }

    private void Parse(Burst burst)
    {
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet.Done || packet.Own || packet.Kind != PacketKind.Unknown)
            {
                _rare |= IsRare(packet);    // what another worker has parsed was not looked at here
                continue;
            }

            DropReason why = packet.Reason == DropReason.None ? Parser.Parse(ref packet) : packet.Reason;
            why = why == DropReason.None && OffloadCheck.Concerns(packet) ? OffloadCheck.Settle(ref packet) : why;
            if (why == DropReason.None && packet.Depth > 0 && packet.Kind != PacketKind.Fragment
                && (packet.Kind == PacketKind.Link || !Ipsec!.Fits(ref packet)))
            {
                // What comes out of an SA must be what its policy lets in (RFC 4301 §5.2, step 4).
                why = DropReason.WrongSelectors;
            }

            if (why != DropReason.None)
            {
                packet.Drop(why);
            }

            _rare |= IsRare(packet);
            if (TTrace.On)
            {
                _trace.Note(packet, "parse", why == DropReason.None ? Describe(packet) : why.Name());
            }
        }
    }

    private static bool IsRare(in Packet packet) =>
        packet.Kind != PacketKind.Tracked || packet.SpeaksToLink || packet.Key.Segment != 0;

    private static string Describe(in Packet packet) => packet.Kind switch
    {
        PacketKind.Tracked => $"{ProtocolOf(packet)}, tracked",
        PacketKind.Untracked => $"{ProtocolOf(packet)}, judged packet by packet",
        PacketKind.IcmpError => "an ICMP error: belongs to the flow it quotes",
        PacketKind.Fragment => "a fragment",
        _ => "not IP: the link policy decides",
    };

    private static string ProtocolOf(in Packet packet) =>
        ProtocolNames.Word(packet.Key.Protocol) ?? $"protocol {packet.Key.Protocol}";

    /// <summary>A log shows what was sealed, which cannot be read any more afterwards.</summary>
    private void KeepFacts(Burst burst, int came)
    {
        for (int i = 0; Ipsec is not null && i < Math.Min(came, _kept.Length); i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet.Log && IsSealed(packet))
            {
                _kept[i] = PacketFacts.Of(packet);
            }
        }
    }

    private static bool IsSealed(in Packet packet) => packet.Ipsec == IpsecAction.Protect && packet.Direction == Direction.Out;

    private void Account(Burst burst, int came)
    {
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            Counters.Out += BitOperations.PopCount(packet.Egress);
            if (packet.Own)
            {
                Counters.Own++;
                continue;
            }

            if (i >= came || (packet.Guest & GuestState.Piece) != 0)
            {
                continue;                   // a segment, a fragment, a packet that had been held: its whole is counted
            }

            Counters.Count(packet);
            if ((packet.Verdict is Verdict.Drop or Verdict.Reject || packet.Log) && !Events.Muted)
            {
                Events.Write(packet, packet.Log && IsSealed(packet) && i < _kept.Length ? _kept[i] : PacketFacts.Of(packet), Counters.Rules);
            }
        }
    }
}
