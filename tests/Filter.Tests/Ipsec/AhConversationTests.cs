using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text.Json;
using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Rules.Policy;
using Filter.Tests.Worlds;

namespace Filter.Tests.Ipsec;

public sealed class AhConversationTests
{
    private static readonly Address s_client4 = Address.Parse("10.1.0.5");
    private static readonly Address s_server4 = Address.Parse("10.2.0.9");
    private static readonly Address s_client6 = Address.Parse("2001:db8:1::5");
    private static readonly Address s_server6 = Address.Parse("2001:db8:2::9");
    private static readonly string s_kernel = Path.Combine(Repository.Root, "..", "shared", "peers", "examples", "kernel-vectors");

    /// <summary>Each mode with each suite of AH.</summary>
    public static TheoryData<string, string> ModesAndSuites
    {
        get
        {
            var all = new TheoryData<string, string>();
            foreach (string mode in new[] { "transport", "tunnel4", "tunnel6" })
            {
                foreach (IpsecSuite suite in IpsecSuite.All.Where(static s => s.IsAh))
                {
                    all.Add(mode, suite.Name);
                }
            }

            return all;
        }
    }

    [Theory]
    [MemberData(nameof(ModesAndSuites))]
    public void Packets_of_both_families_cross_in_every_size_and_come_out_as_they_went_in(string mode, string suite)
    {
        foreach (bool extended in new[] { false, true })
        {
            (Gateway left, Gateway right) = Gateway.Pair(Sa(mode, suite, extended), mtu: 2000);
            using Gateway a = left, b = right;
            byte[][] frames =
            [
                .. Enumerable.Range(0, 60).SelectMany(n => new[]
                {
                    PlainFrames.Udp(s_client4, s_server4, n * 25, trafficClass: 0x2a), PlainFrames.Udp(s_client6, s_server6, n * 25, trafficClass: 0xb8),
                }),
            ];

            List<byte[]> wire = [.. frames.Chunk(40).SelectMany(some => left.Send(some))];

            Assert.Equal(frames.Length, wire.Count);
            Assert.All(wire, static frame => Assert.Equal(IpProtocol.Ah, PlainFrames.Parsed(frame).Key.Protocol));
            Assert.Equal(frames, wire.Chunk(40).SelectMany(some => right.Receive(some)));
            Assert.Equal(frames.Length, right.Inbound.Statistics.Packets);
        }
    }

    [Theory]
    [InlineData("transport", false)]
    [InlineData("tunnel4", false)]
    [InlineData("tunnel6", true)]
    public void What_stands_on_the_wire_is_AH_as_RFC_4302_draws_it(string mode, bool extended)
    {
        SaConfig sa = Sa(mode, "hmac-sha2-256-128", extended);
        (Gateway left, _) = Gateway.Pair(sa);
        using Gateway a = left;
        byte[] frame = PlainFrames.Udp(s_client6, s_server6, 33, trafficClass: 0xba);

        byte[] wire = Assert.Single(left.Send(frame));

        // Over IPv6 the header is a multiple of 64 bits, so four bytes of padding follow the ICV.
        bool v4 = mode == "tunnel4";
        int header = v4 ? 20 : 40, length = v4 ? 28 : 32;
        Span<byte> ip = wire.AsSpan(14), ah = ip[header..];
        Assert.Equal(IpProtocol.Ah, ip[v4 ? 9 : 6]);
        Assert.Equal(mode == "transport" ? "11" : "29", Convert.ToHexString(ah[..1]));
        Assert.Equal((length / 4) - 2, ah[1]);
        Assert.Equal("00000000100100000001", Convert.ToHexString(ah[2..12]));
        Assert.Equal(frame[(mode == "transport" ? 54 : 14)..], ah[length..].ToArray());
        Assert.Equal(v4 ? "" : "00000000", Convert.ToHexString(ah[28..length]));

        byte[] icv = ah[12..28].ToArray();
        ah[12..28].Clear();
        if (v4)
        {
            (ip[1], ip[6], ip[7], ip[8], ip[10], ip[11]) = (0, 0, 0, 0, 0, 0);
        }
        else
        {
            (ip[0], ip[1], ip[2], ip[3], ip[7]) = (0x60, 0, 0, 0, 0);
        }

        byte[] high = extended ? [0, 0, 0, 0] : [];
        Assert.Equal(HMACSHA256.HashData(sa.Out.IntegrityKey.Reveal(), [.. ip, .. high])[..16], icv);
    }

    [Theory]
    [InlineData("transport")]
    [InlineData("tunnel4")]
    public void AH_over_IPv4_is_padded_to_64_bits_where_its_SA_says_so_and_either_is_taken(string mode)
    {
        SaConfig sa = Sa(mode, "hmac-sha2-256-128"), wide = sa with { Settings = sa.Settings with { AhAlignment = 8 } };
        (Gateway left, Gateway right) = Gateway.Pair(wide);
        using Gateway a = left, b = right, plain = Gateway.Pair(sa).Right;
        int overhead = mode == "transport" ? 32 : 52;
        byte[] fits = PlainFrames.Udp(s_client4, s_server4, 1500 - overhead - 28, dontFragment: true);

        byte[] wire = Assert.Single(left.Send(fits));

        Assert.Equal(1514, wire.Length);
        Assert.Equal((32 / 4) - 2, wire[35]);
        Assert.Equal("00000000", Convert.ToHexString(wire, 62, 4));
        Assert.Equal([fits], right.Receive(wire));
        Assert.Equal([fits], plain.Receive(wire));
        Assert.Empty(left.Send(PlainFrames.Udp(s_client4, s_server4, 1501 - overhead - 28, dontFragment: true)));
    }

    [Theory]
    [InlineData("transport")]
    [InlineData("tunnel4")]
    [InlineData("tunnel6")]
    public void Every_size_crosses_an_Ethernet_or_is_answered_with_what_just_fits(string mode)
    {
        (Gateway left, Gateway right) = Gateway.Pair(Sa(mode, "hmac-sha1-96"));
        using Gateway a = left, b = right;
        foreach ((Address from, Address to) in new[] { (s_client4, s_server4), (s_client6, s_server6) })
        {
            int header = from.IsIPv4 ? 28 : 48;
            int overhead = mode switch { "tunnel4" => 44, "tunnel6" => 64, _ => 24 };
            byte[] fits = PlainFrames.Udp(from, to, 1500 - overhead - header, dontFragment: true);
            byte[] tooLong = PlainFrames.Udp(from, to, 1501 - overhead - header, dontFragment: true);

            Assert.Equal([fits], right.Receive(left.Send(fits)));
            (List<byte[]> wire, List<byte[]> back) = left.Send([tooLong], null);
            Assert.Empty(wire);
            Span<byte> icmp = PlainFrames.Parsed(Assert.Single(back)).Segment;
            Assert.Equal(1500 - overhead, from.IsIPv4 ? BinaryPrimitives.ReadUInt16BigEndian(icmp[6..]) : (int)BinaryPrimitives.ReadUInt32BigEndian(icmp[4..]));
        }
    }

    [Fact]
    public void A_TCP_super_frame_is_cut_and_each_segment_is_whole()
    {
        (Gateway left, Gateway right) = Gateway.Pair(Sa("tunnel6", "hmac-sha1-96"));
        using Gateway a = left, b = right;
        byte[] frame = PlainFrames.Tcp(s_client4, s_server4, 20_000, TcpFlags.Ack);
        var offload = new Offload { Checksum = ChecksumState.Partial, Gso = GsoKind.TcpV4, ChecksumStart = 34, ChecksumOffset = 16, SegmentSize = 1300 };

        List<byte[]> inside = right.Receive(left.Send([frame], _ => offload).Wire);

        Assert.Equal(frame[54..], inside.SelectMany(static f => f[54..]));
        Assert.All(inside, static f => Assert.Equal(ChecksumState.Valid, PlainFrames.Parsed(f).Offload.Checksum));
    }

    [Fact]
    public void AH_stands_behind_options_and_routing_and_covers_them()
    {
        byte[] chain =
        [
            43, 0, 1, 4, 0, 0, 0, 0,                // hop-by-hop
            60, 0, 4, 0, 0, 0, 0, 0,                // routing, type 4, no segments left
            17, 0, 1, 4, 0, 0, 0, 0,                // destination options
        ];
        (Gateway left, Gateway right) = Gateway.Pair(Sa("transport", "hmac-sha2-256-128"));
        using Gateway a = left, b = right;
        byte[] six = PlainFrames.Udp(s_client6, s_server6, 20, chain: chain, firstNext: 0);
        byte[] four = PlainFrames.Ip(s_client4, s_server4, 99, new byte[30], dontFragment: true, 0, options: [148, 4, 0, 0, 68, 8, 5, 0, 1, 2, 3, 4]);

        List<byte[]> wire = left.Send(six, four);

        Assert.Equal([0, 43, 51, 60], [wire[0][20], wire[0][54], wire[0][62], wire[0][70]]);
        Assert.Equal(four[34..46], wire[1][34..46]);        // a time stamp, mutable, is sent as it was
        Assert.Equal([six, four], right.Receive(wire));
    }

    [Fact]
    public void Long_chains_before_AH_take_nothing_from_other_packets_of_their_burst()
    {
        // Hop-by-hop options that say nothing: nearly two kilobytes aside while an ICV is computed.
        byte[] pad = [1, 252, .. new byte[252]];
        byte[] chain = [17, 223, .. Enumerable.Repeat(pad, 7).SelectMany(static p => p), 1, 10, .. new byte[10]];
        (Gateway left, Gateway right) = Gateway.Pair(Sa("transport", "hmac-sha2-256-128"), mtu: 9000);
        using Gateway a = left, b = right;
        byte[][] frames = [.. Enumerable.Range(0, 400).Select(n => n % 10 == 9 ? PlainFrames.Udp(s_client4, s_server4, n)
            : PlainFrames.Udp(s_client6, s_server6, 100, chain: chain, firstNext: 0))];

        List<byte[]> wire = left.Send(frames);

        Assert.Equal(Enumerable.Range(1, 400).Select(static n => (uint)n), wire.Select(static f => PlainFrames.Parsed(f).Sequence));
        Assert.Equal(frames, right.Receive(wire));
    }

    [Fact]
    public void ESP_inside_AH_opens_in_two_rounds()
    {
        SaConfig esp = Gateway.Sa(IpsecMode.Transport, spiOut: 0x1001, spiIn: 0x1002), ah = Gateway.Sa(
            IpsecMode.Transport, suite: Suite("hmac-sha2-256-128"), spiOut: 0x2001, spiIn: 0x2002, name: "outside");
        ServiceSet isEsp = ServiceSet.Of([new Service(IpProtocol.Esp, new PortRange(0, ushort.MaxValue))]);
        using var inner = new Gateway(Gateway.Config([Gateway.Policy(1, IpsecAction.Protect, esp)], esp));
        using var outer = new Gateway(Gateway.Config([Gateway.Policy(1, IpsecAction.Protect, ah, service: isEsp)], ah));
        SaConfig espBack = Gateway.Mirror(esp), ahBack = Gateway.Mirror(ah);
        using var right = new Gateway(Gateway.Config(
            [Gateway.Policy(1, IpsecAction.Protect, ahBack, service: isEsp), Gateway.Policy(2, IpsecAction.Protect, espBack)], espBack, ahBack));
        byte[] frame = PlainFrames.Udp(s_client4, s_server4, 100);

        byte[] wire = Assert.Single(outer.Send(Assert.Single(inner.Send(frame))));

        Assert.Equal([51, 50], [wire[23], wire[34]]);
        Assert.Equal([frame], right.Receive(wire));
        Assert.Equal(2, right.Burst.Packets[0].Depth);
    }

    [Fact]
    public void Numbers_of_64_bits_go_on_behind_the_32nd()
    {
        SaConfig sa = Sa("tunnel4", "hmac-sha2-256-128", extended: true, replay: 64);
        (Gateway left, Gateway right) = Gateway.Pair(sa);
        using Gateway a = left, b = right;
        byte[] frame = PlainFrames.Udp(s_client4, s_server4, 10);
        var near = new Filter.Ipsec.Databases.OutboundSa(
            "near", sa.Settings, 0x1001, new Filter.Ipsec.Crypto.SaKey(sa.Settings.Suite, sa.Out.EncryptionKey.Reveal(), sa.Out.IntegrityKey.Reveal()),
            reserved: uint.MaxValue - 2);
        left.Stage.Remove(left.Outbound);
        Assert.Null(left.Stage.Add(near, "policy-1"));
        right.Inbound.Window!.Take(uint.MaxValue - 2);

        byte[][] wire = [.. Enumerable.Range(0, 5).Select(_ => Assert.Single(left.Send(frame)))];

        Assert.Equal("FFFFFFFEFFFFFFFF000000000000000100000002", string.Concat(wire.Select(static w => Convert.ToHexString(w.AsSpan(42, 4)))));
        Assert.Equal(5, right.Receive(wire).Count);
        Assert.Equal((ulong)uint.MaxValue + 3, right.Inbound.Window!.Top);
        Assert.Empty(right.Receive(wire));
    }

    [Theory]
    [InlineData("transport")]
    [InlineData("tunnel4")]
    [InlineData("tunnel6")]
    public void A_burst_allocates_nothing(string mode)
    {
        (Gateway left, Gateway right) = Gateway.Pair(Sa(mode, "hmac-sha2-256-128"));
        using Gateway a = left, b = right;
        byte[][] frames = [.. Enumerable.Range(0, 32).Select(i => i % 2 == 0 ? PlainFrames.Udp(s_client4, s_server4, i * 40) : PlainFrames.Udp(s_client6, s_server6, i * 40))];
        byte[][] wire = [.. left.Send(frames, null).Wire];

        long least = long.MaxValue;
        for (int round = 0; round < 40; round++)
        {
            right.Burst.Reset();
            foreach (byte[] frame in wire)
            {
                Assert.True(right.Burst.TryAppend(frame.Length, out int index));
                right.Burst.Packets[index].Length = frame.Length;
                right.Burst.Packets[index].Ingress = Gateway.Outside;
                frame.CopyTo(right.Burst.Packets[index].Bytes);
                Parser.Parse(ref right.Burst.Packets[index]);
            }

            long before = GC.GetAllocatedBytesForCurrentThread();
            int opened = right.Stage.Open(right.Burst, 0);
            for (int i = 0; i < right.Burst.Count; i++)
            {
                ref Packet packet = ref right.Burst.Packets[i];
                Parser.Parse(ref packet);
                Assert.True(right.Stage.Fits(ref packet));
                (packet.Verdict, packet.Ipsec, packet.Policy, packet.Egress) = (Verdict.Pass, IpsecAction.Protect, 1, 1 << Gateway.Outside);
            }

            right.Stage.Protect(right.Burst);
            least = round < 20 ? least : Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
            Assert.Equal(wire.Length, opened);
        }

        Assert.Equal(0, least);
    }

    [Fact]
    public void Every_AH_packet_of_a_Linux_kernel_opens()
    {
        Assert.SkipUnless(Directory.Exists(s_kernel), "../shared/peers/examples/kernel-vectors is absent");
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(s_kernel, "kernel-matrix-sas.json")));
        JsonElement[] cases = [.. document.RootElement.EnumerateArray().Where(static c => c.GetProperty("proto").GetString() == "ah")];
        List<byte[]> frames = [];
        using (var reader = new CaptureReader(Path.Combine(s_kernel, "kernel-matrix.pcap")))
        {
            while (reader.TryRead(out CapturedFrame frame))
            {
                byte[] bytes = frame.Bytes.ToArray();
                if (bytes[12] == 8 ? bytes[23] == IpProtocol.Ah : bytes[20] == IpProtocol.Ah)
                {
                    frames.Add(bytes);
                }
            }
        }

        int opened = 0;
        foreach (JsonElement one in cases)
        {
            uint[] spis = [.. one.GetProperty("spi").EnumerateArray().Select(static s => s.GetUInt32())];
            string[] ends = [one.GetProperty("src").GetString()!, one.GetProperty("dst").GetString()!];
            IpsecMode mode = one.GetProperty("mode").GetString() == "tunnel" ? IpsecMode.Tunnel : IpsecMode.Transport;
            byte[] key = Convert.FromHexString(one.GetProperty("ak").GetString()!);
            for (int way = 0; way < 2; way++)
            {
                SaConfig sa = Gateway.Sa(mode, ends[1 - way], ends[way], Suite(NameOf(one.GetProperty("auth").GetString()!)), replay: 64);
                sa = sa with { In = sa.In with { Spi = spis[way], IntegrityKey = new SecretKey([.. key]) } };
                using var gateway = new Gateway(Gateway.Config([Gateway.Policy(1, IpsecAction.Protect, sa)], sa));
                byte[][] these = [.. frames.Where(f => PlainFrames.Parsed(f).Spi == spis[way])];

                Assert.Equal(2, these.Length);
                List<byte[]> inside = gateway.Receive(these);

                Assert.True(inside.Count == these.Length, $"{one}: {string.Join(", ", gateway.Ended)}");
                Assert.All(inside, static f => Assert.Equal(ChecksumState.Valid, PlainFrames.Parsed(f).Offload.Checksum));
                opened += inside.Count;
            }
        }

        Assert.Equal(frames.Count, opened);
    }

    internal static SaConfig Sa(string mode, string suite, bool extended = false, int replay = 0)
    {
        SaConfig sa = mode switch
        {
            "transport" => Gateway.Sa(IpsecMode.Transport, suite: Suite(suite), replay: replay),
            "tunnel4" => Gateway.Sa(IpsecMode.Tunnel, "192.0.2.1", "198.51.100.1", Suite(suite), replay: replay),
            _ => Gateway.Sa(IpsecMode.Tunnel, "2001:db8:ffff::1", "2001:db8:ffff::2", Suite(suite), replay: replay),
        };
        return sa with { Settings = sa.Settings with { ExtendedSequence = extended } };
    }

    private static IpsecSuite Suite(string name) =>
        IpsecSuite.TryFindAh(name, out IpsecSuite? suite) ? suite : throw new ArgumentException(name);

    private static string NameOf(string auth) => auth switch
    {
        "md5" => "hmac-md5-96",
        "sha1" => "hmac-sha1-96",
        "sha256" => "hmac-sha2-256-128",
        "sha384" => "hmac-sha2-384-192",
        "sha512" => "hmac-sha2-512-256",
        "rmd160" => "hmac-ripemd160-96",
        _ => "aes-cmac-96",
    };
}
