using System.Buffers.Binary;
using System.Collections.Immutable;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Payloads;

/// <summary>One proposal: for each type of transform in it one is to be chosen (RFC 7296 §3.3.1).</summary>
/// <param name="Number">From 1; what is accepted bears the number of what was proposed.</param>
/// <param name="Protocol">Of the SA.</param>
/// <param name="Spi">The sender's; 4 bytes for ESP and AH, 8 for an IKE SA that takes another's place, none for the first.</param>
/// <param name="Transforms">In the sender's order: best first within a type.</param>
public sealed record Proposal(byte Number, IkeProtocol Protocol, ReadOnlyMemory<byte> Spi, ImmutableArray<Transform> Transforms)
{
    private const int FixedLength = 8;
    private const byte More = 2;

    /// <summary>Those of one type.</summary>
    public IEnumerable<Transform> Of(IkeTransformType type) => Transforms.Where(t => t.Type == type);

    /// <summary>As people read it: <c>esp aes-gcm-16-256, aes-gcm-16-128, no-esn</c>.</summary>
    public override string ToString() => $"{Protocol.ToString().ToLowerInvariant()} {string.Join(", ", Transforms)}";

    internal void Write(PayloadWriter to, bool isLast)
    {
        int at = to.Length;
        to.Byte(isLast ? (byte)0 : More);
        to.Byte(0);
        to.UInt16(0);
        to.Byte(Number);
        to.Byte((byte)Protocol);
        to.Byte(checked((byte)Spi.Length));
        to.Byte(checked((byte)Transforms.Length));
        to.Bytes(Spi.Span);
        for (int i = 0; i < Transforms.Length; i++)
        {
            Transforms[i].Write(to, i == Transforms.Length - 1);
        }

        to.SetLength(at + 2, at);
    }

    /// <summary>Reads one, and says how long it is and whether another follows.</summary>
    internal static bool TryRead(ReadOnlyMemory<byte> body, out Proposal? proposal, out int length, out bool more, out string? why)
    {
        ReadOnlySpan<byte> bytes = body.Span;
        (proposal, more) = (null, false);
        length = bytes.Length < FixedLength ? 0 : BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
        if (length < FixedLength || length > bytes.Length || bytes[0] is not (0 or More))
        {
            why = "a proposal that ends behind its payload";
            return false;
        }

        var protocol = (IkeProtocol)bytes[5];
        int spiLength = bytes[6], count = bytes[7], at = FixedLength + spiLength;
        if (at > length || !Fits(protocol, spiLength))
        {
            why = $"a proposal of protocol {(byte)protocol} with an SPI of {spiLength} bytes";
            return false;
        }

        ImmutableArray<Transform>.Builder transforms = ImmutableArray.CreateBuilder<Transform>(count);
        for (int i = 0; i < count; i++)
        {
            if (!Transform.TryRead(bytes[at..length], i == count - 1, out Transform transform, out int size, out why))
            {
                return false;
            }

            transforms.Add(transform);
            at += size;
        }

        why = at == length ? null : $"bytes behind the last of {count} transforms";
        proposal = at == length ? new Proposal(bytes[4], protocol, body.Slice(FixedLength, spiLength), transforms.MoveToImmutable()) : null;
        more = bytes[0] == More;
        return at == length;
    }

    private static bool Fits(IkeProtocol protocol, int spiLength) => protocol switch
    {
        IkeProtocol.Ike => spiLength is 0 or sizeof(ulong),
        IkeProtocol.Ah or IkeProtocol.Esp => spiLength == sizeof(uint),
        _ => true,
    };
}
