using Filter.Engine.Packets;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Protocols;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Databases;

/// <summary>What makes an SA the one it is, its keys apart: while these stay, its state stays.</summary>
/// <param name="Spi">The SPI on the wire.</param>
/// <param name="Protocol">IANA number: 50, ESP.</param>
/// <param name="Mode">Transport or tunnel.</param>
/// <param name="Local">Our end: the outer address of a tunnel; of a transport SA the protected end, if said.</param>
/// <param name="Remote">The far end, likewise.</param>
/// <param name="Suite">The algorithms.</param>
/// <param name="ReplayWindow">In packets; 0 for no replay check, and a counter that may wrap.</param>
public sealed record SaIdentity(
    uint Spi, byte Protocol, IpsecMode Mode, Address? Local, Address? Remote, IpsecSuite Suite, int ReplayWindow);

/// <summary>One SA in one direction: what it is, its keys, and the state that a worker owns (RFC 4301 §4.4.2.1).</summary>
public abstract class SecurityAssociation : IDisposable
{
    /// <summary>Takes the key over.</summary>
    protected SecurityAssociation(SaIdentity identity, SaKey key)
    {
        Identity = identity;
        Key = key;
    }

    /// <summary>What makes it the one it is.</summary>
    public SaIdentity Identity { get; }

    /// <summary>What it counted.</summary>
    public SaStatistics Statistics { get; } = new();

    internal SaKey Key { get; }

    /// <summary>Whether another is this one: same identity, same keys.</summary>
    public bool SameAs(SaIdentity identity, SaKey key) => Identity == identity && Key.SameAs(key);

    /// <summary>Wipes the keys. No worker may be using them.</summary>
    public void Dispose()
    {
        Key.Dispose();
        GC.SuppressFinalize(this);
    }
}

/// <summary>An SA that seals.</summary>
public sealed class OutboundSa : SecurityAssociation
{
    private readonly bool _mayWrap;
    private ulong _counter;
    private ulong _limit;

    /// <summary>A new SA whose first packet has the number <paramref name="reserved"/> + 1.</summary>
    /// <param name="identity">What it is.</param>
    /// <param name="key">Its keys, taken over.</param>
    /// <param name="reserved">The number up to which an earlier run may have counted.</param>
    /// <param name="limit">The highest number it may use for now.</param>
    public OutboundSa(SaIdentity identity, SaKey key, ulong reserved = 0, ulong limit = uint.MaxValue)
        : base(identity, key)
    {
        // Where the receiver does not check, the counter rolls over (RFC 4303 §3.3.3).
        _mayWrap = identity.ReplayWindow == 0;
        _counter = reserved;
        _limit = Math.Min(limit, uint.MaxValue);
    }

    /// <summary>The number of the last packet; read by any thread.</summary>
    public ulong Counter => Volatile.Read(ref _counter);

    /// <summary>The highest number it may use for now; a control thread raises it once the disk has it.</summary>
    public ulong Limit
    {
        get => Volatile.Read(ref _limit);
        internal set => Volatile.Write(ref _limit, Math.Min(value, uint.MaxValue));
    }

    /// <summary>Takes the next number; false where none is left.</summary>
    internal bool TryNext(out uint sequence)
    {
        ulong next = _counter + 1;
        if (_mayWrap)
        {
            next &= uint.MaxValue;
        }
        else if (next > Volatile.Read(ref _limit))
        {
            sequence = 0;
            Statistics.Exhausted++;
            return false;
        }

        Volatile.Write(ref _counter, next);
        sequence = (uint)next;
        return true;
    }
}

/// <summary>An SA that opens.</summary>
public sealed class InboundSa : SecurityAssociation
{
    /// <summary>A new SA, nothing seen.</summary>
    public InboundSa(SaIdentity identity, SaKey key)
        : base(identity, key) =>
        Window = identity.ReplayWindow == 0 ? null : new ReplayWindow(identity.ReplayWindow);

    /// <summary>The replay window; null where replays are not looked for.</summary>
    public ReplayWindow? Window { get; }
}
