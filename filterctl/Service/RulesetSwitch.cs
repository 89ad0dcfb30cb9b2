using System.Diagnostics;
using System.Globalization;
using Filter.Ctl.Control;
using Filter.Engine.Path;
using Filter.Rules;
using Filter.Rules.Analysis;
using Filter.Rules.Policy;

namespace Filter.Ctl.Service;

/// <summary>
/// Which ruleset is in force, and the way from one to the next. A change on trial goes back by itself
/// unless it is confirmed: a reload to the ruleset before, a start to the NICs as they were.
/// </summary>
internal sealed class RulesetSwitch : IDisposable
{
    private static readonly TimeSpan s_workerPatience = TimeSpan.FromSeconds(10);

    /// <summary>How often it looks whether all flows were judged again, and how many times before it answers nevertheless.</summary>
    private static readonly TimeSpan s_glance = TimeSpan.FromMilliseconds(5);
    private const int MostGlances = 50;

    /// <summary>Most pairs of rules in an answer: it is one line of bounded length.</summary>
    private const int MostPairs = 2000;

    private readonly Gateway _gateway;
    private readonly Workforce _workers;
    private readonly RulesetLoader _loader;
    private readonly Sequences _sequences;
    private readonly ServiceLog _log;
    private readonly StopOrder _stop;
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly SemaphoreSlim _comparing = new(1, 1);
    private Ruleset _current;
    private volatile Trial? _trial;

    /// <summary>A switch whose first ruleset is in force.</summary>
    public RulesetSwitch(
        Gateway gateway, Workforce workers, RulesetLoader loader, Ruleset first, Sequences sequences, ServiceLog log, StopOrder stop)
    {
        _gateway = gateway;
        _workers = workers;
        _loader = loader;
        _current = first;
        _sequences = sequences;
        _log = log;
        _stop = stop;
    }

    /// <summary>Who else has to know which ruleset is in force now, before the keys of the one before are wiped.</summary>
    public Func<Ruleset, Task>? Followed { get; set; }

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
    /// <param name="keepsFlows">Flows that it does not allow stay.</param>
    public async Task<ControlResponse> ReloadAsync(string? file, int? confirm, bool keepsFlows = false)
    {
        await _turn.WaitAsync().ConfigureAwait(false);
        try
        {
            if (_trial is not null)
            {
                return ControlResponse.Refuse($"the last change is on trial for {TrialLeft} s more: confirm it first, or let it go back");
            }

            return await ReadAndAdoptAsync(file, confirm, keepsFlows).ConfigureAwait(false);
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

    /// <summary>Compares the ruleset in force with a file; of neither a key is looked at, or leaves.</summary>
    /// <param name="file">Its path; null for the file of the one in force, as it is now.</param>
    public async Task<ControlResponse> CompareAsync(string? file)
    {
        // One at a time: the packets want a core too.
        await _comparing.WaitAsync().ConfigureAwait(false);
        try
        {
            return Compare(file);
        }
        finally
        {
            _comparing.Release();
        }
    }

    private ControlResponse Compare(string? file)
    {
        Ruleset running = Current;
        RulesetReading reading = _loader.Read(file ?? running.File);
        string[] findings = [.. reading.Diagnostics.Select(static d => d.ToString())];
        if (reading.Ruleset is not { } next)
        {
            return ControlResponse.Refuse($"{file ?? running.File} is wrong") with { Diagnostics = findings };
        }

        next.WipeKeys();
        return new ControlResponse { Diagnostics = findings, Difference = DifferenceReport.Of(RulesetDifference.Between(running, next), MostPairs) };
    }

    /// <summary>Gives the ruleset in force to somebody who needs it, with its keys; no other one is put in force meanwhile.</summary>
    public async Task<T> LendAsync<T>(Func<Ruleset, T> use)
    {
        await _turn.WaitAsync().ConfigureAwait(false);
        try
        {
            return use(_current);
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

            Adopted adopted = AdoptAsync(before, keepsFlows: false).GetAwaiter().GetResult();
            adopted.Before.WipeKeys();
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
        _comparing.Dispose();
    }

    private async Task<ControlResponse> ReadAndAdoptAsync(string? file, int? confirm, bool keepsFlows)
    {
        long began = Environment.TickCount64;
        RulesetReading reading = _loader.Read(file ?? Current.File);
        string[] findings = [.. reading.Diagnostics.Select(static d => d.ToString())];
        if (reading.Ruleset is not { } next)
        {
            return ControlResponse.Refuse($"{file ?? Current.File} is wrong; nothing changed") with { Diagnostics = findings };
        }

        if (RulesetLoader.Difference(Current, next) is { } difference)
        {
            next.WipeKeys();
            return ControlResponse.Refuse($"a reload can't change ports or workers ({difference}); stop and run again. Nothing changed");
        }

        Adopted adopted;
        try
        {
            adopted = await AdoptAsync(next, keepsFlows).ConfigureAwait(false);
        }
        catch
        {
            next.WipeKeys();
            throw;
        }

        if (confirm is { } seconds)
        {
            _trial = new Trial(Environment.TickCount64 + (seconds * 1000L), adopted.Before);
        }

        ReloadReport report = Report(RuleChanges.Between(adopted.Before, next), Environment.TickCount64 - began, adopted.Switched);
        report = await FollowAsync(report, adopted).ConfigureAwait(false);
        if (confirm is null)
        {
            adopted.Before.WipeKeys();
        }

        string trial = confirm is null ? "" : $"; goes back in {confirm} s unless confirmed";
        return new ControlResponse
        {
            Diagnostics = findings,
            Message = $"{next.File} is in force, generation {Generation}{trial}: {Tell(report)}",
            Reload = report,
        };
    }

    private async Task<Adopted> AdoptAsync(Ruleset next, bool keepsFlows)
    {
        if (keepsFlows)
        {
            // Which flows the last policy ends is settled first: what it forbade is not kept.
            await FinishSweepAsync().ConfigureAwait(false);
        }

        LiveSet.GoOn(next.LiveSets, Current.LiveSets, WallClock.Monotonic);
        Action publish = _gateway.Prepare(next, _sequences.For(next), keepsFlows);
        long ended, kept;
        TimeSpan switched;
        try
        {
            (ended, kept, switched) = await _workers.HoldAsync(
                () =>
                {
                    (long ended, long kept) = EndedAndKept();
                    long began = Stopwatch.GetTimestamp();
                    publish();
                    return (ended, kept, Stopwatch.GetElapsedTime(began));
                },
                s_workerPatience).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            throw new Refusal("the worker does not answer; nothing changed");
        }

        Ruleset last = Interlocked.Exchange(ref _current, next);
        Generation++;
        if (Followed is { } followed)
        {
            await followed(next).ConfigureAwait(false);
        }

        foreach (LiveSet set in next.LiveSets.Where(static set => set.Source == LiveSource.Control))
        {
            set.Seed(WallClock.Monotonic);
        }

        return new Adopted(last, ended, kept, switched);
    }

    private async Task FinishSweepAsync()
    {
        long until = Environment.TickCount64 + (long)s_workerPatience.TotalMilliseconds;
        while (await JudgedAgainAsync().ConfigureAwait(false) is { } judged)
        {
            if (Environment.TickCount64 >= until)
            {
                throw new Refusal($"flows are still judged again under the last policy ({judged}%): try again. Nothing changed");
            }

            await Task.Delay(s_glance).ConfigureAwait(false);
        }
    }

    /// <summary>Waits a moment for flows to be judged again, so that the answer tells what became of them.</summary>
    private async Task<ReloadReport> FollowAsync(ReloadReport report, Adopted since)
    {
        int? judged = 0;
        try
        {
            for (int looks = 0; looks < MostGlances && (judged = await JudgedAgainAsync().ConfigureAwait(false)) is not null; looks++)
            {
                await Task.Delay(s_glance).ConfigureAwait(false);
            }
        }
        catch (TimeoutException)
        {
            // The ruleset is in force all the same.
        }

        (long ended, long kept) = EndedAndKept();
        return report with { JudgedAgain = judged, Ended = ended - since.Ended, Kept = kept - since.Kept };
    }

    private (long Ended, long Kept) EndedAndKept() =>
        (_gateway.Paths.Sum(static path => Volatile.Read(ref path.Counters.Disallowed)), _gateway.Paths.Sum(static path => Volatile.Read(ref path.Counters.Kept)));

    /// <summary>Of the worker that is least far; null once all were.</summary>
    private async Task<int?> JudgedAgainAsync() =>
        (await _workers.AskAllAsync(static path => path.JudgedAgain).WaitAsync(s_workerPatience).ConfigureAwait(false)).Min();

    private ReloadReport Report(RuleChanges changes, long milliseconds, TimeSpan switched) => new()
    {
        Milliseconds = milliseconds,
        Switched = (long)switched.TotalMicroseconds,
        Generation = Generation,
        Added = changes.Added,
        Removed = changes.Removed,
        Changed = changes.Changed,
        Moved = changes.Moved,
        Ended = 0,
        Kept = 0,
    };

    /// <summary>"3 rules added, 1 changed; 2 flows ended so far, 40% judged again; took 12 ms".</summary>
    private static string Tell(ReloadReport report)
    {
        RuleChanges changes = new(report.Added, report.Removed, report.Changed, report.Moved);
        string kept = report.Kept > 0 ? $", {report.Kept} kept" : "";
        string progress = report.JudgedAgain is { } judged ? $" so far, {judged}% judged again" : "";
        return string.Create(
            CultureInfo.InvariantCulture, $"{changes}; {report.Ended} {(report.Ended == 1 ? "flow" : "flows")} ended{kept}{progress}; took {report.Milliseconds} ms, of which packets waited {report.Switched} µs");
    }

    /// <summary>A change that goes back at a moment of <see cref="Environment.TickCount64"/>.</summary>
    private sealed record Trial(long Deadline, Ruleset? Before);

    /// <summary>What was in force before, how many flows had been ended and kept until then, and how long the worker took.</summary>
    private sealed record Adopted(Ruleset Before, long Ended, long Kept, TimeSpan Switched);
}
