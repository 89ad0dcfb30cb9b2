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

        Assert.Equal(2, _coalescer.Merge(_burst, Port, Port));

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

        Assert.Equal(1, _coalescer.Merge(_burst, Port, Port));

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

        Assert.Equal(1, _coalescer.Merge(_burst, Port, Port));
        Assert.Equal([Port, 0, Port, Port, Port], Egresses());
    }

    [Fact]
    public void What_was_dropped_and_ports_without_super_frames_are_left_alone()
    {
        Hears(false, 100, 500, id: 1);
        Hears(false, 600, 500, id: 2);
        Assert.Equal(0, _coalescer.Merge(_burst, 1, 1));

        _burst.Packets[1].Drop(DropReason.BadLength);
        Assert.Equal(0, _coalescer.Merge(_burst, Port, Port));
        Assert.Equal([Port, 0], Egresses());
    }

    [Theory]
    [InlineData("clear", false)]
    [InlineData("clear", true)]
    [InlineData("unfinished", false)]
    [InlineData("unfinished", true)]
    public void What_came_in_the_clear_joins_where_nobody_merges_before_its_port(string how, bool six)
    {
        const ushort Ingress = 1, Another = 4;
        Hear("clear");
        List<byte[]>[] before = Datagrams(0, 3);
        _burst.Reset();
        Hear(how);

        Assert.Equal(0, _coalescer.Merge(_burst, Port, Port));
        Assert.Equal(0, _coalescer.Merge(_burst, Port, Port, Another));
        Assert.False(Coalescer.IsWorthwhile(_burst, Another));
        Assert.True(Coalescer.IsWorthwhile(_burst, Ingress));
        Assert.Equal(2, _coalescer.Merge(_burst, Port, Port, Ingress));
        Assert.Equal([Port, 0, 0], Egresses());

        // Cut again and finished, they are what they would have been.
        Assert.True(Segmenter.TryCut(_burst, 0));
        Assert.Equal(before[0], Datagrams(3, _burst.Count)[0]);

        void Hear(string how)
        {
            Hears(six, 100, 1400, id: 7, how: how);
            Hears(six, 1500, 1400, id: 8, how: how);
            Hears(six, 2900, 333, id: 9, how: how);
        }
    }

    [Fact]
    public void An_unfinished_checksum_that_is_not_the_segments_own_stays_apart()
    {
        Hears(false, 100, 1400, id: 7, how: "unfinished");
        Hears(false, 1500, 1400, id: 8, how: "unfinished");
        _burst.Packets[1].Offload.ChecksumStart += 2;
        Assert.Equal(0, _coalescer.Merge(_burst, Port, Port, 1));
    }

    [Fact]
    public void Bursts_of_many_flows_are_not_looked_at_closer()
    {
        for (int i = 0; i < 6; i++)
        {
            Hears(false, (uint)(100 + (i / 2 * 500)), 500, how: "clear", flow: 1 + (i % 2));
        }

        Assert.False(Coalescer.IsWorthwhile(_burst, 1));
        Hears(false, 1600, 0, how: "clear", flow: 2);           // and a bare acknowledgment is nothing to merge
        Assert.False(Coalescer.IsWorthwhile(_burst, 1));
        Hears(false, 1600, 500, how: "clear", flow: 2);
        Assert.True(Coalescer.IsWorthwhile(_burst, 1));
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
            int came = _burst.Count, merged = _coalescer.Merge(_burst, Port, Port);
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

    [Fact]
    public void What_comes_out_of_order_is_never_overtaken()
    {
        Hears(false, 100, 500, id: 1);
        Hears(false, 600, 500, id: 2);
        Hears(false, 1600, 500, id: 3);
        Hears(false, 1100, 500, id: 4);
        Hears(false, 1600, 500, id: 5);         // again, and now it fits

        Assert.Equal(2, _coalescer.Merge(_burst, Port, Port));
        Assert.Equal([Port, 0, Port, Port, 0], Egresses());
    }

    [Fact]
    public void What_no_flow_owns_parts_all_and_other_flows_part_nothing()
    {
        Hears(false, 100, 500, id: 1);
        Hears(false, 100, 500, id: 1, flow: 2);
        Hears(false, 600, 500, id: 2);
        Hears(false, 600, 500, id: 2, flow: 2);
        _burst.Packets[Frames.Append(_burst, Frames.Arp(1, Frames.Client, "10.0.0.1", 0, "10.0.0.2", Frames.Server))].Verdict = Verdict.Pass;
        _burst.Packets[4].Egress = Port;
        Hears(false, 1100, 500, id: 3);

        Assert.Equal(2, _coalescer.Merge(_burst, Port, Port));
        Assert.Equal([Port, Port, 0, 0, Port, Port], Egresses());
    }

    [Theory]
    [InlineData("same", 2)]
    [InlineData("later", 1)]        // a timestamp (RFC 7323 §3.2)
    [InlineData("sack", 1)]         // one with more options
    public void Options_are_one_super_frames_where_all_are_the_same(string how, int merged)
    {
        byte[] options = [1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 4];
        byte[] others = how switch
        {
            "later" => [1, 1, 8, 10, 0, 0, 0, 10, 0, 0, 0, 4],
            "sack" => [.. options, 1, 1, 5, 10, 0, 0, 9, 0, 0, 0, 9, 9],
            _ => options,
        };
        HearsOptions(100, 1, options);
        HearsOptions(400, 2, options);
        HearsOptions(700, 3, others);

        Assert.Equal(merged, _coalescer.Merge(_burst, Port, Port));
        Assert.Equal(how == "same" ? [Port, 0, 0] : [Port, 0, Port], Egresses());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Datagrams_of_one_size_leave_as_one_frame_and_a_shorter_one_is_its_last(bool six)
    {
        int[] lengths = [700, 700, 333, 700, 701, 701];
        for (int i = 0; i < lengths.Length; i++)
        {
            HearsDatagram(six, lengths[i], (ushort)(i + 1));
        }

        List<byte[]>[] before = Datagrams(0, _burst.Count);
        Assert.Equal(3, _coalescer.Merge(_burst, Port, Port));

        Assert.Equal([Port, 0, 0, Port, Port, 0], Egresses());
        ref Packet whole = ref _burst.Packets[0];
        Assert.Equal((GsoKind.Udp, 700, 1733), (whole.Offload.Gso, whole.Offload.SegmentSize, whole.End - whole.Payload));
        int from = _burst.Count;
        Assert.True(Segmenter.TryCut(_burst, 0));
        Assert.Equal(before[0][..3], Datagrams(from, _burst.Count)[0]);
    }

    [Fact]
    public void Datagrams_that_a_super_frame_would_change_and_ports_that_take_none_are_left_alone()
    {
        HearsDatagram(false, 700, 1);
        HearsDatagram(false, 700, 2);
        Assert.Equal(0, _coalescer.Merge(_burst, Port, 0));

        // One without a checksum; one whose packet is longer than it is.
        foreach (int change in (int[])[26, 24])
        {
            _burst.Reset();
            HearsDatagram(false, 700, 1, change);
            HearsDatagram(false, 700, 2, change);
            Assert.Equal(0, _coalescer.Merge(_burst, Port, Port));
        }
    }

    [Fact]
    public void No_super_frame_is_longer_than_the_kernel_takes_whole()
    {
        for (int i = 0; i < 64; i++)
        {
            Hears(true, (uint)(i * 1400), 1400);
        }

        Assert.Equal(62, _coalescer.Merge(_burst, Port, Port));
        Assert.InRange(_burst.Packets[0].Length, 65535 - 1400, 65535);
    }

    [Fact]
    public void Merging_allocates_no_byte()
    {
        byte[][] frames = [.. Enumerable.Range(0, 40).Select(i => Frames.Ethernet(Frames.Ip(
            "10.0.0.1", "10.0.0.2", IpProtocol.Tcp,
            Frames.Tcp("10.0.0.1", 443, "10.0.0.2", 40000, TcpFlags.Ack, (uint)(i / 2 * 1000), 7, Frames.Pattern(1000)), (ushort)(i / 2))))];
        int merged = 0;
        Assert.Equal(0, Allocations.Least(() =>
        {
            _burst.Reset();
            for (int i = 0; i < frames.Length; i++)
            {
                Settle(Frames.Append(_burst, frames[i]), 1 + (i % 2));
            }

            merged = _coalescer.Merge(_burst, Port, Port);
        }));
        Assert.Equal(38, merged);
    }

    [Fact]
    public void Hostile_bursts_stay_in_their_frames_and_nothing_but_what_joined_is_lost()
    {
        Random random = Fuzzing.Seeded(out int seed);
        byte[][] seeds = [.. ParserFuzzTests.Seeds()];
        int merged = 0;
        for (int round = 0; round < Fuzzing.Rounds(3000); round++)
        {
            _burst.Reset();
            Assert.True(_burst.TryAppend(0, out _));
            int size = random.Next(1, 1400);
            for (int i = random.Next(2, 20); i > 0; i--)
            {
                if (random.Next(5) == 0)
                {
                    byte[] frame = [.. seeds[random.Next(seeds.Length)]];
                    frame[random.Next(frame.Length)] = (byte)random.Next(256);
                    Frames.Append(_burst, frame);
                }
                else if (random.Next(4) == 0)
                {
                    HearsDatagram(random.Next(2) == 0, size, (ushort)i);
                }
                else
                {
                    Hears(random.Next(2) == 0, (uint)(_burst.Count * size), size, id: (ushort)_burst.Count);
                }

                ref Packet packet = ref _burst.Packets[_burst.Count - 1];
                Distort(ref packet, random);
                if (!packet.Done || packet.Verdict == Verdict.Pass)
                {
                    packet.Verdict = Verdict.Pass;
                    packet.Egress = (ushort)random.Next(4);
                    packet.Flow = random.Next(3);
                    packet.Depth = (byte)(random.Next(8) == 0 ? 0 : 1);
                    packet.Log = random.Next(16) == 0;
                }
            }

            // Somebody's bytes in front and behind: they must stay as they are.
            byte[] before = [.. _burst.Arena.Slab.AsSpan(0, FrameArena.Room)];
            int used = _burst.Arena.Slab.Length - _burst.Arena.Free;
            long leaving = _burst.Packets.Take(_burst.Count).Count(packet => packet.Egress != 0);
            try
            {
                int these = _coalescer.Merge(_burst, 3, 3);
                merged += these;
                Assert.Equal(leaving, these + Egresses().Count(egress => egress != 0));
                Assert.Equal(before, _burst.Arena.Slab[..FrameArena.Room]);
                Assert.True(_burst.Arena.Slab.Length - _burst.Arena.Free >= used);
                foreach (Packet packet in _burst.Packets.Take(_burst.Count).Where(packet => packet.Offload.Gso != GsoKind.None && packet.Egress != 0))
                {
                    Assert.InRange(packet.Start, packet.Floor, packet.Ceiling);
                    Assert.InRange(packet.Length, 1, Math.Min(packet.Ceiling - packet.Start, 65535));
                }
            }
            catch (Exception e)
            {
                Assert.Fail($"seed {seed}, round {round}: {e}");
            }
        }

        Assert.True(merged > 0);
    }

    /// <summary>What no parser would say, but a fault elsewhere might.</summary>
    private static void Distort(ref Packet packet, Random random)
    {
        switch (random.Next(24))
        {
            case 0: packet.End = random.Next(packet.Length + 1); break;
            case 1: packet.Length = Math.Max(0, packet.Length - random.Next(60)); break;
            case 2: packet.Sequence = (uint)random.Next(); break;
            case 3: packet.Offload.Gso = (GsoKind)random.Next(4); break;
            case 4: packet.Offload.Checksum = (ChecksumState)random.Next(3); break;
            case 5: packet.Fragmented = true; break;
            case 6: packet.TcpFlags = (TcpFlags)random.Next(256); break;
            case 7: packet.Bytes[random.Next(packet.Length)] ^= (byte)random.Next(256); break;
        }
    }

    private void HearsOptions(uint sequence, ushort id, byte[] options)
    {
        byte[] tcp = Frames.Tcp("10.0.0.1", 443, "10.0.0.2", 40000, TcpFlags.Ack, sequence, 7, [.. options, .. Frames.Pattern(300)]);
        ushort word = BinaryPrimitives.ReadUInt16BigEndian(tcp.AsSpan(12)), checksum = BinaryPrimitives.ReadUInt16BigEndian(tcp.AsSpan(16));
        tcp[12] = (byte)((20 + options.Length) / 4 << 4);
        BinaryPrimitives.WriteUInt16BigEndian(tcp.AsSpan(16), Checksum.Update(checksum, word, BinaryPrimitives.ReadUInt16BigEndian(tcp.AsSpan(12))));
        Settle(Frames.Append(_burst, Frames.Ethernet(Frames.Ip("10.0.0.1", "10.0.0.2", IpProtocol.Tcp, tcp, id))), 1);
    }

    /// <param name="six">Over IPv6.</param>
    /// <param name="length">Bytes of payload.</param>
    /// <param name="id">IPv4 identification.</param>
    /// <param name="change">24: the UDP length is two less than the packet's; 26: no checksum.</param>
    private void HearsDatagram(bool six, int length, ushort id, int change = 0)
    {
        (string from, string to) = six ? ("2001:db8::1", "2001:db8::2") : ("10.0.0.1", "10.0.0.2");
        byte[] udp = Frames.Udp(from, 443, to, 40000, Frames.Pattern(length));
        byte[] ip = Frames.Ip(from, to, IpProtocol.Udp, udp, id);
        if (change != 0)
        {
            int lost = change == 24 ? 2 : BinaryPrimitives.ReadUInt16BigEndian(ip.AsSpan(change));
            BinaryPrimitives.WriteUInt16BigEndian(ip.AsSpan(change), (ushort)(BinaryPrimitives.ReadUInt16BigEndian(ip.AsSpan(change)) - lost));
        }

        Settle(Frames.Append(_burst, Frames.Ethernet(ip)), 1);
    }

    /// <summary>It was opened, belongs to this flow, and passes.</summary>
    private void Settle(int index, int flow)
    {
        ref Packet packet = ref _burst.Packets[index];
        packet.Verdict = Verdict.Pass;
        packet.Egress = Port;
        packet.Flow = flow;
        packet.Depth = 1;
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
        packet.Depth = (byte)(how is "clear" or "unfinished" ? 0 : 1);
        if (how == "unfinished")
        {
            packet.Offload = new Offload { Checksum = ChecksumState.Partial, ChecksumStart = packet.Transport, ChecksumOffset = 16 };
            ulong pseudo = Checksum.PseudoHeader(packet.Key.Source, packet.Key.Destination, IpProtocol.Tcp, tcp.Length);
            BinaryPrimitives.WriteUInt16BigEndian(packet.Segment[16..], Checksum.Fold(pseudo));
        }

        if (how == "checksum")
        {
            packet.Offload.Checksum = ChecksumState.Unknown;
            packet.Bytes[packet.Payload] ^= 1;
        }
    }
}
