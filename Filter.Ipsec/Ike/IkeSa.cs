using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Ipsec.Ike.Authentication;
using Filter.Ipsec.Ike.Crypto;
using Filter.Ipsec.Ike.Exchanges;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike;

/// <summary>
/// One IKE SA: its keys, its children, the request that waits for an answer, and the last answer that was given. What a message means is its
/// exchange's.
/// </summary>
internal sealed class IkeSa : Timed
{
    private const long HalfOpenLife = 30_000_000_000;
    private const long ClosedLife = 10_000_000_000;
    private const long ReplacedLife = 60_000_000_000;
    private const long ProofEvery = 20_000_000;

    private readonly Queue<Exchange> _waiting = new();
    private readonly List<(long At, Exchange Exchange)> _later = [];
    private FragmentCollector? _asked;
    private FragmentCollector? _answered;
    private Retransmission _request;
    private IReadOnlyList<byte[]> _answer = [];
    private uint _nextOut;
    private uint _nextIn;
    private long _endsAt = long.MaxValue;
    private long _proofAt = long.MaxValue;

    internal IkeSa(IkeEngine engine, bool isInitiator, ulong spi, in IkePath path, long now)
    {
        (Engine, IsInitiator, OwnSpi, Path, BeganBy, Since, LastHeard) = (engine, isInitiator, spi, path, path, now, now);
    }

    internal IkeEngine Engine { get; }

    internal IkeRandom Random => Engine.Random;

    internal bool IsInitiator { get; }

    internal ulong OwnSpi { get; }

    internal ulong PeersSpi { get; set; }

    internal ulong InitiatorSpi => IsInitiator ? OwnSpi : PeersSpi;

    internal ulong ResponderSpi => IsInitiator ? PeersSpi : OwnSpi;

    /// <summary>Where messages go now.</summary>
    internal IkePath Path { get; set; }

    /// <summary>Where the first message came from, or went to.</summary>
    internal IkePath BeganBy { get; }

    internal long Since { get; }

    internal long LastHeard { get; private set; }

    /// <summary>With whom; null while an answerer does not know.</summary>
    internal Peering? With { get; set; }

    internal IkeSaState State { get; set; }

    /// <summary>What the first messages said, until both have proved who they are.</summary>
    internal Beginning? Beginning { get; set; }

    internal IkeSuite? Suite { get; set; }

    internal IkeKeys? Keys { get; set; }

    internal IkeIdentity? RemoteIdentity { get; set; }

    internal ImmutableArray<SignatureHash> PeersHashes { get; set; } = [];

    /// <summary>What the peer asks us to show.</summary>
    internal ImmutableArray<CertificateRequestPayload> CertificateRequests { get; set; } = [];

    internal bool TakesFragments { get; set; }

    internal bool IsLocalTranslated { get; set; }

    internal bool IsRemoteTranslated { get; set; }

    /// <summary>ESP of its children goes in UDP.</summary>
    internal bool IsEncapsulated => IsLocalTranslated || IsRemoteTranslated || With?.Peer.ForceUdp == true;

    /// <summary>Addresses that the peer gave us.</summary>
    internal ImmutableArray<Address> Given { get; set; } = [];

    /// <summary>Addresses that we gave the peer, from pools.</summary>
    internal ImmutableArray<Address> Leased { get; set; } = [];

    internal List<ChildSa> Children { get; } = [];

    /// <summary>When its keys are renewed.</summary>
    internal long RekeyAt { get; set; } = long.MaxValue;

    /// <summary>The request that waits for its answer.</summary>
    internal Exchange? Pending { get; private set; }

    /// <summary>All that is to be asked yet.</summary>
    internal IEnumerable<Exchange> Awaited => (Pending is null ? [] : new[] { Pending }).Concat(_waiting).Concat(_later.Select(static l => l.Exchange));

    /// <summary>Run once the answer is on its way.</summary>
    internal Action<long>? AfterAnswer { get; set; }

    /// <inheritdoc/>
    internal override long Due
    {
        get
        {
            long due = Math.Min(_endsAt, Pending is null ? long.MaxValue : _request.Due);
            if (State != IkeSaState.Up && State != IkeSaState.Replaced)
            {
                return due;
            }

            foreach ((long at, _) in _later)
            {
                due = Math.Min(due, at);
            }

            due = Math.Min(due, _proofAt);
            return State == IkeSaState.Replaced ? due : Math.Min(Math.Min(due, RekeyAt), AskAt);
        }
    }

    private long AskAt => With is { Peer.DeadPeerAfter: > 0 and long after } && Pending is null ? LastHeard + after : long.MaxValue;

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
        Pending = null;
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

    /// <summary>Both have proved who they are, or an IKE SA took another's place.</summary>
    internal void Rise(long now)
    {
        (State, _endsAt, LastHeard) = (IkeSaState.Up, long.MaxValue, now);
        Beginning?.Dispose();
        Beginning = null;
        long rekey = With!.Peer.Rekey;
        RekeyAt = rekey == 0 ? long.MaxValue : now + Random.Less(rekey, 10);
    }

    /// <summary>We are deleting it.</summary>
    internal void Closing() => State = IkeSaState.Closing;

    /// <summary>It came to be by a collision, and lost: the peer deletes it, or else we do (RFC 7296 §2.8.2).</summary>
    internal void Redundant(long now) => (State, _endsAt) = (IkeSaState.Replaced, now + ReplacedLife);

    /// <summary>The one that is to take its place, up from the start: both ends are known.</summary>
    internal IkeSa Next(bool isInitiator, ulong spi, ulong peersSpi, IkeSuite suite, IkeKeys keys, long now)
    {
        IkeSa next = new(Engine, isInitiator, spi, Path, now)
        {
            PeersSpi = peersSpi, Suite = suite, Keys = keys, With = With, RemoteIdentity = RemoteIdentity, PeersHashes = PeersHashes, TakesFragments = TakesFragments,
            IsLocalTranslated = IsLocalTranslated, IsRemoteTranslated = IsRemoteTranslated,
        };
        Engine.Register(next);
        With!.Sas.Add(next);
        next.Rise(now);
        Engine.Schedule(next);
        return next;
    }

    /// <summary>Another takes its place: children, addresses, and what is to be asked yet.</summary>
    internal void TakenOverBy(IkeSa next, long now)
    {
        if (State == IkeSaState.Up)
        {
            Redundant(now);
        }

        next.Children.AddRange(Children);
        Children.Clear();
        (next.Given, Given) = (Given, []);
        (next.Leased, Leased) = (Leased, []);
        foreach (Address address in next.Leased)
        {
            Engine.Leases.Move(address, next);
        }

        while (_waiting.TryDequeue(out Exchange? exchange))
        {
            next._waiting.Enqueue(exchange);
        }

        next._later.AddRange(_later);
        _later.Clear();
        Engine.Tell(new(IkeEventKind.IkeRekeyed, With!.Name, $"the IKE SA is renewed: {next.InitiatorSpi:x16}/{next.ResponderSpi:x16} {next.Suite}", now));
        next.Pump(now);
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

    /// <inheritdoc/>
    internal override void Tick(long now)
    {
        if (now >= _endsAt)
        {
            End(now);
            return;
        }

        if (now >= _proofAt)
        {
            _proofAt = long.MaxValue;
            foreach (ChildSa child in Children.Where(c => c.State == ChildState.Receiving && Engine.Host.Opened(c) > 0).ToArray())
            {
                Engine.Children.Switch(this, child, now);
            }
        }

        foreach ((long at, Exchange exchange) in _later.ToArray())
        {
            if (now >= at)
            {
                _later.Remove((at, exchange));
                _waiting.Enqueue(exchange);
            }
        }

        if (Pending is not null && now >= _request.Due && !SendAgain(now))
        {
            return;
        }

        if (State == IkeSaState.Up && now >= RekeyAt)
        {
            RekeyAt = long.MaxValue;
            _waiting.Enqueue(new RekeyIkeSa());
        }

        if (State == IkeSaState.Up && now >= AskAt && _waiting.Count == 0 && !HearsOfChildren(now))
        {
            _waiting.Enqueue(new DeadPeer());
        }

        Pump(now);
    }

    /// <summary>It came to nothing.</summary>
    internal void Fail(IkeFailure failure, long now)
    {
        With?.Fail(failure, isSoft: !IsInitiator && State == IkeSaState.Authenticating);
        End(now);
    }

    /// <summary>Renews a child, unless somebody does already.</summary>
    internal bool Renew(ChildSa child, long now)
    {
        if (child.IsRekeying || child.IsClosing || child.State != ChildState.Up || child.Successor is { State: not ChildState.Gone })
        {
            return false;
        }

        child.IsRekeying = true;
        Request(new RekeyChild(child), now);
        return true;
    }

    /// <summary>It is gone: nobody is asked, children and keys go.</summary>
    /// <param name="now">The clock.</param>
    /// <param name="lingering">The peer may ask once more for the answer to what ended it.</param>
    internal void End(long now, bool lingering = false)
    {
        Exchange[] abandoned = [.. Awaited];
        (Pending, _endsAt) = (null, lingering && State != IkeSaState.Closed ? now + ClosedLife : long.MaxValue);
        _waiting.Clear();
        _later.Clear();
        bool first = State != IkeSaState.Closed;
        IkeSaState before = State;
        State = IkeSaState.Closed;
        if (first)
        {
            foreach (Exchange exchange in abandoned)
            {
                exchange.Abandon(this, now);
            }

            Engine.Ended(this, before, now);
        }

        if (!lingering || !first)
        {
            Engine.Forget(this);
            Wipe();
        }
        else
        {
            Engine.Schedule(this);
        }
    }

    internal void Wipe()
    {
        Keys?.Dispose();
        Beginning?.Dispose();
        _asked?.Clear();
        _answered?.Clear();
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
        Pending = null;
        asked.Finish(this, message, now);
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

    /// <summary>What children have opened shows that the peer lives, as messages do.</summary>
    private bool HearsOfChildren(long now)
    {
        bool heard = false;
        foreach (ChildSa child in Children)
        {
            long opened = Engine.Host.Opened(child);
            heard |= opened != child.SeenOpened;
            child.SeenOpened = opened;
        }

        LastHeard = heard ? now : LastHeard;
        return heard;
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
