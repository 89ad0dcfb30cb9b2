using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Tests.Wire;

/// <summary>Segments of a flow become a super-frame, and that, cut again, the same datagrams.</summary>
public sealed class CoalescerTests
{
    private const ushort Port = 2;

    private readonly Burst _burst = new();
    private readonly Coalescer _coalescer = new();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Segments_in_order_leave_as_one_frame_and_the_short_one_is_its_last(bool six)
    {
        Hears(six, 100, 1400, id: 7);
        Hears(six, 1500, 1400, id: 8);
        Hears(six, 2900, 333, id: 9);
        Hears(six, 3233, 1400, id: 10);

        Assert.Equal(2, _coalescer.Merge(_burst, Port));

        ref Packet whole = ref _burst.Packets[0];
        Assert.Equal([Port, 0, 0, Port], Egresses());
        Assert.Equal(six ? GsoKind.TcpV6 : GsoKind.TcpV4, whole.Offload.Gso);
        Assert.Equal((1400, 3133, ChecksumState.Partial), (whole.Offload.SegmentSize, whole.End - whole.Payload, whole.Offload.Checksum));
        Assert.Equal(Verdict.Pass, _burst.Packets[1].Verdict);
        Assert.True(Segmenter.TryFinishChecksum(ref whole));
        Assert.Equal(DropReason.None, Frames.Reparse(whole, out Packet parsed));
        Assert.Equal(ChecksumState.Valid, parsed.Offload.Checksum);
    }

    [Theory]
    [InlineData("gap")]
    [InlineData("ack")]
    [InlineData("window")]
    [InlineData("ttl")]
    [InlineData("ecn")]
    [InlineData("id")]
    [InlineData("fin")]
    [InlineData("urg")]
    [InlineData("longer")]
    [InlineData("clear")]
    [InlineData("vlan")]
    [InlineData("checksum")]
    public void A_segment_that_differs_leaves_by_itself_behind_what_came_before_it(string how)
    {
        Hears(false, 100, 500, id: 1);
        Hears(false, 600, 500, id: 2);
        Hears(false, how == "gap" ? 1101u : 1100u, how == "longer" ? 501 : 500, how switch
        {
            "fin" => TcpFlags.Ack | TcpFlags.Fin,
            "urg" => TcpFlags.Ack | TcpFlags.Urg,
            _ => TcpFlags.Ack,
        }, (ushort)(how == "id" ? 9 : 3), how);

        Assert.Equal(1, _coalescer.Merge(_burst, Port));

        Assert.Equal([Port, 0, Port], Egresses());
        Assert.Equal(GsoKind.None, _burst.Packets[2].Offload.Gso);
    }

    [Fact]
    public void Pushed_data_ends_its_frame_and_what_cannot_join_closes_its_flow()
    {
        Hears(false, 100, 500, id: 1);
        Hears(false, 600, 500, TcpFlags.Ack | TcpFlags.Psh, 2);
        Hears(false, 1100, 500, id: 3);
        Hears(false, 1600, 0, id: 4);           // a bare acknowledgment
        Hears(false, 1600, 500, id: 5);

        Assert.Equal(1, _coalescer.Merge(_burst, Port));
        Assert.Equal([Port, 0, Port, Port, Port], Egresses());
    }

    [Fact]
    public void What_was_dropped_and_ports_without_super_frames_are_left_alone()
    {
        Hears(false, 100, 500, id: 1);
        Hears(false, 600, 500, id: 2);
        Assert.Equal(0, _coalescer.Merge(_burst, 1));

        _burst.Packets[1].Drop(DropReason.BadLength);
        Assert.Equal(0, _coalescer.Merge(_burst, Port));
        Assert.Equal([Port, 0], Egresses());
    }

    [Fact]
    public void Random_bursts_give_back_the_same_datagrams_in_the_same_order()
    {
        int seed = Random.Shared.Next();
        var random = new Random(seed);
        for (int round = 0; round < 500; round++)
        {
            _burst.Reset();
            uint[] next = [uint.MaxValue - 3000, 5, 77];
            ushort[] ids = [65530, 1, 2];
            int size = random.Next(1, 1450);
            for (int i = 0, count = random.Next(1, 65); i < count; i++)
            {
                int flow = random.Next(3), length = random.Next(6) == 0 ? random.Next(1, 1450) : size;
                uint at = random.Next(12) == 0 ? next[flow] + 1 : next[flow];
                TcpFlags flags = random.Next(8) == 0 ? TcpFlags.Ack | TcpFlags.Psh : TcpFlags.Ack;
                string how = random.Next(15) switch { 0 => "ttl", 1 => "ack", 2 => "vlan", _ => "" };
                Hears(flow == 1, at, length, flags, ids[flow]++, how, flow + 1);
                next[flow] = at + (uint)length;
            }

            List<byte[]>[] before = Datagrams(0, _burst.Count);
            int came = _burst.Count, merged = _coalescer.Merge(_burst, Port);
            Assert.Equal(came, merged + Egresses().Count(egress => egress != 0));
            for (int i = 0; i < came; i++)
            {
                Assert.InRange(_burst.Packets[i].Length, 0, _burst.Packets[i].Ceiling - _burst.Packets[i].Start);
            }

            // Each flow's frames, cut one after the other.
            var after = new List<byte[]>[3];
            for (int flow = 0; flow < 3; flow++)
            {
                after[flow] = [];
                for (int i = 0; i < came; i++)
                {
                    ref Packet packet = ref _burst.Packets[i];
                    if (packet.Egress == 0 || packet.Flow != flow + 1)
                    {
                        continue;
                    }

                    if (packet.Offload.Gso == GsoKind.None)
                    {
                        after[flow].Add(packet.Datagram.ToArray());
                        continue;
                    }

                    int from = _burst.Count;
                    Assert.True(Segmenter.TryCut(_burst, i), $"seed {seed}, round {round}");
                    after[flow].AddRange(Datagrams(from, _burst.Count)[flow]);
                    _burst.Trim(from);
                }

                Assert.True(before[flow].Count == after[flow].Count, $"seed {seed}, round {round}");
                Assert.All(before[flow].Zip(after[flow]), pair => Assert.True(pair.First.SequenceEqual(pair.Second), $"seed {seed}, round {round}"));
            }
        }
    }

    private ushort[] Egresses() => [.. _burst.Packets.Take(_burst.Count).Select(packet => packet.Egress)];

    private List<byte[]>[] Datagrams(int from, int to)
    {
        List<byte[]>[] flows = [[], [], []];
        for (int i = from; i < to; i++)
        {
            flows[_burst.Packets[i].Flow - 1].Add(_burst.Packets[i].Datagram.ToArray());
        }

        return flows;
    }

    private void Hears(
        bool six, uint sequence, int length, TcpFlags flags = TcpFlags.Ack, ushort id = 0, string how = "", int flow = 1)
    {
        (string from, string to) = six ? ("2001:db8::1", "2001:db8::2") : ("10.0.0.1", "10.0.0.2");
        byte[] tcp = Frames.Tcp(from, 443, to, 40000, flags, sequence, how == "ack" ? 8u : 7u, Frames.Pattern(length, (int)sequence));
        if (tcp[16] == 0 && tcp[17] == 0)
        {
            tcp[16] = tcp[17] = byte.MaxValue;      // the Segmenter writes zero so, in TCP too
        }

        if (how == "window")
        {
            tcp[15]++;
            ushort checksum = BinaryPrimitives.ReadUInt16BigEndian(tcp.AsSpan(16));
            BinaryPrimitives.WriteUInt16BigEndian(tcp.AsSpan(16), Checksum.Update(checksum, 0, 1));
        }

        byte[] ip = Frames.Ip(from, to, IpProtocol.Tcp, tcp, id, hopLimit: (byte)(how == "ttl" ? 63 : 64));
        if (how == "ecn")
        {
            ip[1] |= 3;
            IpHeader.SetLength(ip);
        }

        int index = Frames.Append(_burst, how == "vlan" ? Frames.Ethernet(ip, vlans: 5) : Frames.Ethernet(ip));
        ref Packet packet = ref _burst.Packets[index];
        Assert.False(packet.Done);
        packet.Verdict = Verdict.Pass;
        packet.Egress = Port;
        packet.Flow = flow;
        packet.Depth = (byte)(how == "clear" ? 0 : 1);
        if (how == "checksum")
        {
            packet.Offload.Checksum = ChecksumState.Unknown;
            packet.Bytes[packet.Payload] ^= 1;
        }
    }
}
