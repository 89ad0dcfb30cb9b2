namespace Filter.Ctl.Service;

/// <summary>Somebody's word that the daemon shall end; the first counts, but who wants the NICs back gets them.</summary>
internal sealed class StopOrder : IDisposable
{
    private readonly ManualResetEventSlim _given = new();
    private readonly TaskCompletionSource<string> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _told = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _restore;
    private volatile bool _asked;

    /// <summary>The NICs go back to what they were.</summary>
    public bool Restore => _restore;

    /// <summary>Says stop.</summary>
    public void Give(bool restore)
    {
        _restore |= restore;
        _given.Set();
    }

    /// <summary>Waits for it so many milliseconds; true once it was given.</summary>
    public bool Wait(int milliseconds) => _given.Wait(milliseconds);

    /// <summary>Says stop, and gives what became of it once all is closed. Call <see cref="Told"/> afterwards.</summary>
    public Task<string> GiveAsync(bool restore)
    {
        _asked = true;
        Give(restore);
        return _done.Task;
    }

    /// <summary>Whoever asked knows.</summary>
    public void Told() => _told.TrySetResult();

    /// <summary>All is closed. Waits a little until whoever asked has been told.</summary>
    public void Done(string outcome, TimeSpan patience)
    {
        _done.TrySetResult(outcome);
        if (_asked)
        {
            _told.Task.Wait(patience);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _given.Dispose();
}
