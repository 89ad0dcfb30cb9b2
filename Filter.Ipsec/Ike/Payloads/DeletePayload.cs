using System.Buffers.Binary;
using System.Collections.Immutable;

namespace Filter.Ipsec.Ike.Payloads;

/// <summary>D: SAs that the sender has deleted (RFC 7296 §3.11).</summary>
/// <param name="Protocol"><see cref="IkeProtocol.Ike"/> for the IKE SA itself; else AH or ESP.</param>
/// <param name="Spis">The sender's inbound SPIs; none for the IKE SA.</param>
public sealed record DeletePayload(IkeProtocol Protocol, ImmutableArray<uint> Spis) : Payload
{
    private const int FixedLength = 4;

    /// <inheritdoc/>
    public override PayloadType Type => PayloadType.Delete;

    internal override void Write(PayloadWriter to)
    {
        to.Byte((byte)Protocol);
        to.Byte(Protocol == IkeProtocol.Ike ? (byte)0 : (byte)sizeof(uint));
        to.UInt16(checked((ushort)Spis.Length));
        foreach (uint spi in Spis)
        {
            to.UInt32(spi);
        }
    }

    internal static bool TryRead(ReadOnlyMemory<byte> body, out DeletePayload? payload, out string? why)
    {
        payload = null;
        ReadOnlySpan<byte> bytes = body.Span;
        if (bytes.Length < FixedLength)
        {
            why = "a delete that is too short";
            return false;
        }

        var protocol = (IkeProtocol)bytes[0];
        int size = bytes[1], count = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
        bool good = protocol == IkeProtocol.Ike ? size == 0 && count == 0 : protocol is IkeProtocol.Ah or IkeProtocol.Esp && size == sizeof(uint);
        if (!good || bytes.Length != FixedLength + (size * count))
        {
            why = $"a delete of {count} SPIs of {size} bytes, protocol {(byte)protocol}, in {bytes.Length} bytes";
            return false;
        }

        ImmutableArray<uint>.Builder spis = ImmutableArray.CreateBuilder<uint>(count);
        for (int at = FixedLength; at < bytes.Length; at += sizeof(uint))
        {
            spis.Add(BinaryPrimitives.ReadUInt32BigEndian(bytes[at..]));
        }

        payload = new DeletePayload(protocol, spis.MoveToImmutable());
        why = null;
        return true;
    }
}
