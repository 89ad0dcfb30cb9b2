using System.Buffers.Binary;
using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <content>SCTP: the common header and what its chunks are to the state table (RFC 9260 §3).</content>
public static partial class Parser
{
    /// <summary>Ports, verification tag, checksum.</summary>
    private const int SctpHeaderLength = 12;

    private static DropReason ParseSctp(ref Packet packet, ReadOnlySpan<byte> sctp)
    {
        if (sctp.Length < SctpHeaderLength)
        {
            return DropReason.Truncated;
        }

        ReadPorts(ref packet, sctp);
        packet.Payload = packet.Transport + SctpHeaderLength;
        packet.Chunks = SctpEvents.None;
        packet.TagReflected = false;
        packet.Tag = BinaryPrimitives.ReadUInt32BigEndian(sctp[4..]);
        return packet.Key.SourcePort == 0 || packet.Key.DestinationPort == 0
            ? DropReason.PortZero
            : ReadChunks(ref packet, sctp[SctpHeaderLength..]);
    }

    /// <summary>
    /// Walks the chunks to the packet's end; each is four bytes or more, so the packet's length bounds the walk. The last may
    /// lack its padding.
    /// </summary>
    private static DropReason ReadChunks(ref Packet packet, ReadOnlySpan<byte> chunks)
    {
        if (chunks.Length < SctpChunk.HeaderLength)
        {
            return DropReason.Truncated;
        }

        bool first = true, alone = false;
        for (bool signed = false; !chunks.IsEmpty; first = false)
        {
            int length = chunks.Length < SctpChunk.HeaderLength ? 0 : BinaryPrimitives.ReadUInt16BigEndian(chunks[2..]);
            if (length < SctpChunk.HeaderLength || length > chunks.Length || alone)
            {
                return DropReason.BadChunk;
            }

            SctpEvents what = Event(chunks[0]);
            alone = what is SctpEvents.Init or SctpEvents.InitAck or SctpEvents.ShutdownComplete;       // §6.10
            bool leads = what is SctpEvents.CookieEcho or SctpEvents.CookieAck;                         // §3.3.11, §3.3.12
            if ((!first && (alone || (leads && !signed))) || (what is SctpEvents.Init or SctpEvents.InitAck && !ReadInit(ref packet, chunks[..length], what)))
            {
                return DropReason.BadChunk;
            }

            packet.Chunks |= what;
            packet.TagReflected |= what is SctpEvents.Abort or SctpEvents.ShutdownComplete && (chunks[1] & SctpChunk.TagReflected) != 0;
            signed = first && chunks[0] == SctpChunk.Authentication;                                     // RFC 4895 §6.2
            chunks = chunks[Math.Min((length + 3) & ~3, chunks.Length)..];
        }

        packet.Chunks = (packet.Chunks & SctpEvents.Abort) != 0 ? SctpEvents.Abort : packet.Chunks;
        return DropReason.None;
    }

    /// <summary>The tag its sender will be sent, which is never 0 (§3.3.2); INIT itself comes without one (§8.5.1 A).</summary>
    private static bool ReadInit(ref Packet packet, ReadOnlySpan<byte> chunk, SctpEvents what)
    {
        if (chunk.Length < SctpChunk.InitLength)
        {
            return false;
        }

        packet.InitiateTag = BinaryPrimitives.ReadUInt32BigEndian(chunk[SctpChunk.HeaderLength..]);
        return packet.InitiateTag != 0 && packet.Tag == 0 == (what == SctpEvents.Init);
    }

    private static SctpEvents Event(byte chunk) => chunk switch
    {
        SctpChunk.Init => SctpEvents.Init,
        SctpChunk.InitAck => SctpEvents.InitAck,
        SctpChunk.CookieEcho => SctpEvents.CookieEcho,
        SctpChunk.CookieAck => SctpEvents.CookieAck,
        SctpChunk.Shutdown => SctpEvents.Shutdown,
        SctpChunk.ShutdownAck => SctpEvents.ShutdownAck,
        SctpChunk.ShutdownComplete => SctpEvents.ShutdownComplete,
        SctpChunk.Abort => SctpEvents.Abort,
        _ => SctpEvents.Other,
    };
}
