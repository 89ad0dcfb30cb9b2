using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Filter.Ipsec.Ike;

/// <summary>Where nonces, SPIs and the spread of timers come from. Tests seed one of their own, so that each run can be repeated.</summary>
public class IkeRandom
{
    /// <summary>The machine's.</summary>
    public static IkeRandom Secure { get; } = new();

    /// <summary>Fills it with what nobody can guess.</summary>
    public virtual void Fill(Span<byte> bytes) => RandomNumberGenerator.Fill(bytes);

    /// <summary>A nonce (RFC 7296 §2.10): 32 bytes, half the key of every PRF or more.</summary>
    internal byte[] Nonce()
    {
        const int length = 32;
        byte[] nonce = new byte[length];
        Fill(nonce);
        return nonce;
    }

    /// <summary>An IKE SPI; never 0.</summary>
    internal ulong Spi()
    {
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        ulong spi;
        do
        {
            Fill(bytes);
            spi = BinaryPrimitives.ReadUInt64BigEndian(bytes);
        }
        while (spi == 0);

        return spi;
    }

    /// <summary>A number from <paramref name="whole"/> down to the share of it that is left after taking <paramref name="most"/> percent.</summary>
    internal long Less(long whole, int most)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        Fill(bytes);
        double taken = BinaryPrimitives.ReadUInt32BigEndian(bytes) / (double)uint.MaxValue * most / 100;
        return whole - (long)(whole * taken);
    }
}
