using System.Buffers.Binary;

namespace Filter.Ipsec.Ike.Payloads;

/// <summary>The header of a message (RFC 7296 §3.1).</summary>
/// <param name="InitiatorSpi">Of who began the IKE SA; never 0.</param>
/// <param name="ResponderSpi">Of the other; 0 in the first message.</param>
/// <param name="Exchange">Which exchange.</param>
/// <param name="IsResponse">The R flag.</param>
/// <param name="FromInitiator">The I flag: the sender began the IKE SA.</param>
/// <param name="MessageId">Counts the sender's requests; a response bears its request's.</param>
/// <param name="MajorVersion">2.</param>
/// <param name="FirstPayload">The type of the payload behind the header.</param>
public readonly record struct IkeHeader(
    ulong InitiatorSpi, ulong ResponderSpi, ExchangeType Exchange, bool IsResponse, bool FromInitiator, uint MessageId, byte MajorVersion = 2,
    PayloadType FirstPayload = PayloadType.None)
{
    /// <summary>Bytes of a header.</summary>
    public const int Length = 28;

    /// <summary>The version that is spoken.</summary>
    public const byte Version = 2;

    private const byte InitiatorFlag = 0x08;
    private const byte ResponseFlag = 0x20;

    /// <summary>Reads a header whose length is its datagram's; of whatever version, whose first bytes are the same in all.</summary>
    /// <param name="datagram">The whole message, without a non-ESP marker.</param>
    /// <param name="header">What it says.</param>
    /// <param name="why">What is wrong.</param>
    public static bool TryRead(ReadOnlySpan<byte> datagram, out IkeHeader header, out string? why)
    {
        header = default;
        if (datagram.Length < Length)
        {
            why = $"{datagram.Length} bytes are no message";
            return false;
        }

        uint length = BinaryPrimitives.ReadUInt32BigEndian(datagram[24..]);
        byte flags = datagram[19];
        header = new IkeHeader(
            BinaryPrimitives.ReadUInt64BigEndian(datagram), BinaryPrimitives.ReadUInt64BigEndian(datagram[8..]), (ExchangeType)datagram[18],
            (flags & ResponseFlag) != 0, (flags & InitiatorFlag) != 0, BinaryPrimitives.ReadUInt32BigEndian(datagram[20..]),
            (byte)(datagram[17] >> 4), (PayloadType)datagram[16]);
        why = header.InitiatorSpi == 0 ? "an initiator's SPI of 0"
            : length != datagram.Length ? $"a message of {length} bytes in a datagram of {datagram.Length}"
            : null;
        return why is null;
    }

    /// <summary>Writes it, with the length of what it stands before.</summary>
    internal void Write(PayloadWriter to, PayloadType first, int messageLength)
    {
        to.UInt64(InitiatorSpi);
        to.UInt64(ResponderSpi);
        to.Byte((byte)first);
        to.Byte((byte)(MajorVersion << 4));
        to.Byte((byte)Exchange);
        to.Byte((byte)((IsResponse ? ResponseFlag : 0) | (FromInitiator ? InitiatorFlag : 0)));
        to.UInt32(MessageId);
        to.UInt32((uint)messageLength);
    }
}
