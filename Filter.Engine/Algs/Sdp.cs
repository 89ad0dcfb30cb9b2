using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Engine.Algs;

/// <summary>The media lines of a session description (RFC 8866): audio and video over RTP, at the sender's own address.</summary>
internal static class Sdp
{
    private const int None = 0, Wrong = -1;

    /// <summary>Reads a description and announces the RTP and RTCP ports it names.</summary>
    public static void Read(ReadOnlySpan<byte> text, Address own, uint call, ref Announcements heard)
    {
        bool session = false, media = false;                // whether the session's address, and the media's, is the sender's
        int rtp = None, rtcp = None;
        bool inMedia = false;
        while (!text.IsEmpty)
        {
            ReadOnlySpan<byte> line = TextScan.Cut(ref text, (byte)'\n');
            line = line.EndsWith("\r"u8) ? line[..^1] : line;
            if (line.StartsWith("m="u8))
            {
                Announce(rtp, rtcp, media, call, ref heard);
                inMedia = true;
                media = session;
                rtp = MediaPort(line[2..]);
                rtcp = None;
            }
            else if (line.StartsWith("c="u8))
            {
                media = IsOwn(line[2..], own);
                session = inMedia ? session : media;
            }
            else if (line.StartsWith("a=rtcp:"u8) && inMedia)
            {
                rtcp = ControlPort(line[7..], own);
            }
        }

        Announce(rtp, rtcp, media, call, ref heard);
    }

    private static void Announce(int rtp, int rtcp, bool own, uint call, ref Announcements heard)
    {
        if (rtp == None)
        {
            return;
        }

        if (!own || rtp == Wrong)
        {
            heard.Refuse();
            return;
        }

        heard.Add(IpProtocol.Udp, rtp, once: false, call);
        heard.Add(IpProtocol.Udp, rtcp == None ? rtp + 1 : rtcp, once: false, call);
    }

    /// <summary>The port of audio or video over RTP; 0 for other media, and for media that is declined (RFC 3264 §6).</summary>
    private static int MediaPort(ReadOnlySpan<byte> value)
    {
        ReadOnlySpan<byte> kind = TextScan.Cut(ref value, (byte)' '), port = TextScan.Cut(ref value, (byte)' ');
        ReadOnlySpan<byte> transport = TextScan.Cut(ref value, (byte)' ');
        if (!(kind.SequenceEqual("audio"u8) || kind.SequenceEqual("video"u8))
            || !(transport.StartsWith("RTP/"u8) || transport.StartsWith("UDP/TLS/RTP/"u8)))
        {
            return None;
        }

        return TextScan.TryNumber(TextScan.Cut(ref port, (byte)'/'), ushort.MaxValue, out int number) ? number : Wrong;
    }

    /// <summary>IN IP4 address, or IN IP6 address; one with a TTL behind it is a group's, so not the sender's.</summary>
    private static bool IsOwn(ReadOnlySpan<byte> value, Address own) =>
        TextScan.Cut(ref value, (byte)' ').SequenceEqual("IN"u8)
        && TextScan.Cut(ref value, (byte)' ').SequenceEqual(own.IsIPv4 ? "IP4"u8 : "IP6"u8)
        && TextScan.TryAddress(TextScan.Trim(value), own.IsIPv4, out Address address) && address == own;

    /// <summary>port, and perhaps an address (RFC 3605 §2.1).</summary>
    private static int ControlPort(ReadOnlySpan<byte> value, Address own)
    {
        ReadOnlySpan<byte> port = TextScan.Cut(ref value, (byte)' ');
        return TextScan.TryNumber(port, ushort.MaxValue, out int number) && number > 0 && (value.IsEmpty || IsOwn(value, own)) ? number : Wrong;
    }
}
