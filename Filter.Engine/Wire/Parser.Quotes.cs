using System.Buffers.Binary;
using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <content>The packets that ICMP errors quote.</content>
public static partial class Parser
{
    /// <summary>
    /// Reads the packet that an ICMP error quotes, as far as it goes: the key that it showed, so with
    /// the error's receiver as source. Home addresses stand in it as in every key.
    /// </summary>
    /// <returns>False where the quote is cut before its ports, or is a later fragment, or of what no error speaks of.</returns>
    public static bool TryReadQuote(in Packet error, out FlowKey key) => TryReadQuote(error, out key, out _, out _);

    /// <summary>As <see cref="TryReadQuote(in Packet, out FlowKey)"/>.</summary>
    /// <param name="error">A parsed ICMP error.</param>
    /// <param name="key">The quoted packet's key.</param>
    /// <param name="number">The second four bytes of its transport header: a sequence number of TCP, a tag of SCTP.</param>
    /// <param name="sender">Whom the quoted header names as its sender: a care-of address, where the key has its home address.</param>
    public static bool TryReadQuote(in Packet error, out FlowKey key, out uint number, out Address sender)
    {
        number = 0;
        if (!TryLocate(error, out key, out sender, out int at, out _))
        {
            return false;
        }

        ReadOnlySpan<byte> header = Quote(error)[at..];
        number = BinaryPrimitives.ReadUInt32BigEndian(header[4..]);
        return TryReadUpper(ref key, header);
    }

    /// <summary>Reads what an ICMP error quotes of ESP or AH, bare or in UDP.</summary>
    /// <param name="error">A parsed ICMP error.</param>
    /// <param name="key">The quoted packet's outer addresses and protocol; of UDP its ports too.</param>
    /// <param name="spi">The SPI; 0 where the quote of UDP ends before it.</param>
    /// <param name="sequence">The sequence number; 0 likewise.</param>
    /// <returns>False where it quotes something else, or too little.</returns>
    public static bool TryReadProtectedQuote(in Packet error, out FlowKey key, out uint spi, out uint sequence)
    {
        (spi, sequence) = (0, 0);
        if (!TryLocate(error, out key, out _, out int at, out byte protocol)
            || protocol is not (IpProtocol.Esp or IpProtocol.Ah or IpProtocol.Udp) || !TryReadUpper(ref key, Quote(error)[at..]))
        {
            return false;
        }

        ReadOnlySpan<byte> header = Quote(error)[(at + (protocol == IpProtocol.Esp ? 0 : protocol == IpProtocol.Ah ? 4 : 8))..];
        if (header.Length >= 8)
        {
            spi = BinaryPrimitives.ReadUInt32BigEndian(header);
            sequence = BinaryPrimitives.ReadUInt32BigEndian(header[4..]);
            return true;
        }

        if (header.Length >= 4)
        {
            spi = BinaryPrimitives.ReadUInt32BigEndian(header);
        }

        return protocol == IpProtocol.Udp || spi != 0;
    }

    private static ReadOnlySpan<byte> Quote(in Packet error) => error.Slab.AsSpan(error.Start + error.Payload, error.End - error.Payload);

    /// <summary>Where the quoted packet's transport header begins, of which eight bytes are there.</summary>
    private static bool TryLocate(in Packet error, out FlowKey key, out Address sender, out int at, out byte protocol)
    {
        (key, sender, at, protocol) = (default, default, 0, 0);
        ReadOnlySpan<byte> quote = Quote(error);
        Address source, destination;
        if (error.IsIPv4)
        {
            if (quote.Length < 28 || quote[0] >> 4 != 4)
            {
                return false;
            }

            at = (quote[0] & 15) * 4;
            if (at < 20 || at + 8 > quote.Length || (BinaryPrimitives.ReadUInt16BigEndian(quote[6..]) & 0x1fff) != 0)
            {
                return false;
            }

            if (BinaryPrimitives.ReadUInt16BigEndian(quote[2..]) < at + 8)
            {
                return false;                               // what it quotes was no packet
            }

            protocol = quote[9];
            source = Address.ReadIPv4(quote[12..]);
            sender = source;
            destination = Address.ReadIPv4(quote[16..]);
        }
        else
        {
            if (quote.Length < 48 || quote[0] >> 4 != 6)
            {
                return false;
            }

            source = Address.ReadIPv6(quote[8..]);
            sender = source;
            destination = Address.ReadIPv6(quote[24..]);
            protocol = quote[6];
            at = 40;
            for (int count = 0; protocol is IpProtocol.HopByHop or IpProtocol.Routing or IpProtocol.Fragment or IpProtocol.DestinationOptions; count++)
            {
                if (count == MaxExtensionHeaders || at + 8 > quote.Length
                    || (protocol == IpProtocol.Fragment && (BinaryPrimitives.ReadUInt16BigEndian(quote[(at + 2)..]) & 0xfff8) != 0))
                {
                    return false;
                }

                int length = protocol == IpProtocol.Fragment ? 8 : (quote[at + 1] + 1) * 8;
                if (at + length <= quote.Length)
                {
                    ReadHomeAddress(protocol, quote.Slice(at, length), ref source, ref destination);
                }

                protocol = quote[at];
                at += length;
            }

            if (at + 8 > quote.Length)
            {
                return false;
            }
        }

        key = new FlowKey(source, destination, 0, 0, protocol, error.Key.Segment);
        return MayBeQuoted(error, destination);
    }

    /// <summary>What parsing does where it walks the chain: an option, or a routing header that was not yet walked to its end.</summary>
    private static void ReadHomeAddress(byte kind, ReadOnlySpan<byte> header, ref Address source, ref Address destination)
    {
        if (kind == IpProtocol.DestinationOptions)
        {
            WalkOptions(header[2..], destinationOptions: true, ref source);
        }
        else if (kind == IpProtocol.Routing && header[2] == 2 && header[3] == 1 && header.Length == 24)
        {
            destination = Address.ReadIPv6(header[8..]);
        }
    }

    /// <summary>
    /// Of what went to many, nobody tells more than that it was too big or had an option that must be known (RFC 1122 §3.2.2, RFC
    /// 4443 §2.4 (e)).
    /// </summary>
    private static bool MayBeQuoted(in Packet error, Address destination) =>
        !(destination.IsMulticast || destination.IsLimitedBroadcast)
        || (error.Key.Protocol == IpProtocol.IcmpV6 && (error.IcmpType, error.IcmpCode) is (2, _) or (4, 2));

    /// <summary>What the quoted transport header adds to the key; of UDP and the like also whether its length can be.</summary>
    private static bool TryReadUpper(ref FlowKey key, ReadOnlySpan<byte> header)
    {
        switch (key.Protocol)
        {
            case IpProtocol.Udp when BinaryPrimitives.ReadUInt16BigEndian(header[4..]) is < 8:
                return false;

            case IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.UdpLite or IpProtocol.Sctp or IpProtocol.Dccp:
                key = key with
                {
                    SourcePort = BinaryPrimitives.ReadUInt16BigEndian(header),
                    DestinationPort = BinaryPrimitives.ReadUInt16BigEndian(header[2..]),
                };
                return true;

            case IpProtocol.Gre:
                bool shown = GreKey.TryRead(header, out uint? gre);
                key = gre is { } value ? GreKey.Of(key, value) : key;
                return shown;

            case IpProtocol.Icmp or IpProtocol.IcmpV6:
                // Of ICMP only queries are spoken of (RFC 1122 §3.2.2, RFC 4443 §2.4 (e)), each of its own IP.
                bool isQuery = IcmpQueries.Asks(key.Protocol, header[0]) || IcmpQueries.Answers(key.Protocol, header[0]);
                key = IcmpQueries.Key(key, header[0], BinaryPrimitives.ReadUInt16BigEndian(header[4..]));
                return isQuery;

            default:
                return true;
        }
    }
}
