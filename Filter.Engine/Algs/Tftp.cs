using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Engine.Algs;

/// <summary>
/// TFTP: a request goes to the server's known port, and the server answers from one of its own choice, to the port that
/// asked (RFC 1350 §4).
/// </summary>
public static class Tftp
{
    private const int ReadRequest = 1, WriteRequest = 2;

    /// <summary>Reads a datagram that passed.</summary>
    /// <param name="packet">The datagram; a reply where the server sent it.</param>
    /// <param name="heard">What it announces.</param>
    public static void Read(in Packet packet, ref Announcements heard)
    {
        ReadOnlySpan<byte> data = packet.Slab.AsSpan(packet.Start + packet.Payload, Math.Max(0, packet.End - packet.Payload));
        if (packet.Reply || data.Length < 2 || BinaryPrimitives.ReadUInt16BigEndian(data) is not (ReadRequest or WriteRequest))
        {
            return;
        }

        data = data[2..];
        int name = data.IndexOf((byte)0);
        if (name <= 0)
        {
            return;
        }

        data = data[(name + 1)..];
        int mode = data.IndexOf((byte)0);
        if (mode > 0 && (TextScan.Is(data[..mode], "octet"u8) || TextScan.Is(data[..mode], "netascii"u8) || TextScan.Is(data[..mode], "mail"u8)))
        {
            heard.Add(IpProtocol.Udp, packet.Key.SourcePort, once: true);
        }
    }
}
