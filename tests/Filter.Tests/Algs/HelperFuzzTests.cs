using System.Text;
using Filter.Engine.Algs;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Tests.Conversations;

namespace Filter.Tests.Algs;

/// <summary>Whatever a helper reads: it ends, keeps its bounds, and announces no port below 1024.</summary>
public sealed class HelperFuzzTests
{
    private static readonly string[] s_pieces =
    [
        "\r\n", "\r", "\n", " ", "PORT ", "10,0,0,5,195,80", "EPRT ", "|1|10.0.0.5|50000|", "|2|2001:db8::5|50000|", "PASV", "EPSV", "227 ", "229 ",
        "(|||50000|)", "(203,0,113,2,195,80)", "220 hi", "211-", "211 ", "AUTH TLS", "234 ", "INVITE sip:x SIP/2.0\r\n", "SIP/2.0 200 OK\r\n",
        "Content-Type: application/sdp\r\n", "Content-Length: 30\r\n", "l:", "CSeq: 1 INVITE\r\n", "Call-ID: x\r\n", "\r\n\r\n", "Via: SIP/2.0/UDP [::1]:5", "rport",
        "c=IN IP4 10.0.0.5\r\n", "m=audio 6000 RTP/AVP 0\r\n", "a=rtcp:99", "\0\u0001", "octet\0", "::", ":", ",", "|", "(", ")", "4294967296", "99999", ";", "=",
    ];

    [Theory]
    [InlineData(HelperKind.Ftp)]
    [InlineData(HelperKind.Tftp)]
    [InlineData(HelperKind.Sip)]
    public void Any_bytes_in_any_order_of_segments_end_within_bounds(HelperKind helper)
    {
        Random random = Fuzzing.Seeded(out _);
        for (int connection = 0; connection < Fuzzing.Rounds(400); connection++)
        {
            FtpState ftp = default;
            SipState sip = default;
            uint[] next = [(uint)random.NextInt64(), (uint)random.NextInt64()];
            bool ipv4 = random.Next(2) == 0;
            for (int segment = 0; segment < 40; segment++)
            {
                bool reply = random.Next(2) == 0;
                byte[] payload = Payload(random);
                Packet packet = new()
                {
                    Slab = payload,
                    Length = payload.Length,
                    End = payload.Length,
                    Reply = reply,
                    Sequence = next[reply ? 1 : 0] + (uint)(random.Next(6) == 0 ? random.Next(-200, 200) : 0),
                    Acknowledgment = (uint)random.NextInt64(),
                    TcpFlags = random.Next(30) == 0 ? TcpFlags.Syn | TcpFlags.Ack : TcpFlags.Ack,
                    Key = new FlowKey(
                        Address.Parse(ipv4 ? "10.0.0.5" : "2001:db8::5"), Address.Parse(ipv4 ? "203.0.113.2" : "2001:db8:f::2"),
                        40000, 21, helper == HelperKind.Ftp || random.Next(2) == 0 ? IpProtocol.Tcp : IpProtocol.Udp, 0),
                };
                next[reply ? 1 : 0] += (uint)payload.Length;
                Announcements heard = default;
                switch (helper)
                {
                    case HelperKind.Ftp:
                        Ftp.Read(ref ftp, packet, ref heard);
                        break;
                    case HelperKind.Tftp:
                        Tftp.Read(packet, ref heard);
                        break;
                    default:
                        Sip.Read(ref sip, packet, ref heard);
                        break;
                }

                Assert.InRange(heard.Count, 0, Announcements.Most);
                for (int i = 0; i < heard.Count; i++)
                {
                    Assert.True(heard[i].Port >= Announcements.FirstPort);
                }
            }
        }
    }

    [Fact]
    public void Whatever_helped_flows_carry_only_expected_flows_come_in_and_all_ends_in_an_empty_table()
    {
        Random random = Fuzzing.Seeded(out _);
        var net = new TestNet(
            Nets.Ports + """
            rules:
              - allow: ftp
                from: inside
                service: tcp/21
                helper: ftp
              - allow: sip
                from: inside
                service: [ udp/5060, tcp/5060 ]
                helper: sip
                pinhole: address-dependent
              - allow: tftp
                from: inside
                service: udp/69
                helper: tftp
              - allow: games
                from: inside
                service: udp/27015
                pinhole: endpoint-independent

            """,
            flows: 64);
        string[] protocols = ["tcp", "udp"];
        int[] ports = [21, 5060, 69, 27015, 6000, 50000, 20];
        for (int packet = 0; packet < Fuzzing.Rounds(20_000); packet++)
        {
            bool inside = random.Next(2) == 0;
            int family = random.Next(2) == 0 ? 4 : 6;
            string protocol = protocols[random.Next(2)];
            string near = Nets.At(family, 1, random.Next(3) == 0 ? 50000 : 40000 + random.Next(4)), far = Nets.At(family, 2 + random.Next(2), ports[random.Next(ports.Length)]);
            string flags = protocol == "udp" ? "" : random.Next(3) == 0 ? "syn seq=9" : random.Next(3) == 0 ? "syn,ack seq=9 ack=10" : "ack seq=10 ack=10";
            string text = TextTalk.Escape(Encoding.Latin1.GetString(Payload(random))).Replace("\0", "\\x00", StringComparison.Ordinal).Replace("\u0001", "\\x01", StringComparison.Ordinal);
            string data = flags.StartsWith("syn", StringComparison.Ordinal) || text.Any(c => c is < ' ' or > '~') ? "" : $"data=\"{text}\"";
            net.Sends(inside ? $"inside: {protocol} {near} > {far} {flags} {data}" : $"outside: {protocol} {far} > {near} {flags} {data}");
            Assert.InRange(net.Path.Flows.Expectations.Count, 0, net.Path.Flows.Expectations.Capacity);
            if (random.Next(200) == 0)
            {
                net.After($"{random.Next(300)}s");
            }
        }

        for (int flow = 1; flow <= net.Path.Flows.Last; flow++)
        {
            ref Filter.Engine.Flows.Flow one = ref net.Path.Flows[flow];
            Assert.True(!one.Live || one.Parent.Number != 0 || IsProtectedOpening(one), "a flow from outside has a parent");
        }

        Assert.True(net.Path.Counters.Met > 0);
        for (int day = 0; day < 10; day++)
        {
            net.After("10h");
        }

        net.ExpectsFlows(0);
        Assert.Equal(0, net.Path.Flows.Expectations.Count);
    }

    [Fact]
    public void Reading_a_control_connection_allocates_no_byte()
    {
        byte[] commands = Encoding.Latin1.GetBytes("PASV\r\nPORT 10,0,0,5,195,80\r\nEPRT |1|10.0.0.5|50000|\r\nPAS");
        byte[] replies = Encoding.Latin1.GetBytes("220 hi\r\n227 (203,0,113,2,195,80)\r\n211-");
        var key = new FlowKey(Address.Parse("10.0.0.5"), Address.Parse("203.0.113.2"), 40000, 21, IpProtocol.Tcp, 0);
        int announced = 0;
        Assert.Equal(0, Allocations.Least(() =>
        {
            for (int connection = 0; connection < 100; connection++)
            {
                FtpState state = default;
                announced += Heard(ref state, replies, key.Reverse, reply: true) + Heard(ref state, commands, key, reply: false);
            }
        }));
        Assert.True(announced >= 200);
    }

    private static int Heard(ref FtpState state, byte[] payload, in FlowKey key, bool reply)
    {
        int announced = 0;
        for (uint sequence = 0; sequence < 3; sequence++)
        {
            Packet packet = new()
            {
                Slab = payload,
                Length = payload.Length,
                End = payload.Length,
                Reply = reply,
                Sequence = sequence * (uint)payload.Length,
                Key = key,
            };
            Announcements heard = default;
            Ftp.Read(ref state, packet, ref heard);
            announced += heard.Count;
        }

        return announced;
    }

    private static bool IsProtectedOpening(in Filter.Engine.Flows.Flow flow) => flow.Opening.Direction == Direction.Out;

    private static byte[] Payload(Random random)
    {
        StringBuilder text = new();
        for (int pieces = random.Next(9); pieces > 0; pieces--)
        {
            text.Append(s_pieces[random.Next(s_pieces.Length)]);
        }

        byte[] bytes = Encoding.Latin1.GetBytes(text.ToString());
        for (int change = random.Next(3) - 1; change > 0 && bytes.Length > 0; change--)
        {
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        }

        return bytes;
    }
}
