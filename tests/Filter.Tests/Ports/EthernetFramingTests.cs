using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Engine.Wire;

namespace Filter.Tests.Ports;

/// <summary>Captures of other link types come as Ethernet.</summary>
public sealed class EthernetFramingTests : IDisposable
{
    private const string Question = "udp 192.0.2.5:4000 > 9.9.9.9:53 len=20";
    private const string Question6 = "udp [2001:db8::5]:4000 > [2001:db8::9]:53 len=20";
    private readonly string _folder = Directory.CreateTempSubdirectory("filter-framing-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    public static TheoryData<ushort, string, string> Headers => new()
    {
        { 101, "", Question },                                                   // raw IP: tunnel devices
        { 101, "", Question6 },
        { 228, "", Question },
        { 229, "", Question6 },
        { 0, "02000000", Question },                                             // a BSD's loopback; its AF_INET6 has many numbers
        { 0, "0000001e", Question6 },
        { 108, "00000002", Question },
        { 9, "ff030021", Question },                                             // PPP in all its shapes
        { 9, "0057", Question6 },
        { 9, "21", Question },
        { 113, "0000 0001 0006 020000000003 0000 0800", Question },              // Linux cooked: tcpdump -i any
        { 276, "86dd 0000 00000002 0001 00 06 020000000003 0000", Question6 },
    };

    [Theory]
    [MemberData(nameof(Headers))]
    public void An_ip_packet_of_another_link_type_is_walked_as_if_it_came_over_ethernet(ushort linkType, string header, string line)
    {
        byte[] ethernet = Written(line);
        byte[] packet = ethernet[EthernetHeader.Length..];
        (byte[] frame, int original) = Read(linkType, [.. Hex(header), .. packet], extra: 0);
        Assert.Equal(ethernet[12..], frame[12..]);
        Assert.Equal(ethernet.Length, original);

        // Of a packet that was cut short the whole length is still known.
        (frame, original) = Read(linkType, [.. Hex(header), .. packet[..^5]], extra: 5);
        Assert.Equal(ethernet[12..^5], frame[12..]);
        Assert.Equal(ethernet.Length, original);
    }

    [Fact]
    public void A_cooked_capture_keeps_the_senders_link_address_and_what_was_broadcast()
    {
        byte[] arp = Written("arp 10.0.0.7 > 10.0.0.8 request")[EthernetHeader.Length..];
        (byte[] frame, _) = Read(113, [.. Hex("0001 0001 0006 020000000003 0000 0806"), .. arp], extra: 0);
        Assert.Equal(Hex("ffffffffffff 020000000003 0806"), frame[..14]);
        (frame, _) = Read(276, [.. Hex("0806 0000 00000002 0001 01 06 020000000003 0000"), .. arp], extra: 0);
        Assert.Equal(Hex("ffffffffffff 020000000003 0806"), frame[..14]);
    }

    [Theory]
    [InlineData(105, "080000000000")]                // 802.11
    [InlineData(101, "")]
    [InlineData(101, "50")]
    [InlineData(0, "02000000")]
    [InlineData(9, "")]
    [InlineData(9, "ff03")]
    [InlineData(9, "ff03c021")]                      // LCP: no packet of IP
    [InlineData(113, "0000 0001 0006 020000000003 0000 08")]
    [InlineData(113, "0000 0001 0006 020000000003 0000 0004")]      // 802.2 behind a cooked header
    public void What_holds_no_packet_that_ethernet_could_carry_stays_what_it_is(ushort linkType, string hex)
    {
        string path = Path.Combine(_folder, "odd.pcapng");
        Write(path, linkType, Hex(hex), extra: 0);
        using CaptureReader reader = new(path);
        Assert.True(reader.TryRead(out CapturedFrame frame));
        Assert.False(frame.IsEthernet);
        Assert.Equal(Hex(hex), frame.Bytes.ToArray());
    }

    [Fact]
    public void Random_bytes_of_any_link_type_are_framed_or_left()
    {
        Random random = Fuzzing.Seeded(out int seed);
        EthernetFraming framing = new();
        int[] types = [0, 9, 12, 14, 101, 108, 113, 228, 229, 276, 105];
        for (int round = 0; round < Fuzzing.Rounds(100_000); round++)
        {
            byte[] bytes = new byte[random.Next(40)];
            random.NextBytes(bytes);
            int linkType = types[random.Next(types.Length)];
            int original = random.Next(4) == 0 ? int.MaxValue : bytes.Length + random.Next(2000);
            CapturedFrame frame = framing.Frame(new CapturedFrame(bytes, original, 7, linkType));
            Assert.True(
                frame.Bytes.Length <= frame.OriginalLength && (!frame.IsEthernet || frame.Bytes.Length >= EthernetHeader.Length),
                $"seed {seed}, round {round}, link type {linkType}: {Convert.ToHexString(bytes)}");
        }
    }

    private (byte[] Frame, int OriginalLength) Read(ushort linkType, byte[] bytes, int extra)
    {
        // Both formats: libpcap has numbers of its own for some link types.
        string ng = Path.Combine(_folder, "one.pcapng"), old = Path.Combine(_folder, "one.pcap");
        Write(ng, linkType, bytes, extra);
        byte[] classic = new byte[24 + 16 + bytes.Length];
        uint[] words = [0xa1b2c3d4, 0x0004_0002, 0, 0, 65535, linkType, 1_700_000_000, 0, (uint)bytes.Length, (uint)(bytes.Length + extra)];
        for (int i = 0; i < words.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(classic.AsSpan(4 * i), words[i]);
        }

        bytes.CopyTo(classic, 40);
        File.WriteAllBytes(old, classic);
        (byte[] frame, int original) = One(ng);
        (byte[] second, int secondOriginal) = One(old);
        Assert.Equal(frame, second);
        Assert.Equal(original, secondOriginal);
        return (frame, original);
    }

    private static void Write(string path, ushort linkType, byte[] bytes, int extra)
    {
        using PcapngWriter writer = PcapngWriter.Create(path);
        writer.Write(writer.AddInterface("link", linkType), 1_700_000_000_000_000_000, bytes, bytes.Length + extra);
    }

    private static (byte[] Frame, int OriginalLength) One(string path)
    {
        using CaptureReader reader = new(path);
        Assert.True(reader.TryRead(out CapturedFrame frame));
        Assert.True(frame.IsEthernet);
        return (frame.Bytes.ToArray(), frame.OriginalLength);
    }

    private static byte[] Written(string line)
    {
        PacketLine packet = PacketLine.Parse(line);
        byte[] frame = new byte[FrameBuilder.Length(packet)];
        FrameBuilder.Write(packet, frame);
        return frame;
    }

    private static byte[] Hex(string text) => Convert.FromHexString(text.Replace(" ", "", StringComparison.Ordinal));
}
