using System.Security.Cryptography;
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
            _ => new Org.BouncyCastle.Crypto.Modes.ChaCha20Poly1305(),
        };
        mode.Init(true, new AeadParameters(new KeyParameter(key), cipher.IcvLength * 8, nonce, additional));
        byte[] output = new byte[mode.GetOutputSize(text.Length)];
        int written = mode.ProcessBytes(text, output);
        mode.DoFinal(output.AsSpan(written));
        output.AsSpan(0, text.Length).CopyTo(text);
        output.AsSpan(text.Length).CopyTo(icv);
    }

    /// <summary>Compares the ICV, and decrypts in place: sealing the clear text again gives the ICV that it should have, so a forged one costs no exception.</summary>
    internal static bool TryOpen(CipherAlgorithm cipher, ReadOnlySpan<byte> key, byte[] nonce, byte[] additional, Span<byte> text, ReadOnlySpan<byte> icv)
    {
        Span<byte> made = stackalloc byte[16];
        byte[] clear = text.ToArray();
        switch (cipher.Kind)
        {
            case CipherKind.AesGcm:
                Ctr(key, [.. nonce, 0, 0, 0, 2], clear);
                break;
            case CipherKind.AesCcm:
                // One less than the length of the length field, nonce, and a counter whose 0 is the MAC's (RFC 3610 §2.3).
                Ctr(key, [3, .. nonce, 0, 0, 0, 1], clear);
                break;
            default:
                ChaCha20(key, nonce, clear);
                break;
        }

        clear.CopyTo(text);
        Seal(cipher, key, nonce, additional, text, made);
        clear.CopyTo(text);
        CryptographicOperations.ZeroMemory(clear);
        return CryptographicOperations.FixedTimeEquals(made[..icv.Length], icv);
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
