using System.Text;

namespace Filter.Engine.Packets;

/// <summary>Why a packet ended. One list for the whole house; printed in kebab-case.</summary>
public enum DropReason : byte
{
    /// <summary>It did not end; or nobody decided, which is a fault of ours and is counted as such.</summary>
    None,

    // ---- the frame and its headers
    /// <summary>Shorter than the headers it claims.</summary>
    Truncated,
    /// <summary>Not Ethernet, and nothing that Ethernet could carry (a capture of another link type).</summary>
    NotEthernet,
    /// <summary>A link-layer frame that no bridge forwards: pause, LACP (IEEE 802.1D §7.12.6).</summary>
    LinkLocalFrame,
    /// <summary>An ethertype that the policy does not name.</summary>
    UnknownEtherType,
    /// <summary>ARP that is cut short or not Ethernet/IPv4, or that the policy drops.</summary>
    BadArp,
    /// <summary>More VLAN tags than Filter follows.</summary>
    TooManyTags,
    /// <summary>A VLAN tag, which the link policy does not let pass.</summary>
    TaggedFrame,
    /// <summary>The version field contradicts the ethertype.</summary>
    BadVersion,
    /// <summary>A header length below its minimum or beyond the packet.</summary>
    BadHeaderLength,
    /// <summary>A total or payload length that the frame does not hold.</summary>
    BadLength,
    /// <summary>IPv4 header checksum wrong (RFC 1122 §3.2.1.2).</summary>
    BadHeaderChecksum,
    /// <summary>Checksum of TCP, UDP, ICMP … wrong.</summary>
    BadChecksum,
    /// <summary>An IPv4 option that is malformed (length 0, beyond the header).</summary>
    BadOption,
    /// <summary>IPv4 source routing (RFC 7126 §4.3, 4.4).</summary>
    SourceRoute,
    /// <summary>IPv6 extension headers too many, too long, or out of order (RFC 8200 §4.1).</summary>
    BadExtensionChain,
    /// <summary>Type 0 routing header (RFC 5095), or type 1, which is deprecated too.</summary>
    RoutingHeader0,
    /// <summary>An IPv6 packet with an IPv4-mapped address (RFC 4038 §4.2).</summary>
    MappedAddress,
    /// <summary>A source that can't be one: multicast, broadcast.</summary>
    BadSource,
    /// <summary>Addresses that may not be on a wire: loopback, TCP of or to what is not one host.</summary>
    Martian,
    /// <summary>LAND: source and destination are the same.</summary>
    Land,
    /// <summary>TCP flags that no legal segment carries (none, SYN+FIN, SYN+RST, FIN without ACK …).</summary>
    BadFlags,
    /// <summary>TCP, UDP or SCTP port 0.</summary>
    PortZero,
    /// <summary>An SCTP chunk whose length can't be, or beside others that it may not be beside (RFC 9260 §3.2, §6.10).</summary>
    BadChunk,

    /// <summary>A source that lives behind another port (BCP 38, BCP 84; RFC 6092 REC-5, REC-6).</summary>
    SpoofedSource,
    /// <summary>An address that does not reach beyond its site, on its way out of it or in (RFC 6092 REC-2, REC-7).</summary>
    OutOfScope,

    // ---- the link
    /// <summary>Discovery, or what multicast listeners say, that no receiver may believe (RFC 4861, 6980, 9777).</summary>
    BadDiscovery,
    /// <summary>A port of hosts announced a router, or redirected (RFC 6105).</summary>
    RogueRouter,
    /// <summary>A port of hosts gave addresses: DHCP of either family (RFC 7610).</summary>
    RogueServer,
    /// <summary>ARP or neighbour discovery claims an address that lives behind another port.</summary>
    NeighbourClaim,
    /// <summary>More unknown neighbours are asked for than may be (RFC 6583).</summary>
    DiscoveryLimit,

    // ---- fragments
    /// <summary>A fragment whose offset and length can't be (RFC 8200 §4.5, RFC 1858).</summary>
    BadFragment,
    /// <summary>Fragments that overlap: the whole datagram is given up (RFC 5722).</summary>
    FragmentOverlap,
    /// <summary>An exact duplicate of a held fragment: dropped alone (RFC 8200 §4.5).</summary>
    FragmentDuplicate,
    /// <summary>The rest did not come in time.</summary>
    FragmentTimeout,
    /// <summary>The pool for fragments is full, or its sender's share of it.</summary>
    FragmentLimit,
    /// <summary>The first fragment does not hold the whole header chain (RFC 7112).</summary>
    FragmentHeaderChain,

    // ---- flows and rules
    /// <summary>A rule said drop.</summary>
    Denied,
    /// <summary>No rule matched; the default policy for its direction dropped it.</summary>
    DefaultDeny,
    /// <summary>A rule said reject: the sender is told.</summary>
    Rejected,
    /// <summary>The rule's rate limit is spent.</summary>
    RateLimited,
    /// <summary>The rule has let in as many flows as it may at once, all proven; or of this source.</summary>
    ConnectionLimit,
    /// <summary>The packet belongs to no flow and can't open one (a stray ACK, an echo reply …).</summary>
    NoFlow,
    /// <summary>It belongs to a flow that ended by its timer a while ago, and opens none.</summary>
    Expired,
    /// <summary>The flow is known but its state does not allow this packet.</summary>
    InvalidState,
    /// <summary>The flow is known, but its packets of this direction come from the other side.</summary>
    WrongSide,
    /// <summary>A type 2 routing header leads to a care-of address that the flow's host has not shown (RFC 6275 §6.4).</summary>
    WrongCareOf,
    /// <summary>Outside the TCP window (RFC 9293 §3.10.7.4).</summary>
    OutOfWindow,
    /// <summary>The SCTP verification tag is not the association's (RFC 9260 §8.5).</summary>
    WrongTag,
    /// <summary>An answer that nobody owes: the one-answer pinhole is closed.</summary>
    NotOwed,
    /// <summary>An ICMP error that quotes no flow of ours, or quotes it wrongly.</summary>
    StrayIcmpError,
    /// <summary>An ICMP message that this position must not forward (RFC 4890).</summary>
    IcmpForbidden,
    /// <summary>The flow table is full, of proven flows.</summary>
    TableFull,
    /// <summary>Its sender has as many flows as one may, all proven.</summary>
    SourceLimit,
    /// <summary>Its sender opens flows faster than one may.</summary>
    SourceRate,
    /// <summary>No port leads there, or the port it must leave by is down.</summary>
    NoEgress,

    // ---- IPsec
    /// <summary>IPsec policy discards it (RFC 4301 §4.4.1), or no policy matched.</summary>
    PolicyDrop,
    /// <summary>It came in the clear, but its policy says protect (RFC 4301 §5.2).</summary>
    ClearForProtected,
    /// <summary>ESP or AH to the gateway that names no SA of ours.</summary>
    UnknownSpi,
    /// <summary>The ICV is wrong.</summary>
    BadIcv,
    /// <summary>The sequence number was seen or is left of the window (RFC 4303 §3.4.3).</summary>
    Replayed,
    /// <summary>Padding or trailer wrong after a good ICV (RFC 4303 §2.4).</summary>
    BadPadding,
    /// <summary>Too short, or not a multiple of the cipher's block.</summary>
    BadEsp,
    /// <summary>AH whose length is not what its SA's ICV asks for, or not within the packet (RFC 4302 §2.2).</summary>
    BadAh,
    /// <summary>The inner packet does not fit the SA's selectors (RFC 4301 §5.2).</summary>
    WrongSelectors,
    /// <summary>The mode inside is not the SA's: tunnel for transport or the reverse.</summary>
    WrongMode,
    /// <summary>Policy says protect, but there is no SA to do it with.</summary>
    NoSa,
    /// <summary>The SA has reached its hard limit of time, packets or bytes (RFC 4301 §4.4.2.1).</summary>
    SaExpired,
    /// <summary>The SA's counter is spent, or its reserve on disk is (RFC 4303 §3.3.3).</summary>
    SequenceExhausted,
    /// <summary>More tunnels inside each other than Filter follows.</summary>
    NestedTooDeep,
    /// <summary>The tunnel's way marked congestion on a packet that can't carry the mark (RFC 6040 §4.2).</summary>
    BadEcn,

    // ---- size and room
    /// <summary>Larger than the far port takes, and it may not be fragmented; the sender is told.</summary>
    TooBig,
    /// <summary>Its TTL or hop limit is used up where a tunnel begins (RFC 4301 §5.1.2); the sender is told.</summary>
    HopLimit,
    /// <summary>The next hop has no known link address and did not answer.</summary>
    NoNeighbour,
    /// <summary>No room left for held packets.</summary>
    HoldLimit,
    /// <summary>No room left in the burst for what the packet becomes.</summary>
    NoRoom,
    /// <summary>The port could not send it.</summary>
    SendFailed,
    /// <summary>The worker that it belongs to does not keep up.</summary>
    WorkerBusy,
}

/// <summary>The names of the reasons, as logs, counters and rulesets spell them.</summary>
public static class DropReasons
{
    private static readonly string[] s_names = [.. Enum.GetNames<DropReason>().Select(Kebab)];

    /// <summary>How many reasons there are: the length of a counter array.</summary>
    public static int Count => s_names.Length;

    /// <summary>"out-of-window" for <see cref="DropReason.OutOfWindow"/>.</summary>
    public static string Name(this DropReason reason) => s_names[(int)reason];

    /// <summary>The reason of that name; false for a word that is none.</summary>
    public static bool TryParse(string name, out DropReason reason)
    {
        int index = Array.IndexOf(s_names, name);
        reason = index < 0 ? DropReason.None : (DropReason)index;
        return index >= 0;
    }

    private static string Kebab(string pascal)
    {
        var text = new StringBuilder(pascal.Length + 4);
        for (int i = 0; i < pascal.Length; i++)
        {
            if (i > 0 && (char.IsUpper(pascal[i]) || (char.IsDigit(pascal[i]) && !char.IsDigit(pascal[i - 1]))))
            {
                text.Append('-');
            }

            text.Append(char.ToLowerInvariant(pascal[i]));
        }

        return text.ToString();
    }
}
