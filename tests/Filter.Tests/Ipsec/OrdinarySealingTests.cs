using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Tests.Ipsec;

/// <summary>Ordinary packets are sealed in one go: to the same bytes, and with the same counts, as the long way does it.</summary>
public sealed class OrdinarySealingTests
{
    private static readonly Address s_a4 = Address.Parse("192.0.2.1"), s_b4 = Address.Parse("198.51.100.1");
    private static readonly Address s_a6 = Address.Parse("2001:db8:1::1"), s_b6 = Address.Parse("2001:db8:2::1");

    [Theory]
    [InlineData("aes-gcm-16-128", IpsecMode.Tunnel, true)]
    [InlineData("aes-gcm-16-128", IpsecMode.Tunnel, false)]
    [InlineData("aes-gcm-8-256", IpsecMode.Transport, true)]
    [InlineData("chacha20-poly1305", IpsecMode.Tunnel, true)]
    [InlineData("null+hmac-sha2-256-128", IpsecMode.Transport, true)]
    [InlineData("aes-ctr-128+hmac-sha1-96", IpsecMode.Tunnel, false)]
    public void Both_ways_seal_to_the_same_bytes(string name, IpsecMode mode, bool outerIPv4)
    {
        Random random = Fuzzing.Seeded(out _);
        Assert.True(IpsecSuite.TryFind(name, out IpsecSuite? suite));
        for (int round = 0; round < Fuzzing.Rounds(40); round++)
        {
            var settings = new SaSettings
            {
                Mode = mode,
                Suite = suite,
                Local = mode == IpsecMode.Tunnel ? outerIPv4 ? s_a4 : s_a6 : null,
                Remote = mode == IpsecMode.Tunnel ? outerIPv4 ? s_b4 : s_b6 : null,
                ExtendedSequence = random.Next(2) == 0,
                Outer = new OuterHeader(
                    (DontFragmentBit)random.Next(3), random.Next(2) == 0 ? null : (byte)random.Next(64), (byte)random.Next(1, 256), random.Next(2) == 0),
                Hard = random.Next(4) == 0 ? new SaLifetime { Packets = random.Next(1, 40) } : default,
            };
            byte[] material = new byte[suite.KeyMaterialLength], integrity = new byte[suite.IntegrityKeyLength];
            random.NextBytes(material);
            random.NextBytes(integrity);
            ulong reserved = random.Next(2) == 0 ? 0 : settings.ExtendedSequence ? uint.MaxValue - 10 : uint.MaxValue - 20;
            using Gateway quick = At(settings, material, integrity, reserved), thorough = At(settings, material, integrity, reserved);
            thorough.Stage.IsThorough = true;

            byte[][] frames = [.. Enumerable.Range(0, 40).Select(_ => Frame(random))];
            Offload offload = new() { Checksum = (ChecksumState)random.Next(2) };
            List<byte[]> one = quick.Send(frames, _ => offload).Wire, other = thorough.Send(frames, _ => offload).Wire;

            Assert.Equal(other.Select(Unnumbered), one.Select(Unnumbered));
            Assert.Equal(thorough.Ended, quick.Ended);
            Assert.Equal(thorough.Outbound.Counter, quick.Outbound.Counter);
            Assert.Equal(thorough.Outbound.Statistics.Bytes, quick.Outbound.Statistics.Bytes);
            Assert.Equal(
                thorough.Stage.Databases.Spd!.Entries[0].Statistics.ProtectedBytes, quick.Stage.Databases.Spd!.Entries[0].Statistics.ProtectedBytes);
        }
    }

    /// <summary>A frame without its IPv4 identification, which begins at random, and the checksum over that, which is looked at here.</summary>
    private static byte[] Unnumbered(byte[] frame)
    {
        if (frame[12] == 0x08)
        {
            Assert.Equal(0xffff, Checksum.Fold(Checksum.Sum(frame.AsSpan(14, 4 * (frame[14] & 15)))));
            frame[18] = frame[19] = frame[24] = frame[25] = 0;
        }

        return frame;
    }

    private static Gateway At(SaSettings settings, byte[] material, byte[] integrity, ulong reserved)
    {
        var policy = new IpsecPolicy { Name = "all", At = default, Number = 1, Action = IpsecAction.Protect, Outbound = true, Inbound = true };
        var gateway = new Gateway(Gateway.Config([policy]), behindMachines: true);
        Assert.Null(gateway.Stage.Add(new OutboundSa("out", settings, 0x1234, new SaKey(settings.Suite, material, integrity), reserved: reserved), "all"));
        return gateway;
    }

    /// <summary>Of both families; some with options, extension headers, or a hop limit that ends here; some too long.</summary>
    private static byte[] Frame(Random random)
    {
        bool v4 = random.Next(2) == 0;
        Address from = Address.Parse(v4 ? "10.1.0.5" : "2001:db8:a::5"), to = Address.Parse(v4 ? "10.2.0.9" : "2001:db8:b::9");
        int payload = random.Next(8) == 0 ? random.Next(1350, 1450) : random.Next(300);
        byte trafficClass = (byte)random.Next(256);
        byte[] frame = random.Next(5) switch
        {
            0 => PlainFrames.Tcp(from, to, payload, TcpFlags.Ack, dontFragment: random.Next(2) == 0, trafficClass: trafficClass),
            1 when v4 => PlainFrames.Ip(from, to, 99, new byte[payload], random.Next(2) == 0, trafficClass, options: [1, 1, 1, 0]),
            1 => PlainFrames.Udp(from, to, payload, chain: [17, 0, 1, 4, 0, 0, 0, 0], firstNext: 60),
            2 => PlainFrames.Raw(from, to, 99, payload, trafficClass),
            _ => PlainFrames.Udp(from, to, payload, random.Next(2) == 0, trafficClass),
        };
        if (random.Next(12) == 0)
        {
            frame[v4 ? 22 : 21] = (byte)random.Next(1, 3);
            if (v4)
            {
                IpHeader.FinishIPv4(frame.AsSpan(14));
            }
        }

        return frame;
    }
}
