using System.Collections.Concurrent;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Ipsec;
using Filter.Ipsec.Databases;
using Filter.Ipsec.Ike;
using Filter.Rules.Policy;

namespace Filter.Ctl.Service;

/// <summary>
/// IKE as the daemon has it: one thread that brings messages, the time, packets without an SA and people's orders to the engine, one
/// after the other. Where the ruleset names no peers there is no engine and no socket, and the thread sleeps.
/// </summary>
internal sealed class IkeService : IDisposable
{
    /// <summary>Messages that wait at most: a flood loses its own.</summary>
    private const int Backlog = 4096;

    /// <summary>Milliseconds between two looks at what IPsec tells: as long as the first packet to a peer waits more than it must.</summary>
    private const int EventInterval = 10;

    /// <summary>Milliseconds between two looks at the gateway's addresses, where they are leased.</summary>
    private const long AddressInterval = 2_000;

    /// <summary>Milliseconds between two lines about internal errors: whoever can cause one shall not fill the log.</summary>
    private const long ComplaintInterval = 1_000;

    private static readonly TimeSpan s_farewell = TimeSpan.FromMilliseconds(100);

    private readonly Gateway _gateway;
    private readonly IpsecEvents _events;
    private readonly ServiceLog _log;
    private readonly IkeHost _host;
    private readonly ConcurrentQueue<Action<IkeEngine, long>> _arrivals = new(), _orders = new();
    private readonly AutoResetEvent _wake = new(false);
    private readonly Thread _thread;
    private readonly Action<IpsecEvent> _hear;
    private readonly Lock _guard = new();
    private Ruleset _ruleset;
    private volatile IkeEngine? _engine;
    private IkeSockets? _sockets;
    private long _nextLook, _nextComplaint;
    private volatile bool _stopping;

    /// <summary>Nothing is sent before <see cref="Start"/>.</summary>
    public IkeService(Gateway gateway, Workforce workers, IpsecEvents events, Ruleset ruleset, ServiceLog log)
    {
        (_gateway, _events, _ruleset, _log) = (gateway, events, ruleset, log);
        _host = new IkeHost(gateway, workers, () => _sockets, Tell);
        _hear = Hear;
        _thread = new Thread(Run) { Name = "ike", IsBackground = true };
    }

    /// <summary>Begins.</summary>
    public void Start()
    {
        _events.Tell(_hear);
        Follow(_ruleset);
        _thread.Start();
    }

    /// <summary>Says farewell to all peers, and ends.</summary>
    public void Stop()
    {
        _events.Forget(_hear);
        if (_thread.IsAlive)
        {
            _stopping = true;
            _wake.Set();
            _thread.Join();
        }
    }

    /// <summary>Another ruleset is in force. The keys of the one before may be wiped once this is done.</summary>
    public async Task AdoptAsync(Ruleset next)
    {
        TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_guard)
        {
            _ruleset = next;
            if (_engine is null || !_thread.IsAlive)
            {
                Follow(next);
                return;
            }
        }

        Order((engine, now) =>
        {
            try
            {
                Follow(next);
                engine.Adopt(next.Ipsec ?? new IpsecConfig([], []), now);
            }
            finally
            {
                done.SetResult();
            }
        });
        await done.Task.ConfigureAwait(false);
    }

    /// <summary>Asks the engine something, on its thread; null where the ruleset names no peers.</summary>
    public async Task<T?> AskAsync<T>(Func<IkeEngine, long, T> question)
        where T : class
    {
        if (_engine is null || _stopping)
        {
            return null;
        }

        TaskCompletionSource<T> answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Order((engine, now) =>
        {
            try
            {
                answer.SetResult(question(engine, now));
            }
            catch (Exception failure)
            {
                answer.SetException(failure);
            }
        });
        return await answer.Task.WaitAsync(TimeSpan.FromSeconds(10)).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Stop();
        _sockets?.Dispose();
        _engine?.Dispose();
        _wake.Dispose();
    }

    private void Run()
    {
        while (!_stopping)
        {
            long now = WallClock.Monotonic;
            if (_engine is not { } engine)
            {
                _wake.WaitOne();                // until a ruleset names peers, or the end
                continue;
            }

            _events.Look(_gateway.Ipsec);
            while (_orders.TryDequeue(out Action<IkeEngine, long>? order))
            {
                Guarded(engine, order);
            }

            for (int i = 0; i < Backlog && _arrivals.TryDequeue(out Action<IkeEngine, long>? arrival); i++)
            {
                Guarded(engine, arrival);
            }

            if (WallClock.Monotonic >= engine.NextDue)
            {
                Guarded(engine, static (engine, now) => engine.Tick(now));
            }

            if (Environment.TickCount64 >= _nextLook)
            {
                _nextLook = Environment.TickCount64 + AddressInterval;
                _sockets?.Follow(AddressesOf(_ruleset));
            }

            Wait(engine.NextDue - now);
        }

        if (_engine is { } last)
        {
            Guarded(last, static (engine, now) => engine.Close(now));
            Thread.Sleep(s_farewell);           // what was sent is still on its way through the workers
        }
    }

    /// <summary>What nobody has thought of costs one message and not the daemon: packets go on as they are.</summary>
    private void Guarded(IkeEngine engine, Action<IkeEngine, long> work)
    {
        try
        {
            work(engine, WallClock.Monotonic);
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            if (Environment.TickCount64 >= _nextComplaint)
            {
                _nextComplaint = Environment.TickCount64 + ComplaintInterval;
                _log.Line($"ike: an internal error, a message was not answered: {(CommandLine.ShowsTraces ? failure.ToString() : $"{failure.GetType().Name}: {failure.Message.ReplaceLineEndings(" ")}")}");
            }
        }
    }

    /// <summary>Until something is to be done, or IPsec may have told something.</summary>
    private void Wait(long nanoseconds) => _wake.WaitOne((int)Math.Clamp(nanoseconds / 1_000_000, 0, EventInterval));

    private void Order(Action<IkeEngine, long> order)
    {
        _orders.Enqueue(order);
        _wake.Set();
    }

    /// <summary>Has what a ruleset asks for: an engine and sockets, or none.</summary>
    private void Follow(Ruleset ruleset)
    {
        lock (_guard)
        {
            if (ruleset.Ipsec is { Ike: not null } ipsec && ruleset.Ports.FirstOrDefault(static port => port.Kind == PortKind.Tap) is { } self)
            {
                _sockets ??= new IkeSockets(self.Device, Arrive, _log);
                _sockets.Follow(AddressesOf(ruleset));
                _engine ??= new IkeEngine(_host, ipsec);
                _wake.Set();
            }
            else
            {
                _sockets?.Follow([]);
            }
        }
    }

    private static IEnumerable<Address> AddressesOf(Ruleset ruleset)
    {
        if (ruleset.Ipsec?.Ike is null || ruleset.Ports.FirstOrDefault(static port => port.Kind == PortKind.Tap) is not { } self)
        {
            return [];
        }

        return self.Addresses.IsEmpty ? IkeSockets.Of(self.Device) : self.Addresses.Select(static each => each.Address).Where(static address => !address.IsLinkLocal);
    }

    private void Arrive(IkeArrival arrival)
    {
        IkePath path = new(arrival.Local, arrival.LocalPort, arrival.Remote, arrival.RemotePort);

        // Anybody may send: where too much waits it is lost, as on any way, and said again by who means it.
        if (_arrivals.Count < Backlog)
        {
            _arrivals.Enqueue((engine, now) => engine.Receive(path, arrival.Message, now));
            _wake.Set();
        }
    }

    /// <summary>What IPsec tells is never lost to a flood of messages: an SA that nobody renews would end. Each look brings so many at most.</summary>
    private void Hear(IpsecEvent told)
    {
        if (told.Kind == IpsecEventKind.Acquire)
        {
            if (_gateway.Ipsec?.Databases.Spd?.Entry(told.Policy) is { Policy.Peer: not null } entry)
            {
                (string policy, SelectorValues packet) = (entry.Name, told.Packet);
                Order((engine, now) => engine.Acquire(policy, packet, now));
            }
        }
        else if (told.Sa is { } sa && _host.ChildOf(sa) is { } child)
        {
            bool hard = told.Kind == IpsecEventKind.HardExpired;
            Order((engine, now) =>
            {
                if (hard)
                {
                    engine.HardExpired(child, now);
                }
                else
                {
                    engine.SoftExpired(child, now);
                }
            });
        }
    }

    private void Tell(IkeEvent told) => _log.Line(told.Peer.Length == 0 ? $"ike: {told.Text}" : $"ike {told.Peer}: {told.Text}");
}
