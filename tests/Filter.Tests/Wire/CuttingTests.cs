using System.Buffers.Binary;
using Filter.Engine.Local;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Tests.Wire;

/// <summary>Segments, fragments, MSS and errors at their edges; the ordinary is shown where they are used.</summary>
public sealed class CuttingTests
{
    [Fact]
    public void Options_without_the_copied_flag_stand_in_the_first_fragment_alone()
    {
        // Record route (7, not copied), router alert (148, copied).
        byte[] options = [7, 7, 4, 0, 0, 0, 0, 1, 148, 4, 0, 0];
        var burst = new Burst();
        int index = Frames.Append(burst, Frames.Ethernet(
            Frames.Ip("10.0.0.1", "10.0.0.2", 99, Frames.Pattern(100), options: options)));

        Assert.True(Fragmenter.TryCut(burst, index, 80, 0));

        Assert.Equal(4, burst.Count);
        Assert.Equal(0, burst.Packets[0].Egress);
        Assert.Equal(options, burst.Packets[1].Datagram[20..32].ToArray());
        Assert.Equal([1, 1, 1, 1, 1, 1, 1, 1, 148, 4, 0, 0], burst.Packets[2].Datagram[20..32].ToArray());
        for (int i = 1; i < 4; i++)
        {
            Assert.Equal(DropReason.None, Frames.Reparse(burst.Packets[i], out Packet piece));
            Assert.Equal((i - 1) * 48, piece.FragmentOffset);
            Assert.Equal(i < 3, piece.MoreFragments);
        }
    }

    [Fact]
    public void A_fragment_cut_again_keeps_its_place_in_the_datagram()
    {
        var burst = new Burst();
        int index = Frames.Append(burst, Frames.Ethernet(
            Frames.Fragment("10.0.0.1", "10.0.0.2", 17, 5, 800, more: true, Frames.Pattern(64))));

        Assert.True(Fragmenter.TryCut(burst, index, 20 + 40, 0));

        Assert.Equal(DropReason.None, Frames.Reparse(burst.Packets[1], out Packet first));
        Assert.Equal(DropReason.None, Frames.Reparse(burst.Packets[2], out Packet second));
        Assert.Equal((800, true, 840, true), (first.FragmentOffset, first.MoreFragments, second.FragmentOffset, second.MoreFragments));
    }

    [Fact]
    public void Where_the_burst_has_no_room_nothing_is_cut()
    {
        var burst = new Burst();
        int index = Frames.Append(burst, Frames.Ethernet(Frames.Ip("10.0.0.1", "10.0.0.2", 99, Frames.Pattern(1400))));
        while (burst.Count < Burst.Capacity - 2)
        {
            Assert.True(burst.TryAppend(60, out _));
        }

        Assert.False(Fragmenter.TryCut(burst, index, 100, 0));

        Assert.Equal(Burst.Capacity - 2, burst.Count);
        Assert.False(burst.Packets[index].Done);
    }

    [Theory]
    [InlineData("0204")]                    // cut short
    [InlineData("02030000")]                // a length that is not its
    [InlineData("0200000000000000")]        // length 0
    [InlineData("08ff0000")]                // beyond the header
    [InlineData("00020405b4010101")]        // behind the list's end
    [InlineData("0101010101010101")]        // none at all
    public void Handshakes_whose_options_are_strange_are_left_alone(string options)
    {
        byte[] tcp = [.. Convert.FromHexString("9c4001bb000000010000000050020400000000000000"), .. new byte[2]];
        byte[] list = Convert.FromHexString(options);
        byte[] header = [.. tcp[..20], .. list, .. new byte[(4 - (list.Length % 4)) % 4]];
        header[12] = (byte)(header.Length / 4 << 4);
        byte[] datagram = Frames.Ip("10.0.0.1", "10.0.0.2", 6, header);
        byte[] before = [.. datagram];

        Assert.False(TcpMss.Clamp(datagram, 576));
        Assert.Equal(before, datagram);
    }

    [Theory]
    [InlineData("10.0.0.1", "224.0.0.9", 17)]
    [InlineData("0.0.0.0", "10.0.0.2", 17)]
    [InlineData("2001:db8::1", "ff02::1", 17)]
    [InlineData("::", "2001:db8::2", 17)]
    public void No_error_is_sent_about_what_has_no_one_sender_or_receiver(string source, string destination, byte protocol)
    {
        var burst = new Burst();
        int index = Frames.Append(burst, Frames.Ethernet(Frames.Ip(source, destination, protocol, Frames.Pattern(60))));

        Assert.False(IcmpErrors.TryAppend(burst, index, IcmpErrorKind.TooBig, 1280));
        Assert.Equal(1, burst.Count);
    }

    [Fact]
    public void No_error_is_sent_about_an_error_a_later_fragment_or_what_came_by_an_SA()
    {
        var burst = new Burst();
        byte[] quote = [0, 0, 0, 0, .. Frames.Ip("10.0.0.2", "10.0.0.1", 17, Frames.Pattern(8))];
        int error = Frames.Append(burst, Frames.Ethernet(
            Frames.Ip("10.0.0.1", "10.0.0.2", 1, Frames.Icmp("10.0.0.1", "10.0.0.2", 3, 3, quote))));
        int later = Frames.Append(burst, Frames.Ethernet(
            Frames.Fragment("10.0.0.1", "10.0.0.2", 17, 5, 800, more: true, Frames.Pattern(64))));
        int opened = Frames.Append(burst, Frames.Ethernet(
            Frames.Ip("10.0.0.1", "10.0.0.2", 17, Frames.Udp("10.0.0.1", 1, "10.0.0.2", 2))));
        burst.Packets[opened].ArrivedBy = 1;

        foreach (int about in new[] { error, later, opened })
        {
            Assert.False(IcmpErrors.TryAppend(burst, about, IcmpErrorKind.Unreachable));
        }

        burst.Packets[opened].ArrivedBy = 0;
        Assert.True(IcmpErrors.TryAppend(burst, opened, IcmpErrorKind.Unreachable));
    }

    [Fact]
    public void Checksum_metadata_that_points_outside_the_packet_is_refused()
    {
        var burst = new Burst();
        int index = Frames.Append(burst, Frames.Ethernet(
            Frames.Ip("10.0.0.1", "10.0.0.2", 17, Frames.Udp("10.0.0.1", 1, "10.0.0.2", 2, 9, 9))));
        ref Packet packet = ref burst.Packets[index];
        packet.Offload.Checksum = ChecksumState.Partial;
        foreach ((int start, int offset) in new[] { (45, 0), (34, 9), (ushort.MaxValue, ushort.MaxValue) })
        {
            packet.Offload.ChecksumStart = (ushort)start;
            packet.Offload.ChecksumOffset = (ushort)offset;
            Assert.False(Segmenter.TryFinishChecksum(ref packet));
        }

        packet.Offload.ChecksumStart = 34;
        packet.Offload.ChecksumOffset = 6;
        BinaryPrimitives.WriteUInt16BigEndian(
            packet.Bytes[40..], Checksum.Fold(Checksum.PseudoHeader(packet.Key.Source, packet.Key.Destination, 17, 10)));
        Assert.True(Segmenter.TryFinishChecksum(ref packet));
        Assert.Equal(DropReason.None, Frames.Reparse(packet, out Packet parsed));
        Assert.Equal(ChecksumState.Valid, parsed.Offload.Checksum);
    }
}
