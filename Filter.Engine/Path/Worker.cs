using System.Collections.Concurrent;
using System.Diagnostics;
using Filter.Engine.Packets;
using Filter.Engine.Ports;

namespace Filter.Engine.Path;

/// <summary>
/// The thread that carries packets: takes a burst from each port in turn, walks it, sends it, and
/// looks at the time. It alone touches the path; others leave messages that it runs between bursts.
/// </summary>
public sealed class Worker
{
    /// <summary>How often time is looked at, in nanoseconds, when packets flow or not.</summary>
    private const long TickInterval = 50_000_000;

    /// <summary>Flows looked at between two bursts after the policy changed: some microseconds.</summary>
    private const int SweepSlice = 64;

    private readonly PacketPath _path;
    private readonly Port[] _ports;
    private readonly Func<int, bool> _wait;
    private readonly Action _wake;
    private readonly Burst _burst = new();
    private readonly ConcurrentQueue<Action<PacketPath>> _mail = new();
    private long _breaths;
    private long _nextTick;
    private volatile bool _stopping;

    /// <summary>A worker for the path and its ports.</summary>
    /// <param name="path">The path; the worker's own from now on.</param>
    /// <param name="wait">Waits for input on any port, at most so many milliseconds.</param>
    /// <param name="wake">Ends that wait; called from other threads.</param>
    public Worker(PacketPath path, Func<int, bool> wait, Action wake)
    {
        _path = path;
        _ports = [.. path.Settings.Ports];
        _wait = wait;
        _wake = wake;
    }

    /// <summary>Turns of the loop so far: a watchdog sees by it that the worker lives.</summary>
    public long Breaths => Volatile.Read(ref _breaths);

    /// <summary>Who gets copies of frames; null for nobody. Set by a message.</summary>
    public PacketTap? Tap { get; set; }

    /// <summary>Leaves a message that the worker runs between two bursts.</summary>
    public void Post(Action<PacketPath> message)
    {
        _mail.Enqueue(message);
        _wake();
    }

    /// <summary>Asks what only the worker may look at; it answers between two bursts.</summary>
    public Task<T> AskAsync<T>(Func<PacketPath, T> question)
    {
        TaskCompletionSource<T> answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Post(path =>
        {
            // What goes wrong in an answer is the asker's, not the packets'.
            try
            {
                answer.SetResult(question(path));
            }
            catch (Exception failure) when (failure is not OutOfMemoryException)
            {
                answer.SetException(failure);
            }
        });
        return answer.Task;
    }

    /// <summary>Ends <see cref="Run"/> after the burst at hand.</summary>
    public void Stop()
    {
        _stopping = true;
        _wake();
    }

    /// <summary>The loop. Returns after <see cref="Stop"/>.</summary>
    public void Run()
    {
        while (!_stopping)
        {
            if (!Breathe())
            {
                _wait(50);
            }
        }
    }

    /// <summary>One turn: each port's burst, the time, a few flows to judge again, the mail.</summary>
    /// <returns>Whether any packet came, or more flows are to be judged.</returns>
    public bool Breathe()
    {
        bool busy = false;
        foreach (Port port in _ports)
        {
            if (port.Failure is not null)
            {
                continue;
            }

            _burst.Now = Now();
            if (port.Receive(_burst) > 0)
            {
                busy = true;
                Tap?.Received(_burst);
                _path.Walk(_burst);
                Transmit();
            }

            _burst.Reset();
        }

        long now = Now();
        if (now >= _nextTick)
        {
            _nextTick = now + TickInterval;
            _burst.Now = now;
            _path.Tick(_burst);
            Transmit();
            _burst.Reset();
        }

        if (_path.JudgedAgain is not null)
        {
            busy |= _path.Sweep(now, SweepSlice);
        }

        while (_mail.TryDequeue(out Action<PacketPath>? message))
        {
            message(_path);
        }

        Volatile.Write(ref _breaths, _breaths + 1);
        return busy;
    }

    private void Transmit()
    {
        if (_burst.Count == 0)
        {
            return;
        }

        Tap?.Walked(_burst);
        foreach (Port port in _ports)
        {
            port.Transmit(_burst);
        }
    }

    private static long Now() => (long)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency));
}
