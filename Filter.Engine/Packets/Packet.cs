using System.Diagnostics;

namespace Filter.Engine.Packets;

/// <summary>TCP flags as the header's fourteenth byte has them (RFC 9293 §3.1).</summary>
[Flags]
public enum TcpFlags : byte
{
    /// <summary>No flag.</summary>
    None = 0,
    /// <summary>No more data from the sender.</summary>
    Fin = 0x01,
    /// <summary>Synchronize sequence numbers.</summary>
    Syn = 0x02,
    /// <summary>Reset.</summary>
    Rst = 0x04,
    /// <summary>Push.</summary>
    Psh = 0x08,
    /// <summary>The acknowledgment field counts.</summary>
    Ack = 0x10,
    /// <summary>The urgent pointer counts.</summary>
    Urg = 0x20,
    /// <summary>ECN echo.</summary>
    Ece = 0x40,
    /// <summary>Congestion window reduced.</summary>
    Cwr = 0x80,
}

/// <summary>What a parsed packet is to the walk.</summary>
public enum PacketKind : byte
{
    /// <summary>Not parsed.</summary>
    Unknown,
    /// <summary>Link layer only: ARP, STP, other ethertypes. Never tracked.</summary>
    Link,
    /// <summary>Opens or belongs to a flow.</summary>
    Tracked,
    /// <summary>IP that is judged packet by packet: neighbour and router discovery, MLD, IGMP.</summary>
    Untracked,
    /// <summary>An ICMP error: belongs to the flow it quotes.</summary>
    IcmpError,
    /// <summary>A fragment that waits for its rest.</summary>
    Fragment,
}

/// <summary>
/// One packet of a burst: where its bytes are, what parsing found, what was decided. A mutable
/// struct in <see cref="Burst.Packets"/>, always handled by reference; offsets count from the frame's
/// first byte (<see cref="Start"/>). A super-frame is one packet.
/// </summary>
[DebuggerDisplay("{Key} {Verdict} {Reason}")]
public struct Packet
{
    /// <summary>A SYN without a window scale option.</summary>
    public const byte NoWindowScale = 255;

    // ---- bytes

    /// <summary>The arena's slab that holds the frame.</summary>
    public byte[] Slab;

    /// <summary>Where the frame (its Ethernet header) starts in <see cref="Slab"/>.</summary>
    public int Start;

    /// <summary>The frame's length in bytes.</summary>
    public int Length;

    /// <summary>First byte of the slab that belongs to this frame: headroom ends here.</summary>
    public int Floor;

    /// <summary>One behind the last byte that belongs to this frame: tailroom ends here.</summary>
    public int Ceiling;

    /// <summary>Checksum and segmentation metadata.</summary>
    public Offload Offload;

    /// <summary>When it arrived: nanoseconds on the burst's clock.</summary>
    public long Time;

    /// <summary>Number of the packet in its input, from 1; 0 for what Filter made itself.</summary>
    public long Number;

    /// <summary>How many of its bytes a capture kept, the rest being zeros; 0 where it has them all.</summary>
    public int Kept;

    // ---- where it came from and goes

    /// <summary>Number of the port it came in by.</summary>
    public byte Ingress;

    /// <summary>The ports it leaves by, one bit each.</summary>
    public ushort Egress;

    /// <summary>Which way it crosses the boundary.</summary>
    public Direction Direction;

    // ---- what parsing found

    /// <summary>What it is to the walk.</summary>
    public PacketKind Kind;

    /// <summary>The ethertype behind all VLAN tags; below 0x600 the length of an LLC frame.</summary>
    public ushort EtherType;

    /// <summary>Offset of the network header.</summary>
    public ushort Network;

    /// <summary>Offset of the transport header, behind all IPv6 extension headers.</summary>
    public ushort Transport;

    /// <summary>Offset of the payload behind the transport header.</summary>
    public int Payload;

    /// <summary>One behind the last byte of the IP packet; what follows in the frame is padding.</summary>
    public int End;

    /// <summary>Addresses, ports, protocol, segment.</summary>
    public FlowKey Key;

    /// <summary>
    /// <see cref="Key"/> has a home address where the IPv6 header has a care-of address: of the source by a home address option,
    /// of the destination by a type 2 routing header (RFC 6275 §6.3, §6.4). A flow so outlives its host's moving about.
    /// </summary>
    public bool HasHomeAddress;

    /// <summary>
    /// It tells its link about routers, neighbours, groups or addresses: ARP, discovery, MLD, DHCP. Who may say that, and
    /// what, is looked at before all else.
    /// </summary>
    public bool SpeaksToLink;

    /// <summary>TCP flags; zero for other protocols.</summary>
    public TcpFlags TcpFlags;

    /// <summary>TCP sequence number of the first byte (or of the SYN).</summary>
    public uint Sequence;

    /// <summary>TCP acknowledgment number; counts where the flag is set.</summary>
    public uint Acknowledgment;

    /// <summary>TCP window as the header has it, unscaled.</summary>
    public ushort Window;

    /// <summary>The shift that a SYN's window scale option offers (RFC 7323 §2.2), or <see cref="NoWindowScale"/>; of SYNs only.</summary>
    public byte WindowScale;

    /// <summary>ICMP or ICMPv6 type.</summary>
    public byte IcmpType;

    /// <summary>ICMP or ICMPv6 code.</summary>
    public byte IcmpCode;

    /// <summary>Traffic class: DSCP in the upper six bits, ECN in the lower two.</summary>
    public byte TrafficClass;

    /// <summary>TTL or hop limit.</summary>
    public byte HopLimit;

    /// <summary>The SPI of ESP or AH, else 0.</summary>
    public uint Spi;

    /// <summary>SCTP's verification tag, and what INIT and INIT ACK want to be sent from then on.</summary>
    public uint Tag, InitiateTag;

    /// <summary>What an SCTP packet's chunks say.</summary>
    public SctpEvents Chunks;

    /// <summary>ABORT or SHUTDOWN COMPLETE with the tag that its receiver sends, not the one it is sent.</summary>
    public bool TagReflected;

    /// <summary>IPv4 with the don't-fragment bit, or any IPv6.</summary>
    public bool DontFragment;

    /// <summary>IPv6 extension headers.</summary>
    public ExtensionHeaders Extensions;

    /// <summary>It is a fragment, or was put together from fragments.</summary>
    public bool Fragmented;

    /// <summary>Fragment offset in bytes; 0 unless a fragment.</summary>
    public int FragmentOffset;

    /// <summary>More fragments follow.</summary>
    public bool MoreFragments;

    /// <summary>The identification that fragments of one datagram share.</summary>
    public uint FragmentId;

    /// <summary>Offset of the IPv6 fragment header; 0 where there is none.</summary>
    public ushort FragmentHeader;

    /// <summary>
    /// Handle of the held original fragments from which this datagram was put together; 0 where it
    /// is not. They go on in its place unless it is protected.
    /// </summary>
    public int Assembly;

    // ---- what was decided

    /// <summary>What becomes of it. Zero is Drop.</summary>
    public Verdict Verdict;

    /// <summary>Why it was dropped or rejected.</summary>
    public DropReason Reason;

    /// <summary>The decision stands: later steps leave the packet alone.</summary>
    public bool Done;

    /// <summary>Filter made it itself: it is not judged or tracked, and counted apart.</summary>
    public bool Own;

    /// <summary>Its rule logs what it passes.</summary>
    public bool Log;

    /// <summary>The rules that look at each packet have seen it.</summary>
    public bool Asked;

    /// <summary>The rule that decided, see <see cref="Path.IRuleset"/>; 0 for none.</summary>
    public int Rule;

    /// <summary>Who else was asked whether it is his; see <see cref="Path.GuestState"/>.</summary>
    public Path.GuestState Guest;

    /// <summary>The flow it belongs to; 0 for none.</summary>
    public int Flow;

    /// <summary>It travels against the flow's first packet.</summary>
    public bool Reply;

    /// <summary>What the IPsec stage does or did.</summary>
    public IpsecAction Ipsec;

    /// <summary>The IPsec policy entry that says <see cref="Ipsec"/>; 0 for none.</summary>
    public ushort Policy;

    /// <summary>The IPsec policy by whose SA it came in; 0 for the clear.</summary>
    public ushort ArrivedBy;

    /// <summary>The number of the SA by which it came in, as the IPsec stage counts them; 0 for the clear.</summary>
    public int Sa;

    /// <summary>How many times it was opened: tunnels inside tunnels.</summary>
    public byte Depth;

    /// <summary>
    /// The link addresses must be set before it leaves: towards <see cref="NextHop"/>, by Filter's own
    /// neighbour table.
    /// </summary>
    public bool NeedsNextHop;

    /// <summary>The destination whose next hop is asked for.</summary>
    public Address NextHop;

    /// <summary>The frame's bytes.</summary>
    public readonly Span<byte> Bytes => Slab.AsSpan(Start, Length);

    /// <summary>The IP packet, from network header to <see cref="End"/>.</summary>
    public readonly Span<byte> Datagram => Slab.AsSpan(Start + Network, End - Network);

    /// <summary>The transport header and what follows it, to <see cref="End"/>.</summary>
    public readonly Span<byte> Segment => Slab.AsSpan(Start + Transport, End - Transport);

    /// <summary>Free bytes before the frame.</summary>
    public readonly int Headroom => Start - Floor;

    /// <summary>Free bytes behind the frame.</summary>
    public readonly int Tailroom => Ceiling - Start - Length;

    /// <summary>Whether the IP header is IPv4; else IPv6.</summary>
    public readonly bool IsIPv4 => EtherType == 0x0800;

    /// <summary>How many segments on a wire it is.</summary>
    public readonly int Segments
    {
        get
        {
            int payload = End - Payload;
            return Offload.Gso == GsoKind.None || Offload.SegmentSize == 0 || payload <= 0
                ? 1
                : (payload + Offload.SegmentSize - 1) / Offload.SegmentSize;
        }
    }

    /// <summary>Ends the packet, for this reason.</summary>
    public void Drop(DropReason why)
    {
        Verdict = Verdict.Drop;
        Reason = why;
        Egress = 0;
        Done = true;
    }

    /// <summary>Ends the packet without it being lost: answered, held or consumed.</summary>
    public void Finish(Verdict verdict, DropReason why = DropReason.None)
    {
        Verdict = verdict;
        Reason = why;
        Egress = 0;
        Done = true;
    }
}
