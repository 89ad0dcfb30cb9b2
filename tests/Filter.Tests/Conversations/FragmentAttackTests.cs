using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>What fragments are abused for, across the walk: RFC 1858, 3128, 5722, 6946, 7112, 8200 §4.5.</summary>
public sealed class FragmentAttackTests
{
    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Nothing_of_a_datagram_goes_on_before_it_is_whole_and_judged(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        net.Sends(Piece(family, 0, 800, more: true));
        net.HearsNothing("outside");
        net.ExpectsFlows(0);
        net.Sends(Piece(family, 808, 192, more: false));
        Assert.Equal(0, net.Take("outside", null)?.FragmentOffset);
        Assert.Equal(808, net.Take("outside", null)?.FragmentOffset);
        net.HearsNothing("outside");
        net.ExpectsFlows(1);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_piece_sent_twice_is_dropped_once(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        net.Sends(Piece(family, 0, 800, more: true));
        net.Sends(Piece(family, 0, 800, more: true));
        net.Sends(Piece(family, 808, 192, more: false));
        net.Expects(DropReason.FragmentDuplicate, 1);
        net.ExpectsFlows(1);
    }

    /// <summary>Teardrop, and the rewriting of ports by a second first fragment (RFC 3128).</summary>
    [Theory]
    [InlineData(4, 400)]
    [InlineData(6, 400)]
    [InlineData(4, 800)]
    [InlineData(6, 800)]
    [InlineData(4, 8)]
    [InlineData(6, 8)]
    public void An_overlap_ends_the_datagram_and_whatever_of_it_comes_later(int family, int offset)
    {
        var net = new TestNet(Nets.OutOnly);
        net.Sends(Piece(family, 0, 800, more: true));
        net.Sends(Piece(family, offset, 192, more: true));
        net.Sends(Piece(family, 808, 192, more: false));
        net.Sends(Piece(family, 0, 800, more: true));
        net.HearsNothing("outside");
        net.Expects(DropReason.FragmentOverlap, 4);
        net.ExpectsFlows(0);
    }

    [Theory]
    [InlineData(4, DropReason.BadFragment)]
    [InlineData(6, DropReason.FragmentHeaderChain)]
    public void The_first_fragment_holds_the_header_that_rules_look_at(int family, DropReason why)
    {
        var net = new TestNet(Nets.Open);
        byte[] tcp = Frames.Tcp(Nets.At(family, 1), 4000, Nets.At(family, 2), 80, TcpFlags.Syn);
        net.Sends("inside", Frames.Ethernet(Frames.Fragment(Nets.At(family, 1), Nets.At(family, 2), 6, 7, 0, true, tcp.AsSpan(0, 8))));
        net.HearsNothing("outside");
        net.Expects(why, 1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_piece_beyond_the_longest_datagram_is_dropped(int family)
    {
        var net = new TestNet(Nets.Open);
        net.Sends("inside", Frames.Ethernet(Frames.Fragment(Nets.At(family, 1), Nets.At(family, 2), 1, 7, 65528, false, new byte[64])));
        net.Expects(DropReason.BadFragment, 1);
    }

    /// <summary>An atomic fragment is neither held nor mixed with pieces of the same identification (RFC 6946 §4).</summary>
    [Fact]
    public void An_atomic_fragment_stands_alone()
    {
        var net = new TestNet(Nets.OutOnly);
        net.Sends(Piece(6, 0, 800, more: true));
        net.Sends("inside: udp [2001:db8::5]:4000 > [2001:db8:f::2]:53 len=20 frag=0 id=7");
        Assert.NotNull(net.Take("outside", null));
        net.Sends(Piece(6, 808, 192, more: false));
        Assert.NotNull(net.Take("outside", null));
        Assert.NotNull(net.Take("outside", null));
        net.ExpectsNoDrops();
        net.ExpectsFlows(1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_flood_of_first_pieces_ends_with_its_senders_share(int family)
    {
        var net = new TestNet(Nets.OutOnly);
        for (int id = 0; id < 2000; id++)
        {
            net.Sends(Piece(family, 0, 800, more: true, id));
        }

        Assert.True(net.Path.Counters[DropReason.FragmentLimit] > 1000);
        Assert.True(net.Path.HeldNow <= 1000);
        string other = family == 4 ? "10.0.0.77" : "2001:db8:7::77";
        net.Sends(Piece(family, 0, 800, more: true, 5).Replace(Nets.At(family, 1), other, StringComparison.Ordinal));
        net.Sends(Piece(family, 808, 192, more: false, 5).Replace(Nets.At(family, 1), other, StringComparison.Ordinal));
        Assert.NotNull(net.Take("outside", null));
        net.After("61s");
        net.After("50ms");
        Assert.Equal(0, net.Path.HeldNow);
    }

    private static string Piece(int family, int offset, int length, bool more, int id = 7)
    {
        string from = Nets.At(family, 1, offset == 0 ? 4000 : null), to = Nets.At(family, 2, offset == 0 ? 53 : null);
        return $"inside: udp {from} > {to} len={length}{(offset == 0 ? " total=992" : "")} frag={offset}{(more ? "+" : "")} id={id}";
    }
}
