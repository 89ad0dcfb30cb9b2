using Filter.Rules.Policy;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.Crypto.Digests;
using Org.BouncyCastle.Crypto.Engines;
using Org.BouncyCastle.Crypto.Macs;
using Org.BouncyCastle.Crypto.Parameters;

namespace Filter.Ipsec.Crypto;

/// <summary>BouncyCastle's MACs, over spans; and AES-XCBC, which it has not, of its AES.</summary>
internal static class BouncyCastleMac
{
    /// <summary>Length of the longest untruncated MAC.</summary>
    internal const int Longest = 64;

    private const int Block = 16;

    internal static void Compute(IntegrityKind kind, ReadOnlySpan<byte> key, ReadOnlySpan<byte> message, Span<byte> mac)
    {
        if (kind == IntegrityKind.AesXcbc)
        {
            Xcbc(key, message, mac);
            return;
        }

        IMac made = kind switch
        {
            IntegrityKind.AesCmac => new CMac(new AesEngine()),
            IntegrityKind.HmacSha1 => new HMac(new Sha1Digest()),
            IntegrityKind.HmacSha256 => new HMac(new Sha256Digest()),
            IntegrityKind.HmacSha384 => new HMac(new Sha384Digest()),
            IntegrityKind.HmacSha512 => new HMac(new Sha512Digest()),
            IntegrityKind.HmacMd5 => new HMac(new MD5Digest()),
            _ => new HMac(new RipeMD160Digest()),
        };
        made.Init(new KeyParameter(key));
        made.BlockUpdate(message);
        made.DoFinal(mac);
    }

    internal static void Gmac(ReadOnlySpan<byte> key, byte[] nonce, ReadOnlySpan<byte> message, Span<byte> mac)
    {
        var made = new GMac(new Org.BouncyCastle.Crypto.Modes.GcmBlockCipher(new AesEngine()));
        made.Init(new ParametersWithIV(new KeyParameter(key), nonce));
        made.BlockUpdate(message);
        made.DoFinal(mac);
    }

    /// <summary>RFC 3566 §4: a CBC-MAC whose last block is whitened with one of two keys, as it was full or filled up.</summary>
    private static void Xcbc(ReadOnlySpan<byte> key, ReadOnlySpan<byte> message, Span<byte> mac)
    {
        var cipher = new AesEngine();
        cipher.Init(true, new KeyParameter(key));
        Span<byte> keys = stackalloc byte[3 * Block];
        for (int i = 0; i < 3; i++)
        {
            keys.Slice(i * Block, Block).Fill((byte)(i + 1));
            cipher.ProcessBlock(keys.Slice(i * Block, Block), keys[(i * Block)..]);
        }

        cipher.Init(true, new KeyParameter(keys[..Block]));
        Span<byte> state = stackalloc byte[Block];
        state.Clear();
        while (message.Length > Block)
        {
            Mix(state, message[..Block]);
            cipher.ProcessBlock(state, state);
            message = message[Block..];
        }

        Mix(state, message);
        if (message.Length < Block)
        {
            state[message.Length] ^= 0x80;
        }

        Mix(state, keys.Slice(message.Length == Block ? Block : 2 * Block, Block));
        cipher.ProcessBlock(state, mac);
        keys.Clear();
    }

    private static void Mix(Span<byte> state, ReadOnlySpan<byte> with)
    {
        for (int i = 0; i < with.Length; i++)
        {
            state[i] ^= with[i];
        }
    }
}
