using System.Globalization;
using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Tests.Worlds;
using PacketDotNet;
using Packet = Filter.Engine.Packets.Packet;

namespace Filter.Tests.Wire;

/// <summary>Our parse beside PacketDotNet's, over every capture at hand.</summary>
public sealed class ParserOracleTests
{
    /// <summary>Where the two are right to differ: the capture, and why.</summary>
    private static readonly (string Capture, string Reason)[] s_accepted =
    [
        ("zeek__chksums-mip6", "PacketDotNet takes the mobility header for an extension and names what follows it; to us it is the protocol"),
        ("zeek__mobile-ipv6-mip6", "as above"),
        ("zeek__ipv6_zero_len_ah", "PacketDotNet looks behind AH; AH is the protocol that rules and IPsec policy judge"),
        ("zeek__chksums-ip6-hoa", "a host away from home is known by its home address; PacketDotNet shows the one it is at"),
        ("zeek__mobile-ipv6-ipv6-mobile-routing", "as above, of the receiver"),
        ("pcap4j__IpV6ExtUnknownPacketTest", "PacketDotNet takes protocol 254 for an extension header"),
        ("sv__ipv6-evasion-ipv6-malformed-fragments-36", "a fragment of a fragment: what is in it is known when it is whole, not before"),
    ];

    [Fact]
    public void Addresses_ports_and_protocols_agree_with_another_parser_over_every_capture()
    {
        string folder = Path.Combine(Repository.Root, "..", "shared", "captures");
        Assert.SkipUnless(Directory.Exists(folder), "../shared/captures is absent");
        var differences = new List<string>();
        var dropped = new SortedDictionary<string, int>(StringComparer.Ordinal);
        int compared = 0, unread = 0;
        foreach (string path in Directory.EnumerateFiles(folder, "*cap*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            using var reader = new CaptureReader(path);
            for (int n = 1; reader.TryRead(out CapturedFrame frame) && frame.IsEthernet; n++)
            {
                byte[] bytes = frame.Bytes.ToArray();
                var packet = new Packet { Slab = bytes, Length = bytes.Length, Ceiling = bytes.Length };
                DropReason why = Parser.Parse(ref packet);
                if (why != DropReason.None)
                {
                    dropped[why.Name()] = dropped.GetValueOrDefault(why.Name()) + 1;
                    string addresses = $" {packet.Key.Source} {packet.Key.Destination}";
                    if (packet.Key.Source != default && Theirs(bytes) is { } other && !other.Contains(addresses, StringComparison.Ordinal)
                        && !IsAccepted(path))
                    {
                        differences.Add($"{Path.GetFileName(path)} {n}, {why.Name()}:{addresses} | {other}");
                    }

                    continue;
                }

                string? theirs = Theirs(bytes);
                if (theirs is null)
                {
                    unread++;
                    continue;
                }

                compared++;
                string ours = Ours(packet);
                // A transport header that PacketDotNet gave up on leaves the addresses.
                bool agree = ours == theirs || ours.StartsWith(theirs + " ", StringComparison.Ordinal);
                if (!agree && !IsAccepted(path))
                {
                    differences.Add($"{Path.GetFileName(path)} {n}: {ours} | {theirs}");
                }
            }
        }

        ITestOutputHelper? output = TestContext.Current.TestOutputHelper;
        output?.WriteLine($"{compared} compared, {unread} that PacketDotNet could not read, {differences.Count} differ");
        output?.WriteLine(string.Join(", ", dropped.Select(pair => $"{pair.Key} {pair.Value}")));
        Assert.True(compared > 1000, "too few packets were compared");
        Assert.True(differences.Count == 0, string.Join('\n', differences));
    }

    private static bool IsAccepted(string path) =>
        s_accepted.Any(known => Path.GetFileName(path).StartsWith(known.Capture, StringComparison.Ordinal));

    private static string Ours(in Packet packet)
    {
        FlowKey key = packet.Key;
        switch (packet.EtherType)
        {
            case EtherTypes.Arp:
                return $"arp {key.Source} {key.Destination}";
            case EtherTypes.IPv4 or EtherTypes.IPv6:
                bool ports = key.Protocol is IpProtocol.Tcp or IpProtocol.Udp && packet.FragmentOffset == 0;
                return string.Create(
                    CultureInfo.InvariantCulture,
                    $"{key.Protocol} {key.Source} {key.Destination}{(ports ? $" {key.SourcePort} {key.DestinationPort}" : "")}");
            default:
                return packet.EtherType < EtherTypes.FirstType ? "llc" : $"type {packet.EtherType:x4}";
        }
    }

    /// <summary>What PacketDotNet finds, in the same words; null where it gives up.</summary>
    private static string? Theirs(byte[] frame)
    {
        try
        {
            var ethernet = (EthernetPacket)PacketDotNet.Packet.ParsePacket(LinkLayers.Ethernet, frame);
            PacketDotNet.Packet? behind = ethernet.PayloadPacket;
            ushort type = (ushort)ethernet.Type;
            while (behind is Ieee8021QPacket tag)
            {
                type = (ushort)tag.Type;
                behind = tag.PayloadPacket;
            }

            return behind switch
            {
                PacketDotNet.ArpPacket arp => $"arp {arp.SenderProtocolAddress} {arp.TargetProtocolAddress}",
                IPPacket ip => Of(ip),
                _ when type is EtherTypes.IPv4 or EtherTypes.IPv6 or EtherTypes.Arp => null,
                _ => type < EtherTypes.FirstType ? "llc" : $"type {type:x4}",
            };
        }
        catch (Exception e) when (e is ArgumentException or IndexOutOfRangeException or InvalidOperationException
            or NotImplementedException or NotSupportedException or InvalidCastException or OverflowException)
        {
            return null;
        }
    }

    private static string Of(IPPacket ip)
    {
        string ports = ip.PayloadPacket switch
        {
            TcpPacket tcp => $" {tcp.SourcePort} {tcp.DestinationPort}",
            UdpPacket udp => $" {udp.SourcePort} {udp.DestinationPort}",
            _ => "",
        };
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{(byte)ip.Protocol} {Address.Parse(ip.SourceAddress.ToString())} {Address.Parse(ip.DestinationAddress.ToString())}{ports}");
    }
}
