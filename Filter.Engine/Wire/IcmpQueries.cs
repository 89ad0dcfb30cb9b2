using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>
/// ICMP messages that are asked and answered under an identifier: echo (RFC 792, RFC 4443 §4), timestamp, information
/// and address mask (RFC 792, RFC 950).
/// </summary>
public static class IcmpQueries
{
    /// <summary>Stands for the type of a question whose identifier is the same number.</summary>
    private const ushort SameNumber = ushort.MaxValue;

    /// <summary>Whether a message of this type asks.</summary>
    public static bool Asks(byte protocol, byte type) =>
        protocol == IpProtocol.IcmpV6 ? type == 128 : protocol == IpProtocol.Icmp && type is 8 or 13 or 15 or 17;

    /// <summary>Whether a message of this type answers.</summary>
    public static bool Answers(byte protocol, byte type) =>
        protocol == IpProtocol.IcmpV6 ? type == 129 : protocol == IpProtocol.Icmp && type is 0 or 14 or 16 or 18;

    /// <summary>
    /// The key of a query or its answer: the asker's port is the identifier, the other's the type of the question, so that
    /// two hosts may ask each other under one identifier, as some systems always do. An identifier that is that very type
    /// has <see cref="SameNumber"/> beside it, so that the two sides still differ.
    /// </summary>
    public static FlowKey Key(in FlowKey addresses, byte type, ushort identifier)
    {
        bool asks = Asks(addresses.Protocol, type);
        byte question = asks ? type : Question(addresses.Protocol, type);
        ushort other = identifier == question ? SameNumber : question;
        return asks
            ? addresses with { SourcePort = identifier, DestinationPort = other }
            : addresses with { SourcePort = other, DestinationPort = identifier };
    }

    /// <summary>The identifier in such a key.</summary>
    internal static ushort Identifier(in FlowKey key, byte type) => Asks(key.Protocol, type) ? key.SourcePort : key.DestinationPort;

    private static byte Question(byte protocol, byte answer) => protocol == IpProtocol.IcmpV6 ? (byte)128
        : answer == 0 ? (byte)8
        : (byte)(answer - 1);
}
