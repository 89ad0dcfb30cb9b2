using Filter.Engine.Packets;

namespace Filter.Ipsec.Databases;

/// <summary>
/// The SAs that seal, by what far ends say of what was sealed: SPI, protocol and far end. Far ends choose those SPIs, so many may
/// be the same: the hash is keyed at random, and what is the same in all three is a list in one place, the newest first.
/// </summary>
internal sealed class SealingIndex
{
    private const int Smallest = 64;

    /// <summary>A far end that gives all its SAs one SPI is asked for the newest of them.</summary>
    private const int LookedAt = 8;

    private OutboundSa?[] _heads = new OutboundSa?[Smallest];
    private int _count;

    /// <summary>The longest run of places that are taken: the most that any search looks at.</summary>
    internal int LongestRun
    {
        get
        {
            int longest = 0, run = 0;
            foreach (OutboundSa? head in _heads)
            {
                run = head is null ? 0 : run + 1;
                longest = Math.Max(longest, run);
            }

            return longest;
        }
    }

    /// <summary>The newest SA between these ends, or between any where it names none.</summary>
    internal OutboundSa? Find(uint spi, byte protocol, Address source, Address destination) =>
        Among(_heads[Place(spi, protocol, destination)], source) ?? Among(_heads[Place(spi, protocol, default)], source);

    internal void Add(OutboundSa sa)
    {
        if ((_count + 1) * 2 > _heads.Length)
        {
            Grow();
        }

        ref OutboundSa? head = ref _heads[Place(sa.Spi, sa.Protocol, sa.Remote)];
        _count += head is null ? 1 : 0;
        Link(sa, head);
        head = sa;
    }

    internal void Remove(OutboundSa sa)
    {
        if (sa.Older is { } older)
        {
            older.Newer = sa.Newer;
        }

        if (sa.Newer is { } newer)
        {
            newer.Older = sa.Older;
        }
        else
        {
            int at = Place(sa.Spi, sa.Protocol, sa.Remote);
            _heads[at] = sa.Older;
            if (sa.Older is null)
            {
                _count--;
                CloseUp(at);
            }
        }

        (sa.Older, sa.Newer) = (null, null);
    }

    private static OutboundSa? Among(OutboundSa? sa, Address source)
    {
        for (int i = 0; i < LookedAt && sa is not null; i++, sa = sa.Older)
        {
            if (sa.Local == default || sa.Local == source)
            {
                return sa;
            }
        }

        return null;
    }

    private static void Link(OutboundSa sa, OutboundSa? head)
    {
        sa.Older = head;
        if (head is not null)
        {
            head.Newer = sa;
        }
    }

    /// <summary>Where the list of these three begins, or would.</summary>
    private int Place(uint spi, byte protocol, Address remote)
    {
        int at = Home(spi, protocol, remote);
        while (_heads[at] is { } head && (head.Spi != spi || head.Protocol != protocol || head.Remote != remote))
        {
            at = (at + 1) & (_heads.Length - 1);
        }

        return at;
    }

    private int Home(uint spi, byte protocol, Address remote) =>
        HashCode.Combine(spi, protocol, remote.High, remote.Low) & (_heads.Length - 1);

    /// <summary>Moves up what stands behind an empty place and would not be found any more.</summary>
    private void CloseUp(int hole)
    {
        int mask = _heads.Length - 1;
        for (int at = (hole + 1) & mask; _heads[at] is { } head; at = (at + 1) & mask)
        {
            if (((at - Home(head.Spi, head.Protocol, head.Remote)) & mask) >= ((at - hole) & mask))
            {
                _heads[hole] = head;
                _heads[at] = null;
                hole = at;
            }
        }
    }

    private void Grow()
    {
        OutboundSa?[] before = _heads;
        _heads = new OutboundSa?[before.Length * 2];
        foreach (OutboundSa? head in before)
        {
            if (head is not null)
            {
                _heads[Place(head.Spi, head.Protocol, head.Remote)] = head;
            }
        }
    }
}
