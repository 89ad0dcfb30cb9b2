using Filter.Engine.Path;

namespace Filter.Ctl.Service;

/// <summary>How a worker's path stood between two bursts.</summary>
internal readonly record struct PathState(
    int Flows, int Proven, int Management, int SourcesAtLimit, int? JudgedAgain, long Disallowed, long In, long Given, long EventsLost);

/// <summary>What part of the time workers had something to do, over the last moments: they tell how long they slept.</summary>
internal sealed class WorkerLoads : IDisposable
{
    private const int Samples = 6;
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(500);

    private readonly Workforce _workers;
    private readonly (long Time, long[] Slept)[] _samples = new (long, long[])[Samples];
    private readonly Timer _timer;
    private int _next;

    /// <summary>Begins to look.</summary>
    public WorkerLoads(Workforce workers)
    {
        _workers = workers;
        Array.Fill(_samples, Sample());
        _timer = new Timer(_ => Look(), null, s_interval, s_interval);
    }

    /// <summary>Hundredths of the last three seconds that a worker was not asleep.</summary>
    public int Of(int worker)
    {
        (long time, long[] slept) = _samples[Volatile.Read(ref _next)];
        long passed = Math.Max(1, WallClock.Monotonic - time);
        return (int)Math.Clamp(100 - ((_workers.All[worker].Slept - slept[worker]) * 100 / passed), 0, 100);
    }

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        _samples[_next] = Sample();
        Volatile.Write(ref _next, (_next + 1) % Samples);
    }

    private (long Time, long[] Slept) Sample() => (WallClock.Monotonic, [.. _workers.All.Select(static worker => worker.Slept)]);
}
