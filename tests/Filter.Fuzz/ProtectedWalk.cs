using System.Buffers.Binary;
using System.Security.Cryptography;
using Filter.Engine.Fragments;
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

namespace Filter.Fuzz;

/// <summary>
/// A gateway that protects what it knows, and whatever comes to it: an input is a list of frames, each three bytes (what is done with
/// it, its length) and its own. Some come as they are, some are sealed here with the keys of one of the SAs, so that what
/// stands behind a good ICV is reached too.
/// </summary>
internal static class ProtectedWalk
{
    private const int Kinds = 8;
    private const string CbcKeys = "encryption-key: 0x000102030405060708090a0b0c0d0e0f, integrity-key: 0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    private const string MacKey = "integrity-key: 0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    private const string Ends = "mode: tunnel, local: 192.0.2.1, remote: 198.51.100.1";

    private const string Text = $$"""
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
          self: { tap: filter0, side: protected, mac: 02:00:00:00:01:01, addresses: [ 192.0.2.1/24, 10.1.0.1/16, "2001:db8:1::1/64" ] }
        rules: [ { allow: all } ]
        ipsec:
          policies:
            - { protect: opaque, remote: 10.2.0.0/16, service: udp/opaque, sa: [ null-tunnel ] }
            - { protect: tunnel, local: [ 10.1.0.0/16, "2001:db8:1::/64" ], remote: [ 10.2.0.0/16, "2001:db8:2::/64" ], sa: [ null-tunnel ] }
            - { protect: cbc, local: 10.1.0.0/16, remote: 10.3.0.0/16, service: [ udp, tcp ], sa: [ cbc ] }
            - { protect: ah, local: [ 10.1.0.0/16, "2001:db8:1::/64" ], remote: [ 10.4.0.0/16, "2001:db8:4::/64" ], sa: [ ah ] }
            - { protect: udp, remote: 10.5.0.0/16, sa: [ udp ] }
            - { protect: hosts, remote: [ 10.6.0.0/16, "2001:db8:6::/64" ], sa: [ hosts ] }
            - { protect: ah-hosts, remote: [ 10.7.0.0/16, "2001:db8:7::/64" ], sa: [ ah-hosts ] }
            - bypass: rest
          sas:
            null-tunnel: { {{Ends}}, suite: null+hmac-sha2-256-128, replay: 64, out: { spi: 0x1001, {{MacKey}} }, in: { spi: 0x1001, {{MacKey}} } }
            cbc: { {{Ends}}, suite: aes-cbc-128+hmac-sha2-256-128, replay: 64, esn: true, mss: clamp, out: { spi: 0x1002, {{CbcKeys}} }, in: { spi: 0x1002, {{CbcKeys}} } }
            ah: { protocol: ah, {{Ends}}, suite: hmac-sha2-256-128, replay: off, out: { spi: 0x1003, {{MacKey}} }, in: { spi: 0x1003, {{MacKey}} } }
            udp: { {{Ends}}, suite: null+hmac-sha2-256-128, udp: {}, out: { spi: 0x1004, {{MacKey}} }, in: { spi: 0x1004, {{MacKey}} } }
            hosts: { mode: transport, suite: null+hmac-sha2-256-128, replay: off, out: { spi: 0x1005, {{MacKey}} }, in: { spi: 0x1005, {{MacKey}} } }
            ah-hosts: { protocol: ah, mode: transport, suite: hmac-sha2-256-128, replay: off, out: { spi: 0x1006, {{MacKey}} }, in: { spi: 0x1006, {{MacKey}} } }
        """;

    private static readonly byte[] s_key = Convert.FromHexString("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
    private static readonly Burst s_burst = new();
    private static readonly CryptoBackend s_crypto = new BouncyCastleBackend();
    private static Ruleset? s_ruleset;
    private static CompiledRuleset? s_rules;

    /// <summary>Walks an input's frames; throws where a packet leaves that may not, or is not counted once.</summary>
    public static void Run(byte[] input)
    {
        s_ruleset ??= RulesetFile.Parse("fuzz.yaml", Text).Ruleset ?? throw new InvalidOperationException("the ruleset does not hold");
        s_rules ??= RulesetCompiler.Compile(s_ruleset);
        MemoryPort[] ports = [.. s_ruleset.Ports.Select(static port => new MemoryPort(1500, port.Mac ?? 0) { Name = port.Name, Number = port.Number, Side = port.Side, TakesSuperFrames = true })];
        MemoryPort self = ports[^1];
        LocalAddress[] own = [.. s_ruleset.Ports[^1].Addresses.Select(static a => new LocalAddress(a.Address, a.Length))];
        var stage = new IpsecStage(ports, s_crypto, IpsecDatabases.Build(s_ruleset.Ipsec, own.Select(static a => a.Address)), host: null, self);
        var path = new PacketPath<NoTrace>(new PathSettings
        {
            Ports = ports,
            Ruleset = s_rules,
            Ipsec = stage,
            Local = new LocalNetwork(ports, self, own, []),
            Flows = 64,
            Fragments = new FragmentLimits { Bytes = 1 << 18, Datagrams = 64 },
        });
        try
        {
            Walk(path, ports, input);
        }
        finally
        {
            // The library that does the cryptography stays.
            foreach (SecurityAssociation sa in stage.Sad.All)
            {
                s_crypto.Forget(sa.Key);
                sa.Dispose();
            }
        }
    }

    /// <summary>Inputs to begin with: whole packets of several kinds, in each way, made of packet lines.</summary>
    public static IEnumerable<byte[]> Seeds()
    {
        string[] lines =
        [
            "udp 10.2.0.5:4000 > 10.1.0.5:53 len=20", "tcp 10.2.0.5:4000 > 10.1.0.5:22 syn", "icmp 10.2.0.5 > 10.1.0.5 echo-request",
            "udp [2001:db8:2::5]:4000 > [2001:db8:1::5]:53 len=20", "tcp [2001:db8:4::5]:4000 > [2001:db8:1::5]:22 syn", "udp 10.3.0.5:4000 > 10.1.0.5:53 len=20",
            "udp 10.4.0.5:4000 > 10.1.0.5:53", "udp 10.5.0.5:4000 > 10.1.0.5:53", "udp 10.6.0.5:4000 > 10.1.0.5:53", "tcp [2001:db8:6::5]:4000 > [2001:db8:1::5]:80 ack",
            "udp 10.7.0.5:4000 > 10.1.0.5:53 len=20", "esp 198.51.100.1 > 192.0.2.1 spi=0x1001 seq=1", "ah 198.51.100.1 > 192.0.2.1 spi=0x1003 seq=1",
            "udp 198.51.100.1:4500 > 192.0.2.1:4500 len=40", "udp 10.2.0.5:4000 > 10.1.0.5:53 len=64 frag=0+ frag-id=7", "udp [2001:db8:2::5]:4000 > [2001:db8:1::5]:53 len=20 ext=hop-by-hop",
            "udp 10.2.0.5:4000 > 10.1.0.5:53 len=40 frag=64", "icmp 10.2.0.5 > 10.1.0.5 destination-unreachable code=1 quote=\"udp 10.1.0.5:53 > 10.2.0.5:4000\"",
            "udp 10.1.0.9:4000 > 10.2.0.5:53 len=1460", "tcp [2001:db8:1::9]:4000 > [2001:db8:2::5]:22 syn", "udp 10.1.0.9:4000 > 10.3.0.5:53 len=20",
            "udp 10.1.0.9:4000 > 10.4.0.5:53 len=20 df", "udp 10.1.0.9:4000 > 10.5.0.5:53 len=1460 df", "udp [2001:db8:1::9]:4000 > [2001:db8:6::5]:53", "udp 10.1.0.9:4000 > 10.7.0.5:53",
            "icmp 198.51.100.7 > 192.0.2.1 destination-unreachable code=4 mtu=1300 quote=\"esp 192.0.2.1 > 198.51.100.1 spi=0x1001 seq=1\"",
        ];
        foreach (string line in lines)
        {
            if (!PacketLine.TryParse($"outside: {line}", out PacketLine? packet, out string? wrong))
            {
                throw new InvalidOperationException(wrong);
            }

            byte[] frame = new byte[FrameBuilder.Length(packet)];
            FrameBuilder.Write(packet, frame);
            yield return [.. Enumerable.Range(0, Kinds).SelectMany(kind => Record((byte)kind, kind == 0 ? frame : frame[14..]))];
            yield return [.. Record(2, frame[14..]), .. Record(2 | 0x80, frame[14..]), .. Record(7, frame[14..]), .. Record(5 | 0x40, frame[14..])];
        }
    }

    private static byte[] Record(byte kind, byte[] bytes) => [kind, (byte)(bytes.Length >> 8), (byte)bytes.Length, .. bytes];

    private static void Walk(PacketPath path, MemoryPort[] ports, byte[] input)
    {
        s_burst.Reset();
        s_burst.Now = 1_000_000_000;
        uint number = 0;
        for (int at = 0, frames = 0; at + 3 <= input.Length && frames < Burst.Intake; frames++)
        {
            int length = Math.Min(BinaryPrimitives.ReadUInt16BigEndian(input.AsSpan(at + 1)), input.Length - at - 3);
            byte kind = input[at];
            byte[] frame = Framed(kind, input.AsSpan(at + 3, length), ++number);
            at += 3 + length;
            if (frame.Length is 0 or > FrameArena.MaxFrame)
            {
                continue;
            }

            s_burst.TryAppend(frame.Length, out int index);
            ref Packet packet = ref s_burst.Packets[index];
            packet.Length = frame.Length;
            packet.Ingress = (byte)((kind % Kinds) == 7 ? 1 : 0);
            packet.Number = number;
            if ((kind & 0x40) != 0)
            {
                packet.Offload = new Offload { Gso = GsoKind.Udp, Checksum = ChecksumState.Valid, SegmentSize = (ushort)(8 + (length / 3)) };
            }

            frame.CopyTo(packet.Bytes);
            if ((kind & 0x80) != 0)
            {
                Breathe(path, ports);
            }
        }

        Breathe(path, ports);
    }

    private static void Breathe(PacketPath path, MemoryPort[] ports)
    {
        path.Walk(s_burst);
        long balance = path.Counters.In - path.Counters[Verdict.Held];
        for (int i = 0; i < s_burst.Count; i++)
        {
            ref readonly Packet packet = ref s_burst.Packets[i];
            Must(packet.Start >= packet.Floor && packet.Start + packet.Length <= packet.Ceiling, "a packet stays within its frame");
            Must(packet.Egress == 0 || packet.Own || packet.ArrivedBy == 0 || (packet.Egress & ports[0].Mask) == 0, "what was opened does not go back out");
            Must(packet.Egress == 0 || packet.Ipsec != IpsecAction.Protect || packet.Direction != Direction.Out || (packet.Egress & ports[0].Mask) == 0 || IsSealed(packet), "what policy seals is sealed");
        }

        foreach (Verdict verdict in (ReadOnlySpan<Verdict>)[Verdict.Drop, Verdict.Pass, Verdict.Reject, Verdict.Answered, Verdict.Consumed])
        {
            balance -= path.Counters[verdict];
        }

        Must(balance == 0, "each packet is counted once");
        long now = s_burst.Now;
        s_burst.Reset();
        s_burst.Now = now + 1_000_000_000;
    }

    private static bool IsSealed(in Packet packet)
    {
        ReadOnlySpan<byte> datagram = packet.Datagram;
        byte protocol = IpHeader.IsIPv4(datagram) ? datagram[9] : datagram[6];
        return packet.Fragmented || packet.Spi != 0 || protocol is IpProtocol.Esp or IpProtocol.Ah or IpProtocol.Udp;
    }

    /// <summary>A frame as it is (0), a packet (1, and 7 from the inside), or what is sealed by one of the SAs.</summary>
    private static byte[] Framed(byte kind, ReadOnlySpan<byte> bytes, uint number) => (kind % Kinds) switch
    {
        0 => bytes.ToArray(),
        1 or 7 => Ethernet(bytes),
        2 => Esp(bytes, 0x1001, number, [198, 51, 100, 1], null, inUdp: false),
        3 => Esp(bytes, 0x1002, number, [198, 51, 100, 1], s_key[..16], inUdp: false),
        4 => Authenticated(bytes, 0x1003, number, [198, 51, 100, 1]),
        5 => Esp(bytes, 0x1004, number, [198, 51, 100, 1], null, inUdp: true),
        _ => (number & 1) == 0
            ? Authenticated(Carried(bytes), 0x1006, number, [10, 7, 0, 5], [10, 1, 0, 5], NextOf(bytes))
            : Esp(Carried(bytes), 0x1005, number, [10, 6, 0, 5], null, inUdp: false, [10, 1, 0, 5], NextOf(bytes)),
    };

    private static ReadOnlySpan<byte> Carried(ReadOnlySpan<byte> packet) =>
        packet.Length > 20 && packet[0] >> 4 == 4 ? packet[20..] : packet.Length > 40 ? packet[40..] : packet;

    private static byte NextOf(ReadOnlySpan<byte> packet) => packet.Length > 20 ? packet[packet[0] >> 4 == 4 ? 9 : 6] : (byte)59;

    private static byte[] Esp(ReadOnlySpan<byte> bytes, uint spi, uint number, byte[] from, byte[]? key, bool inUdp, byte[]? to = null, byte? next = null)
    {
        // A text that begins with a byte above 0xf0 is sealed as it is, trailer and all.
        int block = key is null ? 4 : 16;
        bool asItIs = bytes.Length > 0 && bytes[0] >= 0xf0;
        int pad = asItIs ? 0 : (block - ((bytes.Length + 2) % block)) % block;
        byte nextHeader = next ?? (byte)(bytes.Length > 0 && bytes[0] >> 4 == 6 ? 41 : 4);
        byte[] text = asItIs
            ? bytes[1..(1 + ((bytes.Length - 1) / block * block))].ToArray()
            : [.. bytes, .. Enumerable.Range(1, pad).Select(static i => (byte)i), (byte)pad, nextHeader];
        byte[] sealed_ = text;
        if (key is not null)
        {
            using var aes = Aes.Create();
            aes.Key = key;
            sealed_ = [.. new byte[16], .. aes.EncryptCbc(text, new byte[16], PaddingMode.None)];
        }

        byte[] esp = [.. Word(spi), .. Word(number), .. sealed_];
        byte[] icv = HMACSHA256.HashData(s_key, key is null ? esp : [.. esp, 0, 0, 0, 0])[..16];
        byte[] whole = [.. esp, .. icv];
        if (!inUdp)
        {
            return Ethernet(Ip(from, to ?? [192, 0, 2, 1], 50, whole));
        }

        int length = 8 + whole.Length;
        return Ethernet(Ip(from, to ?? [192, 0, 2, 1], 17, [0x11, 0x94, 0x11, 0x94, (byte)(length >> 8), (byte)length, 0, 0, .. whole]));
    }

    private static byte[] Authenticated(ReadOnlySpan<byte> bytes, uint spi, uint number, byte[] from, byte[]? to = null, byte? next = null)
    {
        byte nextHeader = next ?? (byte)(bytes.Length > 0 && bytes[0] >> 4 == 6 ? 41 : 4);
        byte[] packet = Ip(from, to ?? [192, 0, 2, 1], 51, [nextHeader, 5, 0, 0, .. Word(spi), .. Word(number), .. new byte[16], .. bytes]);
        byte[] blank = [.. packet];
        (blank[1], blank[6], blank[7], blank[8], blank[10], blank[11]) = (0, 0, 0, 0, 0, 0);
        HMACSHA256.HashData(s_key, blank)[..16].CopyTo(packet, 32);
        return Ethernet(packet);
    }

    private static byte[] Word(uint value)
    {
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        return bytes;
    }

    private static byte[] Ip(byte[] from, byte[] to, byte protocol, byte[] payload)
    {
        byte[] packet = [0x45, 0, 0, 0, 0, 1, 0, 0, 64, protocol, 0, 0, .. from, .. to, .. payload];
        if (packet.Length <= ushort.MaxValue)
        {
            IpHeader.SetLength(packet);
        }

        return packet;
    }

    private static byte[] Ethernet(ReadOnlySpan<byte> packet) =>
        [2, 0, 0, 0, 1, 1, 2, 0, 0, 0, 9, 9, .. packet.Length > 0 && packet[0] >> 4 == 6 ? (byte[])[0x86, 0xdd] : [8, 0], .. packet];

    private static void Must(bool so, string what)
    {
        if (!so)
        {
            throw new InvalidOperationException($"not so: {what}");
        }
    }
}
