using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>A segment between two <see cref="TcpEndpoint"/>s, options and payload as numbers only.</summary>
internal readonly record struct Segment(
    uint Sequence, uint Acknowledgment, TcpFlags Flags, ushort Window, int Length, byte Scale);

/// <summary>
/// One end of a connection that keeps to RFC 9293 and RFC 7323 and leaves nothing out that they allow: windows that close
/// and open, segments of any size, out of order, again, probes and keep-alives. Bytes are only counted.
/// </summary>
internal sealed class TcpEndpoint
{
    private const int Timeout = 40;

    private readonly Random _random;
    private readonly uint _first;
    private readonly int _buffer;
    private readonly byte _scale;
    private readonly SortedSet<uint> _early = [];
    private uint _sent, _unacknowledged, _last;
    private uint _window, _edge, _expected, _read;
    private int _waits;
    private int _peersScale;
    private bool _synSeen, _finQueued, _finSent, _finSeen, _ackDue, _scaled;
    private int _left;

    /// <param name="random">Decides whatever is free to choose.</param>
    /// <param name="opens">It sends the first SYN, or one of two.</param>
    /// <param name="toSend">How many bytes it will send.</param>
    public TcpEndpoint(Random random, bool opens, int toSend)
    {
        _random = random;
        _first = random.Next(2) == 0 ? uint.MaxValue - (uint)random.Next(5000) : (uint)random.NextInt64(uint.MaxValue);
        _buffer = 500 << random.Next(8);
        _scale = random.Next(3) == 0 ? Packet.NoWindowScale : (byte)random.Next(6);
        _left = toSend;
        _sent = _unacknowledged = _first;
        Opens = opens;
    }

    /// <summary>It begins by itself.</summary>
    public bool Opens { get; }

    /// <summary>Everything was sent and acknowledged, and the other's FIN came.</summary>
    public bool IsDone => _finSent && _unacknowledged == _last && _finSeen;

    /// <summary>The next number that it waits for.</summary>
    public uint Expected => _expected;

    /// <summary>Whether a segment would tell it anything that it does not know yet.</summary>
    public bool LearnsFrom(Segment segment)
    {
        uint end = segment.Sequence + (uint)segment.Length + (uint)(Has(segment, TcpFlags.Syn) ? 1 : 0) + (uint)(Has(segment, TcpFlags.Fin) ? 1 : 0);

        // Of a segment that lies wholly before what it expects, it does not look at the acknowledgment (RFC 9293 §3.10.7.4).
        bool acknowledges = Has(segment, TcpFlags.Ack) && (int)(segment.Acknowledgment - _unacknowledged) > 0 && (int)(end - _expected) >= 0;
        return !_synSeen || (int)(end - _expected) > 0 || acknowledges;
    }

    /// <summary>What it says when nothing came for a while, and what it has to say anyway.</summary>
    public IEnumerable<Segment> Speak()
    {
        if (!_synSeen || _unacknowledged == _first)
        {
            if ((Opens || _synSeen) && _waits-- <= 0)
            {
                _waits = Timeout;
                _sent = _last = _first + 1;
                yield return Make(_first, TcpFlags.Syn | (_synSeen ? TcpFlags.Ack : 0), 0);
            }
        }
        else
        {
            if (_random.Next(3) == 0)
            {
                _read = _expected - (uint)(_finSeen ? 1 : 0) - (uint)_random.Next(_random.Next(2) == 0 ? 1 : Math.Min(_buffer, 50));
                _read = (int)(_read - _expected) > 0 ? _expected : _read;
                _ackDue |= _random.Next(2) == 0;
            }

            foreach (Segment segment in Data())
            {
                yield return segment;
            }

            if (_ackDue || _random.Next(40) == 0)
            {
                _ackDue = false;
                yield return Make(_sent, TcpFlags.Ack, 0);
            }
            else if (_random.Next(200) == 0)
            {
                yield return Make(_sent - 1, TcpFlags.Ack, 0);              // a keep-alive
            }
        }
    }

    /// <summary>A segment arrives.</summary>
    public void Hear(Segment segment)
    {
        if (Has(segment, TcpFlags.Syn))
        {
            if (!_synSeen)
            {
                _synSeen = true;
                _expected = _read = segment.Sequence + 1;
                _edge = _expected;
                _peersScale = segment.Scale;
                _scaled = _scale != Packet.NoWindowScale && segment.Scale != Packet.NoWindowScale;
                _waits = 0;
            }

            _ackDue = true;
        }
        else if (!_synSeen)
        {
            return;
        }

        if (Has(segment, TcpFlags.Ack) && (int)(segment.Acknowledgment - _unacknowledged) >= 0 && (int)(segment.Acknowledgment - _last) <= 0)
        {
            if (segment.Acknowledgment != _unacknowledged)
            {
                _waits = Timeout;
            }

            _unacknowledged = segment.Acknowledgment;
            _sent = (int)(_sent - _unacknowledged) < 0 ? _unacknowledged : _sent;
            uint offered = (uint)segment.Window << (_scaled && !Has(segment, TcpFlags.Syn) ? _peersScale : 0);
            _window = segment.Acknowledgment + offered;
        }

        uint at = segment.Sequence + (uint)(Has(segment, TcpFlags.Syn) ? 1 : 0);
        for (int i = 0; i < segment.Length; i++)
        {
            Take(at++, isFin: false);
        }

        if (Has(segment, TcpFlags.Fin))
        {
            Take(at, isFin: true);
        }
    }

    private IEnumerable<Segment> Data()
    {
        bool again = _waits-- <= 0 && _unacknowledged != _last;
        if (again)
        {
            _waits = Timeout;
            int most = (int)(_last - _unacknowledged) - (_finSent ? 1 : 0);
            int length = Math.Min(most, 1 + _random.Next(400));
            bool fin = _finSent && length == most;
            yield return Make(_unacknowledged, TcpFlags.Ack | (fin ? TcpFlags.Fin : 0), Math.Max(0, length));
        }

        for (int burst = _random.Next(4); burst > 0 && !_finSent; burst--)
        {
            int room = (int)(_window - _last);
            int length = Math.Min(Math.Min(_left, room), 1 + _random.Next(400));
            if (length <= 0)
            {
                if (_left > 0 && _waits < -Timeout)
                {
                    _waits = 0;                                             // the window is closed: probe it
                    yield return Make(_last - 1, TcpFlags.Ack, 0);
                }

                _finQueued |= _left == 0 && _random.Next(5) == 0;
                if (!_finQueued || room <= 0)
                {
                    break;
                }

                length = 0;
            }

            _left -= length;
            _finSent = _left == 0 && (_finQueued || _random.Next(3) == 0);
            uint from = _last;
            _last += (uint)length + (_finSent ? 1u : 0);
            _sent = _last;
            _ackDue = false;
            _waits = Math.Max(_waits, 1);
            yield return Make(from, TcpFlags.Ack | (_finSent ? TcpFlags.Fin : 0), length);
        }
    }

    private void Take(uint number, bool isFin)
    {
        _ackDue = true;
        if ((int)(number - _expected) < 0 || (int)(number - (_read + (uint)_buffer)) >= 0)
        {
            return;
        }

        if (number != _expected)
        {
            if (!isFin)
            {
                _early.Add(number);
            }

            return;
        }

        _expected++;
        _finSeen |= isFin;
        while (_early.Remove(_expected))
        {
            _expected++;
        }
    }

    private Segment Make(uint sequence, TcpFlags flags, int length)
    {
        bool syn = (flags & TcpFlags.Syn) != 0;
        byte scale = !syn ? (byte)0 : (flags & TcpFlags.Ack) != 0 && _peersScale == Packet.NoWindowScale ? Packet.NoWindowScale : _scale;
        int shift = _scaled && !syn ? _scale : 0;

        // The right edge never moves left (RFC 9293 §3.8.6), but for what scaling rounds away.
        uint edge = _read + (uint)_buffer;
        _edge = (int)(edge - _edge) > 0 ? edge : _edge;
        uint window = Math.Min((_edge - _expected) >> shift, ushort.MaxValue);
        return new Segment(sequence, (flags & TcpFlags.Ack) != 0 ? _expected : 0, flags, (ushort)window, length, scale);
    }

    private static bool Has(Segment segment, TcpFlags flag) => (segment.Flags & flag) != 0;
}
