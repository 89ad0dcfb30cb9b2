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

    /// <summary>Most flows looked at for expiry a tick.</summary>
    private const int ExpiryBudget = 256;

    private readonly TTrace _trace;
    private RateLimits _limits;

    /// <summary>Builds the walk; everything it will ever need is allocated here.</summary>
    public PacketPath(PathSettings settings, TTrace trace = default)
        : base(settings)
    {
        _trace = trace;
        _limits = new RateLimits(settings.Ruleset);
        Ipsec = settings.Ipsec;
    }

    /// <inheritdoc/>
    public override long HeldNow => 0;

    /// <inheritdoc/>
    public override void Walk(Burst burst)
    {
        int came = burst.Count;
        Counters.In += came;
        Parse(burst);                       // offsets and keys, or the reason; fragments wait for their rest
        for (int depth = 0; depth < MaxDepth && Ipsec is { } ipsec && ipsec.Open(burst, 0) > 0; depth++)
        {
            Parse(burst);                   // ours: verified, opened, and walked as if it had just arrived
        }

        Route(burst);                       // the far port, and which way that crosses the boundary
        FindFlows(burst);                   // one lookup a packet; the inbound SPD check comes before tracking
        OpenFlows(burst);                   // misses only: rules, SPD
        Track(burst);                       // one row of one table a packet
        Ipsec?.Protect(burst);              // what policy says to seal
        Account(burst, came);
    }

    /// <inheritdoc/>
    public override void Tick(Burst burst)
    {
        Counters.Expired += Flows.Expire(burst.Now, ExpiryBudget);
        Account(burst, 0);
    }

    /// <inheritdoc/>
    public override void Publish(IRuleset ruleset, IIpsecStage? ipsec)
    {
        Counters.Adopt(Ruleset, ruleset);
        _limits = new RateLimits(ruleset);
        Ruleset = ruleset;
        Ipsec = ipsec;
        Generation++;
    }

    private void Parse(Burst burst)
    {
        ParseUnknown(burst);
    }

    private void ParseUnknown(Burst burst)
    {
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet.Done || packet.Own || packet.Kind != PacketKind.Unknown)
            {
                continue;
            }

            DropReason why = packet.Reason == DropReason.None ? Parser.Parse(ref packet) : packet.Reason;
            if (why == DropReason.None && packet.Depth > 0 && packet.Kind != PacketKind.Fragment
                && (packet.Kind == PacketKind.Link || !Ipsec!.Fits(packet)))
            {
                // What comes out of an SA must be what its policy lets in (RFC 4301 §5.2, step 4).
                why = DropReason.WrongSelectors;
            }

            if (why != DropReason.None)
            {
                packet.Drop(why);
            }

            if (TTrace.On)
            {
                _trace.Note(packet, "parse", why == DropReason.None ? packet.Kind.ToString() : why.Name());
            }
        }
    }

    private void Route(Burst burst)
    {
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet.Done || packet.Own)
            {
                continue;
            }

            if (packet.Kind == PacketKind.Link && !Parser.IsSpanningTree(packet) && !Ruleset.PassesEtherType(packet.EtherType))
            {
                packet.Drop(packet.EtherType == EtherTypes.Arp ? DropReason.BadArp : DropReason.UnknownEtherType);
                continue;
            }

            packet.Egress = (ushort)(((1 << Settings.Ports.Count) - 1) & ~(1 << packet.Ingress));
            if (packet.Egress == 0)
            {
                packet.Drop(DropReason.NoEgress);
                continue;
            }

            packet.Direction = Crossing(packet.Ingress, packet.Egress);
            if (packet.Kind == PacketKind.Link)
            {
                packet.Verdict = Verdict.Pass;
                packet.Done = true;
            }

            if (TTrace.On)
            {
                _trace.Note(packet, "route", $"{packet.Direction} by {PortNames(packet.Egress)}");
            }
        }
    }

    private Direction Crossing(byte ingress, ushort egress)
    {
        Side from = Settings.Ports[ingress].Side;
        Side to = Settings.Ports[System.Numerics.BitOperations.TrailingZeroCount(egress)].Side;
        return from == to ? Direction.Across : from == Side.Protected ? Direction.Out : Direction.In;
    }

    private string PortNames(ushort mask) =>
        string.Join(", ", Settings.Ports.Where(port => (port.Mask & mask) != 0).Select(port => port.Name));

    private void Account(Burst burst, int came)
    {
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            Counters.Out += System.Numerics.BitOperations.PopCount(packet.Egress);
            if (packet.Own)
            {
                Counters.Own++;
                continue;
            }

            if (i >= came)
            {
                continue;                   // a segment, a fragment, a packet that had been held: its whole is counted
            }

            Counters.Count(packet);
            if (packet.Verdict is Verdict.Drop or Verdict.Reject || packet.Log)
            {
                Events.Write(packet, Ruleset);
            }
        }
    }
}
