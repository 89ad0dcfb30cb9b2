namespace Filter.Engine.Packets;

/// <summary>The IPv6 extension headers of a packet (RFC 8200 §4). None of IPv4.</summary>
[Flags]
public enum ExtensionHeaders : byte
{
    /// <summary>No extension header.</summary>
    None = 0,
    /// <summary>Hop-by-hop options (§4.3).</summary>
    HopByHop = 1,
    /// <summary>A routing header (§4.4).</summary>
    Routing = 2,
    /// <summary>A fragment header (§4.5), also of a datagram that was put together and of an atomic fragment (RFC 6946).</summary>
    Fragment = 4,
    /// <summary>Destination options (§4.6).</summary>
    DestinationOptions = 8,
}
