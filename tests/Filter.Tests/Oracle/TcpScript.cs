using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Tests.Oracle;

/// <summary>
/// A TCP connection: how it opens, what is said, how it ends, and perhaps another after it. Segments get lost before the
/// judges and behind them, come again, and come in another order; <see cref="TcpAttack"/> adds what no end sends.
/// </summary>
internal sealed class TcpScript
{
    private const int MostBytes = 300;

    private readonly Conversation _talk;
    private readonly Random _random;
    private readonly TcpAttack? _attack;
    private readonly ushort _near;
    private readonly ushort _far;
    private readonly bool _mayOpen;
    private TcpTalker _opener;
    private TcpTalker _answerer;
    private bool _inAttack;
    private int _begun;

    private TcpScript(Conversation talk, bool attacked, Random random)
    {
        _talk = talk;
        _random = random;
        _attack = attacked ? new TcpAttack(this, talk, random) : null;
        _near = (ushort)random.Next(1024, 65536);
        _far = (ushort)random.Next(1, 1024);
        bool insideOpens = random.Next(6) != 0;
        _mayOpen = insideOpens || talk.BothMayOpen;
        (_opener, _answerer) = (Talker(insideOpens, (uint)random.NextInt64(uint.MaxValue)), Talker(!insideOpens, (uint)random.NextInt64(uint.MaxValue)));
    }

    /// <summary>Whether the ends still know of each other what the judges saw: nobody was reset.</summary>
    public bool IsSound { get; set; } = true;

    public TcpTalker Opener => _opener;

    public TcpTalker Answerer => _answerer;

    public static Conversation Write(int number, int family, bool bothMayOpen, bool attacked, Random random)
    {
        var talk = new Conversation(number, attacked ? "tcp attacked" : "tcp", family, bothMayOpen);
        var script = new TcpScript(talk, attacked, random);
        script.Write();
        return talk;
    }

    /// <summary>A segment's line between the two, whoever sends it.</summary>
    public PacketLine Line(bool fromInside, TcpFlags flags, uint sequence, uint acknowledgment, int length = 0) =>
        _talk.From(fromInside, IpProtocol.Tcp) with
        {
            SourcePort = fromInside == Opener.Inside ? _near : _far,
            DestinationPort = fromInside == Opener.Inside ? _far : _near,
            Flags = flags,
            Sequence = sequence,
            Acknowledgment = acknowledgment,
            Length = length,
        };

    /// <summary>An end sends a segment, that its peer may not get.</summary>
    public void Say(TcpTalker from, Segment segment, string kind, Fate? fate = null, bool mayBeLost = true)
    {
        if (_attack is not null && !_inAttack && _talk.Steps.Count > 0 && _random.Next(7) == 0)
        {
            _inAttack = true;
            _attack.Strike();
            _inAttack = false;
        }

        TcpTalker to = from == _opener ? _answerer : _opener;
        bool syn = (segment.Flags & TcpFlags.Syn) != 0;
        from.Owes = false;
        bool acknowledges = from.HeardSyn;
        ushort window = from.Offer(syn, _random);
        TcpFlags flags = segment.Flags | (acknowledges ? TcpFlags.Ack : 0) | (segment.Length > 0 && _random.Next(2) == 0 && !syn ? TcpFlags.Psh : 0);
        byte[] options = syn ? Options(from.Scale) : [];
        uint acknowledgment = acknowledges ? from.Received : 0;
        PacketLine line = Line(from.Inside, flags, segment.Sequence, acknowledgment, segment.Length + options.Length) with { Window = window };
        _talk.Add(new Step(from.Inside, line, kind, fate ?? (IsSound && _mayOpen ? Fate.MustPass : Fate.Open))
        {
            Options = options,
            Scale = syn ? from.Scale : null,
        });
        if (!mayBeLost || _random.Next(14) != 0)
        {
            to.Hear(segment, acknowledges, acknowledgment, window, syn ? 0 : from.Shift);
        }
    }

    /// <summary>A segment that no end's numbers are behind.</summary>
    public void Add(bool fromInside, PacketLine line, string kind, Fate fate = Fate.Open) => _talk.Add(new Step(fromInside, line, kind, fate));

    private TcpTalker Talker(bool inside, uint initial)
    {
        int? scale = _random.Next(4) == 0 ? null : _random.Next(0, 15);
        return new TcpTalker(inside, initial, scale, scale is { } shift ? Math.Min(1 << 22, 30_000 << shift) : _random.Next(2000, 65536));
    }

    private void Write()
    {
        if (_random.Next(25) == 0)
        {
            Midstream();
            return;
        }

        for (int connections = _random.Next(1, 4); connections > 0; connections--)
        {
            _begun = _talk.Steps.Count;
            if (Open())
            {
                Speak(_random.Next(0, 14));
                Close();
            }

            if (!IsSound || _talk.Steps.Count > 40)
            {
                return;
            }

            // The same ports again, behind what the last one used (RFC 9293 §3.4.3, RFC 1122 §4.2.2.13).
            (TcpTalker opener, TcpTalker answerer) = (_opener, _answerer);
            if (!Forget(opener, answerer))
            {
                return;
            }

            _opener = Talker(opener.Inside, opener.Next + (uint)_random.Next(70_000, 1_000_000));
            _answerer = Talker(answerer.Inside, answerer.Next + (uint)_random.Next(70_000, 1_000_000));
        }
    }

    /// <summary>
    /// The opener begins anew. Where it has crashed, its SYN meets a connection that its peer still has: the peer challenges,
    /// the opener resets that, and its next SYN opens (RFC 9293 §3.5.1, figure 9; RFC 5961 §4).
    /// </summary>
    private bool Forget(TcpTalker opener, TcpTalker answerer)
    {
        if ((opener.Closed && answerer.Closed) || !answerer.HeardSyn)
        {
            return true;
        }

        if (!_mayOpen || !opener.Established || !answerer.Established || answerer.Closed)
        {
            return false;
        }

        uint anew = opener.Next + (uint)_random.Next(2_000, 70_000);
        byte[] options = Options(opener.Scale);
        PacketLine syn = Line(opener.Inside, TcpFlags.Syn, anew, 0, options.Length);
        _talk.Add(new Step(opener.Inside, syn, "syn after a crash", Expect()) { Options = options, Scale = opener.Scale });
        Say(answerer, new(answerer.Next, 0, 0), "challenge ack", mayBeLost: false);
        Add(opener.Inside, Line(opener.Inside, TcpFlags.Rst, answerer.Received, 0), "reset after a crash", Expect());
        return true;
    }

    /// <summary>Nothing opened it: no end's word counts (no pick-up in the middle unless a rule says so).</summary>
    private void Midstream()
    {
        for (int left = _random.Next(1, 5); left > 0; left--)
        {
            TcpFlags flags = _random.Next(4) switch { 0 => TcpFlags.Rst, 1 => TcpFlags.Syn | TcpFlags.Ack, 2 => TcpFlags.Fin | TcpFlags.Ack, _ => TcpFlags.Ack };
            bool fromInside = _random.Next(2) == 0;
            Add(fromInside, Line(fromInside, flags, (uint)_random.NextInt64(uint.MaxValue), 7, _random.Next(50)), "of no connection", Fate.MustDrop);
        }
    }

    /// <summary>The handshake, in one of the ways in which it goes; whether both ends are established.</summary>
    private bool Open()
    {
        Segment syn = new(_opener.Initial, 0, TcpFlags.Syn), synAck = new(_answerer.Initial, 0, TcpFlags.Syn);
        Fate? opening = _mayOpen ? null : _talk.Steps.Any(step => step.FromInside) ? Fate.Open : Fate.MustDrop;
        _opener.Next = syn.End;
        int way = _random.Next(24);
        Say(_opener, syn, "syn", opening, mayBeLost: false);
        for (int again = _random.Next(8) == 0 ? _random.Next(1, 3) : 0; again > 0; again--)
        {
            Say(_opener, syn, "syn again", opening is null ? null : Fate.Open);
        }

        switch (way)
        {
            case 0:
                return false;                               // nobody answers
            case 1:
                Add(_answerer.Inside, Line(_answerer.Inside, TcpFlags.Rst | TcpFlags.Ack, 0, syn.End), "refusal", Expect());
                return false;
            case 2:
                // The answerer remembers a connection that the opener has forgotten (RFC 9293 §3.5.1, figure 9).
                uint old = (uint)_random.NextInt64(uint.MaxValue);
                Add(_answerer.Inside, Line(_answerer.Inside, TcpFlags.Ack, _answerer.Initial - 9000, old), "challenge from an old connection", Expect());
                Add(_opener.Inside, Line(_opener.Inside, TcpFlags.Rst, old, 0), "reset of an old connection", Expect());
                Say(_opener, syn, "syn again", opening is null ? null : Fate.Open, mayBeLost: false);
                break;
            case 3 or 4:
                return OpenFromBoth(syn, way == 4);
            case 5:
                // An old SYN-ACK, late; the opener resets it (RFC 9293 §3.10.7.3).
                uint wrong = syn.End + (uint)_random.Next(1000, 2_000_000_000);
                Add(_answerer.Inside, Line(_answerer.Inside, TcpFlags.Syn | TcpFlags.Ack, _answerer.Initial - 70_000, wrong), "syn-ack to another syn");
                Add(_opener.Inside, Line(_opener.Inside, TcpFlags.Rst, wrong, 0), "reset of a wrong syn-ack");
                break;
            default:
                break;
        }

        // A shift counts only where both offer one (RFC 7323 §2.2).
        _answerer.Scale = _opener.Scale is null ? null : _answerer.Scale;
        _answerer.Next = synAck.End;
        _answerer.Flying.Add(synAck);
        Say(_answerer, synAck, "syn-ack", mayBeLost: false);
        Agree();
        if (_random.Next(10) == 0)
        {
            Say(_answerer, synAck, "syn-ack again", mayBeLost: false);
        }

        if (_random.Next(25) == 0)
        {
            Abort(_random.Next(2) == 0 ? _opener : _answerer);
            return false;
        }

        Acknowledge(_opener, "ack of the handshake");
        while (!_answerer.Established)
        {
            Say(_answerer, synAck, "syn-ack again");
            Acknowledge(_opener, "ack of the handshake");
        }

        return true;
    }

    /// <summary>Both send a SYN (RFC 9293 §3.5, figure 8), or the answerer answers with one: a split handshake.</summary>
    private bool OpenFromBoth(Segment syn, bool split)
    {
        Segment other = new(_answerer.Initial, 0, TcpFlags.Syn);
        _answerer.Scale = _opener.Scale is null ? null : _answerer.Scale;
        _answerer.Next = other.End;

        // Sent before it heard the opener's: no acknowledgment.
        byte[] options = Options(_answerer.Scale);
        PacketLine line = Line(_answerer.Inside, TcpFlags.Syn, other.Sequence, 0, options.Length);
        _talk.Add(new Step(_answerer.Inside, line, "syn from the other end", Expect()) { Options = options, Scale = _answerer.Scale });
        _opener.Hear(other, false, 0, line.Window, 0);
        Agree();
        Say(_opener, syn, "syn-ack of both", mayBeLost: false);
        if (!split)
        {
            Say(_answerer, other, "syn-ack of both", mayBeLost: false);
        }

        Say(_answerer, new(_answerer.Next, 0, 0), "ack of the handshake", mayBeLost: false);
        Say(_opener, new(_opener.Next, 0, 0), "ack of the handshake", mayBeLost: false);
        return true;
    }

    private void Agree()
    {
        bool both = _opener.Scale is not null && _answerer.Scale is not null;
        _opener.Shift = both ? _opener.Scale!.Value : 0;
        _answerer.Shift = both ? _answerer.Scale!.Value : 0;
    }

    private void Acknowledge(TcpTalker who, string kind = "ack") => Say(who, new(who.Next, 0, 0), kind);

    private void Speak(int turns)
    {
        for (int turn = 0; turn < turns && IsSound; turn++)
        {
            TcpTalker who = _random.Next(2) == 0 ? _opener : _answerer;
            switch (_random.Next(12))
            {
                case 0 or 1 when who.Flying.Count > 0:
                    Again(who);
                    break;
                case 2 when who.Flying.Count == 0:
                    Say(who, new(who.Next - 1, _random.Next(2), 0), "keep-alive");
                    break;
                case 3 when who.Next == who.PeerEdge && !who.Finished:
                    Send(who, 1, "probe of a closed window");
                    break;
                case 4 when _random.Next(3) == 0:
                    Abort(who);
                    break;
                case 5 or 6:
                    Acknowledge(who);
                    break;
                case 7:
                    Repeat();
                    break;
                default:
                    Data(who);
                    break;
            }
        }
    }

    private void Data(TcpTalker who)
    {
        if (who.Room == 0 || who.Finished)
        {
            Acknowledge(who);
            return;
        }

        string kind = "data";
        if (_random.Next(5) == 0)
        {
            // Lost ahead of the judges: they see what follows it.
            int lost = _random.Next(1, 1 + Math.Min(who.Room, 100_000));
            who.Flying.Add(new(who.Next, lost, 0));
            who.Next += (uint)lost;
            kind = "data behind a gap";
        }

        if (who.Room > 0)
        {
            Send(who, _random.Next(1, 1 + Math.Min(who.Room, MostBytes)), kind);
        }
    }

    private void Send(TcpTalker who, int length, string kind)
    {
        var segment = new Segment(who.Next, length, 0);
        who.Flying.Add(segment);
        who.Next = segment.End;
        Say(who, segment, kind);
    }

    private void Again(TcpTalker who)
    {
        Segment segment = who.Flying[_random.Next(who.Flying.Count)];
        segment = segment.Length > MostBytes ? segment with { Length = MostBytes, Flags = 0 } : segment;
        bool fin = (segment.Flags & TcpFlags.Fin) != 0;
        Say(who, segment, (segment.Flags & TcpFlags.Syn) != 0 ? "syn-ack again" : fin ? "fin again" : "data again");
    }

    /// <summary>The net doubles a packet; under attack also one of a connection before this.</summary>
    private void Repeat()
    {
        Step step = _talk.Steps[_random.Next(_attack is null ? _begun : 0, _talk.Steps.Count)];
        if (_attack is null && step.Kind.EndsWith("an old connection", StringComparison.Ordinal))
        {
            return;
        }

        _talk.Add(step with { Kind = step.Kind.StartsWith("copy of ", StringComparison.Ordinal) ? step.Kind : $"copy of {step.Kind}", Fate = Fate.Open });
    }

    /// <summary>An end gives up: its RST stands at the next number that its peer expects, unless something was lost.</summary>
    private void Abort(TcpTalker who)
    {
        TcpTalker peer = who == _opener ? _answerer : _opener;
        bool exact = who.Next == peer.Received;
        Say(who, new(who.Next, 0, TcpFlags.Rst), exact ? "reset" : "reset behind a gap", mayBeLost: false);
        IsSound = false;
        for (int left = _random.Next(4); left > 0; left--)
        {
            // What the peer had sent before it heard of it, and what the dead end answers.
            Say(peer, new(peer.Next, _random.Next(2) * 100, 0), "in flight to who reset", Fate.Open, mayBeLost: false);
            if (_random.Next(2) == 0)
            {
                Add(who.Inside, Line(who.Inside, TcpFlags.Rst, peer.Received, 0), "reset of what was in flight");
            }
        }
    }

    private void Close()
    {
        TcpTalker first = _random.Next(2) == 0 ? _opener : _answerer, second = first == _opener ? _answerer : _opener;
        if (!IsSound || _random.Next(8) == 0)
        {
            return;                                         // left open
        }

        Finish(first);
        for (int half = _random.Next(4) == 0 ? _random.Next(5) : 0; half > 0 && IsSound; half--)
        {
            Data(second);
            Acknowledge(first);
        }

        if (_random.Next(10) == 0)
        {
            return;                                         // half open for ever
        }

        Finish(second);
        for (int turn = 0; turn < 20 && IsSound && !(first.Closed && second.Closed); turn++)
        {
            TcpTalker who = _random.Next(2) == 0 ? first : second;
            if (who.Owes && _random.Next(3) != 0)
            {
                Acknowledge(who, who.HeardFin ? "ack of a fin" : "ack");
            }
            else if (who.Flying.Count > 0)
            {
                Again(who);
            }
        }
    }

    private void Finish(TcpTalker who)
    {
        // One behind a full window at the most: a FIN, or the byte of a probe.
        if (!IsSound || (int)(who.Next - who.PeerEdge) > 0)
        {
            return;
        }

        var fin = new Segment(who.Next, 0, TcpFlags.Fin);
        if (who.Room > 0 && _random.Next(4) == 0)
        {
            fin = fin with { Length = _random.Next(1, 1 + Math.Min(who.Room, MostBytes)) };
        }

        who.Next = fin.End;
        who.Finished = true;
        who.Flying.Add(fin);
        Say(who, fin, "fin");
    }

    private Fate Expect() => IsSound && _mayOpen ? Fate.MustPass : Fate.Open;

    /// <summary>A maximum segment size, and perhaps a window scale (RFC 9293 §3.2, RFC 7323 §2.2).</summary>
    private static byte[] Options(int? scale) => scale is { } shift ? [2, 4, 5, 0xb4, 1, 3, 3, (byte)shift] : [2, 4, 5, 0xb4];
}
