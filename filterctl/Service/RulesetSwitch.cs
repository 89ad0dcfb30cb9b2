using Filter.Ctl.Control;
using Filter.Engine.Path;
using Filter.Rules;
using Filter.Rules.Policy;

namespace Filter.Ctl.Service;

/// <summary>
/// Which ruleset is in force, and the way from one to the next. A change on trial goes back by itself
/// unless it is confirmed: a reload to the ruleset before, a start to the NICs as they were.
/// </summary>
internal sealed class RulesetSwitch : IDisposable
{
    private static readonly TimeSpan s_workerPatience = TimeSpan.FromSeconds(10);

    private readonly Gateway _gateway;
    private readonly Worker _worker;
    private readonly RulesetLoader _loader;
    private readonly Sequences _sequences;
    private readonly ServiceLog _log;
    private readonly StopOrder _stop;
    private readonly SemaphoreSlim _turn = new(1, 1);
    private Ruleset _current;
    private volatile Trial? _trial;

    /// <summary>A switch whose first ruleset is in force.</summary>
    public RulesetSwitch(
        Gateway gateway, Worker worker, RulesetLoader loader, Ruleset first, Sequences sequences, ServiceLog log, StopOrder stop)
    {
        _gateway = gateway;
        _worker = worker;
        _loader = loader;
        _current = first;
        _sequences = sequences;
        _log = log;
        _stop = stop;
    }

    /// <summary>The ruleset in force.</summary>
    public Ruleset Current => Volatile.Read(ref _current);

    /// <summary>How many have been in force, from 1.</summary>
    public int Generation { get; private set; } = 1;

    /// <summary>Seconds until it goes back by itself; null where nothing is on trial.</summary>
    public long? TrialLeft => _trial is { } trial ? Math.Max(0, (trial.Deadline - Environment.TickCount64 + 999) / 1000) : null;

    /// <summary>The start itself is on trial: unconfirmed, it ends as `stop --restore` does.</summary>
    public void BeginTrial(int? seconds)
    {
        if (seconds is { } within)
        {
            _trial = new Trial(Environment.TickCount64 + (within * 1000L), Before: null);
        }
    }

    /// <summary>Reads a ruleset and puts it in force; a wrong one changes nothing.</summary>
    /// <param name="file">Its path; null for the one in force, read again.</param>
    /// <param name="confirm">Seconds on trial; null for good.</param>
    public async Task<ControlResponse> ReloadAsync(string? file, int? confirm)
    {
        await _turn.WaitAsync().ConfigureAwait(false);
        try
        {
            if (_trial is not null)
            {
                return ControlResponse.Refuse($"the last change is on trial for {TrialLeft} s more: confirm it first, or let it go back");
            }

            RulesetReading reading = _loader.Read(file ?? Current.File);
            string[] findings = [.. reading.Diagnostics.Select(static d => d.ToString())];
            if (reading.Ruleset is not { } next)
            {
                return ControlResponse.Refuse($"{file ?? Current.File} is wrong; nothing changed") with { Diagnostics = findings };
            }

            if (RulesetLoader.Difference(Current, next) is { } difference)
            {
                next.WipeKeys();
                return ControlResponse.Refuse($"a reload can't change ports ({difference}); stop and run again. Nothing changed");
            }

            Ruleset before;
            try
            {
                before = await AdoptAsync(next).ConfigureAwait(false);
            }
            catch
            {
                next.WipeKeys();
                throw;
            }

            if (confirm is { } seconds)
            {
                _trial = new Trial(Environment.TickCount64 + (seconds * 1000L), before);
            }
            else
            {
                before.WipeKeys();
            }

            string trial = confirm is null ? "" : $"; goes back in {confirm} s unless confirmed";
            return new ControlResponse { Diagnostics = findings, Message = $"{next.File} is in force, generation {Generation}{trial}" };
        }
        catch (Exception failure) when (failure is Refusal or IOException or UnauthorizedAccessException or TimeoutException)
        {
            return ControlResponse.Refuse(failure.Message);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>What is on trial stays.</summary>
    public ControlResponse Confirm()
    {
        if (Interlocked.Exchange(ref _trial, null) is not { } trial)
        {
            return ControlResponse.Refuse("nothing waits for a confirm");
        }

        trial.Before?.WipeKeys();
        _log.Line("confirmed");
        return new ControlResponse { Message = $"confirmed: {Current.File} stays, generation {Generation}" };
    }

    /// <summary>Goes back where a trial is over.</summary>
    public void LookAtTrial()
    {
        if (_trial is not { } due || Environment.TickCount64 < due.Deadline)
        {
            return;
        }

        // While it goes back no reload may come between: it would be undone unseen.
        _turn.Wait();
        try
        {
            if (Interlocked.CompareExchange(ref _trial, null, due) != due)
            {
                return;
            }

            if (due.Before is not { } before)
            {
                _log.Line("not confirmed in time: Filter ends and gives the NICs back");
                _stop.Give(restore: true);
                return;
            }

            Ruleset tried = AdoptAsync(before).GetAwaiter().GetResult();
            tried.WipeKeys();
            _log.Line($"not confirmed in time: {before.File} as it was before is in force again, generation {Generation}");
        }
        catch (Exception failure) when (failure is Refusal or IOException or UnauthorizedAccessException or TimeoutException)
        {
            _log.Line($"not confirmed in time, but the ruleset before can't be put in force again: {failure.Message}");
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _current.WipeKeys();
        _trial?.Before?.WipeKeys();
        _turn.Dispose();
    }

    private async Task<Ruleset> AdoptAsync(Ruleset next)
    {
        Action<PacketPath> publish = _gateway.Prepare(next, _sequences.For(next));
        TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _worker.Post(path =>
        {
            publish(path);
            done.SetResult();
        });
        await done.Task.WaitAsync(s_workerPatience).ConfigureAwait(false);
        Ruleset before = Interlocked.Exchange(ref _current, next);
        Generation++;
        return before;
    }

    /// <summary>A change that goes back at a moment of <see cref="Environment.TickCount64"/>.</summary>
    private sealed record Trial(long Deadline, Ruleset? Before);
}
