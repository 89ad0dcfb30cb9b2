using Filter.Engine.Local;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Engine.Wire;

namespace Filter.Tests.Local;

public sealed class NeighboursTests : IDisposable
{
    private const ulong Self = 0x0200_0000_00aa, Router = 0x0200_0000_00bb, Other = 0x0200_0000_00cc;
    private const long Second = 1_000_000_000;
    private const ushort Inside = 1, Outside = 2;
    private readonly MemoryPort[] _ports =
    [
        new() { Name = "inside", Number = 0, Side = Side.Protected },
        new() { Name = "outside", Number = 1, Side = Side.Unprotected },
        new(mac: Self) { Name = "self", Number = 2, Side = Side.Protected },
    ];

    private readonly PathCounters _counters = new();
    private readonly Burst _burst = new() { Now = Second };
    private readonly Neighbours _neighbours;

    public NeighboursTests()
    {
        var local = new LocalNetwork(
            _ports, _ports[2],
            [new(Address.Parse("192.0.2.1"), 24), new(Address.Parse("2001:db8:1::1"), 64)],
            [
                new(Address.Parse("0.0.0.0"), 0, Address.Parse("192.0.2.254")),
                new(Address.Parse("198.51.100.0"), 24, Address.Parse("192.0.2.253")),
                new(Address.Parse("::"), 0, Address.Parse("2001:db8:1::ff")),
            ]);
        _neighbours = new Neighbours(local, _counters);
    }

    public static TheoryData<string, string> Neighbour => new() { { "192.0.2.7", "192.0.2.1" }, { "2001:db8:1::7", "2001:db8:1::1" } };

    [Theory]
    [MemberData(nameof(Neighbour))]
    public void A_packet_waits_while_its_neighbour_is_asked_and_goes_on_with_the_answer(string address, string own)
    {
        Packet asked = Assert.Single(Walk(To(address)));
        AssertAsks(asked, address, own);
        Assert.Equal(Verdict.Held, _burst.Packets[0].Verdict);
        Assert.Equal(1, _neighbours.HeldNow);

        Packet sent = Assert.Single(Walk(Answer(address, Router)));
        Assert.Equal(Router, Parser.DestinationMac(sent.Bytes));
        Assert.Equal(Self, Parser.SourceMac(sent.Bytes));
        Assert.Equal(Outside, sent.Egress);
        Assert.Equal(7, sent.Number);
        Assert.Equal(Address.Parse(address), sent.Key.Destination);

        // From now on it is known.
        sent = Assert.Single(Walk(To(address)));
        Assert.Equal(Router, Parser.DestinationMac(sent.Bytes));
        Assert.Equal(0, _neighbours.HeldNow);
        AssertBalance();
    }

    [Theory]
    [InlineData("203.0.113.9", "192.0.2.254", "192.0.2.1")]
    [InlineData("198.51.100.9", "192.0.2.253", "192.0.2.1")]
    [InlineData("2001:db8:f::9", "2001:db8:1::ff", "2001:db8:1::1")]
    public void What_is_not_on_the_link_goes_by_the_longest_route(string destination, string via, string own)
    {
        AssertAsks(Assert.Single(Walk(To(destination))), via, own);
        Assert.Equal(Router, Parser.DestinationMac(Assert.Single(Walk(Answer(via, Router))).Bytes));
    }

    [Theory]
    [MemberData(nameof(Neighbour))]
    public void A_silent_neighbour_is_asked_three_times_and_then_given_up(string address, string own)
    {
        Assert.Single(Walk(To(address), To(address)));
        for (int again = 0; again < 2; again++)
        {
            Assert.Empty(Tick(Second / 2));
            AssertAsks(Assert.Single(Tick(Second / 2)), address, own);
        }

        Assert.Empty(Tick(Second));
        Assert.Equal(0, _neighbours.HeldNow);
        Assert.Equal(2, _counters[DropReason.NoNeighbour]);
        AssertBalance();
        AssertAsks(Assert.Single(Walk(To(address))), address, own);
    }

    [Theory]
    [MemberData(nameof(Neighbour))]
    public void Held_packets_keep_their_order_and_are_few(string address, string own)
    {
        Packet[] asked = Walk([.. Enumerable.Range(1, 12).Select(number => To(address, number: number))]);
        AssertAsks(Assert.Single(asked), address, own);
        Assert.Equal(8, _neighbours.HeldNow);
        Assert.Equal(4, _counters[DropReason.HoldLimit]);
        Packet[] sent = Walk(Answer(address, Router));
        Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8], sent.Select(packet => packet.Number));
        AssertBalance();
    }

    [Theory]
    [MemberData(nameof(Neighbour))]
    public void An_answer_is_believed_only_where_it_was_asked_for(string address, string own)
    {
        Assert.Empty(Walk(Answer(address, Other)));         // before anybody asked
        Packet asked = Assert.Single(Walk(To(address)));
        AssertAsks(asked, address, own);
        Assert.Empty(Walk(Answer(address, Other, port: 0)));        // on another port
        Assert.Empty(Walk(Answer(address, 0x0100_0000_0001)));      // a group is no neighbour
        Assert.Equal(Router, Parser.DestinationMac(Assert.Single(Walk(Answer(address, Router))).Bytes));
        Assert.Empty(Walk(Answer(address, Other)));                 // not asked any more
        Assert.Equal(Router, Parser.DestinationMac(Assert.Single(Walk(To(address))).Bytes));
    }

    [Theory]
    [MemberData(nameof(Neighbour))]
    public void A_neighbour_is_asked_for_again_after_a_while_without_holding_anything(string address, string own)
    {
        Walk(To(address));
        Walk(Answer(address, Router));
        _burst.Now += 40 * Second;
        Packet[] both = Walk(To(address));
        Assert.Equal(Router, Parser.DestinationMac(both[0].Bytes));
        AssertAsks(both[1], address, own);
        Walk(Answer(address, Other));
        Assert.Equal(Other, Parser.DestinationMac(Assert.Single(Walk(To(address))).Bytes));
    }

    [Theory]
    [MemberData(nameof(Neighbour))]
    public void Of_several_ports_the_one_that_answers_is_used(string address, string own)
    {
        Packet asked = Assert.Single(Walk(To(address, egress: Inside | Outside)));
        AssertAsks(asked, address, own, Inside | Outside);
        Assert.Equal(Inside, Assert.Single(Walk(Answer(address, Router, port: 0))).Egress);
        Assert.Equal(Inside, Assert.Single(Walk(To(address, egress: Inside | Outside))).Egress);

        // What it said on one port does not count on another alone.
        AssertAsks(Assert.Single(Walk(To(address, egress: Outside))), address, own);
    }

    [Theory]
    [InlineData("224.0.0.251", 0x0100_5e00_00fb)]
    [InlineData("239.129.2.3", 0x0100_5e01_0203)]
    [InlineData("255.255.255.255", 0xffff_ffff_ffff)]
    [InlineData("ff02::1:3", 0x3333_0001_0003)]
    public void A_group_needs_no_neighbour(string group, long mac)
    {
        Packet sent = Assert.Single(Walk(To(group)));
        Assert.Equal((ulong)mac, Parser.DestinationMac(sent.Bytes));
        Assert.Equal(Self, Parser.SourceMac(sent.Bytes));
    }

    [Fact]
    public void A_packet_without_a_route_is_dropped()
    {
        var neighbours = new Neighbours(
            new LocalNetwork(_ports, _ports[2], [new(Address.Parse("192.0.2.1"), 24)], []), _counters);
        Add(To("198.51.100.9"));
        neighbours.Resolve(_burst, 1);
        Assert.Equal(DropReason.NoNeighbour, _burst.Packets[0].Reason);
    }

    [Fact]
    public void An_advertisement_from_afar_or_out_of_fragments_says_nothing()
    {
        Walk(To("2001:db8:1::7"));
        byte[] far = Advertisement("2001:db8:1::7", Other, hopLimit: 254);
        Assert.Empty(Walk(new Sent(far, 1)));

        _burst.Reset();
        int index = Frames.Append(_burst, Advertisement("2001:db8:1::7", Other), 1);
        _burst.Packets[index].Fragmented = true;
        _neighbours.Learn(ref _burst.Packets[index]);
        _neighbours.Resolve(_burst, 1);
        Assert.Equal(1, _neighbours.HeldNow);
    }

    [Fact]
    public void Pieces_of_a_counted_packet_are_not_counted_again()
    {
        _burst.Reset();
        Add(To("192.0.2.7"));
        _neighbours.Resolve(_burst, 0);
        Assert.Equal(1, _neighbours.HeldNow);
        _burst.Reset();
        Add(Answer("192.0.2.7", Router));
        _neighbours.Resolve(_burst, 0);
        Assert.Equal(0, _neighbours.HeldNow);
        Assert.Equal(0, _counters[Verdict.Held]);
        Assert.Equal(0, _counters[Verdict.Pass]);
    }

    [Fact]
    public void A_sweep_over_a_prefix_stays_bounded()
    {
        for (int i = 0; i < 5000; i++)
        {
            Walk(To($"2001:db8:1::{i + 16:x}"));
        }

        Assert.True(_neighbours.HeldNow <= 256, $"{_neighbours.HeldNow} held");
        for (int i = 0; i < 4; i++)
        {
            Tick(Second);
        }

        Assert.Equal(0, _neighbours.HeldNow);
        AssertBalance();
        Assert.Single(Walk(To("2001:db8:1::7")));
    }

    [Fact]
    public void Resolving_costs_no_allocation()
    {
        Assert.Equal(0, Allocations.Least(Round));

        void Round()
        {
            _burst.Reset();
            _burst.Now += 60 * Second;
            _burst.TryAppend(100, out int index);
            ref Packet packet = ref _burst.Packets[index];
            packet.Length = 100;
            packet.Verdict = Verdict.Pass;
            packet.Egress = Outside;
            packet.NeedsNextHop = true;
            packet.NextHop = Engine.Packets.Address.FromIPv4(0xc000_0207);
            _neighbours.Resolve(_burst, 1);
            for (int i = 0; i < 4; i++)
            {
                _burst.Now += Second;
                _neighbours.Tick(_burst);
            }
        }
    }

    public void Dispose()
    {
        foreach (MemoryPort port in _ports)
        {
            port.Dispose();
        }
    }

    private static Sent To(string destination, ushort egress = Outside, long number = 7)
    {
        string source = Address.Parse(destination).IsIPv4 ? "203.0.113.1" : "2001:db8:9::1";
        byte[] udp = Frames.Udp(source, 1, destination, 2, 3);
        return new Sent(Frames.Ethernet(Frames.Ip(source, destination, IpProtocol.Udp, udp)), 0, egress, number);
    }

    private static Sent Answer(string address, ulong mac, byte port = 1) => new(
        Address.Parse(address).IsIPv4
            ? Frames.Arp(2, mac, address, Self, "192.0.2.1", Self)
            : Advertisement(address, mac), port);

    private static byte[] Advertisement(string address, ulong mac, byte hopLimit = 255)
    {
        var body = new byte[28];
        body[0] = 0x60;
        Address.Parse(address).Write(body.AsSpan(4));
        body[20] = 2;
        body[21] = 1;
        Frames.WriteMac(body.AsSpan(22), mac);
        byte[] icmp = Frames.Icmp(address, "2001:db8:1::1", 136, 0, body);
        return Frames.Ethernet(Frames.Ip(address, "2001:db8:1::1", IpProtocol.IcmpV6, icmp, hopLimit: hopLimit), mac, Self);
    }

    private void Add(Sent sent)
    {
        int index = Frames.Append(_burst, sent.Frame, sent.Ingress, sent.Number);
        ref Packet packet = ref _burst.Packets[index];
        Assert.Equal(DropReason.None, packet.Reason);
        _neighbours.Learn(ref packet);
        packet.Verdict = Verdict.Pass;
        packet.Done = true;
        packet.Egress = sent.Egress;
        packet.NeedsNextHop = sent.Egress != 0;
        packet.NextHop = packet.Key.Destination;
    }

    /// <summary>Walks packets, and gives what leaves.</summary>
    private Packet[] Walk(params Sent[] packets)
    {
        _burst.Reset();
        foreach (Sent sent in packets)
        {
            Add(sent);
        }

        _counters.In += packets.Length;
        _neighbours.Resolve(_burst, packets.Length);
        for (int i = 0; i < packets.Length; i++)
        {
            _counters.Count(_burst.Packets[i]);
        }

        return Leaving();
    }

    private Packet[] Tick(long later)
    {
        _burst.Reset();
        _burst.Now += later;
        _neighbours.Tick(_burst);
        return Leaving();
    }

    private Packet[] Leaving() =>
        [.. _burst.Packets[.._burst.Count].Where(packet => packet.Verdict == Verdict.Pass && packet.Egress != 0)];

    private void AssertBalance()
    {
        Assert.Equal(_counters.In, Enum.GetValues<Verdict>().Sum(verdict => _counters[verdict]));
        Assert.Equal(_counters[Verdict.Held], _neighbours.HeldNow);
    }

    private static void AssertAsks(in Packet packet, string address, string own, ushort ports = Outside)
    {
        Assert.True(packet.Own);
        Assert.Equal(ports, packet.Egress);
        Assert.Equal(Self, Parser.SourceMac(packet.Bytes));
        Assert.Equal(DropReason.None, Frames.Reparse(packet, out Packet asked));
        Assert.Equal(Address.Parse(own), asked.Key.Source);
        Address target = Address.Parse(address);
        if (target.IsIPv4)
        {
            Assert.Equal(Frames.Arp(1, Self, own, 0, address, 0xffff_ffff_ffff), packet.Bytes.ToArray());
            return;
        }

        ulong low = target.Low & 0xff_ffff;
        Assert.Equal(135, asked.IcmpType);
        Assert.Equal(255, asked.HopLimit);
        Assert.Equal(new Address(0xff02_0000_0000_0000, 0x1_ff00_0000 | low), asked.Key.Destination);
        Assert.Equal(0x3333_ff00_0000 | low, Parser.DestinationMac(packet.Bytes));
        Assert.Equal(target, Engine.Packets.Address.ReadIPv6(asked.Segment[8..]));
        Assert.Equal([1, 1], asked.Segment[24..26].ToArray());
        Assert.Equal(Self, Parser.DestinationMac(asked.Segment[26..]));
    }

    private sealed record Sent(byte[] Frame, byte Ingress, ushort Egress = 0, long Number = 7);
}
