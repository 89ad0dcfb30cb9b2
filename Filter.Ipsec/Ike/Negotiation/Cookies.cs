using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Filter.Ipsec.Ike.Negotiation;

/// <summary>
/// Cookies for who begins an IKE SA while many are half-open (RFC 7296 §2.6): whoever returns one is where he says he is. Nothing is kept
/// but two secrets; each is used for a minute, and good for one more.
/// </summary>
internal sealed class Cookies(IkeRandom random) : IDisposable
{
    private const long Life = 60_000_000_000;
    private const int SecretLength = 32;

    private readonly byte[] _secret = new byte[SecretLength];
    private readonly byte[] _earlier = new byte[SecretLength];
    private byte _version;
    private long _until = long.MinValue;

    /// <summary>The cookie of a beginning: the secret's number, and a MAC of nonce, path and SPI.</summary>
    internal byte[] Make(in IkePath path, ulong initiatorSpi, ReadOnlySpan<byte> nonce, long now)
    {
        Rotate(now);
        return Make(_version, _secret, path, initiatorSpi, nonce);
    }

    /// <summary>Whether a cookie is ours, of the same beginning, and not too old.</summary>
    internal bool IsGood(ReadOnlySpan<byte> cookie, in IkePath path, ulong initiatorSpi, ReadOnlySpan<byte> nonce, long now)
    {
        Rotate(now);
        if (cookie.IsEmpty || (cookie[0] != _version && cookie[0] != (byte)(_version - 1)))
        {
            return false;
        }

        byte[] expected = Make(cookie[0], cookie[0] == _version ? _secret : _earlier, path, initiatorSpi, nonce);
        return CryptographicOperations.FixedTimeEquals(expected, cookie);
    }

    /// <summary>Overwrites both secrets.</summary>
    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(_secret);
        CryptographicOperations.ZeroMemory(_earlier);
    }

    private void Rotate(long now)
    {
        if (now < _until)
        {
            return;
        }

        // After a pause the earlier one is too old, too.
        if (now - _until < Life)
        {
            _secret.CopyTo(_earlier, 0);
        }
        else
        {
            random.Fill(_earlier);
        }

        random.Fill(_secret);
        _version++;
        _until = now + Life;
    }

    private static byte[] Make(byte version, byte[] secret, in IkePath path, ulong initiatorSpi, ReadOnlySpan<byte> nonce)
    {
        byte[] data = new byte[nonce.Length + 16 + sizeof(ushort) + sizeof(ulong)];
        nonce.CopyTo(data);
        Span<byte> rest = data.AsSpan(nonce.Length);
        path.Remote.Write(rest);
        BinaryPrimitives.WriteUInt16BigEndian(rest[16..], path.RemotePort);
        BinaryPrimitives.WriteUInt64BigEndian(rest[18..], initiatorSpi);
        return [version, .. HMACSHA256.HashData(secret, data)];
    }
}
