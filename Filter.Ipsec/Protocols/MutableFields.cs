using Filter.Engine.Wire;

namespace Filter.Ipsec.Protocols;

/// <summary>
/// What AH does not authenticate of the headers before it, because routers change it (RFC 4302 §3.3.3.1, appendix A): it is
/// zero for the ICV. What they change in a way that the sender can tell beforehand is as the receiver will find it.
/// </summary>
internal static class MutableFields
{
    private const int AddressLength = 16;
    private const byte MayChange = 0x20;                // RFC 8200 §4.2: option data may change on the way
    private const byte HomeAddressOption = 0xc9;        // RFC 6275 §6.3
    private const byte LooseRoute = 131;
    private const byte StrictRoute = 137;

    /// <summary>Makes of the headers before AH what the ICV is computed over.</summary>
    /// <param name="headers">From the IP header up to AH, of a packet that the parser took.</param>
    internal static void Blank(Span<byte> headers)
    {
        if (IpHeader.IsIPv4(headers))
        {
            BlankIPv4(headers);
        }
        else
        {
            BlankIPv6(headers);
        }
    }

    private static void BlankIPv4(Span<byte> header)
    {
        header[1] = 0;                                  // DSCP and ECN
        header[6..9].Clear();                           // flags, fragment offset, TTL
        header[10..12].Clear();                         // checksum
        Span<byte> options = header[IpHeader.IPv4Length..];
        while (options.Length > 0 && options[0] != 0)
        {
            int length = options[0] == 1 ? 1 : options.Length > 1 ? Math.Clamp((int)options[1], 1, options.Length) : 1;
            if (!IsImmutable(options[0]))
            {
                if (options[0] is LooseRoute or StrictRoute)
                {
                    PredictRoute(header, options[..length]);
                }

                options[..length].Clear();
            }

            options = options[length..];
        }
    }

    /// <summary>RFC 4302 appendix A1: padding, security of three kinds, router alert, multi-destination delivery.</summary>
    private static bool IsImmutable(byte option) => option is 0 or 1 or 130 or 133 or 134 or 148 or 149;

    /// <summary>A route that is not yet at its end ends at its last address (RFC 791 §3.1).</summary>
    private static void PredictRoute(Span<byte> header, ReadOnlySpan<byte> route)
    {
        if (route.Length >= 7 && route[2] <= route.Length - 3)
        {
            route[^4..].CopyTo(header[16..]);
        }
    }

    private static void BlankIPv6(Span<byte> headers)
    {
        headers[0] = 0x60;                              // traffic class, flow label
        headers[1..4].Clear();
        headers[7] = 0;                                 // hop limit
        byte kind = headers[6];
        for (Span<byte> rest = headers[IpHeader.IPv6Length..]; rest.Length >= 8;)
        {
            int length = kind == IpProtocol.Fragment ? IpHeader.FragmentHeaderLength : Math.Min((rest[1] + 1) * 8, rest.Length);
            Span<byte> header = rest[..length];
            switch (kind)
            {
                case IpProtocol.HopByHop:
                    BlankOptions(header[2..], headers, mayMove: false);
                    break;

                case IpProtocol.DestinationOptions:
                    BlankOptions(header[2..], headers, mayMove: true);
                    break;

                case IpProtocol.Routing when header[2] == 2 && header[3] == 1 && length == 8 + AddressLength:
                    // To a mobile node: the receiver finds its home address as the destination (RFC 6275 §6.4.2).
                    Swap(headers.Slice(24, AddressLength), header.Slice(8, AddressLength));
                    header[3] = 0;
                    break;
            }

            kind = header[0];
            rest = rest[length..];
        }
    }

    private static void BlankOptions(Span<byte> options, Span<byte> headers, bool mayMove)
    {
        while (options.Length >= 2)
        {
            if (options[0] == 0)
            {
                options = options[1..];
                continue;
            }

            int length = Math.Min(options[1] + 2, options.Length);
            if ((options[0] & MayChange) != 0)
            {
                options[2..length].Clear();
            }
            else if (mayMove && options[0] == HomeAddressOption && length == 2 + AddressLength)
            {
                // From a mobile node: its home address as the source (RFC 6275 §11.3.1).
                Swap(headers.Slice(8, AddressLength), options.Slice(2, AddressLength));
            }

            options = options[length..];
        }
    }

    private static void Swap(Span<byte> one, Span<byte> other)
    {
        Span<byte> kept = stackalloc byte[AddressLength];
        one.CopyTo(kept);
        other.CopyTo(one);
        kept.CopyTo(other);
    }
}
