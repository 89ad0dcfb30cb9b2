using Filter.Ipsec.Crypto;

namespace Filter.Tests.Worlds;

/// <summary>SPI and keys of one direction, made for one case.</summary>
internal readonly record struct FreshKeys(uint Spi, EspSuite Suite, byte[] Encryption, byte[] Integrity)
{
    /// <summary>What Filter makes of them.</summary>
    public EspKey Key => new(Suite, Encryption, Integrity);

    /// <summary>Made at random.</summary>
    public static FreshKeys Of(KernelCase one, Random random)
    {
        Assert.True(EspSuite.TryFind(one.Suite, out EspSuite? suite));
        (byte[] encryption, byte[] integrity) = (new byte[suite.CipherKeyLength], new byte[suite.IntegrityKeyLength]);
        random.NextBytes(encryption);
        random.NextBytes(integrity);
        return new((uint)random.Next(0x100, int.MaxValue), suite, encryption, integrity);
    }

    /// <summary>SPI and both keys in hex; `-` for none.</summary>
    public override string ToString() => $"{Spi} {Hex(Encryption)} {Hex(Integrity)}";

    private static string Hex(byte[] key) => key.Length == 0 ? "-" : Convert.ToHexStringLower(key);
}
