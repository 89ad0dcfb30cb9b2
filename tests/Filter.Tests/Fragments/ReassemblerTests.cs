using Filter.Engine.Fragments;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Tests.Fragments;

public sealed class ReassemblerTests
{
    private const string V4 = "198.51.100.1", V4Far = "192.0.2.80", V6 = "2001:db8::1", V6Far = "2001:db8:f::80";
    private readonly FragmentNet _net = new();

    public static TheoryData<string, string> Families => new() { { V4, V4Far }, { V6, V6Far } };

    [Theory]
    [MemberData(nameof(Families))]
    public void Pieces_are_held_until_the_datagram_is_whole_and_then_go_on_as_they_came(string from, string to)
    {
        byte[] udp = Frames.Udp(from, 4000, to, 53, Frames.Pattern(4000));
        byte[][] pieces = Cut(from, to, udp, 1480, id: 9);

        Assert.Equal(Verdict.Held, _net.Send(pieces[1]).Verdict);
        Assert.Equal(Verdict.Held, _net.Send(pieces[2]).Verdict);
        Assert.Equal(2, _net.Reassembler.HeldNow);
        Assert.Empty(_net.Sent);
        Fate fate = _net.Send(pieces[0]);

        Assert.Equal(Verdict.Pass, fate.Verdict);
        byte[] expected = Frames.Ethernet(Frames.Ip(from, to, IpProtocol.Udp, udp, id: 9));
        Assert.Equal(expected, fate.Whole);
        Assert.Equal([pieces[1], pieces[2], pieces[0]], _net.Sent);
        Assert.Equal([1, 2, 3], _net.SentNumbers);
        Assert.Equal(0, _net.Reassembler.HeldNow);
        Assert.Equal(0, _net.Reassembler.DatagramsNow);
        Assert.Equal(3, _net.Counters[Verdict.Pass]);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void One_burst_may_hold_them_all_in_any_order(string from, string to)
    {
        byte[] udp = Frames.Udp(from, 4000, to, 53, Frames.Pattern(3000));
        byte[][] pieces = Cut(from, to, udp, 800, id: 9);
        Array.Reverse(pieces);
        Fate[] fates = _net.Send(pieces);
        Assert.All(fates[..^1], fate => Assert.Equal(Verdict.Held, fate.Verdict));
        Assert.Equal(Verdict.Pass, fates[^1].Verdict);
        Assert.Equal(pieces, _net.Sent);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void The_pieces_of_a_datagram_that_is_denied_end_with_it(string from, string to)
    {
        byte[][] pieces = Cut(from, to, Frames.Udp(from, 4000, to, 53, Frames.Pattern(3000)), 1480);
        _net.Says = Verdict.Drop;
        _net.Send(pieces);
        Assert.Empty(_net.Sent);
        Assert.Equal(3, _net.Counters[DropReason.Denied]);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void A_protected_datagram_goes_on_whole(string from, string to)
    {
        byte[] udp = Frames.Udp(from, 4000, to, 53, Frames.Pattern(3000));
        _net.Ipsec = IpsecAction.Protect;
        _net.Send(Cut(from, to, udp, 1480));
        Assert.Equal([Frames.Ethernet(Frames.Ip(from, to, IpProtocol.Udp, udp, id: 9))], _net.Sent);
        Assert.Equal(0, _net.Reassembler.HeldNow);
        Assert.Equal(3, _net.Counters[Verdict.Pass]);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void A_checksum_that_is_wrong_over_the_whole_drops_all_pieces(string from, string to)
    {
        byte[] udp = Frames.Udp(from, 4000, to, 53, Frames.Pattern(3000));
        udp[^1] ^= 1;
        _net.Send(Cut(from, to, udp, 1480));
        Assert.Empty(_net.Sent);
        Assert.Equal(3, _net.Counters[DropReason.BadChecksum]);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void An_exact_duplicate_is_dropped_alone(string from, string to)
    {
        byte[][] pieces = Cut(from, to, Frames.Udp(from, 4000, to, 53, Frames.Pattern(3000)), 1480);
        _net.Send(pieces[0]);
        Assert.Equal(DropReason.FragmentDuplicate, _net.Send(pieces[0]).Reason);
        _net.Send(pieces[1]);
        Assert.Equal(DropReason.FragmentDuplicate, _net.Send(pieces[1]).Reason);
        Assert.Equal(Verdict.Pass, _net.Send(pieces[2]).Verdict);
        Assert.Equal(pieces, _net.Sent);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void The_same_place_with_other_bytes_is_an_overlap_and_ends_the_datagram(string from, string to)
    {
        byte[][] pieces = Cut(from, to, Frames.Udp(from, 4000, to, 53, Frames.Pattern(3000)), 1480);
        _net.Send(pieces[0]);
        byte[] forged = (byte[])pieces[0].Clone();
        forged[^1] ^= 1;
        Assert.Equal(DropReason.FragmentOverlap, _net.Send(forged).Reason);
        Assert.Equal(0, _net.Reassembler.HeldNow);

        // Its later pieces end too, for the rest of its lifetime; then the identification is free.
        Assert.Equal(DropReason.FragmentOverlap, _net.Send(pieces[1]).Reason);
        Assert.Equal(DropReason.FragmentOverlap, _net.Send(pieces[2]).Reason);
        Assert.Equal(4, _net.Counters[DropReason.FragmentOverlap]);
        _net.Now += 61_000_000_000;
        Assert.Equal(Verdict.Pass, _net.Send(pieces)[2].Verdict);
    }

    [Theory]
    [InlineData(V4, V4Far, 8)]
    [InlineData(V4, V4Far, 1472)]
    [InlineData(V6, V6Far, 8)]
    [InlineData(V6, V6Far, 1472)]
    public void A_piece_that_overlaps_another_ends_the_datagram(string from, string to, int offset)
    {
        byte[][] pieces = Cut(from, to, Frames.Udp(from, 4000, to, 53, Frames.Pattern(3000)), 1480);
        _net.Send(pieces[0]);
        byte[] overlapping = Frames.Ethernet(Frames.Fragment(from, to, IpProtocol.Udp, 9, offset, true, Frames.Pattern(16)));
        Assert.Equal(DropReason.FragmentOverlap, _net.Send(overlapping).Reason);
        Assert.Equal(DropReason.FragmentOverlap, _net.Send(pieces[2]).Reason);
        Assert.Equal(3, _net.Counters[DropReason.FragmentOverlap]);
        Assert.Equal(0, _net.Reassembler.HeldNow);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Two_different_ends_end_the_datagram(string from, string to)
    {
        _net.Send(Piece(from, to, 64, false, 8));
        Assert.Equal(DropReason.BadFragment, _net.Send(Piece(from, to, 128, false, 8)).Reason);
        Assert.Equal(2, _net.Counters[DropReason.BadFragment]);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Nothing_may_lie_behind_the_end(string from, string to)
    {
        _net.Send(Piece(from, to, 64, false, 8));
        Assert.Equal(DropReason.BadFragment, _net.Send(Piece(from, to, 128, true, 8)).Reason);
        _net.Now += 61_000_000_000;
        _net.Send(Piece(from, to, 128, true, 8));
        Assert.Equal(DropReason.BadFragment, _net.Send(Piece(from, to, 64, false, 8)).Reason);
    }

    [Theory]
    [InlineData(V4, V4Far, 64, true, 0)]           // nothing in it
    [InlineData(V4, V4Far, 64, false, 0)]
    [InlineData(V4, V4Far, 64, true, 12)]          // not a multiple of eight, and not the last
    [InlineData(V4, V4Far, 65528, false, 100)]     // beyond what a length can say
    [InlineData(V4, V4Far, 0, true, 16)]           // TCP header cut (RFC 1858)
    [InlineData(V6, V6Far, 64, true, 0)]
    [InlineData(V6, V6Far, 64, true, 12)]
    [InlineData(V6, V6Far, 65528, false, 100)]
    public void A_piece_that_cannot_be_is_dropped(string from, string to, int offset, bool more, int length)
    {
        byte[] piece = Frames.Fragment(from, to, IpProtocol.Tcp, 9, offset, more, Frames.Pattern(length));
        Assert.Equal(DropReason.BadFragment, _net.Send(Frames.Ethernet(piece)).Reason);
        Assert.Equal(0, _net.Reassembler.DatagramsNow);
    }

    [Fact]
    public void The_first_fragment_holds_the_whole_header_chain()
    {
        byte[] options = [IpProtocol.Tcp, 0, 1, 4, 0, 0, 0, 0];
        byte[] tcp = Frames.Tcp(V6, 1, V6Far, 2, TcpFlags.Syn);
        byte[] cut = Frames.Fragment(V6, V6Far, IpProtocol.DestinationOptions, 9, 0, true, [.. options, .. tcp[..16]]);
        Assert.Equal(DropReason.FragmentHeaderChain, _net.Send(Frames.Ethernet(cut)).Reason);
        byte[] none = Frames.Fragment(V6, V6Far, IpProtocol.DestinationOptions, 9, 0, true, [IpProtocol.Tcp, 2, 1, 4, 0, 0, 0, 0]);
        Assert.Equal(DropReason.FragmentHeaderChain, _net.Send(Frames.Ethernet(none)).Reason);
        byte[] twice = Frames.Fragment(V6, V6Far, IpProtocol.Fragment, 9, 0, true, Frames.Pattern(64));
        Assert.Equal(DropReason.BadExtensionChain, _net.Send(Frames.Ethernet(twice)).Reason);

        byte[] data = [.. options, .. Frames.Tcp(V6, 1, V6Far, 2, TcpFlags.Ack, 1, 1, Frames.Pattern(100))];
        Assert.Equal(Verdict.Pass, _net.Send(Cut(V6, V6Far, data, 64, protocol: IpProtocol.DestinationOptions))[^1].Verdict);
    }

    [Fact]
    public void Headers_before_the_fragment_header_stay_and_it_is_taken_out()
    {
        byte[] hop = [IpProtocol.DestinationOptions, 0, 1, 4, 0, 0, 0, 0];
        byte[] options = [IpProtocol.Fragment, 0, 1, 4, 0, 0, 0, 0];
        byte[] udp = Frames.Udp(V6, 4000, V6Far, 53, Frames.Pattern(100));
        byte[] first = Frames.Fragment(V6, V6Far, IpProtocol.Udp, 9, 0, true, udp.AsSpan(0, 64), IpProtocol.HopByHop, [.. hop, .. options]);
        byte[] rest = Frames.Fragment(V6, V6Far, IpProtocol.Udp, 9, 64, false, udp.AsSpan(64));
        byte[] expected = Frames.Ip(V6, V6Far, IpProtocol.HopByHop, [.. hop, IpProtocol.Udp, 0, 1, 4, 0, 0, 0, 0, .. udp]);

        Fate[] fates = _net.Send(Frames.Ethernet(first), Frames.Ethernet(rest));
        Assert.Equal(Frames.Ethernet(expected), fates[1].Whole);
        _net.Now++;
        fates = _net.Send(Frames.Ethernet(rest), Frames.Ethernet(first));
        Assert.Equal(Frames.Ethernet(expected), fates[1].Whole);
    }

    [Fact]
    public void Options_and_tags_of_the_first_piece_stay()
    {
        byte[] udp = Frames.Udp(V4, 4000, V4Far, 53, Frames.Pattern(100));
        byte[] options = [148, 4, 0, 0];
        byte[] first = Frames.Ip(V4, V4Far, IpProtocol.Udp, udp[..64], 9, 0x2000, options);
        byte[] rest = Frames.Fragment(V4, V4Far, IpProtocol.Udp, 9, 64, false, udp.AsSpan(64));
        Fate[] fates = _net.Send(Frames.Ethernet(rest, vlans: [10, 20]), Frames.Ethernet(first, vlans: [10, 20]));
        Assert.Equal(Frames.Ethernet(Frames.Ip(V4, V4Far, IpProtocol.Udp, udp, 9, 0, options), vlans: [10, 20]), fates[1].Whole);
    }

    [Fact]
    public void An_atomic_fragment_is_a_packet_by_itself()
    {
        byte[] udp = Frames.Udp(V6, 4000, V6Far, 53, Frames.Pattern(100));
        _net.Send(Frames.Ethernet(Frames.Fragment(V6, V6Far, IpProtocol.Udp, 9, 0, true, udp.AsSpan(0, 64))));
        Fate fate = _net.Send(Frames.Ethernet(Frames.Fragment(V6, V6Far, IpProtocol.Udp, 9, 0, false, udp)));
        Assert.Equal(Verdict.Pass, fate.Verdict);
        Assert.Null(fate.Whole);
        Assert.Equal(1, _net.Reassembler.HeldNow);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Pieces_of_different_ports_or_segments_are_never_put_together(string from, string to)
    {
        byte[] udp = Frames.Udp(from, 4000, to, 53, Frames.Pattern(100));
        byte[] first = Frames.Fragment(from, to, IpProtocol.Udp, 9, 0, true, udp.AsSpan(0, 64));
        byte[] rest = Frames.Fragment(from, to, IpProtocol.Udp, 9, 64, false, udp.AsSpan(64));
        _net.Send(Frames.Ethernet(first));
        Assert.Equal(Verdict.Held, _net.Send(Frames.Ethernet(rest, vlans: 5)).Verdict);
        _net.Ingress = 1;
        Assert.Equal(Verdict.Held, _net.Send(Frames.Ethernet(rest)).Verdict);
        _net.Ingress = 0;
        Assert.Equal(Verdict.Pass, _net.Send(Frames.Ethernet(rest)).Verdict);
    }

    [Theory]
    [InlineData(V4, V4Far, 30)]
    [InlineData(V6, V6Far, 60)]
    public void What_does_not_get_whole_in_time_ends(string from, string to, int seconds)
    {
        byte[][] pieces = Cut(from, to, Frames.Udp(from, 4000, to, 53, Frames.Pattern(3000)), 1480);
        _net.Send(pieces[..2]);
        _net.Now += (seconds * 1_000_000_000L) - 1;
        _net.Expire();
        Assert.Equal(2, _net.Reassembler.HeldNow);
        _net.Now++;
        _net.Expire();
        Assert.Equal(0, _net.Reassembler.HeldNow);
        Assert.Equal(0, _net.Reassembler.DatagramsNow);
        Assert.Equal(2, _net.Counters[DropReason.FragmentTimeout]);
        Assert.Equal(Verdict.Held, _net.Send(pieces[2]).Verdict);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void A_late_piece_does_not_complete_what_is_over(string from, string to)
    {
        byte[][] pieces = Cut(from, to, Frames.Udp(from, 4000, to, 53, Frames.Pattern(3000)), 1480);
        _net.Send(pieces[..2]);
        _net.Now += 60_000_000_000;
        Assert.Equal(Verdict.Held, _net.Send(pieces[2]).Verdict);
        Assert.Equal(2, _net.Counters[DropReason.FragmentTimeout]);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Too_many_pieces_of_a_datagram_end_it(string from, string to)
    {
        var net = new FragmentNet(new FragmentLimits { Pieces = 4 });
        Fate[] fates = net.Send([.. Enumerable.Range(1, 6).Select(i => Piece(from, to, 16 * i, true, 8))]);
        Assert.Equal(DropReason.FragmentLimit, fates[4].Reason);
        Assert.Equal(6, net.Counters[DropReason.FragmentLimit]);
        Assert.Equal(0, net.Reassembler.HeldNow);
    }

    [Fact]
    public void A_source_cannot_take_more_than_its_share()
    {
        var net = new FragmentNet(new FragmentLimits { Datagrams = 64, SourceShare = 8 });
        Fate[] flood = net.Send([.. Enumerable.Range(0, 20).Select(i => Piece(V4, V4Far, 64, true, 8, id: (uint)i))]);
        Assert.Equal(8, flood.Count(fate => fate.Verdict == Verdict.Held));
        Assert.Equal(12, net.Counters[DropReason.FragmentLimit]);

        // A whole /64 is one source.
        flood = net.Send([.. Enumerable.Range(0, 20).Select(i => Piece($"2001:db8::{i + 1:x}", V6Far, 64, true, 8, id: 1))]);
        Assert.Equal(8, flood.Count(fate => fate.Verdict == Verdict.Held));
        byte[][] others = Cut("198.51.100.2", V4Far, Frames.Udp("198.51.100.2", 1, V4Far, 2, Frames.Pattern(3000)), 1480);
        Assert.Equal(Verdict.Pass, net.Send(others)[2].Verdict);
    }

    [Fact]
    public void A_share_of_bytes_is_bounded_too()
    {
        var net = new FragmentNet(new FragmentLimits { Bytes = 64 * FramePool.BlockSize, SourceShare = 8 });
        Fate[] flood = net.Send([.. Enumerable.Range(0, 10).Select(i => Piece(V4, V4Far, 1600 * (i + 1), true, 1480))]);
        Assert.Equal(2, flood.Count(fate => fate.Verdict == Verdict.Held));
        Assert.Equal(8, net.Counters[DropReason.FragmentLimit]);
    }

    [Fact]
    public void When_the_pool_is_full_the_oldest_goes_first()
    {
        var net = new FragmentNet(new FragmentLimits { Datagrams = 16, SourceShare = 1 });
        for (int i = 0; i < 40; i++)
        {
            net.Now++;
            net.Send(Piece($"10.0.{i}.1", V4Far, 64, true, 8));
        }

        Assert.Equal(16, net.Reassembler.HeldNow);
        Assert.Equal(24, net.Counters[DropReason.FragmentLimit]);
        byte[][] pieces = Cut(V6, V6Far, Frames.Udp(V6, 1, V6Far, 2, Frames.Pattern(3000)), 1480);
        Assert.Equal(Verdict.Pass, net.Send(pieces)[2].Verdict);

        var small = new FragmentNet(new FragmentLimits { Bytes = 16 * FramePool.BlockSize, SourceShare = 1 });
        for (int i = 0; i < 40; i++)
        {
            small.Now++;
            small.Send(Piece($"10.0.{i}.1", V4Far, 64, true, 1400));
        }

        Assert.Equal(5, small.Reassembler.HeldNow);
    }

    [Fact]
    public void Congestion_that_one_piece_met_shows_in_the_whole()
    {
        byte[] udp = Frames.Udp(V4, 4000, V4Far, 53, Frames.Pattern(100));
        byte[] first = Frames.Fragment(V4, V4Far, IpProtocol.Udp, 9, 0, true, udp.AsSpan(0, 64));
        byte[] rest = Frames.Fragment(V4, V4Far, IpProtocol.Udp, 9, 64, false, udp.AsSpan(64));
        IpHeader.SetEcn(first, 2);
        IpHeader.SetEcn(rest, 3);
        Assert.Equal(3, _net.Send(Frames.Ethernet(first), Frames.Ethernet(rest))[1].Whole![15]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_was_opened_since_goes_on_as_what_it_is_now(bool cleared)
    {
        byte[][] pieces = Cut(V4, V4Far, Frames.Udp(V4, 1, V4Far, 2, Frames.Pattern(3000)), 1480);
        var burst = new Burst { Now = 1 };
        foreach (byte[] piece in pieces)
        {
            Frames.Append(burst, piece);
        }

        Assert.Equal(1, _net.Reassembler.Complete(burst, 0));
        ref Packet whole = ref burst.Packets[2];
        whole.Depth = 1;
        whole.Assembly = cleared ? 0 : whole.Assembly;
        whole.Verdict = Verdict.Pass;
        whole.Egress = 2;
        _net.Reassembler.Release(burst);
        Assert.Equal(3, burst.Count);
        Assert.Equal(2, whole.Egress);
        Assert.Equal(0, _net.Reassembler.HeldNow);
        Assert.Equal(2, _net.Counters[Verdict.Pass]);
    }

    [Fact]
    public void A_fragment_out_of_a_fragmented_tunnel_packet_is_held_in_turn()
    {
        byte[][] outer = Cut(V4, V4Far, Frames.Udp(V4, 1, V4Far, 2, Frames.Pattern(3000)), 1480);
        byte[] inner = Frames.Ethernet(Frames.Fragment(V6, V6Far, IpProtocol.Udp, 7, 64, false, Frames.Pattern(80)));
        var burst = new Burst { Now = 1 };
        foreach (byte[] piece in outer)
        {
            Frames.Append(burst, piece);
        }

        // As if the whole had been opened: another frame in its slot.
        _net.Reassembler.Complete(burst, 0);
        int spare = Frames.Append(burst, inner);
        int group = burst.Packets[2].Assembly;
        burst.Packets[2] = burst.Packets[spare];
        burst.Packets[2].Depth = 1;
        burst.Packets[2].Assembly = group;
        burst.Trim(spare);
        Assert.Equal(0, _net.Reassembler.Complete(burst, 0));
        _net.Reassembler.Release(burst);

        Assert.Equal(Verdict.Held, burst.Packets[2].Verdict);
        Assert.Equal(1, _net.Reassembler.HeldNow);
        Assert.Equal(2, _net.Counters[Verdict.Consumed]);
    }

    [Fact]
    public void A_burst_without_room_for_the_originals_drops_them_all()
    {
        byte[][] pieces = Cut(V4, V4Far, Frames.Udp(V4, 1, V4Far, 2, Frames.Pattern(3000)), 1480);
        var burst = new Burst { Now = 1 };
        foreach (byte[] piece in pieces)
        {
            Frames.Append(burst, piece);
        }

        _net.Reassembler.Complete(burst, 0);
        while (burst.Count < Burst.Capacity - 2)
        {
            Assert.True(burst.TryAppend(0, out _));
        }

        burst.Packets[2].Verdict = Verdict.Pass;
        burst.Packets[2].Egress = 2;
        _net.Reassembler.Release(burst);
        Assert.Equal(Burst.Capacity - 2, burst.Count);
        Assert.Equal(DropReason.NoRoom, burst.Packets[2].Reason);
        Assert.Equal(2, _net.Counters[DropReason.NoRoom]);
        Assert.Equal(0, _net.Reassembler.HeldNow);
    }

    [Fact]
    public void Holding_and_releasing_costs_no_allocation()
    {
        byte[][] pieces = Cut(V6, V6Far, Frames.Udp(V6, 1, V6Far, 2, Frames.Pattern(3000)), 1480);
        var burst = new Burst { Now = 1 };
        Assert.Equal(0, Allocations.Least(() => Run(burst, pieces)));
        Assert.Equal(40, _net.Reassembler.Assembled);
    }

    private void Run(Burst burst, byte[][] pieces)
    {
        burst.Reset();
        foreach (byte[] piece in pieces)
        {
            burst.TryAppend(piece.Length, out int index);
            burst.Packets[index].Length = piece.Length;
            piece.CopyTo(burst.Packets[index].Bytes);
            Parser.Parse(ref burst.Packets[index]);
        }

        _net.Reassembler.Complete(burst, 0);
        burst.Packets[2].Verdict = Verdict.Pass;
        burst.Packets[2].Egress = 2;
        _net.Reassembler.Release(burst);
        _net.Reassembler.Expire(burst.Now, 64);
    }

    private static byte[] Piece(string from, string to, int offset, bool more, int length, uint id = 9) =>
        Frames.Ethernet(Frames.Fragment(from, to, IpProtocol.Udp, id, offset, more, Frames.Pattern(length)));

    private static byte[][] Cut(string from, string to, byte[] data, int size, uint id = 9, byte protocol = IpProtocol.Udp) =>
        [.. Enumerable.Range(0, (data.Length + size - 1) / size).Select(i => Frames.Ethernet(Frames.Fragment(
            from, to, protocol, id, i * size, (i + 1) * size < data.Length,
            data.AsSpan(i * size, Math.Min(size, data.Length - (i * size))))))];
}
