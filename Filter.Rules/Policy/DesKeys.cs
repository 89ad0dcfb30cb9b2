using System.Buffers.Binary;

namespace Filter.Rules.Policy;

/// <summary>Keys that DES and triple DES must not have.</summary>
public static class DesKeys
{
    private const ulong WithoutParity = 0xfefe_fefe_fefe_fefe;

    /// <summary>Four that undo themselves, and twelve that undo one another in pairs, without their parity bits.</summary>
    private static readonly ulong[] s_weak =
    [
        0x0101010101010101, 0xfefefefefefefefe, 0xe0e0e0e0f1f1f1f1, 0x1f1f1f1f0e0e0e0e,
        0x011f011f010e010e, 0x1f011f010e010e01, 0x01e001e001f101f1, 0xe001e001f101f101,
        0x01fe01fe01fe01fe, 0xfe01fe01fe01fe01, 0x1fe01fe00ef10ef1, 0xe01fe01ff10ef10e,
        0x1ffe1ffe0efe0efe, 0xfe1ffe1ffe0efe0e, 0xe0fee0fef1fef1fe, 0xfee0fee0fef1fef1,
    ];

    /// <summary>What is wrong with a key, as "is a weak key of DES"; null where nothing is, or where the cipher is another.</summary>
    public static string? WhyNot(CipherAlgorithm? cipher, ReadOnlySpan<byte> key)
    {
        if (cipher is not { Kind: CipherKind.DesCbc or CipherKind.TripleDesCbc } || key.Length != cipher.KeyLength)
        {
            return null;
        }

        for (int at = 0; at < key.Length; at += sizeof(ulong))
        {
            ulong part = Read(key, at);
            foreach (ulong weak in s_weak)
            {
                if ((weak & WithoutParity) == part)
                {
                    return "is, or holds, a weak key of DES (RFC 2405)";
                }
            }

            // With two in a row alike, encrypting thrice is encrypting once.
            if (at > 0 && part == Read(key, at - sizeof(ulong)))
            {
                return "holds the same key of DES twice in a row, which makes triple DES a single one (RFC 2451 §2.3)";
            }
        }

        return null;
    }

    private static ulong Read(ReadOnlySpan<byte> key, int at) => BinaryPrimitives.ReadUInt64BigEndian(key[at..]) & WithoutParity;
}
