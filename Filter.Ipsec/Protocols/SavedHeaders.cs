namespace Filter.Ipsec.Protocols;

/// <summary>
/// Headers as they are, while the packets show others to the cryptography. Room for a burst, so that nothing is allocated
/// for one; one worker owns it.
/// </summary>
internal sealed class SavedHeaders
{
    /// <summary>For each packet its IP header; where long chains of extension headers spend it, a burst is done in parts.</summary>
    private const int BytesAPacket = 64;

    private readonly byte[] _bytes;
    private readonly (int At, int Length)[] _places;
    private int _used;

    /// <summary>Room for so many packets' headers.</summary>
    internal SavedHeaders(int packets)
    {
        _bytes = new byte[packets * BytesAPacket];
        _places = new (int, int)[packets];
    }

    /// <summary>Forgets all.</summary>
    internal void Clear() => _used = 0;

    /// <summary>Keeps a packet's header; false where there is no room left.</summary>
    internal bool TrySave(int packet, ReadOnlySpan<byte> header)
    {
        if (header.Length > _bytes.Length - _used)
        {
            return false;
        }

        header.CopyTo(_bytes.AsSpan(_used));
        _places[packet] = (_used, header.Length);
        _used += header.Length;
        return true;
    }

    /// <summary>Writes it back.</summary>
    internal void Restore(int packet, Span<byte> bytes)
    {
        (int at, int length) = _places[packet];
        _bytes.AsSpan(at, length).CopyTo(bytes);
    }
}
