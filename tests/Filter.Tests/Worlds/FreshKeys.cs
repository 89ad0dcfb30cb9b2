using Filter.Ipsec.Crypto;
using Filter.Rules.Policy;

namespace Filter.Tests.Worlds;

/// <summary>SPI and keys of one direction, made for one case.</summary>
internal readonly record struct FreshKeys(uint Spi, IpsecSuite Suite, byte[] Encryption, byte[] Integrity)
{
    /// <summary>What Filter makes of them.</summary>
    public SaKey Key => new(Suite, Encryption, Integrity);

    /// <summary>Made at random.</summary>
    public static FreshKeys Of(KernelCase one, Random random)
    {
        (byte[] encryption, byte[] integrity) = (new byte[one.Suite.KeyMaterialLength], new byte[one.Suite.IntegrityKeyLength]);
        random.NextBytes(encryption);
        random.NextBytes(integrity);
        return new((uint)random.Next(0x100, int.MaxValue), one.Suite, encryption, integrity);
    }

    /// <summary>SPI and both keys in hex; `-` for none.</summary>
    public override string ToString() => $"{Spi} {Hex(Encryption)} {Hex(Integrity)}";

    private static string Hex(byte[] key) => key.Length == 0 ? "-" : Convert.ToHexStringLower(key);
}
