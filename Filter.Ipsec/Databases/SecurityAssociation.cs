using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Protocols;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Databases;

/// <summary>How far an SA's life has come (RFC 4301 §4.4.2.1).</summary>
public enum SaState : byte
{
    /// <summary>No limit was reached.</summary>
    Live,

    /// <summary>The soft limit was reached: it still carries, and should be replaced.</summary>
    Expiring,

    /// <summary>The hard limit was reached: it carries nothing any more.</summary>
    Expired,
}

/// <summary>
/// One SA in one direction: what it is, its keys, and the state that the worker owns (RFC 4301 §4.4.2.1). Others may read what it
/// is and what it counted.
/// </summary>
public abstract class SecurityAssociation : IDisposable
{
    private long _nextTime = long.MaxValue;
    private long _nextPackets = long.MaxValue;
    private long _nextBytes = long.MaxValue;
    private long _lowAt = long.MaxValue;
    private Ring<IpsecEvent>? _events;
    private bool _wiped;

    /// <summary>Takes the key over.</summary>
    /// <param name="name">Its name in the ruleset, or whatever who made it calls it.</param>
    /// <param name="settings">What both directions have in common.</param>
    /// <param name="spi">The SPI on the wire, from 256.</param>
    /// <param name="key">Its keys.</param>
    /// <param name="selectors">What it may carry, where that is less than its policies name; null for all of that.</param>
    protected SecurityAssociation(string name, SaSettings settings, uint spi, SaKey key, SaSelectors? selectors)
    {
        Name = name;
        Settings = settings;
        Spi = spi;
        Key = key;
        Selectors = selectors;
        (Mode, Protocol, Local, Remote) = (settings.Mode, settings.Protocol, settings.Local ?? default, settings.Remote ?? default);
        Suite = key.Suite;
        Protection = Protection.Of(settings);
    }

    /// <summary>Its name.</summary>
    public string Name { get; internal set; }

    /// <summary>All that was said of it but SPI and keys.</summary>
    public SaSettings Settings { get; private set; }

    /// <summary>The SPI on the wire.</summary>
    public uint Spi { get; }

    /// <summary>50, ESP, or 51, AH.</summary>
    public byte Protocol { get; }

    /// <summary>Transport or tunnel.</summary>
    public IpsecMode Mode { get; }

    /// <summary>Our end; none, all zero, of a transport SA that names none.</summary>
    public Address Local { get; }

    /// <summary>The far end, likewise.</summary>
    public Address Remote { get; private protected set; }

    /// <summary>The algorithms.</summary>
    public IpsecSuite Suite { get; }

    /// <summary>What it may carry, where that is less than its policies name.</summary>
    public SaSelectors? Selectors { get; }

    /// <summary>Its number in the SAD, from 1; 0 while it is not there.</summary>
    public int Number { get; internal set; }

    /// <summary>What tells it from every other that the SAD has had: numbers are used again.</summary>
    internal long Serial { get; set; }

    /// <summary>When it was first looked at, in nanoseconds of the worker's clock.</summary>
    public long Since { get; private set; }

    /// <summary>How far its life has come.</summary>
    public SaState State { get; private set; }

    /// <summary>What it counted.</summary>
    public SaStatistics Statistics { get; } = new();

    /// <summary>The policies that use it, in order.</summary>
    public IReadOnlyList<SpdEntry> Policies => Users;

    internal SaKey Key { get; }

    /// <summary>What it does to packets.</summary>
    internal Protection Protection { get; }

    /// <summary>The worker that owns its counter and window: it alone seals and opens by it.</summary>
    internal int Owner { get; set; }

    /// <summary>Who brought it, and takes it away.</summary>
    public SaOrigin Origin { get; init; }

    /// <summary>It stands in a ruleset, and goes with it.</summary>
    public bool IsOfRuleset => Origin == SaOrigin.Ruleset;

    /// <summary>It stays where no policy uses it: who brought it says by and by which ones do (<see cref="IpsecStage.Assign"/>).</summary>
    public bool StaysAlone => Origin == SaOrigin.KeyManager;

    /// <summary>The same as <see cref="Policies"/>, for the hot path; replaced, never changed.</summary>
    internal SpdEntry[] Users { get; set; } = [];

    /// <summary>The number of the first policy that uses it; 0 where none does.</summary>
    internal ushort Policy => Users.Length == 0 ? (ushort)0 : Users[0].Number;

    /// <summary>Whether another is this one: what makes it an SA is the same, and so are the keys.</summary>
    public bool SameAs(SaSettings settings, uint spi, SaKey key)
    {
        lock (Key)
        {
            return !_wiped && Spi == spi && Settings.IsSameSaAs(settings) && Key.SameAs(key);
        }
    }

    /// <summary>The keys as hex, for root who asks for them; null once they are wiped.</summary>
    public (string Encryption, string Integrity)? RevealKeys()
    {
        lock (Key)
        {
            return _wiped ? null : Key.Reveal();
        }
    }

    /// <summary>The keys, the encryption key with its salt, for who hands them on and wipes them; null once they are wiped.</summary>
    internal (SecretKey Encryption, SecretKey Integrity)? LendKeys()
    {
        lock (Key)
        {
            return _wiped ? null : Key.Lend();
        }
    }

    /// <summary>Wipes the keys. No worker may be using them.</summary>
    public void Dispose()
    {
        lock (Key)
        {
            _wiped = true;
            Key.Dispose();
        }

        GC.SuppressFinalize(this);
    }

    /// <summary>A ruleset says something else of it that does not make it another SA.</summary>
    internal virtual void Adopt(SaSettings settings) => Settings = settings;

    /// <inheritdoc cref="SpdEntry.Warm"/>
    private protected long WarmCommon() => _nextTime + (long)Remote.Low + Spi;

    /// <summary>Its life begins, where it has not yet: its clock with the first look at it.</summary>
    /// <param name="events">Where it tells what it reaches.</param>
    internal void Begin(Ring<IpsecEvent> events)
    {
        _events = events;

        // Limits that a ruleset has raised give its SA more time.
        State = IsOfRuleset ? SaState.Live : State;
        _lowAt = PacketsUntilLow > long.MaxValue - Statistics.Packets ? long.MaxValue : Statistics.Packets + PacketsUntilLow;
        SetLimits(State == SaState.Live ? Settings.Soft : Settings.Hard);
    }

    /// <summary>Whether it may carry one more packet; what was reached meanwhile shows in <see cref="State"/>, and is told.</summary>
    internal bool MayCarry(long now) =>
        (now < _nextTime && Statistics.Packets < _nextPackets && Statistics.Bytes < _nextBytes) || Age(now);

    /// <summary>As <see cref="MayCarry(long)"/>, asked by any worker: whose it is looks at its life.</summary>
    internal bool MayCarry(long now, int worker) => Owner == worker ? MayCarry(now) : State != SaState.Expired;

    /// <summary>Whether what came or goes is between the ends it has: in transport mode its addresses are the packet's own.</summary>
    internal bool IsBetweenEnds(Address local, Address remote) =>
        Mode == IpsecMode.Tunnel || ((Local == default || Local == local) && (Remote == default || Remote == remote));

    /// <summary>How many packets later it should be replaced, because its sequence numbers run out.</summary>
    private protected virtual long PacketsUntilLow => long.MaxValue;

    private bool Age(long now)
    {
        SaState before = State;
        Since = Since == 0 ? now : Since;
        if (State == SaState.Live && (Statistics.Packets >= _lowAt || HasReached(Settings.Soft, now)))
        {
            State = SaState.Expiring;
        }

        if (HasReached(Settings.Hard, now))
        {
            State = SaState.Expired;
        }

        if (State != before)
        {
            IpsecEventKind kind = State == SaState.Expired ? IpsecEventKind.HardExpired : IpsecEventKind.SoftExpired;
            _events?.TryWrite(new IpsecEvent(kind, Policy, this, default, now));
        }

        if (State == SaState.Expired)
        {
            return false;
        }

        SetLimits(State == SaState.Live ? Settings.Soft : Settings.Hard);
        return true;
    }

    private bool HasReached(in SaLifetime limit, long now) =>
        (limit.Nanoseconds > 0 && now - Since >= limit.Nanoseconds)
        || (limit.Packets > 0 && Statistics.Packets >= limit.Packets)
        || (limit.Bytes > 0 && Statistics.Bytes >= limit.Bytes);

    /// <summary>The next point at which to look closely: where nothing is said of the soft limit, the hard one.</summary>
    private void SetLimits(in SaLifetime next)
    {
        SaLifetime hard = Settings.Hard;
        _nextPackets = Math.Min(Sooner(next.Packets, hard.Packets), State == SaState.Live ? _lowAt : long.MaxValue);
        _nextBytes = Sooner(next.Bytes, hard.Bytes);
        long time = Sooner(next.Nanoseconds, hard.Nanoseconds);
        _nextTime = Since == 0 ? 0 : time == long.MaxValue ? time : Since + time;
    }

    private static long Sooner(long one, long other) =>
        Math.Min(one > 0 ? one : long.MaxValue, other > 0 ? other : long.MaxValue);
}

/// <summary>An SA that seals.</summary>
public sealed class OutboundSa : SecurityAssociation
{
    private const long PathMtuLife = 600_000_000_000;

    private readonly bool _mayWrap;
    private readonly ulong _highest;
    private ulong _counter;
    private ulong _limit;
    private ushort _peerPort;

    /// <summary>A new SA whose first packet has the number <paramref name="reserved"/> + 1.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="settings">What both directions have in common.</param>
    /// <param name="spi">The far end's SPI.</param>
    /// <param name="key">Its keys, taken over.</param>
    /// <param name="selectors">What it may carry, where that is less than its policies name.</param>
    /// <param name="reserved">The number up to which an earlier run may have counted.</param>
    /// <param name="limit">The highest number it may use for now.</param>
    public OutboundSa(
        string name, SaSettings settings, uint spi, SaKey key, SaSelectors? selectors = null, ulong reserved = 0, ulong limit = ulong.MaxValue)
        : base(name, settings, spi, key, selectors)
    {
        // Where the receiver does not check, the counter rolls over (RFC 4303 §3.3.3).
        _mayWrap = settings.ReplayWindow == 0;
        _highest = settings.ExtendedSequence ? ulong.MaxValue : uint.MaxValue;
        _counter = reserved;
        _limit = Math.Min(limit, _highest);
        Plan = new SealingPlan(settings, key.Suite);
    }

    /// <summary>What sealing by it comes to.</summary>
    internal SealingPlan Plan;

    /// <inheritdoc/>
    internal override void Adopt(SaSettings settings)
    {
        base.Adopt(settings);
        Plan = new SealingPlan(settings, Suite);
    }

    /// <summary>The number of the last packet; read by any thread. Where it may wrap on the wire, it does not here.</summary>
    public ulong Counter => Volatile.Read(ref _counter);

    /// <summary>The highest number it may use for now; a control thread raises it once the disk has it.</summary>
    public ulong Limit
    {
        get => Volatile.Read(ref _limit);
        internal set => Volatile.Write(ref _limit, Math.Min(value, _highest));
    }

    /// <summary>The highest number it may ever use.</summary>
    public ulong Highest => _highest;

    /// <summary>The largest packet that the path of this SA takes, as was learnt from it; the largest number where nothing was.</summary>
    public int PathMtu { get; private set; } = int.MaxValue;

    /// <summary>When that is forgotten, in nanoseconds of the worker's clock.</summary>
    private long PathMtuUntil { get; set; }

    /// <summary>What the path takes by now: what was learnt is tried anew after ten minutes (RFC 8201 §4).</summary>
    internal int PathMtuAt(long now)
    {
        if (now >= PathMtuUntil)
        {
            PathMtu = int.MaxValue;
        }

        return PathMtu;
    }

    /// <summary>A router on the path said that it takes no more.</summary>
    internal void LearnPathMtu(int mtu, long now)
    {
        PathMtu = mtu;
        PathMtuUntil = now + PathMtuLife;
    }

    /// <summary>In UDP: the port that it sends to.</summary>
    public ushort PeerPort => _peerPort != 0 ? _peerPort : Settings.Encapsulation.GetValueOrDefault().RemotePort;

    /// <summary>The link addresses of what it sealed last, six bytes each; 0 before that.</summary>
    internal (ulong To, ulong From) Link { get; set; }

    /// <summary>In UDP: sends from now on to where the far end has turned up; a tunnel by its address too.</summary>
    internal void Follow(Address address, ushort port)
    {
        _peerPort = port;
        if (Mode == IpsecMode.Tunnel && address != Remote && address.IsIPv4 == Remote.IsIPv4)
        {
            Remote = address;
            PathMtu = int.MaxValue;
        }
    }

    /// <summary>Those of the same SPI, protocol and far end that came before and after it; the SAD's.</summary>
    internal OutboundSa? Older { get; set; }

    /// <inheritdoc cref="Older"/>
    internal OutboundSa? Newer { get; set; }

    /// <summary>When it last sent, in nanoseconds of the worker's clock.</summary>
    internal long LastSent { get; set; }

    /// <summary>Three quarters of the numbers leave time enough.</summary>
    private protected override long PacketsUntilLow =>
        _mayWrap ? long.MaxValue : (long)Math.Min(Math.Max(_highest / 4 * 3, _counter) - _counter, long.MaxValue);

    /// <summary>Whether it carries whatever its policy protects.</summary>
    internal bool CarriesAll => Plan.IsTunnel && Plan.Dscps == 0 && Selectors is null;

    /// <summary>Whether it carries packets of this DSCP (RFC 4301 §4.4.1.2).</summary>
    internal bool Carries(byte trafficClass) => Plan.Dscps == 0 || ((Plan.Dscps >> (trafficClass >> 2)) & 1) != 0;

    /// <inheritdoc cref="SpdEntry.Warm"/>
    internal long Warm() => Key.Warm() + Statistics.Packets + (long)_counter + LastSent + Plan.Icv + WarmCommon();

    /// <summary>The same between other ends, with a key of its own: it counts on.</summary>
    internal OutboundSa Moved(SaSettings settings, SaKey key) =>
        new(Name, settings, Spi, key, Selectors, Counter, Limit) { Origin = Origin };

    /// <summary>Takes the next number, all 64 bits of it; false where none is left.</summary>
    internal bool TryNext(out ulong sequence)
    {
        sequence = _counter + 1;
        if (!_mayWrap && sequence > Volatile.Read(ref _limit))
        {
            sequence = 0;
            Statistics.Exhausted++;
            return false;
        }

        Volatile.Write(ref _counter, sequence);
        return true;
    }
}

/// <summary>An SA that opens.</summary>
public sealed class InboundSa : SecurityAssociation
{
    /// <summary>A new SA, nothing seen.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="settings">What both directions have in common.</param>
    /// <param name="spi">Our SPI.</param>
    /// <param name="key">Its keys, taken over.</param>
    /// <param name="selectors">What it may carry, where that is less than its policies name.</param>
    public InboundSa(string name, SaSettings settings, uint spi, SaKey key, SaSelectors? selectors = null)
        : base(name, settings, spi, key, selectors) =>
        Window = settings.ReplayWindow == 0 ? null : new ReplayWindow(settings.ReplayWindow);

    /// <summary>The replay window; null where replays are not looked for.</summary>
    public ReplayWindow? Window { get; private init; }

    /// <summary>The same between other ends, with a key of its own: what it has received it does not take again.</summary>
    internal InboundSa Moved(SaSettings settings, SaKey key) =>
        new(Name, settings, Spi, key, Selectors) { Window = Window, Origin = Origin };

    /// <summary>The SA that sends to whoever sends by this one, where it is known: it follows the far end if it may.</summary>
    public OutboundSa? Answer { get; set; }

    /// <inheritdoc cref="SpdEntry.Warm"/>
    internal long Warm() => Key.Warm() + (Window?.Warm() ?? 0) + Statistics.Packets + WarmCommon() + (Users is [SpdEntry entry, ..] ? entry.WarmSelectors() : 0);

    /// <summary>Whether it takes ESP that comes so: in UDP to its port, or bare, never both (RFC 3948 §3).</summary>
    internal bool ComesBy(in FlowKey outer) => Settings.Encapsulation is { } udp
        ? outer.Protocol == IpProtocol.Udp && outer.DestinationPort == udp.LocalPort
        : outer.Protocol != IpProtocol.Udp;

    /// <summary>The whole number that a packet's 32 bits stand for; 0 where there is none that could be.</summary>
    internal ulong Extend(uint sequence) =>
        !Settings.ExtendedSequence ? sequence : Window is { } window ? window.Extend(sequence) : sequence;

    /// <summary>
    /// Whether ESP with its SPI is meant for it. A transport SA that names no address of ours shares its SPI with all
    /// that pass by: what none of its policies could let in belongs to others.
    /// </summary>
    internal bool Receives(in FlowKey outer)
    {
        if (Mode == IpsecMode.Tunnel || Local != default)
        {
            return true;
        }

        foreach (SpdEntry entry in Users)
        {
            if (entry.IsBetween(outer.Destination, outer.Source) && IsBetweenEnds(outer.Destination, outer.Source))
            {
                return true;
            }
        }

        return false;
    }
}
