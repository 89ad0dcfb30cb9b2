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

namespace Filter.Bench;

/// <summary>
/// Two gateways in memory with a thousand SAs between them, one a host, and bursts of packets that cross: what is timed is the walk, or
/// the stage alone; the frames are filled anew meanwhile, untimed.
/// </summary>
internal sealed class SealedPath : IDisposable
{
    internal const int BurstSize = 32;
    internal const byte Inside = 0, Outside = 1;

    private static readonly Address s_here = Address.Parse("10.1.0.5");

    private readonly Site _left, _right;
    private readonly byte[][] _frames = new byte[BurstSize][];
    private readonly int _sas;
    private int _next;

    internal SealedPath(IpsecSuite suite, int size, int sas, bool tunnel, Func<CryptoBackend>? crypto = null)
    {
        crypto ??= CryptoBackend.CreateBest;
        _sas = sas;
        Size = size;
        _left = new Site(sas, tunnel, suite, crypto(), sealing: true);
        _right = new Site(sas, tunnel, suite, crypto(), sealing: false);
        for (int i = 0; i < BurstSize; i++)
        {
            _frames[i] = new byte[EthernetHeader.Length + size];
        }
    }

    internal int Size { get; }

    internal IpsecStage Sealing => _left.Stage;

    /// <summary>Fills the next burst on the sealing side.</summary>
    internal Burst Fill()
    {
        Burst burst = _left.Burst;
        burst.Reset();
        burst.Now += 1_000;
        for (int i = 0; i < BurstSize; i++)
        {
            burst.TryAppend(EthernetHeader.Length + Size, out int index);
            ref Packet packet = ref burst.Packets[index];
            packet.Length = EthernetHeader.Length + Size;
            packet.Ingress = Inside;
            packet.Offload.Checksum = ChecksumState.Valid;
            Write(packet.Bytes, (_next + i) % _sas);
        }

        _next = (_next + BurstSize) % _sas;
        return burst;
    }

    /// <summary>Makes the burst one that the walk has judged, as the stage gets it.</summary>
    internal static void Judge(Burst burst, IpsecStage stage)
    {
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (Parser.Parse(ref packet) != DropReason.None)
            {
                throw new InvalidOperationException("a packet that does not parse");
            }

            packet.Direction = Direction.Out;
            packet.Egress = 1 << Outside;
            packet.Verdict = Verdict.Pass;
            packet.Done = true;
            IpsecDecision decision = stage.Decide(new OpeningFacts(packet.Key, Inside, Outside, Direction.Out, 0, 0, 0, 0, 0));
            (packet.Ipsec, packet.Policy) = (decision.Action, decision.Policy);
        }
    }

    internal void Seal(Burst burst) => _left.Path.Walk(burst);

    /// <summary>Puts what was sealed before the other side.</summary>
    internal Burst Carry(Burst burst, bool forged = false)
    {
        Burst other = _right.Burst;
        other.Reset();
        other.Now += 1_000;
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet from = ref burst.Packets[i];
            if (from.Egress == 0)
            {
                throw new InvalidOperationException($"not sealed: {from.Verdict} {from.Reason}");
            }

            other.TryAppend(from.Length, out int index);
            ref Packet packet = ref other.Packets[index];
            packet.Length = from.Length;
            packet.Ingress = Outside;
            from.Bytes.CopyTo(packet.Bytes);
            packet.Bytes[^1] ^= forged ? (byte)1 : (byte)0;
        }

        return other;
    }

    internal void Open(Burst burst, bool forged = false)
    {
        _right.Path.Walk(burst);
        for (int i = 0; i < burst.Count; i++)
        {
            if (burst.Packets[i].Reason != (forged ? DropReason.BadIcv : DropReason.None))
            {
                throw new InvalidOperationException($"{burst.Packets[i].Verdict} {burst.Packets[i].Reason}");
            }
        }
    }

    public void Dispose()
    {
        _left.Stage.Dispose();
        _right.Stage.Dispose();
    }

    internal static SaKey KeyOf(IpsecSuite suite, int seed)
    {
        byte[] material = new byte[suite.KeyMaterialLength], integrity = new byte[suite.IntegrityKeyLength];
        var random = new Random(seed);
        random.NextBytes(material);
        random.NextBytes(integrity);
        return new SaKey(suite, material, integrity);
    }

    private static Address Host(int number) => Address.Parse($"10.2.{number >> 8}.{number & 255}");

    /// <summary>A UDP datagram to one of the hosts; its checksum is one that a NIC has looked at.</summary>
    private void Write(Span<byte> frame, int host)
    {
        frame[..(EthernetHeader.Length + 28)].Clear();
        frame[0] = 2;
        frame[6] = 2;
        frame[11] = 1;
        frame[12] = 8;
        Span<byte> ip = frame[EthernetHeader.Length..];
        ip[0] = 0x45;
        ip[8] = 64;
        ip[9] = 17;
        s_here.Write(ip[12..]);
        BinaryPrimitives.WriteUInt32BigEndian(ip[16..], 0x0a02_0000u + (uint)host);
        IpHeader.SetLength(ip);
        BinaryPrimitives.WriteUInt16BigEndian(ip[20..], 4000);
        BinaryPrimitives.WriteUInt16BigEndian(ip[22..], 5000);
        BinaryPrimitives.WriteUInt16BigEndian(ip[24..], (ushort)(Size - 20));
    }

    private sealed class Site
    {
        internal Site(int sas, bool tunnel, IpsecSuite suite, CryptoBackend crypto, bool sealing)
        {
            const string text = """
                filter: 1
                ports:
                  inside: { nic: a, side: protected }
                  outside: { nic: b, side: unprotected }
                defaults: { out: allow, in: allow }
                rules: []
                """;
            RulesetReading reading = RulesetFile.Parse("bench.yaml", text);
            Ruleset ruleset = reading.Ruleset ?? throw new InvalidOperationException(string.Join('\n', reading.Diagnostics));
            Port[] ports = [.. ruleset.Ports.Select(static p => new MemoryPort(1600, 0) { Name = p.Name, Number = p.Number, Side = p.Side })];
            IEnumerable<IpsecPolicy> policies = Enumerable.Range(0, sas).Select(i => new IpsecPolicy
            {
                Name = $"host-{i}",
                At = default,
                Number = (ushort)(i + 1),
                Action = IpsecAction.Protect,
                Local = sealing ? null : AddressSet.Of([new AddressRange(Host(i), Host(i))]),
                Remote = sealing ? AddressSet.Of([new AddressRange(Host(i), Host(i))]) : null,
                Outbound = true,
                Inbound = true,
            });
            Stage = new IpsecStage(ports, crypto, IpsecDatabases.Build(new IpsecConfig([.. policies], []), []));
            for (int i = 0; i < sas; i++)
            {
                Address a = Address.Parse("192.0.2.1"), b = Address.Parse("198.51.100.1");
                var settings = new SaSettings
                {
                    Mode = tunnel ? IpsecMode.Tunnel : IpsecMode.Transport,
                    Suite = suite,
                    Local = tunnel ? (sealing ? a : b) : null,
                    Remote = tunnel ? (sealing ? b : a) : null,
                };
                SecurityAssociation sa = sealing
                    ? new OutboundSa($"sa-{i}", settings, 0x1000u + (uint)i, KeyOf(suite, i))
                    : new InboundSa($"sa-{i}", settings, 0x1000u + (uint)i, KeyOf(suite, i));
                if (Stage.Add(sa, $"host-{i}") is { } why)
                {
                    throw new InvalidOperationException(why);
                }
            }

            Path = new PacketPath<NoTrace>(new PathSettings
            {
                Ports = ports,
                Ruleset = RulesetCompiler.Compile(ruleset),
                Ipsec = Stage,
                Local = LocalNetwork.None,
                Flows = 16_384,
            });
            Burst.Now = 1_000_000_000;
        }

        internal IpsecStage Stage { get; }

        internal PacketPath Path { get; }

        internal Burst Burst { get; } = new();
    }
}
