using Filter.Ctl.Control;
using Filter.Ctl.Rehearsals;
using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Ipsec.Ike;

namespace Filter.Ctl.Service;

/// <summary>Answers what comes over the control socket.</summary>
internal sealed class ControlDesk
{
    /// <summary>Slots of the flow table that the worker looks at between two bursts, so that no packet waits for long.</summary>
    private const int SlotsAtOnce = 2048;

    /// <summary>Most rows of a list, whatever was asked for.</summary>
    private const int MostRows = 1_000_000;

    private const string NotRoot = "only root may name another file than the one in force";
    private const int LongestConfirm = 86400;
    private static readonly TimeSpan s_workerPatience = TimeSpan.FromSeconds(10);

    private readonly Gateway _gateway;
    private readonly Workforce _workers;
    private readonly RulesetSwitch _switch;
    private readonly EventFeed _feed;
    private readonly StopOrder _stop;
    private readonly Reporter _reporter;
    private readonly LiveRehearsal _rehearsal;
    private readonly SetDesk _sets;
    private readonly SaDesk _sas;
    private readonly PolicyDesk _policies;
    private readonly IkeDesk _ike;
    private readonly CaptureDesk _captures;

    /// <summary>A desk for a running daemon.</summary>
    public ControlDesk(
        Gateway gateway, Workforce workers, RulesetSwitch rulesets, EventFeed feed, StopOrder stop, NameResolver names,
        Func<Func<IkeEngine, long, ControlResponse>, Task<ControlResponse?>> ike, ServiceLog log)
    {
        _ike = new IkeDesk(ike, rulesets, log);
        _sets = new SetDesk(rulesets, names);
        _sas = new SaDesk(gateway, workers, rulesets, log);
        _policies = new PolicyDesk(gateway, workers, rulesets);
        _captures = new CaptureDesk(gateway, workers, log);
        _gateway = gateway;
        _workers = workers;
        _switch = rulesets;
        _feed = feed;
        _stop = stop;
        _reporter = new Reporter(gateway, workers, rulesets);
        _rehearsal = new LiveRehearsal(gateway, workers);
    }

    /// <summary>Answers a request.</summary>
    public async Task AnswerAsync(ControlRequest request, PeerCredentials peer, ControlReply reply, CancellationToken cancel)
    {
        try
        {
            switch (request.Verb)
            {
                case "status":
                    StatusReport status = _reporter.Status(await AskAllAsync(Reporter.StateOf).ConfigureAwait(false));
                    await reply.SendAsync(new ControlResponse { Status = status with { Ike = await _ike.SummaryAsync().ConfigureAwait(false) } }, cancel).ConfigureAwait(false);
                    break;

                case "counters":
                    CountersReport counters = _reporter.Counters(await AskAllAsync(static path => path.HeldNow).ConfigureAwait(false));
                    await reply.SendAsync(new ControlResponse { Counters = counters with { Rules = _reporter.Rules() } }, cancel).ConfigureAwait(false);
                    break;

                case "flows":
                    await ListAsync(request, reply, cancel).ConfigureAwait(false);
                    break;

                case "delete":
                    await DeleteAsync(request, reply, cancel).ConfigureAwait(false);
                    break;

                case "drops":
                    await StreamAsync(reply, cancel).ConfigureAwait(false);
                    break;

                case "explain":
                    await reply.SendAsync(await ExplainAsync(request.Line).ConfigureAwait(false), cancel).ConfigureAwait(false);
                    break;

                case "set":
                    await _sets.AnswerAsync(request, reply, cancel).ConfigureAwait(false);
                    break;

                case "sa":
                    await _sas.AnswerAsync(request, peer, reply, cancel).ConfigureAwait(false);
                    break;

                case "policy":
                    await _policies.AnswerAsync(request, reply, cancel).ConfigureAwait(false);
                    break;

                case "ike":
                    await _ike.AnswerAsync(request, peer, reply, cancel).ConfigureAwait(false);
                    break;

                case "capture":
                    await _captures.AnswerAsync(request, peer, reply, cancel).ConfigureAwait(false);
                    break;

                case "diff":
                    await reply.SendAsync(await CompareAsync(request, peer).ConfigureAwait(false), cancel).ConfigureAwait(false);
                    break;

                case "reload":
                    await reply.SendAsync(await ReloadAsync(request, peer).ConfigureAwait(false), cancel).ConfigureAwait(false);
                    break;

                case "confirm":
                    await reply.SendAsync(_switch.Confirm(), cancel).ConfigureAwait(false);
                    break;

                case "stop":
                    string outcome = await _stop.GiveAsync(request.Restore).ConfigureAwait(false);
                    await reply.SendAsync(new ControlResponse { Message = outcome }, CancellationToken.None).ConfigureAwait(false);
                    _stop.Told();
                    break;

                default:
                    await reply.SendAsync(ControlResponse.Refuse("there is no such request"), cancel).ConfigureAwait(false);
                    break;
            }
        }
        catch (TimeoutException)
        {
            await reply.SendAsync(ControlResponse.Refuse("the worker does not answer"), cancel).ConfigureAwait(false);
        }
    }

    private async Task<ControlResponse> ReloadAsync(ControlRequest request, PeerCredentials peer)
    {
        if (request.Confirm is < 1 or > LongestConfirm)
        {
            return ControlResponse.Refuse($"confirm takes 1 to {LongestConfirm} seconds");
        }

        return MayRead(request, peer)
            ? await _switch.ReloadAsync(request.File, request.Confirm, request.KeepFlows).ConfigureAwait(false)
            : ControlResponse.Refuse(NotRoot);
    }

    private async Task<ControlResponse> CompareAsync(ControlRequest request, PeerCredentials peer)
    {
        try
        {
            return MayRead(request, peer) ? await _switch.CompareAsync(request.File).ConfigureAwait(false) : ControlResponse.Refuse(NotRoot);
        }
        catch (Refusal wrong)
        {
            return ControlResponse.Refuse(wrong.Message);
        }
    }

    /// <summary>A reading tells of what it finds in a file, and the daemon may read every file.</summary>
    private bool MayRead(ControlRequest request, PeerCredentials peer) =>
        request.File is not { } file || peer.Uid == 0 || file == Path.GetFullPath(_switch.Current.File);

    private async Task<ControlResponse> ExplainAsync(string? line)
    {
        if (line is null)
        {
            return ControlResponse.Refuse("say which packet");
        }

        try
        {
            (Outcome outcome, PathExcerpt live, int at) = await _switch.LendAsync(ruleset => _rehearsal.Walk(ruleset, line)).ConfigureAwait(false);
            FlowReport? flow = live.Number == 0 ? null : _reporter.Describe(at, live.Number, live.Flow, live.Rule, live.Now);
            return new ControlResponse { Explained = outcome.Report(flow) };
        }
        catch (Refusal wrong)
        {
            return ControlResponse.Refuse(wrong.Message);
        }
    }

    private async Task ListAsync(ControlRequest request, ControlReply reply, CancellationToken cancel)
    {
        if (FlowMatch.Parse(request.Match, out string? error) is not { } match)
        {
            await reply.SendAsync(ControlResponse.Refuse(error!), cancel).ConfigureAwait(false);
            return;
        }

        long limit = Math.Clamp(request.Limit ?? MostRows, 0, MostRows), found = 0;
        List<FlowReport> reports = [];
        for (int worker = 0; worker < _workers.All.Count; worker++)
        {
            for (int first = 1; first > 0;)
            {
                List<(int Number, Flow Flow, RuleName Rule)> rows = [];
                (int from, int at) = (first, worker);
                first = await AskAsync(at, path => Collect(path, at, from, match, rows)).ConfigureAwait(false);
                long now = WallClock.Monotonic;
                reports.AddRange(rows.Take((int)Math.Max(0, limit - found)).Select(row => _reporter.Describe(at, row.Number, row.Flow, row.Rule, now)));
                found += rows.Count;
                bool last = first == 0 && worker == _workers.All.Count - 1;
                if (last || (reports.Count > 0 && first != 0))
                {
                    await reply.SendAsync(new ControlResponse { Flows = [.. reports], More = !last, Count = last ? found : null }, cancel).ConfigureAwait(false);
                    reports.Clear();
                }
            }
        }
    }

    private async Task DeleteAsync(ControlRequest request, ControlReply reply, CancellationToken cancel)
    {
        if (FlowMatch.Parse(request.Match, out string? error) is not { } match || request.Match is null)
        {
            await reply.SendAsync(ControlResponse.Refuse(error ?? "say which flows"), cancel).ConfigureAwait(false);
            return;
        }

        long deleted = 0;
        for (int worker = 0; worker < _workers.All.Count; worker++)
        {
            for (int first = 1; first > 0;)
            {
                List<(int Number, Flow Flow, RuleName Rule)> rows = [];
                (int from, int at) = (first, worker);
                first = await AskAsync(at, path =>
                {
                    int next = Collect(path, at, from, match, rows);
                    rows.ForEach(row => path.Flows.Remove(row.Number));
                    return next;
                }).ConfigureAwait(false);
                deleted += rows.Count;
            }
        }

        await reply.SendAsync(new ControlResponse { Count = deleted }, cancel).ConfigureAwait(false);
    }

    /// <summary>Copies the flows that match out of one stretch of the table; gives where the next begins, or 0.</summary>
    private int Collect(PacketPath path, int worker, int first, FlowMatch match, List<(int Number, Flow Flow, RuleName Rule)> into)
    {
        int end = Math.Min(first + SlotsAtOnce, path.Flows.Last + 1);
        for (int number = first; number < end; number++)
        {
            ref Flow flow = ref path.Flows[number];
            if (flow.Live && match.Holds(FlowNumbers.Shown(number, worker, _workers.All.Count), flow))
            {
                Flow copy = flow;
                copy.Parent = path.Flows.Is(flow.Parent) ? flow.Parent : default;
                into.Add((number, copy, path.RuleOf(flow)));
            }
        }

        return end <= path.Flows.Last ? end : 0;
    }

    private async Task StreamAsync(ControlReply reply, CancellationToken cancel)
    {
        using CancellationTokenSource gone = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        using EventFeed.Listener listener = _feed.Listen();
        Task watching = reply.GoneAsync(gone.Token).ContinueWith(_ => gone.Cancel(), TaskScheduler.Default);
        try
        {
            await reply.SendAsync(new ControlResponse { More = true, Message = "listening" }, gone.Token).ConfigureAwait(false);
            while (await listener.Events.WaitToReadAsync(gone.Token).ConfigureAwait(false))
            {
                while (listener.Events.TryRead(out PacketEvent? packet))
                {
                    long lost = listener.TakeLost();
                    await reply.SendAsync(
                        new ControlResponse { More = true, Event = packet, Lost = lost > 0 ? lost : null }, gone.Token).ConfigureAwait(false);
                }
            }
        }
        finally
        {
            await gone.CancelAsync().ConfigureAwait(false);
            await watching.ConfigureAwait(false);
        }
    }

    private Task<T> AskAsync<T>(int worker, Func<PacketPath, T> question) => _workers.All[worker].AskAsync(question).WaitAsync(s_workerPatience);

    private Task<T[]> AskAllAsync<T>(Func<PacketPath, T> question) => _workers.AskAllAsync(question).WaitAsync(s_workerPatience);
}
