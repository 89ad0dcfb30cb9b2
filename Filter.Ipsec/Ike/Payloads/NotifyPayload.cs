using System.Buffers.Binary;

namespace Filter.Ipsec.Ike.Payloads;

/// <summary>N: an error, or something worth knowing (RFC 7296 §3.10).</summary>
/// <param name="Notify">What it says; numbers without a name are kept.</param>
/// <param name="Data">What belongs to it.</param>
/// <param name="Protocol">Of the SA that it is about; <see cref="IkeProtocol.None"/> where it is about none, or the IKE SA.</param>
/// <param name="Spi">Of that SA; empty for none.</param>
public sealed record NotifyPayload(NotifyType Notify, ReadOnlyMemory<byte> Data = default, IkeProtocol Protocol = IkeProtocol.None, ReadOnlyMemory<byte> Spi = default) : Payload
{
    private const int FixedLength = 4;

    /// <inheritdoc/>
    public override PayloadType Type => PayloadType.Notify;

    /// <summary>Errors are below 16384 (RFC 7296 §3.10.1).</summary>
    public bool IsError => (ushort)Notify < (ushort)NotifyType.InitialContact;

    internal override void Write(PayloadWriter to)
    {
        to.Byte((byte)Protocol);
        to.Byte(checked((byte)Spi.Length));
        to.UInt16((ushort)Notify);
        to.Bytes(Spi.Span);
        to.Bytes(Data.Span);
    }

    internal static bool TryRead(ReadOnlyMemory<byte> body, out NotifyPayload? payload, out string? why)
    {
        ReadOnlySpan<byte> bytes = body.Span;
        bool good = bytes.Length >= FixedLength && bytes.Length >= FixedLength + bytes[1];
        payload = good
            ? new NotifyPayload((NotifyType)BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]), body[(FixedLength + bytes[1])..], (IkeProtocol)bytes[0], body.Slice(FixedLength, bytes[1]))
            : null;
        why = good ? null : "a notify that is shorter than its SPI";
        return good;
    }
}
