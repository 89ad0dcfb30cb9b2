using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Tests.Wire;

/// <summary>The walk over an SCTP packet's chunks: RFC 9260 §3.2, §6.10, §8.5.1.</summary>
public sealed class SctpChunkTests
{
    private const int Ip = 14, Sctp = Ip + 20, Header = 12;

    [Theory]
    [InlineData("00000010 aaaaaaaa bbbbbbbb cccccccc", SctpEvents.Other)]
    [InlineData("0a000008 11111111 00000005 22000000", SctpEvents.CookieEcho | SctpEvents.Other)]
    [InlineData("0f000008 11111111 0a000004 00000005 22000000", SctpEvents.CookieEcho | SctpEvents.Other)]
    [InlineData("0b000004 07000008 11111111", SctpEvents.CookieAck | SctpEvents.Shutdown)]
    [InlineData("00000005 22000000 06000004", SctpEvents.Abort)]
    [InlineData("00000005 22", SctpEvents.Other)]
    [InlineData("c1000004", SctpEvents.Other)]
    [InlineData("0e010004", SctpEvents.ShutdownComplete)]
    public void Chunks_are_read(string chunks, SctpEvents events)
    {
        Packet packet = Read(chunks, 7, out DropReason why);
        Assert.Equal((DropReason.None, events), (why, packet.Chunks));
        Assert.Equal(events == SctpEvents.ShutdownComplete, packet.TagReflected);
    }

    [Theory]
    [InlineData("", DropReason.Truncated)]
    [InlineData("0000", DropReason.Truncated)]
    [InlineData("00000000", DropReason.BadChunk)]
    [InlineData("00000003", DropReason.BadChunk)]
    [InlineData("00000005", DropReason.BadChunk)]
    [InlineData("0000ffff 11111111", DropReason.BadChunk)]
    [InlineData("00000005 22000000 00", DropReason.BadChunk)]
    [InlineData("0b000004 0a000004", DropReason.BadChunk)]
    [InlineData("00000004 0b000004", DropReason.BadChunk)]
    [InlineData("0e000004 00000004", DropReason.BadChunk)]
    [InlineData("00000004 0e000004", DropReason.BadChunk)]
    [InlineData("0f000004 0e000004", DropReason.BadChunk)]
    [InlineData("0f000004 00000004 0a000004", DropReason.BadChunk)]
    [InlineData("02000014 0000000a 00010000 00010001 00000000 00000004", DropReason.BadChunk)]
    [InlineData("02000010 0000000a 00010000 00010001", DropReason.BadChunk)]
    [InlineData("02000014 00000000 00010000 00010001 00000000", DropReason.BadChunk)]
    [InlineData("01000014 0000000a 00010000 00010001 00000000", DropReason.BadChunk)]
    public void What_no_sender_may_form_is_dropped(string chunks, DropReason why)
    {
        Read(chunks, 7, out DropReason found);
        Assert.Equal(why, found);
    }

    [Fact]
    public void An_INIT_comes_without_a_tag_and_offers_one()
    {
        Packet packet = Read("01000014 0000000a 00010000 00010001 00000000", 0, out DropReason why);
        Assert.Equal((DropReason.None, SctpEvents.Init, 10u), (why, packet.Chunks, packet.InitiateTag));
        Read("02000014 0000000a 00010000 00010001 00000000", 0, out why);
        Assert.Equal(DropReason.BadChunk, why);
    }

    /// <summary>An independent, slow reading of the same rules must find the same events, whatever the bytes.</summary>
    [Fact]
    public void Random_chunks_are_walked_to_their_end_or_dropped()
    {
        Random random = Fuzzing.Seeded(out _);
        int good = 0;
        for (int round = 0; round < Fuzzing.Rounds(20_000); round++)
        {
            byte[] chunks = new byte[random.Next(80)];
            random.NextBytes(chunks);
            for (int at = 0; at + 4 <= chunks.Length && random.Next(40) != 0;)
            {
                int length = Math.Min(chunks.Length - at, random.Next(4, 24));
                chunks[at] = (byte)random.Next(16);
                BinaryPrimitives.WriteUInt16BigEndian(chunks.AsSpan(at + 2), (ushort)length);
                at += (length + 3) & ~3;
            }

            uint tag = random.Next(4) == 0 ? 0u : 7u;
            Packet packet = Read(Convert.ToHexString(chunks), tag, out DropReason why);
            SctpEvents? expected = Expected(chunks, tag);
            Assert.Equal(expected is not null, why == DropReason.None);
            if (expected is { } events)
            {
                good++;
                Assert.Equal(events, packet.Chunks);
            }
        }

        Assert.True(good > 500, $"only {good} were good");
    }

    private static SctpEvents? Expected(byte[] bytes, uint tag)
    {
        List<(byte Type, byte[] Bytes)> chunks = [];
        for (int at = 0; at < bytes.Length;)
        {
            int length = at + 4 <= bytes.Length ? (bytes[at + 2] << 8) | bytes[at + 3] : 0;
            if (length < 4 || at + length > bytes.Length)
            {
                return null;
            }

            chunks.Add((bytes[at], bytes[at..(at + length)]));
            at += (length + 3) / 4 * 4;
        }

        int cookie = chunks.FindLastIndex(static c => c.Type is 10 or 11);
        bool alone = chunks.Count == 1 || !chunks.Exists(static c => c.Type is 1 or 2 or 14);
        bool tags = chunks.TrueForAll(c => c.Type is not (1 or 2) || (c.Bytes.Length >= 20 && c.Bytes[4..8].Any(static b => b != 0) && tag == 0 == (c.Type == 1)));
        if (chunks.Count == 0 || !alone || !tags || (cookie > 0 && (cookie > 1 || chunks[0].Type != 15)))
        {
            return null;
        }

        SctpEvents events = chunks.Aggregate(SctpEvents.None, static (all, c) => all | c.Type switch
        {
            1 => SctpEvents.Init, 2 => SctpEvents.InitAck, 6 => SctpEvents.Abort, 7 => SctpEvents.Shutdown, 8 => SctpEvents.ShutdownAck,
            10 => SctpEvents.CookieEcho, 11 => SctpEvents.CookieAck, 14 => SctpEvents.ShutdownComplete, _ => SctpEvents.Other,
        });
        return (events & SctpEvents.Abort) != 0 ? SctpEvents.Abort : events;
    }

    private static Packet Read(string hex, uint tag, out DropReason why)
    {
        byte[] chunks = Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));
        PacketLine line = PacketLine.Parse($"sctp 10.0.0.5:1 > 203.0.113.9:2 tag={tag} len={chunks.Length}");
        byte[] frame = new byte[FrameBuilder.Length(line)];
        FrameBuilder.Write(line, frame);
        chunks.CopyTo(frame, Sctp + Header);
        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(Sctp + 8), Checksum.Sctp(frame.AsSpan(Sctp)));
        var packet = new Packet { Slab = frame, Length = frame.Length, Ceiling = frame.Length };
        why = Parser.Parse(ref packet);
        return packet;
    }
}
