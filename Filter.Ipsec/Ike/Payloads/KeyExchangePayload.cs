using System.Buffers.Binary;

namespace Filter.Ipsec.Ike.Payloads;

/// <summary>KE: a public value (RFC 7296 §3.4).</summary>
/// <param name="Group">IANA's number of the group.</param>
/// <param name="Data">The value; whether it is one of the group is the key exchange's to say.</param>
public sealed record KeyExchangePayload(ushort Group, ReadOnlyMemory<byte> Data) : Payload
{
    private const int FixedLength = 4;

    /// <inheritdoc/>
    public override PayloadType Type => PayloadType.KeyExchange;

    internal override void Write(PayloadWriter to)
    {
        to.UInt16(Group);
        to.UInt16(0);
        to.Bytes(Data.Span);
    }

    internal static bool TryRead(ReadOnlyMemory<byte> body, out KeyExchangePayload? payload, out string? why)
    {
        bool good = body.Length > FixedLength;
        payload = good ? new KeyExchangePayload(BinaryPrimitives.ReadUInt16BigEndian(body.Span), body[FixedLength..]) : null;
        why = good ? null : "a key exchange without a public value";
        return good;
    }
}
