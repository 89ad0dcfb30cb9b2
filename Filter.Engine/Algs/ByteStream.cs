using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Filter.Engine.Packets;

namespace Filter.Engine.Algs;

/// <summary>One direction of a TCP connection as a helper follows it: which byte comes next.</summary>
/// <remarks>
/// What was seen before is cut off, so a retransmission says nothing twice. Behind a hole the stream goes on, but
/// <see cref="Take"/> tells that something is missing: it is not guessed.
/// </remarks>
public struct ByteStream
{
    private uint _next;
    private bool _begun;

    /// <summary>It is followed from its SYN; else it was joined on the way.</summary>
    public bool Whole { get; private set; }

    /// <summary>What of a segment is new and next in order.</summary>
    /// <param name="packet">A TCP segment of this direction, perhaps a super-frame.</param>
    /// <param name="missing">Bytes before it were not seen.</param>
    public ReadOnlySpan<byte> Take(in Packet packet, out bool missing)
    {
        missing = false;
        uint first = packet.Sequence;
        if ((packet.TcpFlags & TcpFlags.Syn) != 0)
        {
            first++;
            if (!_begun || first != _next)
            {
                Begin(first);
            }
        }

        ReadOnlySpan<byte> data = packet.Slab.AsSpan(packet.Start + packet.Payload, Math.Max(0, packet.End - packet.Payload));
        if (data.IsEmpty)
        {
            return data;
        }

        if (!_begun)
        {
            _begun = true;
            _next = first;
            missing = true;
        }

        int ahead = (int)(first - _next);
        if (ahead > 0)
        {
            missing = true;
            _next = first;
        }
        else
        {
            uint seen = _next - first;
            if (seen >= (uint)data.Length)
            {
                return [];
            }

            data = data[(int)seen..];
        }

        _next += (uint)data.Length;
        return data;
    }

    /// <summary>The other end acknowledges this one's SYN: where that is not the SYN it had seen, the stream begins there.</summary>
    public void Agree(uint acknowledged)
    {
        const uint farthest = 65_536;
        if (!_begun || _next - acknowledged > farthest)
        {
            Begin(acknowledged);
        }
    }

    private void Begin(uint first)
    {
        _next = first;
        _begun = true;
        Whole = true;
    }
}

/// <summary>One direction of a TCP connection as lines, each ended by CR and LF.</summary>
/// <remarks>
/// A line that is spread over segments is kept, up to a bound; what is longer is passed over to its end. A bare LF ends no
/// line: what one end takes for the middle of a line must not be the beginning of one here.
/// </remarks>
public struct LineStream
{
    /// <summary>The longest beginning of a line that is kept until its rest comes.</summary>
    private const int Longest = 128;

    private ByteStream _bytes;
    private Kept _kept;
    private byte _length;
    private bool _skips;
    private bool _endsInCr;

    /// <summary>It is followed from its SYN.</summary>
    public readonly bool Whole => _bytes.Whole;

    /// <inheritdoc cref="ByteStream.Take"/>
    public ReadOnlySpan<byte> Take(in Packet packet, out bool missing)
    {
        ReadOnlySpan<byte> data = _bytes.Take(packet, out missing);
        if (missing)
        {
            _length = 0;
            _skips = true;
            _endsInCr = false;
        }

        return data;
    }

    /// <inheritdoc cref="ByteStream.Agree"/>
    public void Agree(uint acknowledged) => _bytes.Agree(acknowledged);

    /// <summary>Cuts the next whole line, without its end, off the data; false where the rest was kept or passed over.</summary>
    [UnscopedRef]
    public bool TryCutLine(ref ReadOnlySpan<byte> data, out ReadOnlySpan<byte> line)
    {
        line = [];
        while (!data.IsEmpty)
        {
            int end = EndOfLine(data);
            ReadOnlySpan<byte> piece = end < 0 ? data : data[..end];
            data = end < 0 ? [] : data[end..];
            _endsInCr = end < 0 && piece[^1] == '\r';
            if (end < 0)
            {
                Keep(piece);
                return false;
            }

            bool whole = !_skips;
            if (whole && _length > 0)
            {
                Keep(piece);
                whole = !_skips;
                line = ((ReadOnlySpan<byte>)_kept)[.._length];
            }
            else
            {
                line = piece;
            }

            _length = 0;
            _skips = false;
            if (whole)
            {
                line = line[..^2];
                return true;
            }
        }

        return false;
    }

    /// <summary>One behind the first CR LF, whose CR may have come before; -1 where there is none.</summary>
    private readonly int EndOfLine(ReadOnlySpan<byte> data)
    {
        if (_endsInCr && data[0] == '\n')
        {
            return 1;
        }

        int at = data.IndexOf("\r\n"u8);
        return at < 0 ? -1 : at + 2;
    }

    private void Keep(ReadOnlySpan<byte> piece)
    {
        if (_skips || _length + piece.Length > Longest)
        {
            _skips = true;
            _length = 0;
            return;
        }

        piece.CopyTo(((Span<byte>)_kept)[_length..]);
        _length += (byte)piece.Length;
    }

    [InlineArray(Longest)]
    private struct Kept
    {
        private byte _byte;
    }
}
