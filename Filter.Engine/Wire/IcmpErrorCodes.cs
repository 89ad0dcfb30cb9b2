namespace Filter.Engine.Wire;

/// <summary>ICMP errors: which types they are, and which codes those may have.</summary>
public static class IcmpErrorCodes
{
    /// <summary>Whether a type is an error's that quotes a packet. Source quench is none any more (RFC 6633).</summary>
    public static bool IsError(byte protocol, byte type) => LastCode(protocol, type) >= 0;

    /// <summary>Whether the code is one that somebody defined: beyond, no receiver knows what it means.</summary>
    public static bool IsKnown(byte protocol, byte type, byte code) => code <= LastCode(protocol, type);

    private static int LastCode(byte protocol, byte type) => (protocol, type) switch
    {
        (IpProtocol.Icmp, 3) => 15,                         // destination unreachable: RFC 792, RFC 1812 §5.2.7.1
        (IpProtocol.Icmp, 11) => 1,                         // time exceeded
        (IpProtocol.Icmp, 12) => 2,                         // parameter problem: RFC 1108
        (IpProtocol.IcmpV6, 1) => byte.MaxValue,            // destination unreachable: all codes pass (RFC 4890 §4.3.1)
        (IpProtocol.IcmpV6, 2) => byte.MaxValue,            // packet too big: the receiver ignores the code (RFC 4443 §3.2)
        (IpProtocol.IcmpV6, 3) => 1,                        // time exceeded
        (IpProtocol.IcmpV6, 4) => 10,                       // parameter problem: RFC 4443 §3.4, 7112, 8754, 8883
        _ => -1,
    };
}
