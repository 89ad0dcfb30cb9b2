namespace Filter.Engine.Path;

/// <summary>The workers of a gateway, each on a thread of its own, and how others speak with all of them.</summary>
public sealed class Workforce
{
    private readonly Worker[] _workers;
    private readonly Thread[] _threads;
    private readonly long[] _breaths;
    private Exception? _failure;

    /// <summary>A workforce.</summary>
    /// <param name="workers">In the order of their seats.</param>
    public Workforce(params IEnumerable<Worker> workers)
    {
        _workers = [.. workers];
        _breaths = new long[_workers.Length];
        _threads = [.. _workers.Select((worker, number) => new Thread(() => Carry(worker)) { Name = _workers.Length == 1 ? "packets" : $"packets {number}", IsBackground = true })];
    }

    /// <summary>All of them.</summary>
    public IReadOnlyList<Worker> All => _workers;

    /// <summary>The first one, who has what is there once.</summary>
    public Worker First => _workers[0];

    /// <summary>What ended one of them; null while all live.</summary>
    public Exception? Failure => Volatile.Read(ref _failure);

    /// <summary>Whether each has turned since this was last asked, for a watchdog: one that hangs is enough.</summary>
    public bool HaveBreathed()
    {
        for (int i = 0; i < _workers.Length; i++)
        {
            if (_workers[i].Breaths == _breaths[i])
            {
                return false;
            }
        }

        for (int i = 0; i < _workers.Length; i++)
        {
            _breaths[i] = _workers[i].Breaths;
        }

        return true;
    }

    /// <summary>They begin.</summary>
    public void Start()
    {
        foreach (Thread thread in _threads)
        {
            thread.Start();
        }
    }

    /// <summary>They end, after the burst at hand.</summary>
    public void Stop()
    {
        foreach (Worker worker in _workers)
        {
            worker.Stop();
        }

        foreach (Thread thread in _threads)
        {
            if (thread.ThreadState != ThreadState.Unstarted)
            {
                thread.Join();
            }
        }
    }

    /// <summary>Asks each of them, and gives the answers in their order.</summary>
    public Task<T[]> AskAllAsync<T>(Func<PacketPath, T> question) => Task.WhenAll(_workers.Select(worker => worker.AskAsync(question)));

    /// <summary>Has something done while all stand still between two bursts: what one alone may not change because all read it.</summary>
    /// <param name="act">Runs on the thread of one of them; the others wait that long.</param>
    /// <param name="patience">How long it may take until all stand still; then they go on, and nothing was done.</param>
    /// <exception cref="TimeoutException">It took longer.</exception>
    public async Task<T> HoldAsync<T>(Func<T> act, TimeSpan patience)
    {
        Hold<T> hold = new(_workers.Length, act);
        foreach (Worker worker in _workers)
        {
            worker.Post(_ => hold.Arrive());
        }

        try
        {
            return await hold.Done.WaitAsync(patience).ConfigureAwait(false);
        }
        catch (TimeoutException) when (!hold.TryGiveUp())
        {
            return await hold.Done.ConfigureAwait(false);
        }
    }

    private void Carry(Worker worker)
    {
        try
        {
            worker.Run();
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            Interlocked.CompareExchange(ref _failure, failure, null);
        }
    }

    /// <summary>Where all meet. Who comes last acts, and lets the others go.</summary>
    private sealed class Hold<T>(int workers, Func<T> act)
    {
        private const int Waits = 0, Acts = 1, Over = 2;

        private readonly TaskCompletionSource<T> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _arrived;
        private int _state;

        public Task<T> Done => _done.Task;

        public bool TryGiveUp() => Interlocked.CompareExchange(ref _state, Over, Waits) == Waits;

        public void Arrive()
        {
            if (Interlocked.Increment(ref _arrived) == workers)
            {
                if (Interlocked.CompareExchange(ref _state, Acts, Waits) == Waits)
                {
                    Act();
                }

                return;
            }

            SpinWait wait = default;
            while (Volatile.Read(ref _state) != Over)
            {
                wait.SpinOnce(sleep1Threshold: -1);
            }
        }

        private void Act()
        {
            try
            {
                _done.SetResult(act());
            }
            catch (Exception failure) when (failure is not OutOfMemoryException)
            {
                _done.SetException(failure);
            }
            finally
            {
                Volatile.Write(ref _state, Over);
            }
        }
    }
}
