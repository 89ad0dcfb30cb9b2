using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Tests.Conversations;
using Filter.Tests.Ipsec;

namespace Filter.Tests.Wire;

/// <summary>Metadata that say something else than their frame.</summary>
public sealed class OffloadCheckTests
{
    private static readonly Address s_client = Address.Parse("10.0.0.5");
    private static readonly Address s_server = Address.Parse("192.0.2.9");

    [Fact]
    public void A_checksum_left_to_the_NIC_can_not_rewrite_a_packet_behind_its_verdict()
    {
        // The device would write two bytes at start + offset: here over the destination port, or the address.
        byte[] frame = PlainFrames.Udp(s_client, s_server, 20);
        foreach (int at in new[] { 36, 30, 32, 14, 12, 0 })
        {
            Arrived(frame, Unfinished((ushort)Math.Min(at, 34), (ushort)(at - Math.Min(at, 34))), out DropReason why);
            Assert.Equal(DropReason.BadChecksum, why);
        }

        // Nor one that is not IP: what it will read it reads already.
        byte[] arp = Tests.Frames.Arp(1, 0x0200_0000_0001, "10.0.0.1", 0, "10.0.0.2", 0xffff_ffff_ffff);
        Packet packet = Arrived(arp, Unfinished(start: 14, offset: 14), out DropReason reason);
        Assert.Equal((DropReason.None, ChecksumState.Unknown), (reason, packet.Offload.Checksum));
        Assert.NotEqual(Address.Parse("10.0.0.1"), packet.Key.Source);
        Assert.NotEqual(arp, packet.Bytes.ToArray());
    }

    [Fact]
    public void A_checksum_of_an_inner_packet_is_left_to_the_NIC()
    {
        byte[] inner = PlainFrames.Udp(s_client, s_server, 20)[14..];
        BinaryPrimitives.WriteUInt16BigEndian(inner.AsSpan(26), Checksum.Fold(Checksum.PseudoHeader(s_client, s_server, 17, 28)));
        byte[] frame = PlainFrames.Ip(Address.Parse("10.0.0.1"), Address.Parse("10.0.0.2"), 4, inner, false, 0);

        Packet packet = Arrived(frame, Unfinished(start: 54, offset: 6), out DropReason why);

        Assert.Equal((DropReason.None, IpProtocol.IPv4), (why, packet.Key.Protocol));
        Assert.True(Segmenter.TryFinishChecksum(ref packet));
        Assert.Equal(PlainFrames.Udp(s_client, s_server, 20)[14..], packet.Bytes[34..].ToArray());
    }

    [Theory]
    [InlineData(GsoKind.TcpV6)]
    [InlineData(GsoKind.TcpV4)]
    [InlineData(GsoKind.Udp)]
    public void A_super_frame_of_another_kind_than_its_packet_is_dropped(GsoKind kind)
    {
        byte[] frame = kind == GsoKind.Udp ? PlainFrames.Tcp(s_client, s_server, 3000, TcpFlags.Ack) : PlainFrames.Udp(s_client, s_server, 3000);
        Arrived(frame, new Offload { Gso = kind, SegmentSize = 1000, Checksum = ChecksumState.Partial, ChecksumStart = 34, ChecksumOffset = 6 }, out DropReason why);
        Assert.Equal(DropReason.BadLength, why);

        var net = new TestNet(Nets.Open);
        net.Sends("inside", frame, new Offload { Gso = kind, SegmentSize = 1000, Checksum = ChecksumState.Partial, ChecksumStart = 34, ChecksumOffset = 6 });
        Assert.Equal(1, net.Path.Counters[DropReason.BadLength]);
    }

    [Fact]
    public void What_is_unfinished_at_its_own_place_stays_so()
    {
        foreach ((byte[] frame, ushort field) in new[] { (PlainFrames.Udp(s_client, s_server, 20), (ushort)6), (PlainFrames.Tcp(s_client, s_server, 20, TcpFlags.Syn), (ushort)16) })
        {
            Packet packet = Arrived(frame, Unfinished(34, field), out DropReason why);
            Assert.Equal((DropReason.None, ChecksumState.Partial), (why, packet.Offload.Checksum));
        }
    }

    [Fact]
    public void An_unfinished_SCTP_checksum_becomes_a_CRC32c()
    {
        byte[] sctp = new byte[32];
        (sctp[1], sctp[3], sctp[15]) = (7, 9, 20);
        byte[] frame = PlainFrames.Ip(s_client, s_server, 132, sctp, false, 0);
        Packet packet = Arrived(frame, Unfinished(34, 8), out DropReason why);
        Assert.Equal((DropReason.None, ChecksumState.Valid), (why, packet.Offload.Checksum));

        // The known answer of RFC 3720 §B.4: thirty-two bytes of zeros.
        Assert.Equal(0x8a9136aau, Checksum.Crc32C(new byte[32]));
        Assert.Equal(Checksum.Crc32C(sctp), Checksum.Sctp(packet.Segment));
        Assert.Equal(Checksum.Crc32C(sctp), BinaryPrimitives.ReadUInt32LittleEndian(packet.Segment[8..]));
    }

    private static Offload Unfinished(ushort start, ushort offset) => new() { Checksum = ChecksumState.Partial, ChecksumStart = start, ChecksumOffset = offset };

    private static Packet Arrived(byte[] frame, Offload offload, out DropReason why)
    {
        var packet = new Packet { Slab = [.. frame], Length = frame.Length, Ceiling = frame.Length, Offload = offload };
        why = Parser.Parse(ref packet);
        why = why == DropReason.None ? OffloadCheck.Settle(ref packet) : why;
        return packet;
    }
}
