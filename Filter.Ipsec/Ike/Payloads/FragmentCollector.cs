using System.Security.Cryptography;

namespace Filter.Ipsec.Ike.Payloads;

/// <summary>
/// The fragments of one message at a time (RFC 7383 §2.6), already opened: nothing that nobody with the keys has sent takes room here.
/// One for what an IKE SA is asked, one for what it is answered.
/// </summary>
public sealed class FragmentCollector
{
    /// <summary>Fragments at most; with the least size that anybody sends they hold more than <see cref="MostBytes"/>.</summary>
    public const int MostFragments = 256;

    /// <summary>Bytes of a message at most, once it is whole.</summary>
    public const int MostBytes = 65_536;

    private byte[]?[] _parts = [];
    private IkeHeader _of;
    private PayloadType _first;
    private int _missing;
    private int _bytes;

    /// <summary>Whether there are fragments of a message that is not whole.</summary>
    public bool IsWaiting => _missing > 0;

    /// <summary>Forgets, and wipes, what it has.</summary>
    public void Clear()
    {
        foreach (byte[]? part in _parts)
        {
            CryptographicOperations.ZeroMemory(part);
        }

        (_parts, _missing, _bytes) = ([], 0, 0);
    }

    /// <summary>Takes a fragment; false where it does not go with the others, or they become too much.</summary>
    /// <param name="header">Of the message that carried it.</param>
    /// <param name="first">The type of the first payload, which only the first fragment names.</param>
    /// <param name="number">From 1.</param>
    /// <param name="total">How many there are.</param>
    /// <param name="part">What was in it; not copied.</param>
    /// <param name="whole">The payloads, once all have come; null until then.</param>
    /// <param name="firstOfWhole">The type of the first of them.</param>
    /// <param name="why">What is wrong.</param>
    internal bool TryAdd(in IkeHeader header, PayloadType first, int number, int total, byte[] part, out byte[]? whole, out PayloadType firstOfWhole, out string? why)
    {
        (whole, firstOfWhole) = (null, PayloadType.None);
        why = number == 0 || number > total ? $"fragment {number} of {total}"
            : total > MostFragments ? $"a message in {total} fragments, more than {MostFragments}"
            : (first != PayloadType.None) != (number == 1) ? $"fragment {number} names type {(byte)first} as its first payload"
            : null;
        if (why is not null)
        {
            return false;
        }

        IkeHeader of = header with { FirstPayload = PayloadType.None };
        if (_missing == 0 || of != _of || total > _parts.Length)
        {
            // Another message, or the same cut smaller, since the sender found a smaller MTU: what was there is of no use.
            Clear();
            (_parts, _missing, _of) = (new byte[total][], total, of);
        }

        if (total < _parts.Length)
        {
            why = $"fragment of {total}, when there are {_parts.Length}";
            return false;
        }

        if (_parts[number - 1] is not null)
        {
            return true;
        }

        if (_bytes + part.Length > MostBytes)
        {
            Clear();
            why = $"fragments of more than {MostBytes} bytes";
            return false;
        }

        _parts[number - 1] = part;
        _bytes += part.Length;
        _first = number == 1 ? first : _first;
        if (--_missing > 0)
        {
            return true;
        }

        whole = new byte[_bytes];
        int at = 0;
        foreach (byte[]? each in _parts)
        {
            each!.CopyTo(whole, at);
            at += each!.Length;
        }

        firstOfWhole = _first;
        Clear();
        return true;
    }
}
