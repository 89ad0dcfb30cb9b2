using System.Buffers.Binary;
using Filter.Engine.Local;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Ipsec;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Rules;
using Filter.Rules.Compile;
using Filter.Rules.Policy;

namespace Filter.Tests.Ipsec;

/// <summary>Two whole gateways made from rulesets, a wire between them, a host behind each.</summary>
public sealed class SiteToSiteTests
{
    private const string Keys0 = "encryption-key: 0x000102030405060708090a0b0c0d0e0f, integrity-key: 0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    private const string Keys1 = "encryption-key: 0x100102030405060708090a0b0c0d0e0f, integrity-key: 0x200102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    private static readonly Address[] s_lefts = [Address.Parse("10.1.0.5"), Address.Parse("2001:db8:1::5")];
    private static readonly Address[] s_rights = [Address.Parse("10.2.0.9"), Address.Parse("2001:db8:2::9")];

    private const string Transport = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        rules:
          - allow: out
            to: outside
          - allow: dns-server
            from: outside
            service: udp/53
        ipsec:
          policies:
            - protect: everything
              sa: pair
          sas:
            pair:
              mode: transport
              suite: aes-cbc-128+hmac-sha2-256-128
              replay: 64
              out: { spi: SPIOUT }
              in: { spi: SPIIN }
        """;

    private const string Tunnel = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
          self:
            tap: filter0
            side: protected
            mac: 02:00:00:00:01:0OWN
            addresses: [ 192.0.2.OWN/24, 10.OWN.0.1/16, "2001:db8:OWN::1/64" ]
        rules:
          - allow: all
        ipsec:
          policies:
            - protect: sites
              local: [ 10.OWN.0.0/16, "2001:db8:OWN::/48" ]
              remote: [ 10.PEER.0.0/16, "2001:db8:PEER::/48" ]
              sa: pair
            - bypass: rest
          sas:
            pair:
              mode: tunnel
              local: 192.0.2.OWN
              remote: 192.0.2.PEER
              suite: aes-cbc-128+hmac-sha2-256-128
              out: { spi: SPIOUT }
              in: { spi: SPIIN }
        """;

    [Fact]
    public void Conversations_cross_a_protected_wire_and_no_clear_packet_is_on_it()
    {
        using Site left = TransportSite("0x1001", Keys0, "0x1002", Keys1), right = TransportSite("0x1002", Keys1, "0x1001", Keys0);
        for (int family = 0; family < 2; family++)
        {
            Address client = s_lefts[family], server = s_rights[family];
            byte[] question = PlainFrames.Udp(client, server, 30 + family);
            byte[] answer = Swapped(PlainFrames.Udp(client, server, 200), client, server);

            Assert.Equal([question], Cross(left, right, question));
            Assert.Equal([answer], Cross(right, left, answer));
        }

        Assert.Equal(2, left.Path.Flows.Count);
        Assert.Equal(2, right.Path.Flows.Count);
    }

    [Fact]
    public void A_clear_packet_of_a_protected_flow_is_dropped_and_changes_no_flow()
    {
        using Site left = TransportSite("0x1001", Keys0, "0x1002", Keys1), right = TransportSite("0x1002", Keys1, "0x1001", Keys0);
        byte[] question = PlainFrames.Udp(s_lefts[0], s_rights[0], 30);
        Cross(left, right, question);
        Assert.True(right.Path.TryFind(PlainFrames.Parsed(question).Key, out Filter.Engine.Flows.Flow before));
        right.Now += 5_000_000_000;

        // The flow that is there, and one that a rule would let in.
        Assert.Empty(right.Carry("outside", question));
        Assert.Empty(right.Carry("outside", PlainFrames.Udp(Address.Parse("10.1.0.6"), s_rights[0], 30)));

        Assert.Equal(2, right.Path.Counters[DropReason.ClearForProtected]);
        Assert.Equal(1, right.Path.Flows.Count);
        Assert.True(right.Path.TryFind(PlainFrames.Parsed(question).Key, out Filter.Engine.Flows.Flow after));
        Assert.Equal(before.Deadline, after.Deadline);
    }

    [Fact]
    public void A_tunnel_between_gateways_with_addresses_of_their_own_carries_both_families()
    {
        const ulong leftMac = 0x0200_0000_0101, rightMac = 0x0200_0000_0102, serverMac = 0x0200_0000_0909;
        using Site left = TunnelSite(1, 2, "0x1001", Keys0, "0x1002", Keys1), right = TunnelSite(2, 1, "0x1002", Keys1, "0x1001", Keys0);

        // The first packet waits for the far gateway's link address, and then for the server's.
        byte[] question = ToRouter(PlainFrames.Udp(s_lefts[0], s_rights[0], 30), leftMac);
        Assert.Equal(EtherTypes.Arp, TypeOf(Assert.Single(left.Carry("inside", question)["outside"])));
        byte[] wire = Assert.Single(
            left.Carry("outside", Frames.Arp(2, rightMac, "192.0.2.2", leftMac, "192.0.2.1", leftMac))["outside"]);
        Assert.Equal(IpProtocol.Esp, PlainFrames.Parsed(wire).Key.Protocol);
        Assert.Equal((rightMac, leftMac), (Parser.DestinationMac(wire), Parser.SourceMac(wire)));

        Assert.Equal(EtherTypes.Arp, TypeOf(Assert.Single(right.Carry("outside", wire)["inside"])));
        byte[] inside = Assert.Single(
            right.Carry("inside", Frames.Arp(2, serverMac, "10.2.0.9", rightMac, "10.2.0.1", rightMac))["inside"]);
        IpHeader.TakeHop(question.AsSpan(14));              // the tunnel is one
        Assert.Equal(question[14..], inside[14..]);
        Assert.Equal((serverMac, rightMac), (Parser.DestinationMac(inside), Parser.SourceMac(inside)));

        // The other family in the same tunnel: the outer next hop is known, the inner one is asked for by ND.
        question = ToRouter(PlainFrames.Udp(s_lefts[1], s_rights[1], 30), leftMac);
        wire = Assert.Single(left.Carry("inside", question)["outside"]);
        Assert.Equal(IpProtocol.Esp, PlainFrames.Parsed(wire).Key.Protocol);
        byte[] asked = Assert.Single(right.Carry("outside", wire)["inside"]);
        Assert.Equal(135, PlainFrames.Parsed(asked).IcmpType);
    }

    [Fact]
    public void A_flooded_frame_leaves_sealed_on_one_side_and_as_it_came_on_the_other()
    {
        // The gateway's own port stands first in the file: it must not make the flood look like a local matter.
        const string own = "  self:\n    tap: filter0\n    side: protected\n    mac: 02:00:00:00:01:01\n    addresses: [ 192.0.2.1/24 ]\n";
        using Site left = new(TransportText("0x1001", Keys0, "0x1002", Keys1)
            .Replace("ports:\n", "ports:\n" + own, StringComparison.Ordinal)
            .Replace("to: outside", "to: [ outside, self ]", StringComparison.Ordinal));
        byte[] question = PlainFrames.Udp(s_lefts[0], s_rights[0], 30);

        Dictionary<string, List<byte[]>> sent = left.Carry("inside", question);

        Assert.Equal([question], sent["self"]);
        Assert.Equal(IpProtocol.Esp, PlainFrames.Parsed(Assert.Single(sent["outside"])).Key.Protocol);
    }

    private static List<byte[]> Cross(Site from, Site to, byte[] frame)
    {
        List<byte[]> wire = from.Carry("inside", frame)["outside"];
        Assert.All(wire, f => Assert.Equal(IpProtocol.Esp, PlainFrames.Parsed(f).Key.Protocol));
        return to.Carry("outside", [.. wire])["inside"];
    }

    private static byte[] Swapped(byte[] frame, Address client, Address server)
    {
        // Both addresses and both ports change places: every checksum stays right.
        byte[] answer = [.. frame];
        Span<byte> ip = answer.AsSpan(14);
        int at = client.IsIPv4 ? 12 : 8, length = client.WireLength;
        server.Write(ip[at..]);
        client.Write(ip[(at + length)..]);
        Span<byte> ports = ip[IpHeader.Length(ip)..];
        (ports[0], ports[1], ports[2], ports[3]) = (ports[2], ports[3], ports[0], ports[1]);
        return answer;
    }

    private static Site TransportSite(string spiOut, string keysOut, string spiIn, string keysIn) =>
        new(TransportText(spiOut, keysOut, spiIn, keysIn));

    private static string TransportText(string spiOut, string keysOut, string spiIn, string keysIn) =>
        Transport.Replace("SPIOUT", $"{spiOut}, {keysOut}", StringComparison.Ordinal).Replace("SPIIN", $"{spiIn}, {keysIn}", StringComparison.Ordinal);

    private static Site TunnelSite(int own, int peer, string spiOut, string keysOut, string spiIn, string keysIn) =>
        new(Tunnel
            .Replace("OWN", $"{own}", StringComparison.Ordinal)
            .Replace("PEER", $"{peer}", StringComparison.Ordinal)
            .Replace("SPIOUT", $"{spiOut}, {keysOut}", StringComparison.Ordinal)
            .Replace("SPIIN", $"{spiIn}, {keysIn}", StringComparison.Ordinal));

    private static byte[] ToRouter(byte[] frame, ulong mac)
    {
        Frames.WriteMac(frame, mac);
        return frame;
    }

    private static ushort TypeOf(byte[] frame) => BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(12));
}
