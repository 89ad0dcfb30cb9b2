using Filter.Rules.Policy;

namespace Filter.Ipsec.Crypto;

/// <summary>
/// Seals and opens messages one by one, whatever stands before the IV being authenticated too: what IKE does (RFC 7296 §3.14, RFC 5282)
/// with the algorithms that ESP has. One for each thread.
/// </summary>
internal sealed class MessageSealer : IDisposable
{
    [ThreadStatic]
    private static MessageSealer? t_current;

    private readonly LibcryptoCombined? _combined;
    private readonly BestBackend _other;

    /// <param name="native">Whether libcrypto does what it can.</param>
    internal MessageSealer(bool native)
    {
        _combined = native ? new() : null;
        _other = new(null, native ? new LibcryptoBackend() : null, new BouncyCastleBackend());
    }

    /// <summary>The thread's own; what is native of it goes with the thread.</summary>
    internal static MessageSealer Current => t_current ??= new MessageSealer(Libcrypto.IsPresent);

    /// <inheritdoc/>
    public void Dispose()
    {
        _combined?.Dispose();
        _other.Dispose();
    }

    /// <summary>Encrypts what is between IV and ICV in place, and writes the ICV. The IV stands there.</summary>
    /// <param name="key">What with.</param>
    /// <param name="message">From the first byte that is authenticated to the ICV's last.</param>
    /// <param name="ivAt">Where the IV is.</param>
    internal void Seal(SaKey key, byte[] message, int ivAt)
    {
        if (!key.Suite.IsCombined)
        {
            CryptoJob job = JobOf(key, message, ivAt);
            _other.SealReady(new Span<CryptoJob>(ref job));
            if (!job.Good)
            {
                throw new InvalidOperationException($"{key.Suite} could not seal");
            }
        }
        else if (_combined?.Seal(key, message, ivAt) is not true)
        {
            Span<byte> text = TextOf(key, message, ivAt);
            BouncyCastleCipher.Seal(key.Suite.Cipher!, KeyOf(key), NonceOf(key, message, ivAt), message[..ivAt], text, message.AsSpan(message.Length - key.IcvLength));
        }
    }

    /// <summary>Compares the ICV, and decrypts in place; false where it is not right. The caller has looked at the lengths.</summary>
    /// <param name="key">What with.</param>
    /// <param name="message">From the first byte that is authenticated to the ICV's last.</param>
    /// <param name="ivAt">Where the IV is.</param>
    internal bool TryOpen(SaKey key, byte[] message, int ivAt)
    {
        if (!key.Suite.IsCombined)
        {
            CryptoJob job = JobOf(key, message, ivAt);
            _other.OpenReady(new Span<CryptoJob>(ref job));
            return job.Good;
        }

        return _combined is not null && LibcryptoSuite.Of(key.Suite) is not null
            ? _combined.TryOpen(key, message, ivAt)
            : BouncyCastleCipher.TryOpen(
                key.Suite.Cipher!, KeyOf(key), NonceOf(key, message, ivAt), message[..ivAt], TextOf(key, message, ivAt), message.AsSpan(message.Length - key.IcvLength));
    }

    /// <summary>Lets go of what is kept of a key.</summary>
    internal void Forget(SaKey key)
    {
        _combined?.Forget(key);
        _other.Forget(key);
    }

    private static CryptoJob JobOf(SaKey key, byte[] message, int ivAt) => new()
    {
        Key = key, Slab = message, Header = 0, Iv = ivAt, Text = ivAt + key.IvLength, Icv = message.Length - key.IcvLength, Good = true,
    };

    private static Span<byte> TextOf(SaKey key, byte[] message, int ivAt) => message.AsSpan((ivAt + key.IvLength)..^key.IcvLength);

    private static unsafe ReadOnlySpan<byte> KeyOf(SaKey key) => new(key.KeyMaterial, key.Suite.CipherKeyLength);

    private static unsafe byte[] NonceOf(SaKey key, byte[] message, int ivAt) =>
        [.. new ReadOnlySpan<byte>(key.KeyMaterial + key.Suite.CipherKeyLength, key.Suite.SaltLength), .. message.AsSpan(ivAt, key.IvLength)];
}
