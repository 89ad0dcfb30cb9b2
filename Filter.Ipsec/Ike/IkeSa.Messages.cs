using Filter.Ipsec.Ike.Exchanges;
using Filter.Ipsec.Ike.Payloads;

namespace Filter.Ipsec.Ike;

/// <summary>The messages of an IKE SA: what is asked, sent again, and answered, one at a time and each once (RFC 7296 §2.1 to §2.3).</summary>
internal sealed partial class IkeSa
{
    /// <summary>Asks, as soon as what was asked before is answered.</summary>
    internal void Request(Exchange exchange, long now)
    {
        _waiting.Enqueue(exchange);
        Pump(now);
    }

    /// <summary>Asks after a while.</summary>
    internal void RequestLater(Exchange exchange, long at)
    {
        _later.Add((at, exchange));
        Engine.Schedule(this);
    }

    /// <summary>Sends the first message, or the first one anew with a cookie or another group (RFC 7296 §2.6, §2.7).</summary>
    internal void SendInit(Exchange init, byte[] message, long now)
    {
        Pending = init;
        _request = Retransmission.Of([message], Random, now);
        Send(_request.Datagrams);
        Engine.Schedule(this);
    }

    /// <summary>The answer to the first message has come: the next has the number 1.</summary>
    internal void InitDone()
    {
        (Pending, _request) = (null, default);
        _nextOut = 1;
        State = IkeSaState.Authenticating;
    }

    /// <summary>An unproven error: what was asked is asked some seconds more.</summary>
    internal void Doubt(long now)
    {
        _request.Doubt(now);
        Engine.Schedule(this);
    }

    /// <summary>The first message is answered; the next that is awaited has the number 1.</summary>
    internal void AnswerInit(byte[] message, long now)
    {
        (_answer, _nextIn, State, _endsAt) = ([message], 1, IkeSaState.Authenticating, now + HalfOpenLife);
        Send(_answer);
        Engine.Schedule(this);
    }

    /// <summary>The first message came once more: so does its answer.</summary>
    internal void RepeatInit()
    {
        if (State == IkeSaState.Authenticating && Keys is null)
        {
            Engine.Counters.Retransmitted++;
            Send(_answer);
        }
    }

    /// <summary>A message with its SPIs came.</summary>
    internal void Receive(in IkeHeader header, ReadOnlySpan<byte> datagram, in IkePath path, long now)
    {
        if (header.FromInitiator == IsInitiator || (PeersSpi != 0 && header.InitiatorSpi != InitiatorSpi) || header.ResponderSpi != ResponderSpi)
        {
            Engine.Counters.UnknownSpi++;
            return;
        }

        if (header.IsResponse)
        {
            ReceiveAnswer(header, datagram, path, now);
        }
        else
        {
            ReceiveRequest(header, datagram, path, now);
        }

        if (State != IkeSaState.Closed)
        {
            Pump(now);
        }
    }

    /// <summary>A request that nobody answers, and nobody need: said once.</summary>
    internal void SayOnce(IEnumerable<Payload> payloads, long now)
    {
        if (Keys is not null && Pending is null)
        {
            Send(Seal(ExchangeType.Informational, isResponse: false, _nextOut++, payloads));
        }
    }

    /// <summary>Sends what is asked next, where nothing waits for an answer.</summary>
    internal void Pump(long now)
    {
        while (Pending is null && State is IkeSaState.Authenticating or IkeSaState.Up or IkeSaState.Replaced or IkeSaState.Closing && _waiting.TryDequeue(out Exchange? next))
        {
            if (next.Build(this, now) is { } payloads)
            {
                Pending = next;
                _request = Retransmission.Of(Seal(next.Type, isResponse: false, _nextOut, payloads), Random, now);
                _nextOut++;
                Send(_request.Datagrams);
            }
        }

        if (_proofAt == long.MaxValue && Children.Exists(static c => c.State == ChildState.Receiving))
        {
            _proofAt = now + ProofEvery;
        }

        Engine.Schedule(this);
    }

    private bool SendAgain(long now)
    {
        if (_request.IsGivenUp(now))
        {
            Engine.Unanswered(this, now);
            return false;
        }

        _request.Again(Random, now);
        Engine.Counters.Retransmitted++;
        Send(_request.Datagrams);
        return true;
    }

    private void ReceiveAnswer(in IkeHeader header, ReadOnlySpan<byte> datagram, in IkePath path, long now)
    {
        if (Pending is not { } asked || header.MessageId != _nextOut - 1 || header.Exchange != asked.Type || Keys is null)
        {
            Engine.Counters.OutOfWindow++;
            return;
        }

        if (!TryOpen(header, datagram, TakesFragments ? _answered ??= new() : null, out IkeMessage? message, out _) || message is null)
        {
            return;
        }

        Heard(path, now);
        (Pending, _request) = (null, default);
        asked.Finish(this, message, now);
        DeletedEarly.Clear();
    }

    private void ReceiveRequest(in IkeHeader header, ReadOnlySpan<byte> datagram, in IkePath path, long now)
    {
        bool isAuthenticating = State == IkeSaState.Authenticating && !IsInitiator;
        bool hasPlace = isAuthenticating
            ? header.Exchange == ExchangeType.IkeAuth
            : State is not (IkeSaState.Connecting or IkeSaState.Authenticating)
                && (header.Exchange is ExchangeType.CreateChildSa or ExchangeType.Informational || header.MessageId == _nextIn - 1);
        if (!hasPlace)
        {
            Engine.Counters.OutOfPlace++;
            return;
        }

        if (header.MessageId == _nextIn - 1 && _nextIn > 0)
        {
            Repeat(header, datagram, path);
            return;
        }

        if (header.MessageId != _nextIn || State == IkeSaState.Closed || (isAuthenticating && !TryDerive(now)))
        {
            Engine.Counters.OutOfWindow++;
            return;
        }

        if (!TryOpen(header, datagram, TakesFragments ? _asked ??= new() : null, out IkeMessage? message, out IkeFault fault))
        {
            Refuse(header.Exchange, fault, now);
            return;
        }

        if (message is null)
        {
            return;
        }

        if (isAuthenticating)
        {
            Path = path;
        }

        Heard(path, now);
        if (Instead is { State: IkeSaState.Up } old && !message.All<DeletePayload>().Any(static d => d.Protocol == IkeProtocol.Ike))
        {
            old.TakenOverBy(this, now);
        }

        Answer(header.Exchange, header.Exchange switch
        {
            ExchangeType.IkeAuth => IkeAuth.Answer(this, message, now),
            ExchangeType.CreateChildSa => CreateChild.Answer(this, message, now),
            _ => Informational.Answer(this, message, now),
        }, now);
    }

    /// <summary>Errors in what was said by who has the keys: what is critical and unknown is refused, what is no message ends the IKE SA (RFC 7296 §2.21).</summary>
    private void Refuse(ExchangeType exchange, in IkeFault fault, long now)
    {
        if (!fault.IsProven)
        {
            return;
        }

        if (fault.Kind == IkeFaultKind.UnsupportedCritical)
        {
            Answer(exchange, [new NotifyPayload(NotifyType.UnsupportedCriticalPayload, new[] { fault.Payload })], now);
            return;
        }

        string text = fault.Text;
        AfterAnswer = at => Fail(new(IkeFailureKind.Refused, $"the peer sent what is no message: {text}", at), at);
        Answer(exchange, [new NotifyPayload(NotifyType.InvalidSyntax)], now);
    }

    private void Answer(ExchangeType exchange, IEnumerable<Payload> payloads, long now)
    {
        _answer = Seal(exchange, isResponse: true, _nextIn, payloads);
        _nextIn++;
        Send(_answer);
        Action<long>? after = AfterAnswer;
        AfterAnswer = null;
        after?.Invoke(now);
    }

    /// <summary>The last request came once more: so does its answer, once, for the first fragment of it (RFC 7383 §2.6.1).</summary>
    private void Repeat(in IkeHeader header, ReadOnlySpan<byte> datagram, in IkePath path)
    {
        const int numberAt = IkeHeader.Length + Payload.HeaderLength;
        bool isLater = header.FirstPayload == PayloadType.EncryptedFragment && (datagram.Length < numberAt + 2 || datagram[numberAt] != 0 || datagram[numberAt + 1] != 1);
        Engine.Counters.OutOfWindow++;
        if (!isLater && Keys is not null && IkeCodec.TryOpen(datagram, header, Keys.Incoming, new FragmentCollector(), out _, out _))
        {
            Engine.Counters.Retransmitted++;
            Send(_answer);
        }
    }

    private bool TryOpen(in IkeHeader header, ReadOnlySpan<byte> datagram, FragmentCollector? fragments, out IkeMessage? message, out IkeFault fault)
    {
        if (IkeCodec.TryOpen(datagram, header, Keys!.Incoming, fragments, out message, out fault))
        {
            return true;
        }

        _ = fault.Kind == IkeFaultKind.BadIcv ? Engine.Counters.BadIcv++ : Engine.Counters.Malformed++;
        return false;
    }

    /// <summary>An answerer computes its keys when the second message comes: a first one costs no more than a key pair.</summary>
    private bool TryDerive(long now)
    {
        if (Keys is not null)
        {
            return true;
        }

        if (Beginning?.TryDerive(this, out string? why) == true)
        {
            return true;
        }

        _ = now;
        Engine.Counters.Malformed++;
        return false;
    }

    /// <summary>Who is behind no translator himself follows one who is (RFC 7296 §2.23).</summary>
    private void Heard(in IkePath path, long now)
    {
        LastHeard = now;
        if (path != Path && !IsLocalTranslated && IsRemoteTranslated && State != IkeSaState.Connecting)
        {
            Path = path;
        }
    }

    private IReadOnlyList<byte[]> Seal(ExchangeType exchange, bool isResponse, uint id, IEnumerable<Payload> payloads)
    {
        IkeHeader header = new(InitiatorSpi, ResponderSpi, exchange, isResponse, IsInitiator, id);
        const int udp = 8, marker = 4, four = 20, six = 40;
        int around = udp + (Path.IsMarked ? marker : 0) + (Path.Remote.IsIPv4 ? four : six);
        int? size = TakesFragments && With is { } with ? with.Peer.FragmentSize - around : null;
        return IkeCodec.Seal(new IkeMessage(header, [.. payloads]), Keys!.Outgoing, size);
    }

    private void Send(IReadOnlyList<byte[]> datagrams)
    {
        foreach (byte[] datagram in datagrams)
        {
            Engine.Counters.Sent++;
            Engine.Host.Send(Path, datagram);
        }
    }
}
