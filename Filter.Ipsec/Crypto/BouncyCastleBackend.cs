using System.Buffers.Binary;
using System.Security.Cryptography;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Crypto;

/// <summary>
/// Every suite in managed code, for machines without the native libraries and to check those against. It is slow, and
/// allocates. A forged packet costs no exception: ICVs are made anew and compared, whatever the mode.
/// </summary>
internal sealed class BouncyCastleBackend : CryptoBackend
{
    /// <inheritdoc/>
    public override string Name => "BouncyCastle";

    /// <inheritdoc/>
    public override bool Has(IpsecSuite suite) => true;

    internal override void SealReady(Span<CryptoJob> jobs)
    {
        Span<byte> icv = stackalloc byte[BouncyCastleMac.Longest];
        foreach (ref CryptoJob job in jobs)
        {
            if (!job.Good)
            {
                continue;
            }

            Span<byte> text = job.Key.Suite.IsAh ? default : job.Slab.AsSpan(job.Text, job.Icv - job.Text);
            if (job.Key.Suite.IsCombined)
            {
                SealCombined(job, text, icv);
            }
            else
            {
                Crypt(job, text, encrypt: true);
                Authenticate(job, icv);
            }

            icv[..job.Key.IcvLength].CopyTo(job.Slab.AsSpan(job.Icv));
        }
    }

    internal override void OpenReady(Span<CryptoJob> jobs)
    {
        Span<byte> icv = stackalloc byte[BouncyCastleMac.Longest];
        Span<byte> received = stackalloc byte[BouncyCastleMac.Longest];
        foreach (ref CryptoJob job in jobs)
        {
            if (!job.Good)
            {
                continue;
            }

            int length = job.Key.IcvLength;
            job.Slab.AsSpan(job.Icv, length).CopyTo(received);
            Span<byte> text = job.Key.Suite.IsAh ? default : job.Slab.AsSpan(job.Text, job.Icv - job.Text);
            if (job.Key.Suite.IsCombined)
            {
                // Sealing the clear text again gives the ICV that it should have.
                byte[] sealedText = text.ToArray();
                Decrypt(job, text);
                byte[] clear = text.ToArray();
                SealCombined(job, text, icv);
                job.Good = CryptographicOperations.FixedTimeEquals(icv[..length], received[..length])
                    && text.SequenceEqual(sealedText);
                clear.CopyTo(text);
                CryptographicOperations.ZeroMemory(clear);
            }
            else
            {
                Authenticate(job, icv);
                job.Good = CryptographicOperations.FixedTimeEquals(icv[..length], received[..length]);
                if (job.Good)
                {
                    Crypt(job, text, encrypt: false);
                }
            }
        }
    }

    private static unsafe ReadOnlySpan<byte> KeyOf(in CryptoJob job) => new(job.Key.KeyMaterial, job.Key.Suite.CipherKeyLength);

    /// <summary>Salt and IV.</summary>
    private static unsafe byte[] Nonce(in CryptoJob job, int keyLength)
    {
        int saltLength = job.Key.Suite.SaltLength;
        byte[] nonce = new byte[saltLength + 8];
        new ReadOnlySpan<byte>(job.Key.CombinedKey + keyLength, saltLength).CopyTo(nonce);
        job.Slab.AsSpan(job.Iv, 8).CopyTo(nonce.AsSpan(saltLength));
        return nonce;
    }

    private static void Crypt(in CryptoJob job, Span<byte> text, bool encrypt)
    {
        IpsecSuite suite = job.Key.Suite;
        switch (suite.Cipher?.Kind)
        {
            case null or CipherKind.Null:
                break;
            case CipherKind.AesCtr:
                byte[] counter = [.. Nonce(job, suite.CipherKeyLength), 0, 0, 0, 1];
                BouncyCastleCipher.Ctr(KeyOf(job), counter, text);
                break;
            default:
                BouncyCastleCipher.Cbc(suite.Cipher.Kind, KeyOf(job), job.Slab.AsSpan(job.Iv, suite.IvLength), text, encrypt);
                break;
        }
    }

    /// <summary>The cipher of a combined mode alone, which is the same in both directions.</summary>
    private static void Decrypt(in CryptoJob job, Span<byte> text)
    {
        byte[] nonce = Nonce(job, job.Key.Suite.CipherKeyLength);
        switch (job.Key.Suite.Cipher!.Kind)
        {
            case CipherKind.AesGcm:
                BouncyCastleCipher.Ctr(KeyOf(job), [.. nonce, 0, 0, 0, 2], text);
                break;
            case CipherKind.AesCcm:
                // One less than the length of the length field, nonce, and a counter whose 0 is the MAC's (RFC 3610 §2.3).
                BouncyCastleCipher.Ctr(KeyOf(job), [3, .. nonce, 0, 0, 0, 1], text);
                break;
            case CipherKind.ChaCha20Poly1305:
                BouncyCastleCipher.ChaCha20(KeyOf(job), nonce, text);
                break;
        }
    }

    private static void SealCombined(in CryptoJob job, Span<byte> text, Span<byte> icv)
    {
        byte[] nonce = Nonce(job, job.Key.Suite.CipherKeyLength);
        byte[] additional = new byte[job.Extended ? 12 : 8];
        ReadOnlySpan<byte> header = job.Slab.AsSpan(job.Header, 8);
        header.CopyTo(additional);
        if (job.Extended)
        {
            BinaryPrimitives.WriteUInt32BigEndian(additional.AsSpan(4), job.SequenceHigh);
            header[4..].CopyTo(additional.AsSpan(8));
        }

        if (job.Key.Suite.Cipher!.Kind == CipherKind.AesGmac)
        {
            BouncyCastleMac.Gmac(KeyOf(job), nonce, [.. additional, .. job.Slab.AsSpan(job.Header + 8, job.Icv - job.Header - 8)], icv);
            return;
        }

        BouncyCastleCipher.Seal(job.Key.Suite.Cipher, KeyOf(job), nonce, additional, text, icv);
    }

    private static unsafe void Authenticate(in CryptoJob job, Span<byte> icv)
    {
        IpsecSuite suite = job.Key.Suite;
        bool ah = suite.IsAh;
        byte[] message = job.Slab[job.Header..(ah ? job.End : job.Icv)];
        if (ah)
        {
            int from = suite.IvLength > 0 ? job.Iv : job.Icv;
            message.AsSpan(from - job.Header, job.Icv + suite.IcvLength - from).Clear();
        }

        if (job.Extended)
        {
            Array.Resize(ref message, message.Length + sizeof(uint));
            BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(message.Length - sizeof(uint)), job.SequenceHigh);
        }

        ReadOnlySpan<byte> key = new(job.Key.IntegrityKey, suite.Integrity!.KeyLength);
        if (suite.Integrity.Kind == IntegrityKind.AesGmac)
        {
            BouncyCastleMac.Gmac(key, Nonce(job, key.Length), message, icv);
            return;
        }

        BouncyCastleMac.Compute(suite.Integrity.Kind, key, message, icv);
    }
}
