using System.Buffers.Binary;
using System.Collections.Immutable;

namespace Filter.Ipsec.Ike.Payloads;

/// <summary>Payloads one after the other, each naming the type of the next (RFC 7296 §3.2).</summary>
internal static class PayloadChain
{
    /// <summary>More than any exchange has: most are certificates and notifies.</summary>
    private const int Most = 128;

    private const byte Critical = 0x80;

    /// <summary>Writes them; the type of the first is for whoever stands before it.</summary>
    internal static PayloadType Write(ImmutableArray<Payload> payloads, PayloadWriter to)
    {
        for (int i = 0; i < payloads.Length; i++)
        {
            int at = to.Length;
            to.Byte((byte)(i + 1 < payloads.Length ? payloads[i + 1].Type : PayloadType.None));
            to.Byte(payloads[i].IsCritical ? Critical : (byte)0);
            to.UInt16(0);
            payloads[i].Write(to);
            to.SetLength(at + 2, at);
        }

        return payloads.IsEmpty ? PayloadType.None : payloads[0].Type;
    }

    /// <summary>Reads them all, to the last byte. What is encrypted has no place among them.</summary>
    /// <param name="first">The type of the first, which whoever stands before it names.</param>
    /// <param name="bytes">All of them; what is read goes on pointing there.</param>
    /// <param name="payloads">In order.</param>
    /// <param name="fault">What is wrong.</param>
    internal static bool TryRead(PayloadType first, ReadOnlyMemory<byte> bytes, out ImmutableArray<Payload> payloads, out IkeFault fault)
    {
        payloads = [];
        ImmutableArray<Payload>.Builder read = ImmutableArray.CreateBuilder<Payload>();
        ulong seen = 0;
        PayloadType next = first;
        while (next != PayloadType.None)
        {
            PayloadType type = next;
            if (!TryCut(type, bytes, out next, out bool critical, out ReadOnlyMemory<byte> body, out fault))
            {
                return false;
            }

            if (type is PayloadType.Encrypted or PayloadType.EncryptedFragment)
            {
                fault = new(IkeFaultKind.WrongProtection, "an encrypted payload among others", (byte)type);
                return false;
            }

            if (read.Count == Most)
            {
                fault = new(IkeFaultKind.TooMany, $"more than {Most} payloads");
                return false;
            }

            if (ComesOnce(type) && !IsFirstOfType(ref seen, type))
            {
                fault = new(IkeFaultKind.Malformed, $"two payloads of type {(byte)type} in one message", (byte)type);
                return false;
            }

            if (!Payload.TryRead(type, body, out Payload? payload, out string? why))
            {
                fault = new(IkeFaultKind.Malformed, why!, (byte)type);
                return false;
            }

            // Of the types that are known the flag says nothing (RFC 7296 §3.2).
            if (critical && payload is UnknownPayload)
            {
                fault = new(IkeFaultKind.UnsupportedCritical, $"a critical payload of type {(byte)type}, which is not known", (byte)type);
                return false;
            }

            read.Add(critical ? payload! with { IsCritical = true } : payload!);
            bytes = bytes[(Payload.HeaderLength + body.Length)..];
        }

        fault = bytes.IsEmpty ? IkeFault.None : new(IkeFaultKind.Malformed, $"{bytes.Length} bytes behind the last payload");
        payloads = bytes.IsEmpty ? read.ToImmutable() : [];
        return bytes.IsEmpty;
    }

    /// <summary>Takes the first payload off: what follows it, whether it is critical, and what it holds.</summary>
    internal static bool TryCut(
        PayloadType type, ReadOnlyMemory<byte> bytes, out PayloadType next, out bool critical, out ReadOnlyMemory<byte> body, out IkeFault fault)
    {
        ReadOnlySpan<byte> span = bytes.Span;
        int length = span.Length < Payload.HeaderLength ? 0 : BinaryPrimitives.ReadUInt16BigEndian(span[2..]);
        if (length < Payload.HeaderLength || length > span.Length)
        {
            (next, critical, body) = (PayloadType.None, false, default);
            fault = new(IkeFaultKind.Malformed, $"a payload of type {(byte)type} that ends behind its message, or before it begins", (byte)type);
            return false;
        }

        next = (PayloadType)span[0];
        critical = (span[1] & Critical) != 0;
        body = bytes[Payload.HeaderLength..length];
        fault = IkeFault.None;
        return true;
    }

    /// <summary>Of these a second one could only contradict the first.</summary>
    private static bool ComesOnce(PayloadType type) => type
        is PayloadType.Sa or PayloadType.KeyExchange or PayloadType.IdInitiator or PayloadType.IdResponder or PayloadType.Authentication
        or PayloadType.Nonce or PayloadType.TsInitiator or PayloadType.TsResponder or PayloadType.Configuration or PayloadType.Eap;

    private static bool IsFirstOfType(ref ulong seen, PayloadType type)
    {
        ulong bit = 1UL << (int)type;
        bool first = (seen & bit) == 0;
        seen |= bit;
        return first;
    }
}
