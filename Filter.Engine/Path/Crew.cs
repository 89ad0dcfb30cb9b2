using Filter.Engine.Flows;
using Filter.Engine.Local;
using Filter.Engine.Packets;
using Filter.Engine.Ports;

namespace Filter.Engine.Path;

/// <summary>
/// Several workers of one gateway, each with a path of its own: its flows, its fragments, its counters, which nobody else writes.
/// What they have in common is here: who is at home where, the ways between them, and what one alone may change and all read.
/// </summary>
public sealed class Crew
{
    /// <summary>Most workers.</summary>
    public const int Most = 64;

    /// <summary>Bytes that wait for one worker, of all the others together; more where that is too little for two long frames each.</summary>
    private const int RoomForFrames = 8 << 20;

    private readonly Seat[] _seats;
    private readonly PacketPath?[] _paths;
    private int _changes;
    private bool _begun;
    private int _edition;

    /// <summary>A crew of so many workers. Each is given one of its <see cref="Seats"/> with what its path is built from.</summary>
    /// <param name="workers">How many, from 2 to <see cref="Most"/>.</param>
    /// <param name="ports">The ports of all of them.</param>
    /// <param name="local">The gateway's own addresses.</param>
    public Crew(int workers, IReadOnlyList<Port> ports, LocalNetwork? local = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(workers, 2);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(workers, Most);
        Homes = new Homes(workers);
        Bridge = new Bridge(ports, local ?? LocalNetwork.None);
        _paths = new PacketPath?[workers];
        _seats = [.. Enumerable.Range(0, workers).Select(number => new Seat(this, number))];
        int room = RoomForFrames / (workers - 1);
        foreach (Seat seat in _seats)
        {
            seat.Hear(_seats, room);
        }
    }

    /// <summary>One for each worker.</summary>
    public IReadOnlyList<Seat> Seats => _seats;

    /// <summary>Who is at home where.</summary>
    public Homes Homes { get; }

    /// <summary>The paths, once each was built.</summary>
    internal ReadOnlySpan<PacketPath?> Paths => _paths;

    /// <summary>Which link address stands behind which port: what one worker saw, all know.</summary>
    internal Bridge Bridge { get; }

    /// <summary>How often the ruleset in force came to say something else, by the time or its sets: the first worker looks.</summary>
    internal int Changes
    {
        get => Volatile.Read(ref _changes);
        set => Volatile.Write(ref _changes, value);
    }

    /// <summary>Rises when policies or SAs change: what is on its way between workers by then, and speaks of them, ends.</summary>
    internal int Edition => Volatile.Read(ref _edition);

    /// <summary>Policies or SAs have changed, while all workers stood still.</summary>
    public void Renew() => Volatile.Write(ref _edition, _edition + 1);

    /// <summary>
    /// Walks a burst with all workers, turn by turn on the calling thread, until nothing is on its way between them: what tests do,
    /// and whoever wants the same each time.
    /// </summary>
    /// <param name="burst">What came in, at one worker; empty afterwards.</param>
    /// <param name="by">That worker.</param>
    /// <param name="walked">Called for each burst that was walked, before it is emptied, with the worker.</param>
    public void Walk(Burst burst, int by, Action<Burst, int> walked)
    {
        Begin(burst.Now);
        _seats[by].Spread(burst);
        Walk(burst, by, walked, Step.Walk);
        WalkRest(burst, walked);
    }

    /// <summary>Lets all look at the time, as <see cref="Walk(Burst, int, Action{Burst, int})"/> walks.</summary>
    public void Tick(Burst burst, Action<Burst, int> walked)
    {
        Begin(burst.Now);
        for (int worker = 0; worker < _seats.Length; worker++)
        {
            Walk(burst, worker, walked, Step.Tick);
        }

        WalkRest(burst, walked);
    }

    /// <summary>Lets the ruleset look at the time, before any of them asks it.</summary>
    public void Begin(long now)
    {
        if (!_begun)
        {
            _begun = true;
            _paths[0]!.Begin(now);
        }
    }

    /// <summary>A path takes its seat.</summary>
    internal void Join(PacketPath path, int number) => _paths[number] = path;

    private void WalkRest(Burst burst, Action<Burst, int> walked)
    {
        for (bool more = true; more;)
        {
            more = false;
            foreach (Seat seat in _seats)
            {
                for (int from = 0; from < _seats.Length; from++)
                {
                    while (seat.Take(burst, from, out GuestState kind) > 0)
                    {
                        Walk(burst, seat.Number, walked, kind == GuestState.NeedsHop ? Step.Resolve : Step.Walk);
                        seat.Release(from);
                        more = true;
                    }
                }
            }
        }
    }

    private void Walk(Burst burst, int worker, Action<Burst, int> walked, Step step)
    {
        PacketPath path = _paths[worker]!;
        path.Serve(burst.Now);
        switch (step)
        {
            case Step.Tick:
                path.Tick(burst);
                break;
            case Step.Resolve:
                path.Resolve(burst);
                break;
            default:
                path.Walk(burst);
                break;
        }

        _seats[worker].Publish();
        walked(burst, worker);
        burst.Reset();
        foreach (PacketPath? other in _paths)
        {
            other!.Serve(burst.Now);
        }
    }

    /// <summary>What a worker does in its turn.</summary>
    private enum Step
    {
        Walk,
        Tick,
        Resolve,
    }
}
