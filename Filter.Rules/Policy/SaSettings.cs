using Filter.Engine.Packets;

namespace Filter.Rules.Policy;

/// <summary>Transport or tunnel (RFC 4301 §4.1).</summary>
public enum IpsecMode : byte
{
    /// <summary>The packet keeps its own IP header.</summary>
    Transport,

    /// <summary>The packet is carried whole in another.</summary>
    Tunnel,
}

/// <summary>What a tunnel's outer IPv4 header says of being cut on its way (RFC 4301 §8.1).</summary>
public enum DontFragmentBit : byte
{
    /// <summary>As the inner packet; set where that is IPv6, which is never cut either.</summary>
    Copy,

    /// <summary>Always set.</summary>
    Set,

    /// <summary>Never set.</summary>
    Clear,
}

/// <summary>How much one SA may carry. Zero is no limit.</summary>
/// <param name="Bytes">Of inner packets; of payload in transport mode.</param>
/// <param name="Packets">How many.</param>
/// <param name="Nanoseconds">Since the SA was made.</param>
public readonly record struct SaLifetime(long Bytes, long Packets, long Nanoseconds);

/// <summary>ESP inside UDP, past devices that translate addresses (RFC 3948).</summary>
/// <param name="LocalPort">Ours; 4500 unless said.</param>
/// <param name="RemotePort">The far end's, as it is seen from here.</param>
/// <param name="KeepAlive">Nanoseconds of silence after which a keep-alive is sent (RFC 3948 §4); 0 for never.</param>
public readonly record struct UdpEncapsulation(ushort LocalPort, ushort RemotePort, long KeepAlive = 20_000_000_000)
{
    /// <summary>
    /// Transport mode: the address that the far end believes to send to, where it is known (RFC 3947 §5). With <see cref="OriginalRemote"/>
    /// the checksums inside are mended by the difference; else they are computed anew.
    /// </summary>
    public Address? OriginalLocal { get; init; }

    /// <summary>Transport mode: the address that the far end believes to have.</summary>
    public Address? OriginalRemote { get; init; }

    /// <summary>
    /// What is sent follows the far end to where its last good and newest packet came from (RFC 7296 §2.23): for whoever is not
    /// behind a translator itself.
    /// </summary>
    public bool FollowsPeer { get; init; }
}

/// <summary>What the outer header of a tunnel is made of (RFC 4301 §5.1.2, RFC 6040).</summary>
/// <param name="DontFragment">The DF bit; counts where the outer header is IPv4.</param>
/// <param name="Dscp">The DSCP to write, 0..63; null to copy the inner one.</param>
/// <param name="HopLimit">TTL or hop limit, 1..255.</param>
/// <param name="CopyEcn">RFC 6040's normal mode; false for its compatibility mode: the outer header cannot be marked.</param>
public readonly record struct OuterHeader(DontFragmentBit DontFragment, byte? Dscp, byte HopLimit, bool CopyEcn)
{
    /// <summary>DSCP, ECN and DF as inside, a hop limit of 64.</summary>
    public static OuterHeader Default => new(DontFragmentBit.Copy, null, 64, true);
}

/// <summary>Traffic flow confidentiality (RFC 4303 §2.6, §2.7): sizes and pauses that say nothing.</summary>
/// <param name="PadTo">Inner packets are padded to this length where they are shorter and fit; 0 for none; tunnel mode only.</param>
/// <param name="DummyEvery">Nanoseconds of silence after which a dummy packet is sent; 0 for never.</param>
public readonly record struct TrafficPadding(int PadTo, long DummyEvery);

/// <summary>What both directions of an SA have in common: everything but SPI and keys.</summary>
public sealed record SaSettings
{
    /// <summary>The window where nothing else is said, in packets.</summary>
    public const int OrdinaryWindow = 4096;

    /// <summary>The bytes to a multiple of which AH is padded over IPv4 where nothing else is said (RFC 4302 §2.6).</summary>
    public const int OrdinaryAhAlignment = 4;

    /// <summary>IANA number: 50, ESP, or 51, AH.</summary>
    public byte Protocol { get; init; } = 50;

    /// <summary>Tunnel or transport.</summary>
    public required IpsecMode Mode { get; init; }

    /// <summary>Tunnel: our outer address. Transport: the protected end, if said.</summary>
    public Address? Local { get; init; }

    /// <summary>Tunnel: the peer's outer address. Transport: the far end, if said.</summary>
    public Address? Remote { get; init; }

    /// <summary>The algorithms.</summary>
    public required IpsecSuite Suite { get; init; }

    /// <summary>Replay window in packets, 32..65536; 0 for no replay check, and a counter that may wrap.</summary>
    public int ReplayWindow { get; init; } = OrdinaryWindow;

    /// <summary>Sequence numbers of 64 bits (RFC 4303 §2.2.1).</summary>
    public bool ExtendedSequence { get; init; }

    /// <summary>ESP inside UDP; null for bare.</summary>
    public UdpEncapsulation? Encapsulation { get; init; }

    /// <summary>What is told to who manages the keys when it is reached.</summary>
    public SaLifetime Soft { get; init; }

    /// <summary>What ends the SA.</summary>
    public SaLifetime Hard { get; init; }

    /// <summary>The DSCPs that it carries, one bit each; 0 for all. Counts outbound (RFC 4301 §4.4.1.2).</summary>
    public ulong Dscps { get; init; }

    /// <summary>The outer header of a tunnel.</summary>
    public OuterHeader Outer { get; init; } = OuterHeader.Default;

    /// <summary>Padding and dummies.</summary>
    public TrafficPadding Padding { get; init; }

    /// <summary>What is too large is sealed whole and cut then, rather than cut first; tunnel mode only.</summary>
    public bool FragmentAfterSealing { get; init; }

    /// <summary>Whether the MSS of TCP handshakes is lowered to what fits.</summary>
    public bool ClampMss { get; init; }

    /// <summary>
    /// The bytes to a multiple of which AH is padded over IPv4, 4 or 8, as Linux pads and expects it unless told otherwise. Over IPv6
    /// it is 8 whatever this says.
    /// </summary>
    public int AhAlignment { get; init; } = OrdinaryAhAlignment;

    /// <summary>
    /// Whether an SA with these settings is the one that another ruleset describes so: what the far end sees of it, or counts by,
    /// is the same. It may keep its counter and its window then.
    /// </summary>
    public bool IsSameSaAs(SaSettings other) =>
        (Protocol, Mode, Local, Remote, Suite, ReplayWindow, ExtendedSequence, Encapsulation?.LocalPort)
        == (other.Protocol, other.Mode, other.Local, other.Remote, other.Suite, other.ReplayWindow, other.ExtendedSequence, other.Encapsulation?.LocalPort);
}
