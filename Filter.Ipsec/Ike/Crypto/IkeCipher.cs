using System.Buffers.Binary;
using System.Security.Cryptography;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Ike.Payloads;

namespace Filter.Ipsec.Ike.Crypto;

/// <summary>
/// SK_e and SK_a of one direction of an IKE SA: what encrypted payloads are sealed or opened with (RFC 7296 §3.14, RFC 5282, RFC 7634).
/// In counter modes its IVs count, so that none comes twice.
/// </summary>
public sealed class IkeCipher : IDisposable
{
    private readonly SaKey _key;
    private readonly int _block;
    private ulong _sealed;

    /// <summary>Copies the keys; the caller wipes its own.</summary>
    /// <param name="suite">The IKE SA's algorithms.</param>
    /// <param name="encryptionKey">SK_e: the key, and the salt behind it.</param>
    /// <param name="integrityKey">SK_a; empty where the cipher authenticates.</param>
    public IkeCipher(IkeSuite suite, ReadOnlySpan<byte> encryptionKey, ReadOnlySpan<byte> integrityKey)
    {
        _key = new SaKey(suite.Protection, encryptionKey, integrityKey, forBursts: false);

        // ESP aligns what it encrypts to four bytes; IKE does not.
        _block = _key.IvIsRandom ? _key.BlockLength : 1;
    }

    /// <summary>Overwrites the keys with zeros.</summary>
    public void Dispose()
    {
        MessageSealer.Current.Forget(_key);
        _key.Dispose();
    }

    /// <summary>Bytes of IV, text, padding, its length, and ICV.</summary>
    internal int SealedLength(int text) => _key.IvLength + ((text + _block) / _block * _block) + _key.IcvLength;

    /// <summary>Bytes of text for which there is room at most, where IV, padding and ICV go too; less than 1 for none.</summary>
    internal int LongestText(int room) => ((room - _key.IvLength - _key.IcvLength) / _block * _block) - 1;

    /// <summary>Puts IV, text and ICV behind what stands before, which is authenticated.</summary>
    /// <param name="message">As long as it has to be.</param>
    /// <param name="ivAt">Where the IV goes.</param>
    /// <param name="text">What is encrypted.</param>
    internal void Seal(byte[] message, int ivAt, ReadOnlySpan<byte> text)
    {
        Span<byte> iv = message.AsSpan(ivAt, _key.IvLength);
        if (_key.IvIsRandom)
        {
            RandomNumberGenerator.Fill(iv);
        }
        else
        {
            BinaryPrimitives.WriteUInt64BigEndian(iv, _sealed++);
        }

        Span<byte> rest = message.AsSpan((ivAt + iv.Length)..^_key.IcvLength);
        text.CopyTo(rest);
        rest[text.Length..].Clear();
        rest[^1] = (byte)(rest.Length - text.Length - 1);
        MessageSealer.Current.Seal(_key, message, ivAt);
    }

    /// <summary>Compares the ICV, then decrypts in place.</summary>
    /// <param name="message">The whole of it.</param>
    /// <param name="ivAt">Where the IV is.</param>
    /// <param name="text">Where the text is, without padding.</param>
    /// <param name="fault">What is wrong.</param>
    internal bool TryOpen(byte[] message, int ivAt, out Range text, out IkeFault fault)
    {
        int textAt = ivAt + _key.IvLength, length = message.Length - _key.IcvLength - textAt;
        text = default;
        if (length < 1 || length % _block != 0)
        {
            fault = new(IkeFaultKind.Malformed, $"an encrypted payload of {message.Length - ivAt} bytes");
            return false;
        }

        if (!MessageSealer.Current.TryOpen(_key, message, ivAt))
        {
            fault = new(IkeFaultKind.BadIcv, "the integrity check failed");
            return false;
        }

        int padding = message[textAt + length - 1];
        if (padding >= length)
        {
            fault = new(IkeFaultKind.Malformed, $"{padding} bytes of padding in {length}");
            return false;
        }

        text = textAt..(textAt + length - 1 - padding);
        fault = IkeFault.None;
        return true;
    }

    /// <summary>The keys, as whoever seals has them: for known answers.</summary>
    internal SaKey Key => _key;

    /// <summary>SK_e and SK_a as hex; for root who asks for them.</summary>
    internal (string Encryption, string Integrity) Reveal() => _key.Reveal();
}
