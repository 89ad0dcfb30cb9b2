using Filter.Ctl.Control;
using Filter.Ctl.Service;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Rules.Policy;
using Filter.Tests.Conversations;

namespace Filter.Tests.Filterctl;

/// <summary>Rulesets that follow each other on a gateway whose ports are in memory, as the daemon's control thread has them follow.</summary>
public sealed class RulesetSwitchTests : IDisposable
{
    private readonly Scratch _scratch = new();
    private readonly StopOrder _stop = new();
    private readonly StringWriter _said = new();
    private readonly Gateway _gateway;
    private readonly Worker _worker;
    private readonly Workforce _workers;
    private readonly Sequences _sequences;
    private readonly RulesetSwitch _switch;
    private readonly string _file;

    public RulesetSwitchTests()
    {
        _file = _scratch.Write("own.yaml", SweepTests.Rules("web: tcp/443", "dns: udp/53"));
        RulesetLoader loader = new([]);
        Ruleset first = loader.Read(_file).Ruleset!;
        _gateway = Gateway.Compose<NoTrace>(first, Gateway.PortsInMemory(first), flows: 4096);
        _worker = new Worker(_gateway.Path, static _ => Thread.Yield(), static () => { });
        _workers = new Workforce(_worker);
        _sequences = new Sequences(_scratch.Folder);
        _switch = new RulesetSwitch(_gateway, _workers, loader, first, _sequences, new ServiceLog(_said, json: false), _stop);
        _workers.Start();
    }

    [Fact]
    public async Task The_answer_says_what_changed_and_what_became_of_flows()
    {
        await OpenAsync(443, 53, 53);
        _scratch.Write("own.yaml", SweepTests.Rules("ssh: tcp/22", "web: tcp/443", "mail: tcp/25"));
        ControlResponse answer = await _switch.ReloadAsync(null, null);
        Assert.True(answer.Ok, answer.Error);
        ReloadReport report = answer.Reload!;
        Assert.Equal((2, 1, 0, 0, 2), (report.Generation, report.Removed, report.Changed, report.Moved, report.Added));
        Assert.Equal((2, 0, null), (report.Ended, report.Kept, report.JudgedAgain));
        Assert.StartsWith($"{_file} is in force, generation 2: 2 rules added, 1 removed; 2 flows ended; took ", answer.Message, StringComparison.Ordinal);
        Assert.Equal(1, await _worker.AskAsync(static path => path.Flows.Count));
    }

    [Fact]
    public async Task Flows_are_kept_where_that_is_asked_for_and_what_the_reload_before_forbade_is_not()
    {
        await OpenAsync(443, 53);
        _scratch.Write("own.yaml", SweepTests.Rules("dns: udp/53"));
        Task<ControlResponse> first = _switch.ReloadAsync(null, null);
        _scratch.Write("none.yaml", SweepTests.Rules("ssh: tcp/22"));
        ControlResponse second = await _switch.ReloadAsync(_scratch["none.yaml"], null, keepsFlows: true);
        Assert.Equal(1, (await first).Reload!.Ended);
        Assert.Equal((0, 1), (second.Reload!.Ended, second.Reload.Kept));
        Assert.Contains("0 flows ended, 1 kept; took", second.Message, StringComparison.Ordinal);
        Assert.Equal(("dns", true), await _worker.AskAsync(static path =>
        {
            ref var kept = ref path.Flows[Enumerable.Range(1, path.Flows.Last).Single(number => path.Flows[number].Live)];
            return (path.RuleOf(kept).Name, kept.Kept);
        }));
    }

    [Theory]
    [InlineData("filter: 1\nports: nonsense\n")]
    [InlineData("rules: [")]
    [InlineData("")]
    [InlineData(null)]
    public async Task A_wrong_file_or_none_changes_nothing(string? text)
    {
        await OpenAsync(443, 53);
        Ruleset running = _switch.Current;
        IRuleset judges = _gateway.Path.Ruleset;
        int generation = await _worker.AskAsync(static path => path.Generation);
        if (text is null)
        {
            File.Delete(_file);
        }
        else
        {
            _scratch.Write("own.yaml", text);
        }

        ControlResponse answer = await _switch.ReloadAsync(null, 60);
        Assert.False(answer.Ok);
        Assert.All(answer.Diagnostics!, finding => Assert.StartsWith(_file, finding, StringComparison.Ordinal));
        Assert.NotEmpty(answer.Diagnostics!);
        Assert.Contains("nothing changed", answer.Error, StringComparison.Ordinal);
        Assert.Same(running, _switch.Current);
        Assert.Same(judges, _gateway.Path.Ruleset);
        Assert.Null(_switch.TrialLeft);
        Assert.Equal((1, generation, 2), (_switch.Generation, await _worker.AskAsync(static path => path.Generation), await _worker.AskAsync(static path => path.Flows.Count)));
    }

    [Fact]
    public async Task A_change_on_trial_is_confirmed_once_and_no_other_comes_meanwhile()
    {
        Assert.True((await _switch.ReloadAsync(null, 60)).Ok);
        Assert.InRange(_switch.TrialLeft!.Value, 1, 60);
        Assert.Contains("on trial", (await _switch.ReloadAsync(null, null)).Error, StringComparison.Ordinal);
        Assert.Contains("on trial", (await _switch.ReloadAsync(null, 1)).Error, StringComparison.Ordinal);
        _switch.LookAtTrial();
        Assert.Equal(2, _switch.Generation);
        Assert.True(_switch.Confirm().Ok);
        Assert.False(_switch.Confirm().Ok);
        Assert.True((await _switch.ReloadAsync(null, null)).Ok);
        Assert.Equal((3, null), (_switch.Generation, _switch.TrialLeft));
    }

    [Fact]
    public async Task What_is_not_confirmed_goes_back_and_so_do_counts_by_name()
    {
        await OpenAsync(443, 53);
        _scratch.Write("other.yaml", SweepTests.Rules("dns: udp/53"));
        Assert.True((await _switch.ReloadAsync(_scratch["other.yaml"], 1)).Ok);
        Assert.Equal(1, await _worker.AskAsync(static path => path.Flows.Count));
        while (_switch.Generation == 2)
        {
            _switch.LookAtTrial();
            Thread.Sleep(10);
        }

        Assert.Equal(_file, _switch.Current.File);
        Assert.Contains($"not confirmed in time: {_file} as it was before is in force again, generation 3", _said.ToString(), StringComparison.Ordinal);
        await OpenAsync(443);
        RuleBook rules = _gateway.Path.Counters.Rules;
        Assert.Equal(("web", 2L, 1L), (rules.Name(1).Name, rules.Packets(1), rules.Ended(1)));
    }

    [Fact]
    public async Task Reloads_that_come_together_follow_each_other()
    {
        ControlResponse[] answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Task.Run(() => _switch.ReloadAsync(null, null))));
        Assert.All(answers, static answer => Assert.True(answer.Ok, answer.Error));
        Assert.Equal(Enumerable.Range(2, 20), answers.Select(static answer => answer.Reload!.Generation).Order());
    }

    public void Dispose()
    {
        _workers.Stop();
        _switch.Dispose();
        _sequences.Dispose();
        _gateway.Dispose();
        _stop.Dispose();
        _said.Dispose();
        _scratch.Dispose();
    }

    /// <summary>Somebody inside opens a flow to each port: TCP but for DNS.</summary>
    private async Task OpenAsync(params int[] ports)
    {
        await _worker.AskAsync(path =>
        {
            Burst burst = new() { Now = WallClock.Monotonic };
            foreach ((int i, int port) in ports.Index())
            {
                PacketLine line = PacketLine.Parse($"{(port == 53 ? "udp" : "tcp")} 10.0.0.5:{40000 + i + path.Counters.Opened} > 203.0.113.2:{port}{(port == 53 ? "" : " syn")}");
                Assert.True(FrameBuilder.TryAppend(line, burst, 1, out _));
            }

            path.Walk(burst);
            return 0;
        });
        Assert.InRange(await _worker.AskAsync(static path => path.Flows.Count), ports.Length, 4096);
    }
}
