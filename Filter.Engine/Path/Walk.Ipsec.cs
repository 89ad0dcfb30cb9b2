using System.Numerics;
using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Engine.Path;

/// <content>What policy says of a packet, and whether it came so (RFC 4301 §5).</content>
public sealed partial class PacketPath<TTrace>
{
    /// <summary>Untracked packets: judged one by one, both ways.</summary>
    private void JudgeAlone(ref Packet packet, long now)
    {
        // Neighbour and router discovery, MLD and IGMP stay on their link, as ARP does: they are not for IPsec between
        // gateways, so none of it is sealed, and none of it comes out of an SA. All else is policy's.
        bool onLink = LinkScope.Holds(packet);
        if (onLink && packet.ArrivedBy != 0)
        {
            packet.Drop(DropReason.WrongSelectors);
            Tell(packet, "ipsec", "speaks to one link, and came from another");
            return;
        }

        if (!HasRightAddresses(ref packet) || (!onLink && !CameAsPolicySays(ref packet)) || !Judge(ref packet, now, out _))
        {
            return;
        }

        packet.Direction = Crossing(packet.Ingress, packet.Egress);
        if (onLink)
        {
            packet.Ipsec = Ipsec is null ? IpsecAction.None : IpsecAction.Bypass;
        }
        else if (Ipsec is { } stage && packet.Direction != Direction.Across)
        {
            ApplyIpsec(ref packet, Decide(packet, stage));
        }

        if (!packet.Done)
        {
            packet.Verdict = Verdict.Pass;
            packet.Done = true;
        }
    }

    /// <summary>What the SPD says of a flow where it crosses the boundary, which one that began across may do yet.</summary>
    private void DecideIpsec(ref Flow flow, IIpsecStage stage)
    {
        bool goesOut = IsProtected(flow.Packed.Ingress);
        OpeningFacts opening = flow.Opening with { Direction = goesOut ? Direction.Out : Direction.In };
        flow.IpsecGeneration = stage.Generation;
        flow.ForwardIpsec = stage.Decide(opening);
        flow.ReplyIpsec = stage.Decide(opening with
        {
            Key = opening.Key.Reverse,
            Ingress = opening.Egress,
            Egress = opening.Ingress,
            Direction = goesOut ? Direction.In : Direction.Out,
        });
    }

    /// <summary>
    /// The inbound SPD check, before the rules are asked: what policy does not let in spends no rule's rate, counts for
    /// no rule, and is told nothing.
    /// </summary>
    private bool CameAsPolicySays(ref Packet packet) =>
        Ipsec is not { } stage || packet.Direction != Direction.In
        || CameAs(ref packet, Decide(packet, stage));

    /// <summary>What the SPD says of a packet that crosses the boundary, whichever of its far ports stands first.</summary>
    private IpsecDecision Decide(in Packet packet, IIpsecStage stage) =>
        stage.Decide(Facts(packet, (byte)BitOperations.TrailingZeroCount(packet.Egress)) with { Direction = packet.Direction });

    /// <summary>Ends a packet that policy discards, or that came otherwise than policy says.</summary>
    private bool CameAs(ref Packet packet, IpsecDecision decision)
    {
        if (decision.Action == IpsecAction.Drop)
        {
            (packet.Ipsec, packet.Policy) = (decision.Action, decision.Policy);
            packet.Drop(DropReason.PolicyDrop);
            Tell(packet, "ipsec", "policy discards it");
            return false;
        }

        if (packet.Direction == Direction.In && decision.Action == IpsecAction.Protect && packet.ArrivedBy != decision.Policy
            && Ipsec?.CameBy(packet, decision.Policy) != true && !CameByItself(packet))
        {
            // RFC 4301 §5.2: traffic that policy protects may not come in the clear, or by another's SA.
            (packet.Ipsec, packet.Policy) = (decision.Action, decision.Policy);
            packet.Drop(packet.ArrivedBy == 0 ? DropReason.ClearForProtected : DropReason.WrongSelectors);
            Tell(packet, "ipsec", "should have come protected");
            return false;
        }

        return true;
    }

    /// <summary>An ICMP error may come by the policy that speaks of it rather than by that of its flow (RFC 4301 §6.2).</summary>
    private bool CameByItself(in Packet packet) =>
        packet.Kind == PacketKind.IcmpError && packet.ArrivedBy != 0 && Ipsec is { } stage
        && Decide(packet, stage) is { Action: IpsecAction.Protect } own && (own.Policy == packet.ArrivedBy || stage.CameBy(packet, own.Policy));

    private void ApplyIpsec(ref Packet packet, IpsecDecision decision)
    {
        if (packet.Direction == Direction.Across)
        {
            packet.Ipsec = IpsecAction.None;
            packet.Policy = 0;
        }
        else if (CameAs(ref packet, decision))
        {
            packet.Ipsec = packet.Direction == Direction.In && packet.ArrivedBy != 0 ? IpsecAction.Opened : decision.Action;
            packet.Policy = decision.Policy;
        }
    }
}
