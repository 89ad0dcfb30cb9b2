using Filter.Rules.Policy;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.Crypto.Engines;
using Org.BouncyCastle.Crypto.Modes;
using Org.BouncyCastle.Crypto.Parameters;

namespace Filter.Ipsec.Crypto;

/// <summary>BouncyCastle's ciphers, over spans.</summary>
internal static class BouncyCastleCipher
{
    internal static void Cbc(CipherKind kind, ReadOnlySpan<byte> key, ReadOnlySpan<byte> iv, Span<byte> text, bool encrypt)
    {
        var cipher = new CbcBlockCipher(Engine(kind));
        cipher.Init(encrypt, new ParametersWithIV(new KeyParameter(key), iv));
        int block = cipher.GetBlockSize();
        for (int at = 0; at < text.Length; at += block)
        {
            cipher.ProcessBlock(text.Slice(at, block), text[at..]);
        }
    }

    /// <summary>AES in counter mode from a first counter block, whose last 32 bits count.</summary>
    internal static void Ctr(ReadOnlySpan<byte> key, byte[] counter, Span<byte> text)
    {
        var cipher = new SicBlockCipher(new AesEngine());
        cipher.Init(true, new ParametersWithIV(new KeyParameter(key), counter));
        Span<byte> last = stackalloc byte[16];
        for (int at = 0; at < text.Length; at += last.Length)
        {
            Span<byte> part = text[at..Math.Min(at + last.Length, text.Length)];
            part.CopyTo(last);
            cipher.ProcessBlock(last, last);
            last[..part.Length].CopyTo(part);
        }
    }

    /// <summary>ChaCha20 whose first block is left to Poly1305 (RFC 8439 §2.8).</summary>
    internal static void ChaCha20(ReadOnlySpan<byte> key, byte[] nonce, Span<byte> text)
    {
        var cipher = new ChaCha7539Engine();
        cipher.Init(true, new ParametersWithIV(new KeyParameter(key), nonce));
        Span<byte> first = stackalloc byte[64];
        cipher.ProcessBytes(first, first);
        cipher.ProcessBytes(text, text);
    }

    /// <summary>Encrypts in place, and writes the ICV apart.</summary>
    internal static void Seal(CipherAlgorithm cipher, ReadOnlySpan<byte> key, byte[] nonce, byte[] additional, Span<byte> text, Span<byte> icv)
    {
        IAeadCipher mode = cipher.Kind switch
        {
            CipherKind.AesGcm => new GcmBlockCipher(new AesEngine()),
            CipherKind.AesCcm => new CcmBlockCipher(new AesEngine()),
            _ => new ChaCha20Poly1305(),
        };
        mode.Init(true, new AeadParameters(new KeyParameter(key), cipher.IcvLength * 8, nonce, additional));
        byte[] output = new byte[mode.GetOutputSize(text.Length)];
        int written = mode.ProcessBytes(text, output);
        mode.DoFinal(output.AsSpan(written));
        output.AsSpan(0, text.Length).CopyTo(text);
        output.AsSpan(text.Length).CopyTo(icv);
    }

    private static IBlockCipher Engine(CipherKind kind) => kind switch
    {
        CipherKind.CamelliaCbc => new CamelliaEngine(),
        CipherKind.DesCbc => new DesEngine(),
        CipherKind.TripleDesCbc => new DesEdeEngine(),
        CipherKind.CastCbc => new Cast5Engine(),
        CipherKind.BlowfishCbc => new BlowfishEngine(),
        _ => new AesEngine(),
    };
}
