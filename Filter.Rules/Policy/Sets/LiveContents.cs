using Filter.Engine.Packets;

namespace Filter.Rules.Policy;

/// <summary>An element of a set that changes.</summary>
/// <param name="Range">An address, or a run of them.</param>
/// <param name="Deadline">When it leaves the set: nanoseconds on the path's clock; <see cref="LiveContents.Never"/> for never.</param>
public readonly record struct LiveElement(AddressRange Range, long Deadline);

/// <summary>
/// What a set that changes holds. It outlives the ruleset that named the set: the next one with a set of that name goes on with it. Whoever
/// changes it does so under a lock and publishes a whole new image; the worker reads images and never waits.
/// </summary>
public sealed class LiveContents
{
    /// <summary>The deadline of what stays.</summary>
    public const long Never = long.MaxValue;

    private readonly Lock _gate = new();
    private readonly Dictionary<AddressRange, long> _elements = [];
    private readonly HashSet<AddressRange> _written = [];
    private LiveImage _image = LiveImage.Empty;

    /// <summary>The image in force.</summary>
    internal LiveImage Image => Volatile.Read(ref _image);

    /// <summary>Adds elements; one that is there gets the new deadline.</summary>
    /// <param name="ranges">Which.</param>
    /// <param name="deadline">When they leave.</param>
    /// <param name="now">The time: what is over makes room.</param>
    /// <param name="most">Most elements that there may be.</param>
    /// <returns>False, and nothing is added, where there would be more.</returns>
    public bool TryAdd(IReadOnlyCollection<AddressRange> ranges, long deadline, long now, int most)
    {
        lock (_gate)
        {
            Forget(now);
            if (_elements.Count + ranges.Count(range => !_elements.ContainsKey(range)) > most)
            {
                return false;
            }

            foreach (AddressRange range in ranges)
            {
                _elements[range] = deadline;
            }

            Publish();
            return true;
        }
    }

    /// <summary>
    /// Adds what the ruleset itself writes into the set, once: what has been added so before keeps its deadline, or stays away
    /// if it is over or was deleted. What is written no more leaves.
    /// </summary>
    public void Seed(IReadOnlyCollection<LiveElement> elements, long now)
    {
        lock (_gate)
        {
            Forget(now);
            HashSet<AddressRange> written = [.. elements.Select(static one => one.Range)];
            foreach (AddressRange gone in _written.Where(range => !written.Contains(range)))
            {
                _elements.Remove(gone);
            }

            foreach (LiveElement element in elements.Where(one => !_written.Contains(one.Range)))
            {
                _elements[element.Range] = element.Deadline;
            }

            _written.Clear();
            _written.UnionWith(written);
            Publish();
        }
    }

    /// <summary>Takes elements out, as they were added; gives those that were not there.</summary>
    public IReadOnlyList<AddressRange> Delete(IEnumerable<AddressRange> ranges, long now)
    {
        lock (_gate)
        {
            Forget(now);
            List<AddressRange> strangers = [.. ranges.Where(range => !_elements.Remove(range))];
            Publish();
            return strangers;
        }
    }

    /// <summary>Takes everything out.</summary>
    public void Clear()
    {
        lock (_gate)
        {
            _elements.Clear();
            _written.Clear();
            Publish();
        }
    }

    /// <summary>Puts these, which stay, in the place of everything; false where it has just these already.</summary>
    public bool Replace(IEnumerable<AddressRange> ranges)
    {
        lock (_gate)
        {
            HashSet<AddressRange> next = [.. ranges];
            if (next.SetEquals(_elements.Keys))
            {
                return false;
            }

            _elements.Clear();
            foreach (AddressRange range in next)
            {
                _elements[range] = Never;
            }

            Publish();
            return true;
        }
    }

    /// <summary>The elements that are not over, in the order of their addresses.</summary>
    public IReadOnlyList<LiveElement> List(long now)
    {
        lock (_gate)
        {
            return [.. _elements.Where(one => one.Value > now).Select(static one => new LiveElement(one.Key, one.Value)).OrderBy(static one => one.Range.First).ThenBy(static one => one.Range.Last)];
        }
    }

    private void Forget(long now)
    {
        foreach (AddressRange range in _elements.Where(one => one.Value <= now).Select(static one => one.Key).ToArray())
        {
            _elements.Remove(range);
        }
    }

    private void Publish() => Volatile.Write(ref _image, LiveImage.Of([.. _elements.Select(static one => new LiveElement(one.Key, one.Value))]));
}

/// <summary>What the worker sees of a set that changes: disjoint runs in order, each with the last moment that it is held. Immutable.</summary>
internal sealed class LiveImage
{
    private readonly AddressRange[] _runs;
    private readonly long[] _deadlines;

    private LiveImage(AddressRange[] runs, long[] deadlines)
    {
        _runs = runs;
        _deadlines = deadlines;
        Ends = [.. deadlines.Where(static deadline => deadline != LiveContents.Never).Distinct().Order()];
    }

    /// <summary>No address.</summary>
    public static LiveImage Empty { get; } = new([], []);

    /// <summary>When something leaves, the earliest first.</summary>
    public long[] Ends { get; }

    /// <summary>The image of elements that may overlap: an address is held as long as one of them holds it.</summary>
    public static LiveImage Of(LiveElement[] elements)
    {
        if (elements.Length == 0)
        {
            return Empty;
        }

        Array.Sort(elements, static (a, b) => a.Range.First.CompareTo(b.Range.First));
        SortedSet<Address> cuts = [];
        foreach (LiveElement element in elements)
        {
            cuts.Add(element.Range.First);
            if (element.Range.Last != AddressRange.Everything.Last)
            {
                cuts.Add(element.Range.Last.Next());
            }
        }

        List<AddressRange> runs = [];
        List<long> deadlines = [];
        PriorityQueue<LiveElement, long> holding = new(Comparer<long>.Create(static (a, b) => b.CompareTo(a)));
        Address[] starts = [.. cuts];
        int next = 0;
        for (int i = 0; i < starts.Length; i++)
        {
            for (; next < elements.Length && elements[next].Range.First == starts[i]; next++)
            {
                holding.Enqueue(elements[next], elements[next].Deadline);
            }

            while (holding.TryPeek(out LiveElement top, out _) && top.Range.Last < starts[i])
            {
                holding.Dequeue();
            }

            if (!holding.TryPeek(out LiveElement longest, out long deadline))
            {
                continue;
            }

            Address last = i + 1 < starts.Length ? starts[i + 1].Previous() : longest.Range.Last;
            if (runs.Count > 0 && deadlines[^1] == deadline && runs[^1].Last.Next() == starts[i])
            {
                runs[^1] = new(runs[^1].First, last);
            }
            else
            {
                runs.Add(new(starts[i], last));
                deadlines.Add(deadline);
            }
        }

        return new([.. runs], [.. deadlines]);
    }

    /// <summary>Whether the address is held at that time.</summary>
    public bool Contains(Address address, long now) => AddressRange.Find(_runs, address) is >= 0 and var run && _deadlines[run] > now;
}
