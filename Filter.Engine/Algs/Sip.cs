using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Engine.Algs;

/// <summary>What is kept of a SIP connection over TCP; datagrams need nothing.</summary>
public struct SipState
{
    /// <summary>What the opener says, and the answerer.</summary>
    internal ByteStream Opener, Answerer;

    /// <summary>Bytes of a body that are still to come and are passed over, of each direction.</summary>
    internal uint OpenerRest, AnswererRest;
}

/// <summary>
/// SIP and the SDP in it: whoever offers or answers media at its own address awaits RTP and RTCP there (RFC 3261, RFC 3264).
/// </summary>
/// <remarks>
/// Over TCP a message is read where its header is whole in one segment; a body that is not is passed over. A connection
/// that does not begin with SIP, or out of which something is missing, is not read: what looks like a message in the
/// middle of another protocol is none.
/// </remarks>
public static class Sip
{
    private const int LongestBody = 65_535;

    /// <summary>Reads a datagram or segment that passed.</summary>
    /// <param name="state">What is kept of the flow; its default at the beginning.</param>
    /// <param name="packet">The packet.</param>
    /// <param name="heard">What it announces.</param>
    public static void Read(ref SipState state, in Packet packet, ref Announcements heard)
    {
        if (packet.Key.Protocol == IpProtocol.Tcp)
        {
            ReadSegment(ref state, packet, ref heard);
            return;
        }

        ReadOnlySpan<byte> data = packet.Slab.AsSpan(packet.Start + packet.Payload, Math.Max(0, packet.End - packet.Payload));
        if (TryCutHeader(ref data, out ReadOnlySpan<byte> header) && SipMessage.TryRead(header, out SipMessage message))
        {
            // A datagram's body ends with it, or before (RFC 3261 §18.3).
            Hear(message, message.Length >= 0 && message.Length < data.Length ? data[..message.Length] : data, packet, ref heard);
        }
    }

    private static void ReadSegment(ref SipState state, in Packet packet, ref Announcements heard)
    {
        if ((packet.TcpFlags & (TcpFlags.Syn | TcpFlags.Ack)) == (TcpFlags.Syn | TcpFlags.Ack) && packet.Reply)
        {
            state.Opener.Agree(packet.Acknowledgment);
        }

        ref ByteStream stream = ref packet.Reply ? ref state.Answerer : ref state.Opener;
        ref uint rest = ref packet.Reply ? ref state.AnswererRest : ref state.OpenerRest;
        ReadOnlySpan<byte> data = stream.Take(packet, out bool missing);
        heard.Silent |= missing;
        while (!data.IsEmpty && !heard.Silent)
        {
            if (rest > 0)
            {
                int passed = (int)Math.Min(rest, (uint)data.Length);
                rest -= (uint)passed;
                data = data[passed..];
            }
            else if (data.StartsWith("\r\n"u8))
            {
                data = data[2..];                           // keeps the connection alive (RFC 5626 §3.5.1)
            }
            else if (!TryCutHeader(ref data, out ReadOnlySpan<byte> header)
                || !SipMessage.TryRead(header, out SipMessage message) || message.Length is < 0 or > LongestBody)
            {
                heard.Silent = true;
            }
            else if (message.Length > data.Length)
            {
                rest = (uint)(message.Length - data.Length);
                data = [];
            }
            else
            {
                Hear(message, data[..message.Length], packet, ref heard);
                data = data[message.Length..];
            }
        }
    }

    /// <summary>Cuts a header, with its last line's end, off; what is left begins with the body.</summary>
    private static bool TryCutHeader(ref ReadOnlySpan<byte> data, out ReadOnlySpan<byte> header)
    {
        int end = data.IndexOf("\r\n\r\n"u8);
        header = end < 0 ? [] : data[..(end + 2)];
        data = end < 0 ? [] : data[(end + 4)..];
        return end > 0;
    }

    private static void Hear(in SipMessage message, ReadOnlySpan<byte> body, in Packet packet, ref Announcements heard)
    {
        if (message.Ends)
        {
            heard.Ended = message.Call;
            return;
        }

        if (packet.Key.Protocol == IpProtocol.Udp && message.Asks && message.AnswerPort is var port && port != 0 && port != packet.Key.SourcePort
            && TextScan.TryAddress(message.AnswerHost, packet.Key.Source.IsIPv4, out Address host) && host == packet.Key.Source)
        {
            heard.Add(IpProtocol.Udp, port, once: true, message.Call);
        }

        if (message.Negotiates && message.HasSdp)
        {
            Sdp.Read(body, packet.Key.Source, message.Call, ref heard);
        }
    }
}
