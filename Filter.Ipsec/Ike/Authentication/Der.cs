using System.Formats.Asn1;

namespace Filter.Ipsec.Ike.Authentication;

/// <summary>
/// What strangers send as ASN.1 is looked at before any library parses it: those that descend by recursion would run out of stack, which
/// nothing catches.
/// </summary>
internal static class Der
{
    /// <summary>A certificate has about ten levels.</summary>
    private const int Deepest = 32;

    /// <summary>Bytes of a certificate, list or key at most.</summary>
    private const int Longest = 65_536;

    /// <summary>Whether it is one value of ASN.1, every length in it definite and within the one around it, and no deeper than anybody needs.</summary>
    internal static bool IsSound(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > Longest)
        {
            return false;
        }

        Span<int> ends = stackalloc int[Deepest];
        int depth = 0, at = 0, values = 0;
        while (at < bytes.Length)
        {
            while (depth > 0 && ends[depth - 1] == at)
            {
                depth--;
            }

            if (depth == 0 && values++ > 0)
            {
                return false;
            }

            int end = depth > 0 ? ends[depth - 1] : bytes.Length;
            if (!Asn1Tag.TryDecode(bytes[at..end], out Asn1Tag tag, out int tagLength)
                || !TryReadLength(bytes[(at + tagLength)..end], out int length, out int lengthLength)
                || length > end - at - tagLength - lengthLength)
            {
                return false;
            }

            at += tagLength + lengthLength;
            if (!tag.IsConstructed)
            {
                at += length;
            }
            else if (length > 0)
            {
                if (depth == Deepest)
                {
                    return false;
                }

                ends[depth++] = at + length;
            }
        }

        return values == 1 && at == bytes.Length;
    }

    private static bool TryReadLength(ReadOnlySpan<byte> bytes, out int length, out int taken)
    {
        (length, taken) = (0, 1);
        if (bytes.IsEmpty)
        {
            return false;
        }

        length = bytes[0];
        if (length < 0x80)
        {
            return true;
        }

        int count = length & 0x7f;
        if (count is 0 or > 3 || bytes.Length <= count)
        {
            return false;
        }

        length = 0;
        for (int i = 1; i <= count; i++)
        {
            length = (length << 8) | bytes[i];
        }

        taken = 1 + count;
        return true;
    }
}
