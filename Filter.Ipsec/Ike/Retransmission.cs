namespace Filter.Ipsec.Ike;

/// <summary>A request until it is answered: sent again, ever more slowly, by who asks alone (RFC 7296 §2.1, §2.4).</summary>
internal struct Retransmission
{
    private const long First = 500_000_000;
    private const long Slowest = 16_000_000_000;

    /// <summary>Some 64 seconds in all.</summary>
    private const int Most = 8;

    private int _sent;

    /// <summary>What was sent, in fragments where it is long.</summary>
    internal IReadOnlyList<byte[]> Datagrams { get; private set; }

    /// <summary>When it is sent again or given up; the largest number for never.</summary>
    internal long Due { get; private set; }

    /// <summary>Whether it was sent for the last time, and the wait for that is over too.</summary>
    internal readonly bool IsGivenUp(long now) => _sent >= Most && now >= Due;

    internal static Retransmission Of(IReadOnlyList<byte[]> datagrams, IkeRandom random, long now)
    {
        Retransmission made = new() { Datagrams = datagrams };
        made.Again(random, now);
        return made;
    }

    /// <summary>It is sent once more.</summary>
    internal void Again(IkeRandom random, long now)
    {
        long wait = Math.Min(First << Math.Min(_sent, 10), Slowest);
        _sent++;
        Due = now + random.Less(wait + (wait / 10), 20);
    }

    /// <summary>Somebody who proved nothing says that it is in vain: it is tried some seconds more, and no longer.</summary>
    internal void Doubt(long now)
    {
        const long left = 4_000_000_000;
        if (_sent < Most)
        {
            _sent = Most;
            Due = Math.Min(now + left, Due + left);
        }
    }
}
