using Filter.Ipsec.PfKey.Messages;
using static Filter.Tests.PfKey.Spelling;

namespace Filter.Tests.PfKey;

/// <summary>Messages out of parts that fit each other now and then.</summary>
internal static class PfKeyScript
{
    private static readonly string[] s_places = [Left, Right, LeftHost, RightHost, "10.1.0.0/24", "10.2.0.0/24", "2001:db8::1", "2001:db8::2", "0.0.0.0/0"];

    private static readonly int[] s_cipherKeys = [8, 16, 20, 24, 36], s_macKeys = [16, 20, 32];

    /// <summary>A message of random parts, sometimes with bytes changed.</summary>
    internal static byte[] RandomMessage(Random random)
    {
        string Place() => s_places[random.Next(s_places.Length)];
        PfKeyRequest Request() => random.Next(3) == 0
            ? new PfKeyRequest((byte)random.Next(49, 53), (PfKeyMode)random.Next(4), PfKeyLevel.Require, (uint)random.Next(3), null)
            : TunnelBetween(random.Next(2) == 0 ? Left : Right, random.Next(2) == 0 ? Left : Right, (uint)random.Next(3));
        PfKeyExtension[] parts =
        [
            Sa((uint)random.Next(250, 264), (byte)random.Next(24), (byte)random.Next(10), (byte)random.Next(256), (PfKeySaState)random.Next(4)),
            random.Next(4) == 0 ? From(Place(), (byte)random.Next(256), (ushort)random.Next(3)) : From(Left),
            random.Next(4) == 0 ? To(Place(), (byte)random.Next(256), (ushort)random.Next(3)) : To(Right),
            Hard((uint)random.Next(3), (ulong)random.NextInt64(), (ulong)random.Next(100)), Soft((uint)random.Next(3)),
            Encrypts(s_cipherKeys[random.Next(5)]), Authenticates(s_macKeys[random.Next(3)]),
            new SpiRangeExtension((uint)random.Next(200, 300), (uint)random.Next(200, 400)),
            new PolicyExtension((PfKeyPolicyType)random.Next(5), (PfKeyDirection)random.Next(4), (uint)random.Next(8), (uint)random.Next(4), [.. Enumerable.Range(0, random.Next(4)).Select(_ => Request())]),
            new Sa2Extension((PfKeyMode)random.Next(4), 0, (uint)random.Next(3)), new NatTypeExtension((byte)random.Next(3)),
            new NatPortExtension(PfKeyExtensionType.NatSourcePort, (ushort)random.Next(2)), Identity(PfKeyExtensionType.IdentitySource, "a"),
        ];
        PfKeyExtension[] some = [.. parts.Where(_ => random.Next(5) > 0)];
        PfKeySaType type = random.Next(8) == 0 ? (PfKeySaType)random.Next(10) : random.Next(4) == 0 ? PfKeySaType.Ah : PfKeySaType.Esp;
        byte[] bytes = PfKeyWriter.Write(new PfKeyMessage(new PfKeyHeader((PfKeyType)random.Next(1, 25), PfKeyError.None, type, (uint)random.Next(4), 7), [.. some]));
        for (int changes = random.Next(4) == 0 ? random.Next(1, 6) : 0; changes > 0; changes--)
        {
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        }

        return random.Next(50) == 0 ? bytes[..random.Next(bytes.Length)] : bytes;
    }
}
