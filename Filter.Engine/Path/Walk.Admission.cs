using Filter.Engine.Local;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Engine.Path;

/// <content>Who may say what by which port, before any rule is asked.</content>
public sealed partial class PacketPath<TTrace>
{
    private readonly Solicitations _solicitations;

    /// <summary>
    /// What speaks to the link is looked at packet by packet. All else costs one test here; its addresses are looked at
    /// where a flow opens (<see cref="HasRightAddresses"/>).
    /// </summary>
    private void Admit(Burst burst)
    {
        Admission admission = Policy.Admission;
        for (int i = 0; _rare && i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet.Done || packet.Own || (!packet.SpeaksToLink && (packet.Key.Segment == 0 || admission.PassTagged)))
            {
                continue;
            }

            DropReason why = packet.Key.Segment != 0 && !admission.PassTagged && packet.ArrivedBy == 0 ? DropReason.TaggedFrame
                : packet.SpeaksToLink ? HearOnLink(packet, admission, burst.Now)
                : DropReason.None;
            if (why != DropReason.None)
            {
                packet.Drop(why);
                Tell(packet, "admit", why.Name());
            }
        }
    }

    private DropReason HearOnLink(in Packet packet, Admission admission, long now)
    {
        if (packet.Kind == PacketKind.Link)
        {
            return HearArp(packet, admission, now);
        }

        bool ofHosts = ((admission.Hosts >> packet.Ingress) & 1) != 0 && packet.ArrivedBy == 0;
        switch (packet.Key.Protocol)
        {
            case IpProtocol.IcmpV6:
                bool rogue = packet.IcmpType is Discovery.RouterAdvertisement or Discovery.Redirect;
                return rogue && ofHosts ? DropReason.RogueRouter : HearDiscovery(packet, admission, now);

            case IpProtocol.Ah:
                return ofHosts ? DropReason.RogueRouter : DropReason.None;

            case IpProtocol.Icmp:
                return ofHosts && IcmpClasses.IsRouters(packet.IcmpType) ? DropReason.RogueRouter : DropReason.None;

            default:
                return ofHosts && DhcpMessage.IsFromServer(packet) ? DropReason.RogueServer : DropReason.None;
        }
    }

    private DropReason HearDiscovery(in Packet packet, Admission admission, long now)
    {
        DropReason why = Discovery.Check(packet);
        if (why != DropReason.None || packet.ArrivedBy != 0 || !Discovery.TryReadTarget(packet, out Address target))
        {
            return why;
        }

        switch (packet.IcmpType)
        {
            case Discovery.NeighbourSolicitation:
                // Without an address of his own, who asks is about to claim the target (RFC 4862 §5.4.2).
                Address claimed = packet.Key.Source.IsUnspecified ? target : packet.Key.Source;
                if (admission.VerifyNeighbours && !MayClaim(packet, claimed, Discovery.ClaimedMac(packet), admission))
                {
                    return DropReason.NeighbourClaim;
                }

                // Who asks one neighbour alone knows it already (RFC 4861 §7.3).
                return !packet.Key.Destination.IsMulticast || _solicitations.MayAsk(target, packet.Ingress, now)
                    ? DropReason.None
                    : DropReason.DiscoveryLimit;

            case Discovery.NeighbourAdvertisement:
                if (admission.VerifyNeighbours && !MayClaim(packet, target, Discovery.ClaimedMac(packet), admission))
                {
                    return DropReason.NeighbourClaim;
                }

                _solicitations.Remember(target, packet.Ingress, now);
                return DropReason.None;

            default:
                return DropReason.None;
        }
    }

    private DropReason HearArp(in Packet packet, Admission admission, long now)
    {
        if (!ArpPacket.TryRead(packet.Bytes[packet.Network..], out ArpPacket arp))
        {
            return DropReason.BadArp;
        }

        // A probe claims nothing yet (RFC 5227 §2.1.1). Its sender is the one that sent the frame.
        Address claimed = arp.Sender.IsUnspecified ? arp.Target : arp.Sender;
        if (admission.VerifyNeighbours
            && (arp.SenderMac != Parser.SourceMac(packet.Bytes) || !MayClaim(packet, claimed, arp.SenderMac, admission)))
        {
            return DropReason.NeighbourClaim;
        }

        if (arp.Operation == ArpPacket.Reply)
        {
            _solicitations.Remember(arp.Sender, packet.Ingress, now);
            return DropReason.None;
        }

        // An announcement asks nobody (RFC 5227 §3).
        return arp.Operation != ArpPacket.Request || arp.Sender == arp.Target || (Parser.DestinationMac(packet.Bytes) >> 40 & 1) == 0
            || _solicitations.MayAsk(arp.Target, packet.Ingress, now)
            ? DropReason.None
            : DropReason.DiscoveryLimit;
    }

    /// <summary>Whether a neighbour may say that it has an address: one that lives behind its port, or on every link.</summary>
    private static bool MayClaim(in Packet packet, Address claimed, ulong mac, Admission admission) =>
        (mac >> 40 & 1) == 0 && admission.LivesBehind(claimed, packet.Ingress);

    /// <summary>
    /// Whether an opening's addresses, or those of a packet without a flow, may stand where they stand. What belongs to a flow
    /// was looked at with its opening, and comes from the right side or not at all.
    /// </summary>
    private bool HasRightAddresses(ref Packet packet)
    {
        Address source = packet.Key.Source, destination = packet.Key.Destination;
        DropReason why = JudgeAddresses(packet, source, destination);
        if (why == DropReason.None && packet.HasHomeAddress)
        {
            // Who is away from home is where its IPv6 header says; the home address is its name.
            (source, destination) = (IpHeader.Source(packet.Datagram), IpHeader.Destination(packet.Datagram));
            why = JudgeAddresses(packet, source, destination);
        }

        why = why == DropReason.None ? JudgeHome(packet, source) : why;
        if (why == DropReason.None)
        {
            return true;
        }

        packet.Drop(why);
        Tell(packet, "admit", why.Name());
        return false;
    }

    private DropReason JudgeAddresses(in Packet packet, Address source, Address destination)
    {
        AddressTraits from = SpecialAddresses.Of(source), to = SpecialAddresses.Of(destination);
        if (source.IsUnspecified && MayLackAddress(packet))
        {
            from = AddressTraits.None;
        }

        if ((from & AddressTraits.NeverSource) != 0 || (to & AddressTraits.NeverDestination) != 0)
        {
            return DropReason.Martian;
        }

        AddressTraits either = from | to;
        if (either == AddressTraits.None || !IsHeldToRfc6092(packet))
        {
            return DropReason.None;
        }

        // RFC 6092 REC-3; REC-2 and REC-7. What the link says to its groups goes no further anyway.
        return (either & AddressTraits.NotPublic) != 0 ? DropReason.Martian
            : (either & AddressTraits.Site) != 0 && !LinkScope.Holds(packet) ? DropReason.OutOfScope
            : DropReason.None;
    }

    /// <summary>
    /// Where the source lives: behind its port, where that is asked for (BCP 38). In profile `rfc6092` who lives behind the
    /// protected side, and nobody else, speaks from there (REC-5, REC-6), as far as anybody said who that is.
    /// </summary>
    private DropReason JudgeHome(in Packet packet, Address source)
    {
        Admission admission = Policy.Admission;
        bool asked = ((admission.Antispoof >> packet.Ingress) & 1) != 0;
        if (packet.ArrivedBy != 0 || (!asked && Policy.Profile != Profile.Rfc6092) || source.IsUnspecified)
        {
            return DropReason.None;
        }

        if (asked)
        {
            return admission.LivesBehind(source, packet.Ingress) ? DropReason.None : DropReason.SpoofedSource;
        }

        byte home = admission.Homes[source];
        bool livesInside = home != 0 && IsProtected((byte)(home - 1));
        return packet.Direction switch
        {
            Direction.Out when !livesInside && !source.IsLinkLocal && admission.SaysWhoIsProtected && IsHeldToRfc6092(packet) => DropReason.SpoofedSource,
            Direction.In when livesInside => DropReason.SpoofedSource,
            _ => DropReason.None,
        };
    }

    /// <summary>Whether a packet crosses between the networks in the open: what is sealed, or was, has other addresses there.</summary>
    private bool IsHeldToRfc6092(in Packet packet) =>
        Policy.Profile == Profile.Rfc6092 && packet.Direction != Direction.Across && packet.ArrivedBy == 0
        && !(Ipsec is { } stage && packet.Direction == Direction.Out && Decide(packet, stage).Action == IpsecAction.Protect);

    /// <summary>
    /// Who has no address yet asks for one (RFC 2131 §4.1), asks whether one is free, or reports groups; a switch that asks for
    /// groups in a router's place has none either (RFC 4541 §2.1.1).
    /// </summary>
    private static bool MayLackAddress(in Packet packet) => packet.Key.Protocol == IpProtocol.Udp
        ? packet.SpeaksToLink && packet.IsIPv4
        : LinkScope.Holds(packet);
}
