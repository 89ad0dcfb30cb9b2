using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Ipsec;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;

namespace Filter.Tests.Ipsec;

/// <summary>
/// One IPsec stage between an inside and an outside port, driven as the walk drives it: what comes out of it is what the
/// wire or the inside would see.
/// </summary>
internal sealed class Gateway : IDisposable
{
    internal const byte Inside = 0;
    internal const byte Outside = 1;

    private readonly Port[] _ports;

    /// <summary>A gateway whose inside is the box's own stack; or machines, for which a tunnel is one more hop.</summary>
    internal Gateway(IpsecConfig? config, int mtu = 1500, Address[]? own = null, CryptoBackend? crypto = null, SequenceReserve? reserve = null, bool behindMachines = false)
    {
        _ports =
        [
            new StillPort(1500) { Name = "inside", Number = Inside, Side = Side.Protected },
            new StillPort(mtu) { Name = "outside", Number = Outside, Side = Side.Unprotected },
        ];
        Stage = new IpsecStage(_ports, crypto ?? CryptoBackend.CreateBest(), IpsecDatabases.Build(config, own ?? [], null, reserve), self: behindMachines ? null : _ports[Inside]);
    }

    internal IpsecStage Stage { get; }

    /// <summary>Its only SA that seals, and its only one that opens.</summary>
    internal OutboundSa Outbound => Stage.Sad.All.OfType<OutboundSa>().Single();

    internal InboundSa Inbound => Stage.Sad.All.OfType<InboundSa>().Single();

    internal Burst Burst { get; } = new();

    /// <summary>The last burst's packets that ended, with their reasons.</summary>
    internal List<DropReason> Ended { get; } = [];

    internal List<Verdict> Verdicts { get; } = [];

    /// <summary>Sends frames from the inside; what leaves is returned: the wire's first, then what goes back inside.</summary>
    internal (List<byte[]> Wire, List<byte[]> Back) Send(IEnumerable<byte[]> frames, Func<int, Offload>? offload = null)
    {
        Load(frames, Inside, offload);
        for (int i = 0; i < Burst.Count; i++)
        {
            ref Packet packet = ref Burst.Packets[i];
            Assert.Equal(DropReason.None, Parser.Parse(ref packet));
            packet.Direction = Direction.Out;
            packet.Egress = 1 << Outside;
            packet.Verdict = Verdict.Pass;
            packet.Done = true;
            IpsecDecision decision = Stage.Decide(Facts(packet));
            packet.Ipsec = decision.Action;
            packet.Policy = decision.Policy;
            if (decision.Action == IpsecAction.Drop)
            {
                packet.Drop(DropReason.PolicyDrop);
            }
        }

        Stage.Protect(Burst);
        return (Leaving(1 << Outside), Leaving(1 << Inside));
    }

    internal List<byte[]> Send(params byte[][] frames) => Send(frames, null).Wire;

    /// <summary>Takes frames from the wire; what reaches the inside is returned.</summary>
    internal List<byte[]> Receive(IEnumerable<byte[]> frames, Func<int, Offload>? offload = null)
    {
        Load(frames, Outside, offload);
        Parse();
        Stage.Part(Burst);
        for (int round = 0; round < 4 && Stage.Open(Burst, 0) > 0; round++)
        {
            Parse();
        }

        for (int i = 0; i < Burst.Count; i++)
        {
            ref Packet packet = ref Burst.Packets[i];
            if (packet.Done)
            {
                continue;
            }

            packet.Direction = Direction.In;
            IpsecDecision decision = Stage.Decide(Facts(packet));
            if (decision.Action == IpsecAction.Drop)
            {
                packet.Drop(DropReason.PolicyDrop);
            }
            else if (decision.Action == IpsecAction.Protect && packet.ArrivedBy != decision.Policy && !Stage.CameBy(packet, decision.Policy))
            {
                packet.Drop(packet.ArrivedBy == 0 ? DropReason.ClearForProtected : DropReason.WrongSelectors);
            }
            else
            {
                packet.Verdict = Verdict.Pass;
                packet.Egress = 1 << Inside;
                packet.Done = true;
            }
        }

        return Leaving(1 << Inside);
    }

    internal List<byte[]> Receive(params byte[][] frames) => Receive((IEnumerable<byte[]>)frames, null);

    public void Dispose() => Stage.Dispose();

    internal static IpsecConfig Config(IEnumerable<IpsecPolicy> policies, params SaConfig[] sas) =>
        new([.. policies], [.. sas]);

    internal static IpsecPolicy Policy(
        int number, IpsecAction action, SaConfig? sa = null, string? local = null, string? remote = null, ServiceSet? service = null) =>
        new()
        {
            Name = $"policy-{number}",
            At = default(SourceMark),
            Number = (ushort)number,
            Action = action,
            Sas = sa is null ? [] : [sa],
            Local = local is null ? null : Set(local),
            Remote = remote is null ? null : Set(remote),
            Service = service,
            Outbound = true,
            Inbound = true,
        };

    internal static SaConfig Sa(
        IpsecMode mode, string? local = null, string? remote = null, IpsecSuite? suite = null,
        uint spiOut = 0x1001, uint spiIn = 0x1002, int replay = 0, bool clamp = false, byte key = 1, string name = "branch") =>
        new()
        {
            Name = name,
            At = default(SourceMark),
            Number = 1,
            Settings = new SaSettings
            {
                Mode = mode,
                Protocol = suite is { IsAh: true } ? IpProtocol.Ah : IpProtocol.Esp,
                Local = local is null ? null : Address.Parse(local),
                Remote = remote is null ? null : Address.Parse(remote),
                Suite = suite ?? IpsecSuite.AesCbc128HmacSha256,
                ReplayWindow = replay,
                ClampMss = clamp,
            },
            Out = Keys(spiOut, suite ?? IpsecSuite.AesCbc128HmacSha256, (byte)(key + (spiOut & 1))),
            In = Keys(spiIn, suite ?? IpsecSuite.AesCbc128HmacSha256, (byte)(key + (spiIn & 1))),
        };

    /// <summary>The same SA pair between other ends.</summary>
    internal static SaConfig Between(SaConfig sa, Address? local, Address? remote) =>
        sa with { Settings = sa.Settings with { Local = local, Remote = remote } };

    /// <summary>The SA pair that the other side has.</summary>
    internal static SaConfig Mirror(SaConfig sa) => sa with { Settings = sa.Settings with { Local = sa.Settings.Remote, Remote = sa.Settings.Local }, Out = sa.In, In = sa.Out };

    /// <summary>Two gateways that protect everything between them.</summary>
    internal static (Gateway Left, Gateway Right) Pair(SaConfig sa, int mtu = 1500, CryptoBackend? crypto = null)
    {
        SaConfig mirror = Mirror(sa);
        return (
            new Gateway(Config([Policy(1, IpsecAction.Protect, sa)], sa), mtu, crypto: crypto),
            new Gateway(Config([Policy(1, IpsecAction.Protect, mirror)], mirror), mtu));
    }

    private static SaKeys Keys(uint spi, IpsecSuite suite, byte seed)
    {
        byte[] key = new byte[suite.KeyMaterialLength];
        byte[] integrity = new byte[suite.IntegrityKeyLength];
        for (int i = 0; i < key.Length; i++)
        {
            key[i] = (byte)(seed + (i * 2));
        }

        integrity.AsSpan().Fill((byte)(seed + 100));
        return new SaKeys { Spi = spi, EncryptionKey = new SecretKey(key), IntegrityKey = new SecretKey(integrity) };
    }

    private static AddressSet Set(string text)
    {
        string[] parts = text.Split('-');
        return AddressSet.Of([new AddressRange(Address.Parse(parts[0]), Address.Parse(parts[^1]))]);
    }

    private static OpeningFacts Facts(in Packet packet) => new(
        packet.Key, packet.Ingress, (byte)(1 - packet.Ingress), packet.Direction, packet.TcpFlags,
        packet.IcmpType, packet.IcmpCode, packet.TrafficClass, packet.ArrivedBy);

    private void Load(IEnumerable<byte[]> frames, byte ingress, Func<int, Offload>? offload)
    {
        Burst.Reset();
        Burst.Now += 1_000_000_000;
        Ended.Clear();
        Verdicts.Clear();
        int number = 0;
        foreach (byte[] frame in frames)
        {
            Assert.True(Burst.TryAppend(frame.Length, out int index));
            ref Packet packet = ref Burst.Packets[index];
            packet.Length = frame.Length;
            packet.Ingress = ingress;
            packet.Number = ++number;
            packet.Offload = offload?.Invoke(number - 1) ?? default;
            frame.CopyTo(packet.Bytes);
        }
    }

    private void Parse()
    {
        for (int i = 0; i < Burst.Count; i++)
        {
            ref Packet packet = ref Burst.Packets[i];
            if (packet.Done || packet.Kind != PacketKind.Unknown)
            {
                continue;
            }

            DropReason why = Parser.Parse(ref packet);
            if (why == DropReason.None && packet.Depth > 0 && packet.Kind != PacketKind.Fragment && !Stage.Fits(ref packet))
            {
                why = DropReason.WrongSelectors;
            }

            if (why != DropReason.None)
            {
                packet.Drop(why);
            }
        }
    }

    private List<byte[]> Leaving(int mask)
    {
        List<byte[]> frames = [];
        for (int i = 0; i < Burst.Count; i++)
        {
            ref readonly Packet packet = ref Burst.Packets[i];
            if ((packet.Egress & mask) != 0)
            {
                Assert.Equal(Verdict.Pass, packet.Verdict);
                Assert.True(packet.Start >= packet.Floor && packet.Start + packet.Length <= packet.Ceiling);
                frames.Add(packet.Bytes.ToArray());
            }

            if (packet.Verdict != Verdict.Pass && mask == 1 << Inside)
            {
                Ended.Add(packet.Reason);
                Verdicts.Add(packet.Verdict);
            }
        }

        return frames;
    }

    private sealed class StillPort : Port
    {
        internal StillPort(int mtu) => Mtu = mtu;

        public override int Receive(Burst burst) => 0;

        public override void Transmit(Burst burst)
        {
        }
    }
}
