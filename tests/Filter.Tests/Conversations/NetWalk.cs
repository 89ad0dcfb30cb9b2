using System.Runtime.CompilerServices;
using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;

namespace Filter.Tests.Conversations;

/// <summary>
/// The walk of a test's gateway, by one path or by the workers of a crew, turn by turn on the test's thread: what it says is of all of
/// them. With FILTER_WORKERS=2 every net has two.
/// </summary>
internal sealed class NetWalk
{
    private readonly PacketPath[] _paths;
    private readonly Crew? _crew;
    private int _turn;

    /// <summary>Builds it.</summary>
    /// <param name="settings">What each path is built from.</param>
    /// <param name="workers">How many; 0 for what the environment says.</param>
    /// <param name="stage">The IPsec stage of each worker, by its place in the crew; null for none.</param>
    public NetWalk(PathSettings settings, int workers = 0, Func<Seat?, IIpsecStage?>? stage = null)
    {
        workers = workers > 0 ? workers : Usual;
        if (workers == 1)
        {
            _paths = [new PacketPath<NoTrace>(settings with { Ipsec = stage?.Invoke(null) })];
            return;
        }

        _crew = new Crew(workers, settings.Ports, settings.Local);
        _paths = [.. _crew.Seats.Select(seat => new PacketPath<NoTrace>(settings with { Seat = seat, Ipsec = stage?.Invoke(seat) }))];
    }

    /// <summary>How many workers a net has that does not say.</summary>
    public static int Usual { get; } = int.TryParse(Environment.GetEnvironmentVariable("FILTER_WORKERS"), out int workers) ? workers : 1;

    /// <summary>How many workers.</summary>
    public int Workers => _paths.Length;

    /// <summary>The only path: for what looks into it, and so has one worker.</summary>
    public PacketPath Single => _paths.Length == 1 ? _paths[0] : throw new InvalidOperationException("this net has several workers");

    /// <summary>Each worker's.</summary>
    public IReadOnlyList<PacketPath> Paths => _paths;

    /// <summary>Of all workers, as they stand.</summary>
    public PathCounters Counters => PathCounters.Of([.. _paths.Select(path => path.Counters)]);

    /// <summary>The flows of all workers.</summary>
    public NetFlows Flows => new(_paths);

    /// <summary>What waits.</summary>
    public long HeldNow => _paths.Sum(path => path.HeldNow);

    /// <summary>The ruleset in force.</summary>
    public IRuleset Ruleset => _paths[0].Ruleset;

    /// <summary>Of the worker that is least far.</summary>
    public int? JudgedAgain => _paths.Min(path => path.JudgedAgain ?? 100) is < 100 and var least ? least : null;

    /// <summary>Events of all workers.</summary>
    public NetRing<PathEvent> Events => new([.. _paths.Select(path => path.Events)]);

    /// <summary>Ends of all workers.</summary>
    public NetRing<FlowEnd> Ends => new([.. _paths.Select(path => path.Ends)]);

    /// <summary>Walks a burst; <paramref name="walked"/> sees it, and what it led to at other workers, before it is emptied.</summary>
    public void Walk(Burst burst, Action<Burst> walked)
    {
        if (_crew is null)
        {
            _paths[0].Walk(burst);
            walked(burst);
            burst.Reset();
            return;
        }

        _crew.Walk(burst, _turn, (walk, _) => walked(walk));
        _turn = (_turn + 1) % _paths.Length;                 // packets come in at whichever worker
    }

    /// <summary>The flow that a packet with this key belongs to, at whichever worker.</summary>
    public bool TryFind(in FlowKey key, out Flow flow)
    {
        foreach (PacketPath path in _paths)
        {
            if (path.Flows.Find(key, out _) is var number and not 0)
            {
                flow = path.Flows[number];
                return true;
            }
        }

        flow = default;
        return false;
    }

    /// <summary>What the packet's home knows of it.</summary>
    public PathExcerpt Excerpt(in FlowKey key, byte ingress, long now) =>
        _paths[_crew?.Homes.Of(key.Source, key.Destination) ?? 0].Excerpt(key, ingress, now);

    /// <summary>Lets the time pass.</summary>
    public void Tick(Burst burst, Action<Burst> walked)
    {
        if (_crew is not null)
        {
            _crew.Tick(burst, (walk, _) => walked(walk));
            return;
        }

        _paths[0].Tick(burst);
        walked(burst);
        burst.Reset();
    }

    /// <summary>Puts a ruleset in force.</summary>
    public void Publish(IRuleset ruleset, bool keepsFlows = false, Func<int, IIpsecStage?>? stage = null)
    {
        for (int worker = 0; worker < _paths.Length; worker++)
        {
            _paths[worker].Publish(_paths[worker].Prepare(ruleset, keepsFlows), stage?.Invoke(worker));
        }
    }

    /// <summary>Sweeps at each worker.</summary>
    public bool Sweep(long now, int most) => _paths.Aggregate(false, (any, path) => path.Sweep(now, most) || any);

    /// <summary>The rule by which a flow was let in.</summary>
    public RuleName RuleOf(in Flow flow) => _paths[0].RuleOf(flow);
}

/// <summary>Flows of all workers, and what is counted of them.</summary>
internal readonly struct NetFlows(PacketPath[] paths)
{
    public int Count => paths.Sum(path => path.Flows.Count);

    public int Proven => paths.Sum(path => path.Flows.Proven);

    public int Management => paths.Sum(path => path.Flows.Management);

    public int SourcesAtLimit => paths.Sum(path => path.Flows.SourcesAtLimit);

    public int Last => paths.Sum(path => path.Flows.Last);

    public NetExpectations Expectations => new(paths);

    /// <summary>The flow of that number; with several workers counted from 1 in the order of workers and numbers.</summary>
    public ref Flow this[int number]
    {
        get
        {
            if (paths.Length == 1)
            {
                return ref paths[0].Flows[number];
            }

            foreach (PacketPath path in paths)
            {
                if (number <= path.Flows.Last)
                {
                    return ref path.Flows[number];
                }

                number -= path.Flows.Last;
            }

            return ref Unsafe.NullRef<Flow>();
        }
    }
}

/// <summary>Expectations of all workers.</summary>
internal readonly struct NetExpectations(PacketPath[] paths)
{
    public int Count => paths.Sum(path => path.Flows.Expectations.Count);

    /// <summary>Of one worker.</summary>
    public int Capacity => paths[0].Flows.Expectations.Capacity;
}

/// <summary>The rings of all workers, one after the other.</summary>
internal readonly struct NetRing<T>(Ring<T>[] rings)
    where T : struct
{
    public long Lost => rings.Sum(ring => ring.Lost);

    public bool TryRead(out T taken)
    {
        foreach (Ring<T> ring in rings)
        {
            if (ring.TryRead(out taken))
            {
                return true;
            }
        }

        taken = default;
        return false;
    }
}
