using System.Numerics;
using System.Runtime.CompilerServices;
using Filter.Engine.Local;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Engine.Path;

/// <content>Where packets leave, and which way that crosses the boundary.</content>
public sealed partial class PacketPath<TTrace>
{
    private void Route(Burst burst)
    {
        bool straight = _bridge.HasTwoPorts && (Ipsec is null || !Settings.Local.CanAddress) && !_neighbours.Asks;
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet.Done || packet.Own)
            {
                continue;
            }

            if (straight && packet.Kind == PacketKind.Tracked && packet.ArrivedBy == 0 && !packet.NeedsNextHop && !TTrace.On)
            {
                packet.Egress = _bridge.Others(packet.Ingress);
                packet.Direction = Crossing(packet.Ingress, packet.Egress);
                if (packet.Egress == 0)
                {
                    packet.Drop(DropReason.NoEgress);
                }

                continue;
            }

            if (packet.Kind == PacketKind.Link && !Parser.IsSpanningTree(packet) && !Ruleset.PassesEtherType(packet.EtherType))
            {
                packet.Drop(packet.EtherType == EtherTypes.Arp ? DropReason.BadArp : DropReason.UnknownEtherType);
                continue;
            }

            _neighbours.Learn(ref packet);
            if (packet.Done)
            {
                continue;
            }

            packet.Egress = _bridge.Route(ref packet);
            if (packet.Done)
            {
                continue;
            }

            packet.Egress = packet.ArrivedBy == 0
                ? OutOfTheGateway(ref packet)
                : (ushort)(packet.Egress & _protected);         // what was opened never leaves in the clear
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

    /// <summary>
    /// A machine may have the gateway's own port as its router. What it sends there goes out by the
    /// unprotected port if policy protects it; all else is for the box's own stack to decide.
    /// </summary>
    private ushort OutOfTheGateway(ref Packet packet)
    {
        LocalNetwork local = Settings.Local;
        if (Ipsec is null || !local.CanAddress || packet.Egress != local.SelfMask || local.UnprotectedMask == 0
            || packet.Kind is not (PacketKind.Tracked or PacketKind.IcmpError) || local.Owns(packet.Key.Destination)
            || !IsProtected(packet.Ingress))
        {
            return packet.Egress;
        }

        byte far = (byte)BitOperations.TrailingZeroCount(local.UnprotectedMask);
        OpeningFacts facts = Facts(packet, far);
        if (packet.Kind == PacketKind.IcmpError)
        {
            if (!Parser.TryReadQuote(packet, out FlowKey quoted))
            {
                return packet.Egress;
            }

            // It goes the way of what answers the packet it quotes, whoever sends it (RFC 4301 §6.2).
            facts = facts with { Key = quoted.Reverse, IcmpType = packet.IsIPv4 ? (byte)8 : (byte)128, IcmpCode = 0 };
        }

        if (Ipsec.Decide(facts).Action != IpsecAction.Protect)
        {
            return packet.Egress;
        }

        packet.NeedsNextHop = true;
        packet.NextHop = IpHeader.Destination(packet.Datagram);
        return (ushort)(1 << far);
    }

    /// <summary>
    /// Which way a frame goes; one that is flooded to both sides crosses the boundary, and is protected as what crosses it.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Direction Crossing(byte ingress, ushort egress)
    {
        bool fromProtected = IsProtected(ingress);
        int far = egress & (fromProtected ? ~_protected : _protected);
        return far == 0 ? Direction.Across : fromProtected ? Direction.Out : Direction.In;
    }

    private bool IsProtected(byte port) => ((_protected >> port) & 1) != 0;

    private string PortNames(ushort mask) =>
        string.Join(", ", Settings.Ports.Where(port => (port.Mask & mask) != 0).Select(port => port.Name));
}
