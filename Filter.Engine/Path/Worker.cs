using System.Collections.Concurrent;
using System.Diagnostics;
using Filter.Engine.Packets;
using Filter.Engine.Ports;

namespace Filter.Engine.Path;

/// <summary>How a worker sends by a port.</summary>
/// <param name="Port">What it sends with: the port itself, or a companion of it; null where the port's own worker alone can.</param>
/// <param name="Mask">The port's bit.</param>
/// <param name="Owner">The port's own worker.</param>
public readonly record struct PortWay(Port? Port, ushort Mask, int Owner);

/// <summary>
/// The thread that carries packets: takes a burst from each port in turn, walks it, sends it, and
/// looks at the time. It alone touches the path; others leave messages that it runs between bursts. Where there are several, it
/// hands out what is at home elsewhere, and takes what the others hand to it.
/// </summary>
public sealed class Worker
{
    /// <summary>How often time is looked at, in nanoseconds, when packets flow or not.</summary>
    private const long TickInterval = 50_000_000;

    /// <summary>Flows looked at between two bursts, after the policy changed or where many have ended: some microseconds.</summary>
    private const int SweepSlice = 64;

    /// <summary>How long it sleeps at most, in milliseconds.</summary>
    private const int LongestSleep = 50;

    private readonly PacketPath _path;
    private readonly Port[] _ports;
    private readonly PortWay[] _ways;
    private readonly Seat? _seat;
    private readonly Func<int, bool> _wait;
    private readonly Action _wake;
    private readonly Burst _burst = new();
    private readonly ConcurrentQueue<Action<PacketPath>> _mail = new();
    private long _breaths;
    private long _slept;
    private long _nextTick;
    private volatile bool _stopping;

    /// <summary>The only worker for the path and its ports.</summary>
    /// <param name="path">The path; the worker's own from now on.</param>
    /// <param name="wait">Waits for input on any port, at most so many milliseconds.</param>
    /// <param name="wake">Ends that wait; called from other threads.</param>
    public Worker(PacketPath path, Func<int, bool> wait, Action wake)
        : this(path, path.Settings.Ports, [.. path.Settings.Ports.Select(static port => new PortWay(port, port.Mask, 0))], wait, wake)
    {
    }

    /// <summary>A worker, perhaps one of several.</summary>
    /// <param name="path">Its path; its own from now on.</param>
    /// <param name="receives">The ports that it alone takes packets from.</param>
    /// <param name="ways">How it sends by each port.</param>
    /// <param name="wait">Waits for input on any of its ports, at most so many milliseconds.</param>
    /// <param name="wake">Ends that wait; called from other threads.</param>
    public Worker(PacketPath path, IEnumerable<Port> receives, IReadOnlyList<PortWay> ways, Func<int, bool> wait, Action wake)
    {
        _path = path;
        _ports = [.. receives];
        _ways = [.. ways];
        _seat = path.Settings.Seat;
        _wait = wait;
        _wake = wake;
        _seat?.WakeBy(wake);
    }

    /// <summary>Turns of the loop so far: a watchdog sees by it that the worker lives.</summary>
    public long Breaths => Volatile.Read(ref _breaths);

    /// <summary>Nanoseconds that it had nothing to do.</summary>
    public long Slept => Volatile.Read(ref _slept);

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
            if (!Breathe() && _seat?.MaySleep() != false)
            {
                long from = Now();
                _wait(LongestSleep);
                Volatile.Write(ref _slept, _slept + Now() - from);
                _seat?.Wakes();
            }
        }
    }

    /// <summary>One turn: each port's burst, what others have handed over, the time, a few flows to judge again, the mail.</summary>
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
                _seat?.Spread(_burst);
                Walk();
            }

            _burst.Reset();
        }

        if (_seat is not null)
        {
            busy |= WalkHanded(_seat);
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

        busy |= _path.Reclaim(now, SweepSlice);

        while (_mail.TryDequeue(out Action<PacketPath>? message))
        {
            message(_path);
        }

        Volatile.Write(ref _breaths, _breaths + 1);
        return busy;
    }

    private void Walk()
    {
        if (_burst.Count > 0)
        {
            _path.Walk(_burst);
        }

        Transmit();
    }

    /// <summary>A burst of each of the others: to be walked, or only to be sent; and what they ask for.</summary>
    private bool WalkHanded(Seat seat)
    {
        bool busy = false;
        for (int from = 0; from < seat.Crew.Seats.Count; from++)
        {
            _burst.Now = Now();
            if (seat.Take(_burst, from, out GuestState kind) == 0)
            {
                continue;
            }

            busy = true;
            if (kind == GuestState.Leaves)
            {
                Send();
            }
            else if (kind == GuestState.NeedsHop)
            {
                _path.Resolve(_burst);
                Transmit();
            }
            else
            {
                Walk();
            }

            _burst.Reset();
            seat.Release(from);
        }

        _path.Serve(_burst.Now);
        return busy;
    }

    private void Transmit()
    {
        if (_burst.Count > 0)
        {
            Tap?.Walked(_burst);
            Send();
        }

        _seat?.Publish();
    }

    private void Send()
    {
        foreach (ref readonly PortWay way in _ways.AsSpan())
        {
            if (way.Port is { } port)
            {
                port.Transmit(_burst);
            }
            else
            {
                _seat!.Send(_burst, way.Mask, way.Owner);
            }
        }
    }

    private static long Now() => (long)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency));
}
