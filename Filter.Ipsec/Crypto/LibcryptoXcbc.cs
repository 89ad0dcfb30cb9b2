using System.Buffers.Binary;

namespace Filter.Ipsec.Crypto;

/// <summary>AES-XCBC-MAC-96 (RFC 3566), which libcrypto has not, of its AES in CBC mode.</summary>
internal static unsafe class LibcryptoXcbc
{
    /// <summary>Length of the three keys that are derived.</summary>
    internal const int KeysLength = 3 * Block;

    private const int Block = 16;
    private const int Chunk = 2048;

    /// <summary>Derives the three keys, and leaves the context ready to chain under the first.</summary>
    internal static bool Rekey(nint context, nint cipher, SaKey key)
    {
        byte* keys = key.XcbcKeys;
        byte* zeros = stackalloc byte[Block];
        new Span<byte>(zeros, Block).Clear();
        for (int i = 0; i < 3; i++)
        {
            int written;
            new Span<byte>(keys + (i * Block), Block).Fill((byte)(i + 1));
            if (Libcrypto.EVP_CipherInit_ex(context, cipher, 0, key.IntegrityKey, zeros, 1) != 1
                || Libcrypto.EVP_CIPHER_CTX_set_padding(context, 0) != 1
                || Libcrypto.EVP_CipherUpdate(context, keys + (i * Block), &written, keys + (i * Block), Block) != 1)
            {
                return false;
            }
        }

        return Libcrypto.EVP_CipherInit_ex(context, 0, 0, keys, zeros, 1) == 1;
    }

    /// <summary>The MAC over a packet, and over the number's high half where that counts.</summary>
    internal static bool Compute(nint context, SaKey key, byte* message, int length, uint? high, Span<byte> mac)
    {
        // The last block, full or not, is whitened; so what is left for it is from 1 to 16 bytes.
        byte* last = stackalloc byte[Block + sizeof(uint)];
        byte* chained = stackalloc byte[Chunk];
        int total = length + (high is null ? 0 : sizeof(uint));
        int before = Math.Min((total - 1) / Block * Block, length / Block * Block);
        new Span<byte>(last, Block + sizeof(uint)).Clear();
        int written;
        if (Libcrypto.EVP_CipherInit_ex(context, 0, 0, null, last, 1) != 1)
        {
            return false;
        }

        for (int at = 0; at < before; at += Chunk)
        {
            if (Libcrypto.EVP_CipherUpdate(context, chained, &written, message + at, Math.Min(Chunk, before - at)) != 1)
            {
                return false;
            }
        }

        int left = length - before;
        new ReadOnlySpan<byte>(message + before, left).CopyTo(new Span<byte>(last, Block));
        if (high is { } number)
        {
            BinaryPrimitives.WriteUInt32BigEndian(new Span<byte>(last + left, sizeof(uint)), number);
            left += sizeof(uint);
        }

        if (left > Block)
        {
            if (Libcrypto.EVP_CipherUpdate(context, chained, &written, last, Block) != 1)
            {
                return false;
            }

            *(uint*)last = *(uint*)(last + Block);
            new Span<byte>(last + sizeof(uint), Block - sizeof(uint)).Clear();
            left -= Block;
        }

        byte* whitening = key.XcbcKeys + (left == Block ? Block : 2 * Block);
        if (left < Block)
        {
            last[left] = 0x80;
        }

        for (int i = 0; i < Block; i++)
        {
            last[i] ^= whitening[i];
        }

        bool done = Libcrypto.EVP_CipherUpdate(context, chained, &written, last, Block) == 1;
        new ReadOnlySpan<byte>(chained, Block).CopyTo(mac);
        return done;
    }
}
