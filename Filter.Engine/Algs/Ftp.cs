using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Engine.Algs;

/// <summary>What is kept of an FTP control connection.</summary>
public struct FtpState
{
    /// <summary>What the client says, and the server.</summary>
    internal LineStream Client, Server;

    /// <summary>The reply that the client waits for: 227, 229, or 0 for neither.</summary>
    internal short Awaited;

    /// <summary>The code of the reply of several lines that the server is in; 0 for none.</summary>
    internal short Within;

    /// <summary>Something of the server's is missing, so nobody knows whether a reply is still going on.</summary>
    internal bool Lost;

    /// <summary>The server has greeted: who speaks before speaks something else.</summary>
    internal bool Greeted;

    /// <summary>The client asked for TLS.</summary>
    internal bool AskedTls;
}

/// <summary>
/// FTP control connections: PORT and EPRT of the client, 227 and 229 of the server (RFC 959 §4.1.2, RFC 2428), each in a
/// whole line at a line's beginning.
/// </summary>
public static class Ftp
{
    private const int Ready = 220, Passive = 227, ExtendedPassive = 229, SecurityReady = 234;

    /// <summary>Reads a segment that passed.</summary>
    /// <param name="state">What is kept of the connection; its default at the beginning.</param>
    /// <param name="packet">The segment; a reply where the server sent it.</param>
    /// <param name="heard">What it announces.</param>
    public static void Read(ref FtpState state, in Packet packet, ref Announcements heard)
    {
        if ((packet.TcpFlags & (TcpFlags.Syn | TcpFlags.Ack)) == (TcpFlags.Syn | TcpFlags.Ack) && packet.Reply)
        {
            state.Client.Agree(packet.Acknowledgment);
        }

        ref LineStream stream = ref packet.Reply ? ref state.Server : ref state.Client;
        ReadOnlySpan<byte> data = stream.Take(packet, out bool missing);
        if (missing && packet.Reply)
        {
            state.Lost = true;
            state.Awaited = 0;
        }

        if (!packet.Reply && data.ContainsAnyInRange((byte)0, (byte)8))
        {
            // No text has these, and TLS has them at once: what its client gives back, a ticket, a server may have written.
            heard.Silent = true;
        }

        while (!heard.Silent && stream.TryCutLine(ref data, out ReadOnlySpan<byte> line))
        {
            if (packet.Reply)
            {
                ReadReply(ref state, line, packet, ref heard);
            }
            else
            {
                ReadCommand(ref state, line, packet, ref heard);
            }
        }
    }

    private static void ReadCommand(ref FtpState state, ReadOnlySpan<byte> line, in Packet packet, ref Announcements heard)
    {
        ReadOnlySpan<byte> rest = line, word = TextScan.Cut(ref rest, (byte)' ');
        if (word.EndsWith(":"u8))
        {
            // A header line of HTTP: a browser was made to speak here by a page from outside.
            heard.Silent = true;
            return;
        }

        if (state.Lost)
        {
            // A client that speaks has read the reply before to its end.
            state.Lost = false;
            state.Within = 0;
        }

        bool greeted = state.Greeted || !state.Client.Whole;
        if (TextScan.Is(word, "PORT"u8))
        {
            Announce(TryHostPort(rest, packet.Key.Source, exact: true, out int port) && greeted, port, ref heard);
        }
        else if (TextScan.Is(word, "EPRT"u8))
        {
            Announce(TryExtendedPort(rest, packet.Key.Source, out int port) && greeted, port, ref heard);
        }
        else if (TextScan.Is(word, "PASV"u8))
        {
            state.Awaited = Passive;
        }
        else if (TextScan.Is(word, "EPSV"u8))
        {
            state.Awaited = TextScan.Is(rest, "ALL"u8) ? state.Awaited : (short)ExtendedPassive;
        }
        else if (TextScan.Is(word, "AUTH"u8))
        {
            state.AskedTls = true;
        }
    }

    /// <summary>
    /// A reply is one line, or several: the first has a hyphen behind its code, the last the same code and a blank, and
    /// between them stands anything (RFC 959 §4.2).
    /// </summary>
    private static void ReadReply(ref FtpState state, ReadOnlySpan<byte> line, in Packet packet, ref Announcements heard)
    {
        if (state.Lost || line.Length < 3 || !TextScan.TryNumber(line[..3], 999, out int code))
        {
            return;
        }

        bool last = line.Length == 3 || line[3] == ' ';
        if (state.Within != 0)
        {
            if (!last || code != state.Within)
            {
                return;
            }

            state.Within = 0;
        }
        else if (line.Length > 3 && line[3] == '-')
        {
            state.Within = (short)code;
        }

        if (!last)
        {
            return;
        }

        state.Greeted |= code == Ready;
        if (code == SecurityReady && state.AskedTls)
        {
            heard.Silent = true;                            // what follows is sealed (RFC 4217 §4)
        }
        else if (code is Passive or ExtendedPassive && code == state.Awaited)
        {
            state.Awaited = 0;
            ReadOnlySpan<byte> rest = line[Math.Min(4, line.Length)..];
            bool good = code == Passive
                ? TryHostPort(rest, packet.Key.Source, exact: false, out int port)
                : TryPassivePort(rest, out port);
            Announce(good, port, ref heard);
        }
    }

    private static void Announce(bool believed, int port, ref Announcements heard)
    {
        if (believed)
        {
            heard.Add(IpProtocol.Tcp, port, once: true);
        }
        else
        {
            heard.Refuse();
        }
    }

    /// <summary>
    /// h1,h2,h3,h4,p1,p2. In a reply it stands in parentheses, or wherever its first digit is (RFC 1123 §4.1.2.6).
    /// </summary>
    private static bool TryHostPort(ReadOnlySpan<byte> text, Address own, bool exact, out int port)
    {
        port = 0;
        if (!exact)
        {
            int open = text.IndexOf((byte)'(');
            open = open >= 0 ? open + 1 : text.IndexOfAnyInRange((byte)'0', (byte)'9');
            if (open < 0)
            {
                return false;
            }

            text = text[open..];
        }

        ulong value = 0;
        for (int i = 0; i < 6; i++)
        {
            if (i > 0)
            {
                if (text.IsEmpty || text[0] != ',')
                {
                    return false;
                }

                text = text[1..];
            }

            if (!TextScan.TryCutNumber(ref text, byte.MaxValue, out int number))
            {
                return false;
            }

            value = (value << 8) | (uint)number;
        }

        port = (int)(value & ushort.MaxValue);
        return (!exact || TextScan.Trim(text).IsEmpty) && Address.FromIPv4((uint)(value >> 16)) == own;
    }

    /// <summary>|family|address|port| with any printable delimiter (RFC 2428 §2).</summary>
    private static bool TryExtendedPort(ReadOnlySpan<byte> text, Address own, out int port)
    {
        port = 0;
        text = TextScan.Trim(text);
        if (text.Length < 2 || text[0] is < 33 or > 126 || text[^1] != text[0])
        {
            return false;
        }

        byte delimiter = text[0];
        text = text[1..^1];
        bool ipv4 = own.IsIPv4;
        return TextScan.TryNumber(TextScan.Cut(ref text, delimiter), 2, out int family) && family == (ipv4 ? 1 : 2)
            && TextScan.TryAddress(TextScan.Cut(ref text, delimiter), ipv4, out Address address) && address == own
            && TextScan.TryNumber(text, ushort.MaxValue, out port);
    }

    /// <summary>(|||port|) with any printable delimiter (RFC 2428 §3): the server's own address, always.</summary>
    private static bool TryPassivePort(ReadOnlySpan<byte> text, out int port)
    {
        port = 0;
        int open = text.IndexOf((byte)'('), close = text.LastIndexOf((byte)')');
        if (open < 0 || close - open < 6)
        {
            return false;
        }

        text = text[(open + 1)..close];
        byte delimiter = text[0];
        return delimiter is >= 33 and <= 126 && text[1] == delimiter && text[2] == delimiter && text[^1] == delimiter
            && TextScan.TryNumber(text[3..^1], ushort.MaxValue, out port);
    }
}
