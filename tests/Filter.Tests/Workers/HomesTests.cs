using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;

namespace Filter.Tests.Workers;

/// <summary>Which worker a packet belongs to.</summary>
public sealed class HomesTests
{
    private const int Workers = 7;

    private readonly Homes _homes = new(Workers);

    [Theory]
    [InlineData("tcp 10.0.0.5:4000 > 203.0.113.9:443 syn", "tcp 203.0.113.9:443 > 10.0.0.5:4000 syn,ack")]
    [InlineData("tcp [2001:db8::5]:4000 > [2001:db8:f::9]:443 syn", "tcp [2001:db8:f::9]:443 > [2001:db8::5]:4000 syn,ack")]
    [InlineData("tcp 10.0.0.5:4000 > 203.0.113.9:21 ack", "tcp 203.0.113.9:20 > 10.0.0.5:50000 syn")]
    [InlineData("udp 10.0.0.5:4000 > 203.0.113.9:53 len=800 total=1000 frag=0+ id=3", "udp 10.0.0.5 > 203.0.113.9 len=200 frag=808 id=3")]
    [InlineData("udp [2001:db8::5]:4000 > [2001:db8:f::9]:53 len=800 total=1000 frag=0+ id=3", "udp [2001:db8::5] > [2001:db8:f::9] len=200 frag=808 id=3")]
    [InlineData("udp 10.0.0.5:4000 > 203.0.113.9:53", "icmp 198.51.100.1 > 10.0.0.5 time-exceeded quote=\"udp 10.0.0.5:4000 > 203.0.113.9:53\"")]
    [InlineData("udp [2001:db8::5]:4000 > [2001:db8:f::9]:53", "icmp 2001:db8:3::1 > 2001:db8::5 time-exceeded quote=\"udp [2001:db8::5]:4000 > [2001:db8:f::9]:53\"")]
    [InlineData("icmp 10.0.0.5 > 203.0.113.9 echo-request id=1 seq=1", "icmp 203.0.113.9 > 10.0.0.5 echo-reply id=1 seq=1")]
    [InlineData("esp 10.0.0.5 > 203.0.113.9 spi=0x1001 seq=1 len=40", "esp 203.0.113.9 > 10.0.0.5 spi=0x2001 seq=1 len=40")]
    public void What_belongs_together_meets(string one, string other)
    {
        for (int keys = 0; keys < 20; keys++)
        {
            Homes homes = new(Workers);
            int home = homes.Of(Raw(one));
            Assert.InRange(home, 0, Workers - 1);
            Assert.Equal(home, homes.Of(Raw(other)));
        }
    }

    [Theory]
    [InlineData("arp 10.0.0.1 > 10.0.0.5 request")]
    [InlineData("icmp fe80::1 > ff02::1:ff00:5 neighbour-solicitation len=24 ttl=255")]
    [InlineData("icmp fe80::5 > fe80::1 neighbour-advertisement len=24 ttl=255")]
    [InlineData("icmp fe80::1 > ff02::1 router-advertisement len=24 ttl=255")]
    [InlineData("ether 02:00:00:00:00:01 > 01:80:c2:00:00:00 type=0x0026 len=46")]
    public void What_is_said_to_the_link_is_the_first_workers(string line) => Assert.Equal(0, _homes.Of(Raw(line)));

    [Fact]
    public void A_packet_has_the_same_home_as_it_came_and_parsed()
    {
        Random random = Fuzzing.Seeded(out _);
        string[] lines =
        [
            "tcp 10.0.0.5:4000 > 203.0.113.9:443 syn", "tcp [2001:db8::5]:4000 > [2001:db8:f::9]:443 syn vlan=5", "gre 10.0.0.5 > 203.0.113.9 key=0x10002 len=40",
            "icmp 10.0.0.5 > 203.0.113.9 echo-request id=1 seq=1", "icmp 2001:db8:3::1 > 2001:db8::5 time-exceeded quote=\"udp [2001:db8::5]:4000 > [2001:db8:f::9]:53\"",
            "udp [2001:db8::5]:4000 > [2001:db8:f::9]:53 len=800 total=1000 frag=0+ id=3", "arp 10.0.0.1 > 10.0.0.5 request",
            "icmp fe80::1 > ff02::1 multicast-listener-query len=20 ttl=1", "icmp fe80::1 > ff02::1:ff00:5 neighbour-solicitation len=24 ttl=255",
        ];
        for (int round = 0; round < 20_000; round++)
        {
            Packet raw = Raw(lines[random.Next(lines.Length)]);
            for (int change = random.Next(3); change > 0; change--)
            {
                raw.Bytes[Math.Min(raw.Length - 1, 12 + random.Next(60))] = (byte)random.Next(256);
            }

            Packet parsed = raw;
            if (Parser.Parse(ref parsed) == DropReason.None)
            {
                Assert.Equal(_homes.Of(raw), _homes.Of(parsed));
            }
        }
    }

    [Fact]
    public void Pairs_spread_evenly_whoever_chooses_them()
    {
        Span<int> counts = stackalloc int[Workers];
        for (int i = 0; i < 70_000; i++)
        {
            counts[_homes.Of(new Address(0x2001_0db8_0000_0000, (ulong)i), new Address(0x2001_0db8_0000_0000, (ulong)(i + 1) << 32))]++;
        }

        // Ten thousand each: a standard deviation is below a hundred.
        foreach (int count in counts)
        {
            Assert.InRange(count, 9_200, 10_800);
        }
    }

    private static Packet Raw(string line)
    {
        PacketLine read = PacketLine.Parse(line);
        byte[] frame = new byte[FrameBuilder.Length(read)];
        Offload offload = FrameBuilder.Write(read, frame);
        return new Packet { Slab = frame, Length = frame.Length, Ceiling = frame.Length, Offload = offload };
    }
}
