using Filter.Rules.Policy;

namespace Filter.Ipsec.Crypto;

/// <summary>Combined modes through libcrypto's EVP, over messages whose additional data is all that stands before the IV (RFC 5282 §5.1).</summary>
internal sealed unsafe class LibcryptoCombined : IDisposable
{
    private readonly LibcryptoContexts _contexts = new();

    /// <inheritdoc/>
    public void Dispose() => _contexts.Dispose();

    internal void Forget(SaKey key) => _contexts.Forget(key);

    /// <summary>False where the library does not do it, and nothing was changed.</summary>
    internal bool Seal(SaKey key, byte[] message, int ivAt)
    {
        if (LibcryptoSuite.Of(key.Suite) is null || !_contexts.TryGet(key, encrypt: true, out nint context, out _))
        {
            return false;
        }

        int written;
        byte* nonce = stackalloc byte[16];
        fixed (byte* bytes = message)
        {
            byte* icv = bytes + message.Length - key.IcvLength;
            Nonce(key, bytes + ivAt, nonce);
            return Libcrypto.EVP_CipherInit_ex(context, 0, 0, null, nonce, -1) == 1
                && Feed(key, context, bytes, ivAt, message.Length)
                && Libcrypto.EVP_CipherFinal_ex(context, icv, &written) == 1
                && Libcrypto.EVP_CIPHER_CTX_ctrl(context, Libcrypto.GetTag, key.IcvLength, icv) == 1;
        }
    }

    internal bool TryOpen(SaKey key, byte[] message, int ivAt)
    {
        if (!_contexts.TryGet(key, encrypt: false, out nint context, out _))
        {
            return false;
        }

        int written;
        byte* nonce = stackalloc byte[16];
        byte* rest = stackalloc byte[16];
        fixed (byte* bytes = message)
        {
            Nonce(key, bytes + ivAt, nonce);
            return Libcrypto.EVP_CipherInit_ex(context, 0, 0, null, null, -1) == 1
                && Libcrypto.EVP_CIPHER_CTX_ctrl(context, Libcrypto.SetTag, key.IcvLength, bytes + message.Length - key.IcvLength) == 1
                && Libcrypto.EVP_CipherInit_ex(context, 0, 0, null, nonce, -1) == 1
                && Feed(key, context, bytes, ivAt, message.Length)
                && (key.Suite.Cipher is { Kind: CipherKind.AesCcm } || Libcrypto.EVP_CipherFinal_ex(context, rest, &written) == 1);
        }
    }

    /// <summary>Additional data, then the text, in place; CCM wants to know the length first, and compares as it decrypts.</summary>
    private static bool Feed(SaKey key, nint context, byte* message, int ivAt, int messageLength)
    {
        int written;
        byte* text = message + ivAt + key.IvLength;
        int length = messageLength - key.IcvLength - key.IvLength - ivAt;
        return (key.Suite.Cipher is not { Kind: CipherKind.AesCcm } || Libcrypto.EVP_CipherUpdate(context, null, &written, null, length) == 1)
            && Libcrypto.EVP_CipherUpdate(context, null, &written, message, ivAt) == 1
            && Libcrypto.EVP_CipherUpdate(context, text, &written, text, length) == 1;
    }

    /// <summary>Salt and IV.</summary>
    private static void Nonce(SaKey key, byte* iv, byte* to)
    {
        int salt = key.Suite.SaltLength;
        new ReadOnlySpan<byte>(key.KeyMaterial + key.Suite.CipherKeyLength, salt).CopyTo(new Span<byte>(to, 16));
        new ReadOnlySpan<byte>(iv, key.IvLength).CopyTo(new Span<byte>(to + salt, key.IvLength));
    }
}
