using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Filter.Ipsec.Ike.Crypto;

namespace Filter.Ipsec.Ike.Payloads;

/// <summary>Messages to datagrams and back (RFC 7296 §3, RFC 7383), without the non-ESP marker. What is encrypted is opened, whole, before it is looked at.</summary>
public static class IkeCodec
{
    private const int FragmentHeaderLength = 4;

    /// <summary>A message in the clear: IKE_SA_INIT, and errors to whom no keys are shared.</summary>
    public static byte[] Write(IkeMessage message)
    {
        PayloadWriter payloads = new();
        PayloadType first = PayloadChain.Write(message.Payloads, payloads);
        PayloadWriter whole = new();
        message.Header.Write(whole, first, IkeHeader.Length + payloads.Length);
        whole.Bytes(payloads.Written);
        return whole.Written.ToArray();
    }

    /// <summary>A message whose payloads are encrypted; in fragments where it would be too long otherwise.</summary>
    /// <param name="message">What is said.</param>
    /// <param name="cipher">Of what we send.</param>
    /// <param name="fragmentSize">Bytes of a message (neither IP, UDP nor marker in it) above which it goes in fragments; null for never.</param>
    /// <returns>The datagrams, in order.</returns>
    public static IReadOnlyList<byte[]> Seal(IkeMessage message, IkeCipher cipher, int? fragmentSize)
    {
        PayloadWriter payloads = new();
        PayloadType first = PayloadChain.Write(message.Payloads, payloads);
        ReadOnlySpan<byte> clear = payloads.Written;
        int length = IkeHeader.Length + Payload.HeaderLength + cipher.SealedLength(clear.Length);
        if (fragmentSize is not { } most || length <= most)
        {
            return [Seal(message.Header, PayloadType.Encrypted, first, [], clear, cipher)];
        }

        int each = cipher.LongestText(most - IkeHeader.Length - Payload.HeaderLength - FragmentHeaderLength);
        ArgumentOutOfRangeException.ThrowIfLessThan(each, 1, nameof(fragmentSize));
        int total = (clear.Length + each - 1) / each;
        List<byte[]> fragments = new(total);
        Span<byte> place = stackalloc byte[FragmentHeaderLength];
        for (int i = 0; i < total; i++)
        {
            BinaryPrimitives.WriteUInt16BigEndian(place, (ushort)(i + 1));
            BinaryPrimitives.WriteUInt16BigEndian(place[2..], checked((ushort)total));
            ReadOnlySpan<byte> part = clear[(i * each)..Math.Min((i + 1) * each, clear.Length)];
            fragments.Add(Seal(message.Header, PayloadType.EncryptedFragment, i == 0 ? first : PayloadType.None, place, part, cipher));
        }

        return fragments;
    }

    /// <summary>Reads a message in the clear.</summary>
    /// <param name="datagram">The whole message.</param>
    /// <param name="message">What it says.</param>
    /// <param name="fault">What is wrong.</param>
    public static bool TryRead(ReadOnlySpan<byte> datagram, [NotNullWhen(true)] out IkeMessage? message, out IkeFault fault)
    {
        message = null;
        if (!TryReadHeader(datagram, out IkeHeader header, out fault)
            || !PayloadChain.TryRead(header.FirstPayload, datagram[IkeHeader.Length..].ToArray(), out ImmutableArray<Payload> payloads, out fault))
        {
            return false;
        }

        message = new IkeMessage(header, payloads);
        return true;
    }

    /// <summary>
    /// Opens a message whose payloads are encrypted. Where it is a fragment, and others are missing, the collector keeps it: true, and no
    /// message. The encrypted payload has to be the only one.
    /// </summary>
    /// <param name="datagram">The whole message.</param>
    /// <param name="header">Its header, as it was read.</param>
    /// <param name="cipher">Of what the peer sends.</param>
    /// <param name="fragments">Those of the same direction that came before; null where fragments were not agreed on.</param>
    /// <param name="message">What it says; null after a fragment, and after a fault.</param>
    /// <param name="fault">What is wrong. What is malformed inside was said by who has the keys.</param>
    public static bool TryOpen(
        ReadOnlySpan<byte> datagram, in IkeHeader header, IkeCipher cipher, FragmentCollector? fragments, out IkeMessage? message, out IkeFault fault)
    {
        message = null;
        bool isFragment = header.FirstPayload == PayloadType.EncryptedFragment;
        if (header.MajorVersion != IkeHeader.Version || (!isFragment && header.FirstPayload != PayloadType.Encrypted) || (isFragment && fragments is null))
        {
            fault = new(IkeFaultKind.WrongProtection, isFragment ? "a fragment, which was not agreed on" : "a message in the clear");
            return false;
        }

        byte[] bytes = datagram.ToArray();
        if (!PayloadChain.TryCut(header.FirstPayload, bytes.AsMemory(IkeHeader.Length), out PayloadType first, out _, out ReadOnlyMemory<byte> body, out fault))
        {
            return false;
        }

        int ivAt = IkeHeader.Length + Payload.HeaderLength + (isFragment ? FragmentHeaderLength : 0);
        if (IkeHeader.Length + Payload.HeaderLength + body.Length != bytes.Length)
        {
            fault = new(IkeFaultKind.Malformed, "bytes behind an encrypted payload");
            return false;
        }

        if (!cipher.TryOpen(bytes, ivAt, out Range text, out fault))
        {
            return false;
        }

        byte[] clear = bytes[text];
        if (isFragment)
        {
            int number = BinaryPrimitives.ReadUInt16BigEndian(body.Span), total = BinaryPrimitives.ReadUInt16BigEndian(body.Span[2..]);
            if (!fragments!.TryAdd(header, first, number, total, clear, out byte[]? whole, out first, out string? why))
            {
                fault = new(IkeFaultKind.BadFragment, why!);
                return false;
            }

            if (whole is null)
            {
                return true;
            }

            clear = whole;
        }

        if (!PayloadChain.TryRead(first, clear, out ImmutableArray<Payload> payloads, out fault))
        {
            fault = fault with { IsProven = true };
            return false;
        }

        message = new IkeMessage(header, payloads);
        return true;
    }

    private static bool TryReadHeader(ReadOnlySpan<byte> datagram, out IkeHeader header, out IkeFault fault)
    {
        fault = !IkeHeader.TryRead(datagram, out header, out string? why) ? new(IkeFaultKind.Malformed, why!)
            : header.MajorVersion != IkeHeader.Version ? new(IkeFaultKind.WrongVersion, $"version {header.MajorVersion} of IKE")
            : IkeFault.None;
        return fault.Kind == IkeFaultKind.None;
    }

    private static byte[] Seal(in IkeHeader header, PayloadType type, PayloadType inner, ReadOnlySpan<byte> place, ReadOnlySpan<byte> clear, IkeCipher cipher)
    {
        int sealedLength = cipher.SealedLength(clear.Length);
        int payload = Payload.HeaderLength + place.Length + sealedLength;
        PayloadWriter whole = new();
        header.Write(whole, type, IkeHeader.Length + payload);
        whole.Byte((byte)inner);
        whole.Byte(0);
        whole.UInt16(checked((ushort)payload));
        whole.Bytes(place);
        int ivAt = whole.Length;
        whole.Zeros(sealedLength);
        byte[] bytes = whole.Written.ToArray();
        cipher.Seal(bytes, ivAt, clear);
        return bytes;
    }
}
