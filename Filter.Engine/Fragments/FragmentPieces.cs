using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Engine.Fragments;

/// <summary>
/// The pieces that wait: their frames in a pool, chained by arrival and by offset within their datagram. It knows what pieces
/// hold, and nothing of how long or for whom they wait.
/// </summary>
internal sealed class FragmentPieces
{
    private readonly FramePool _pool;
    private readonly FragmentPiece[] _pieces;

    /// <summary>Room for so many bytes of frames.</summary>
    public FragmentPieces(int bytes)
    {
        _pool = new FramePool(bytes);
        _pieces = new FragmentPiece[_pool.FreeBlocks + 1];
    }

    /// <summary>Blocks that hold nothing.</summary>
    public int FreeBlocks => _pool.FreeBlocks;

    /// <summary>A held piece.</summary>
    public ref readonly FragmentPiece this[int handle] => ref _pieces[handle];

    /// <summary>Where a piece belongs among those that are held.</summary>
    /// <param name="datagram">Its datagram.</param>
    /// <param name="piece">The piece.</param>
    /// <param name="packet">Its packet.</param>
    /// <param name="below">The piece before it by offset; 0 where it is the lowest.</param>
    public DropReason Place(in FragmentedDatagram datagram, in FragmentPiece piece, in Packet packet, out int below)
    {
        int end = piece.Offset + piece.Length;
        below = 0;
        int above = datagram.Lowest;
        while (above != 0 && _pieces[above].Offset < piece.Offset)
        {
            below = above;
            above = _pieces[above].Higher;
        }

        if (above != 0 && _pieces[above].Offset == piece.Offset && IsDuplicate(above, piece, packet))
        {
            return DropReason.FragmentDuplicate;
        }

        if ((above != 0 && _pieces[above].Offset < end)
            || (below != 0 && _pieces[below].Offset + _pieces[below].Length > piece.Offset))
        {
            return DropReason.FragmentOverlap;
        }

        // Two ends, or something behind the end.
        return (datagram.Total >= 0 && (!piece.More || end > datagram.Total)) || (!piece.More && end < datagram.Furthest)
            ? DropReason.BadFragment
            : DropReason.None;
    }

    private bool IsDuplicate(int held, in FragmentPiece piece, in Packet packet)
    {
        ref FragmentPiece other = ref _pieces[held];
        return other.Length == piece.Length && other.More == piece.More
            && _pool.Holds(held, other.Data, packet.Bytes.Slice(piece.Data, piece.Length));
    }

    /// <summary>Copies a piece into the pool and puts it into its datagram's chains.</summary>
    /// <param name="datagram">Its datagram.</param>
    /// <param name="piece">The piece.</param>
    /// <param name="packet">Its packet.</param>
    /// <param name="below">Where it belongs, as <see cref="Place"/> said.</param>
    /// <returns>False where there is no room.</returns>
    public bool TryHold(ref FragmentedDatagram datagram, FragmentPiece piece, in Packet packet, int below)
    {
        if (!_pool.TryStore(packet.Bytes[..piece.FrameLength], out int handle))
        {
            return false;
        }

        ref int link = ref below == 0 ? ref datagram.Lowest : ref _pieces[below].Higher;
        piece.Higher = link;
        link = handle;
        _pieces[handle] = piece;
        (datagram.Last == 0 ? ref datagram.First : ref _pieces[datagram.Last].Next) = handle;
        datagram.Last = handle;
        datagram.Blocks += FramePool.Blocks(piece.FrameLength);
        datagram.Pieces++;
        return true;
    }

    /// <summary>Writes the whole datagram: the first piece's headers without a fragment header, and all payloads.</summary>
    /// <param name="datagram">A complete datagram.</param>
    /// <param name="final">The piece that completes it, which is not held.</param>
    /// <param name="packet">That piece's packet.</param>
    /// <param name="headers">Bytes of the headers, link header included.</param>
    /// <param name="frame">Where to.</param>
    /// <returns>The protocol that the first piece names.</returns>
    public byte Write(in FragmentedDatagram datagram, in FragmentPiece final, in Packet packet, int headers, Span<byte> frame)
    {
        ReadOnlySpan<byte> finalFrame = packet.Bytes;
        byte protocol = packet.Key.Protocol;
        if (final.Offset == 0)
        {
            finalFrame[..headers].CopyTo(frame);
        }
        else
        {
            _pool.Copy(datagram.Lowest, 0, frame[..headers]);
            if (!packet.IsIPv4)
            {
                Span<byte> next = stackalloc byte[1];
                _pool.Copy(datagram.Lowest, headers, next);
                protocol = next[0];
            }
        }

        for (int piece = datagram.Lowest; piece != 0; piece = _pieces[piece].Higher)
        {
            ref FragmentPiece held = ref _pieces[piece];
            _pool.Copy(piece, held.Data, frame.Slice(headers + held.Offset, held.Length));
        }

        finalFrame.Slice(final.Data, final.Length).CopyTo(frame[(headers + final.Offset)..]);
        return protocol;
    }

    /// <summary>The longest IP packet among the pieces of a complete datagram, in bytes.</summary>
    public int Longest(in FragmentedDatagram datagram)
    {
        int longest = datagram.Final.Data + datagram.Final.Length - datagram.Final.Network;
        for (int piece = datagram.First; piece != 0; piece = _pieces[piece].Next)
        {
            longest = Math.Max(longest, _pieces[piece].Data + _pieces[piece].Length - _pieces[piece].Network);
        }

        return longest;
    }

    /// <summary>Appends a complete datagram's fragments as they came, in the order of their arrival, with all that was decided of the whole.</summary>
    /// <returns>False where the burst has no room for all of them: then none is appended.</returns>
    public bool TryAppendOriginals(Burst burst, in FragmentedDatagram datagram)
    {
        int index = datagram.Slot, before = burst.Count;
        for (int handle = datagram.First; handle != 0; handle = _pieces[handle].Next)
        {
            ref readonly FragmentPiece piece = ref _pieces[handle];
            if (!Segmenter.TryAppendPiece(burst, index, piece.FrameLength, out int original))
            {
                burst.Trim(before);
                return false;
            }

            ref Packet packet = ref burst.Packets[original];
            _pool.Copy(handle, 0, packet.Bytes);
            BecomeOriginal(ref packet, piece);
        }

        if (!Segmenter.TryAppendPiece(burst, index, datagram.Final.FrameLength, out int last))
        {
            burst.Trim(before);
            return false;
        }

        ref Packet final = ref burst.Packets[last];
        datagram.FinalSlab.AsSpan(datagram.FinalStart, datagram.Final.FrameLength).CopyTo(final.Bytes);
        BecomeOriginal(ref final, datagram.Final);
        return true;
    }

    private static void BecomeOriginal(ref Packet packet, in FragmentPiece piece)
    {
        packet.Kind = PacketKind.Fragment;
        packet.Network = piece.Network;
        packet.Transport = piece.Data;
        packet.Payload = piece.Data;
        packet.End = piece.Data + piece.Length;
        packet.FragmentOffset = piece.Offset;
        packet.MoreFragments = piece.More;
        packet.FragmentHeader = packet.IsIPv4 ? (ushort)0 : (ushort)(piece.Data - IpHeader.FragmentHeaderLength);
        packet.FragmentId = packet.IsIPv4
            ? BinaryPrimitives.ReadUInt16BigEndian(packet.Datagram[4..])
            : BinaryPrimitives.ReadUInt32BigEndian(packet.Bytes[(packet.FragmentHeader + 4)..]);
        packet.Number = piece.Number;
        packet.Time = piece.Time;
    }

    /// <summary>Gives back what is held of a datagram.</summary>
    /// <returns>How many pieces that were.</returns>
    public int Free(ref FragmentedDatagram datagram)
    {
        for (int piece = datagram.First; piece != 0;)
        {
            int next = _pieces[piece].Next;
            _pool.Free(piece);
            piece = next;
        }

        int pieces = datagram.Pieces;
        datagram.First = datagram.Last = datagram.Lowest = 0;
        datagram.Pieces = datagram.Blocks = 0;
        return pieces;
    }
}
