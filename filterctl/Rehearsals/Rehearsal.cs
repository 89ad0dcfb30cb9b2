using Filter.Ctl.Output;
using Filter.Ctl.Service;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;
using Filter.Rules.Policy;

namespace Filter.Ctl.Rehearsals;

/// <summary>What became of a packet line.</summary>
/// <param name="Line">The line, with the port it came in by.</param>
/// <param name="Packet">The packet as it ended; its bytes are gone.</param>
/// <param name="Rule">The rule that decided; its name is empty where none did.</param>
/// <param name="CountedBy">The rules that counted it and decided nothing.</param>
/// <param name="Egress">The ports it left by.</param>
/// <param name="Steps">The walk.</param>
internal sealed record Outcome(PacketLine Line, Packet Packet, RuleName Rule, IReadOnlyList<string> CountedBy, IReadOnlyList<string> Egress, IReadOnlyList<WalkStep> Steps)
{
    /// <summary>What became of it.</summary>
    public Verdict Verdict => Packet.Verdict;

    /// <summary>bypass, protect or opened; null where IPsec had no say.</summary>
    public string? Ipsec => Wording.IpsecWord(Packet);
}

/// <summary>
/// The data path itself with fresh state, ports in memory and a clock that stands still until it is
/// told: packet lines go in, verdicts come out.
/// </summary>
internal sealed class Rehearsal : IDisposable
{
    /// <summary>A test that says nothing of the time happens on a Monday at noon.</summary>
    public const int Noon = 12 * 60;

    /// <summary>Room for flows: a test has few, and each has a table of its own.</summary>
    private const int Flows = 4096;

    /// <summary>Time between two packets, in nanoseconds.</summary>
    private const long Pace = 1_000;

    /// <summary>How often the path looks at the time while it passes, in nanoseconds, as the worker does.</summary>
    private const long TickInterval = 50_000_000;

    /// <summary>A long pause is cut into no more than this many looks.</summary>
    private const int MostTicks = 20_000;

    private readonly Ruleset _ruleset;
    private readonly Burst _burst;
    private readonly List<WalkStep> _steps;
    private readonly Gateway _gateway;
    private readonly Rehearsed _rehearsed;
    private readonly SetCalendar _calendar = new();
    private readonly int[] _counting;
    private long _number;

    /// <summary>A rehearsal with nothing in its tables.</summary>
    /// <param name="ruleset">What judges; its keys are there.</param>
    /// <param name="burst">An empty burst to use; each has some megabytes, so several rehearsals share one.</param>
    /// <param name="minute">The minute of the week that the clock on the wall shows.</param>
    public Rehearsal(Ruleset ruleset, Burst burst, int minute = Noon)
    {
        (_ruleset, _burst, _steps) = (ruleset, burst, []);
        _counting = CountingIn(ruleset);
        _burst.Now = 1_000_000_000_000;
        _calendar.Set(minute, _burst.Now);
        foreach (LiveSet set in ruleset.LiveSets)
        {
            set.Begin(_burst.Now);          // it may have been rehearsed before
        }

        _gateway = Gateway.Compose(
            ruleset, Gateway.PortsInMemory(ruleset), new StepRecorder(_steps), Math.Min(Flows, ruleset.Limits.Flows), calendar: _calendar);
        if (_gateway.Ipsec is { } stage)
        {
            SupposedKeys.Give(stage, ruleset);
        }

        _gateway.Path.Events.Muted = true;
        _rehearsed = new Rehearsed(_gateway, ruleset, burst);
    }

    /// <summary>A rehearsal of a gateway that somebody else made and ends.</summary>
    /// <param name="ruleset">What it was made of.</param>
    /// <param name="burst">An empty burst to use, with the time.</param>
    /// <param name="gateway">The gateway, with ports in memory.</param>
    /// <param name="steps">What its trace writes to.</param>
    public Rehearsal(Ruleset ruleset, Burst burst, Gateway gateway, List<WalkStep> steps)
    {
        (_ruleset, _burst, _steps, _gateway) = (ruleset, burst, steps, gateway);
        _counting = CountingIn(ruleset);
        _gateway.Path.Events.Muted = true;
        _rehearsed = new Rehearsed(_gateway, ruleset, burst);
    }

    /// <summary>
    /// The key by which a line's packet would be looked up, and the port it would come in by: of an ICMP error the key of what it
    /// quotes.
    /// </summary>
    /// <exception cref="Refusal">The line can't be read, or nothing says where it arrives.</exception>
    public (FlowKey Key, byte Ingress) KeyOf(string text)
    {
        Append(text, out int index);
        Packet packet = _burst.Packets[index];
        _burst.Reset();
        packet.Reason = Parser.Parse(ref packet);
        return packet.Kind == PacketKind.IcmpError && Parser.TryReadQuote(packet, out FlowKey quoted)
            ? (quoted, packet.Ingress)
            : (packet.Key, packet.Ingress);
    }

    /// <summary>Lets a line's packet arrive and walks it.</summary>
    /// <exception cref="Refusal">The line can't be read, or nothing says where it arrives.</exception>
    public Outcome Send(string text)
    {
        _burst.Now += Pace;
        _steps.Clear();
        (PacketLine line, PortConfig port) = Append(text, out int index);
        _burst.Packets[index].Number = ++_number;
        long[] counted = Counted();
        Packet packet = _rehearsed.Walk(index);
        if (packet.Policy > 0 && _ruleset.Ipsec is { } ipsec && packet.Policy <= ipsec.Policies.Length)
        {
            IpsecPolicy policy = ipsec.Policies[packet.Policy - 1];
            _steps.Add(new WalkStep("ipsec", $"policy '{policy.Name}' ({policy.At.File}:{policy.At.Line}) says {policy.Action.ToString().ToLowerInvariant()}"));
        }

        Outcome outcome = new(
            line with { Port = port.Name },
            packet,
            packet.Rule == 0 ? default : _gateway.Path.Counters.Rules.Name(packet.Rule),
            [.. Counted().Zip(counted).Index().Where(static c => c.Item.First > c.Item.Second).Select(c => _ruleset.Rules[_counting[c.Index]].Name)],
            [.. _gateway.Ports.Where(p => (p.Mask & packet.Egress) != 0).Select(static p => p.Name)],
            [.. _steps]);
        return outcome;
    }

    /// <summary>Sets the clock on the wall, which schedules notice at once and timers never.</summary>
    /// <param name="minute">The minute of the week that begins.</param>
    public void SetClock(int minute)
    {
        _calendar.Set(minute, _burst.Now);
        _rehearsed.Tick(_burst.Now);
    }

    /// <summary>Sets that change hold these from now on.</summary>
    public void SetHeld(HoldsStep holds)
    {
        foreach ((LiveSet set, AddressSet addresses) in holds.Held)
        {
            set.Contents.Replace(addresses.Ranges.ToArray());
        }

        _rehearsed.Tick(_burst.Now);
    }

    /// <summary>Lets time pass.</summary>
    public void Pause(long nanoseconds)
    {
        long end = _burst.Now + nanoseconds;
        long interval = Math.Max(TickInterval, nanoseconds / MostTicks);
        while (_burst.Now < end)
        {
            _rehearsed.Tick(Math.Min(end, _burst.Now + interval));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _burst.Reset();
        _gateway.Dispose();
    }

    private (PacketLine Line, PortConfig Port) Append(string text, out int index)
    {
        if (!PacketLine.TryParse(text, out PacketLine? line, out string? error))
        {
            throw new Refusal($"'{text}': {error}");
        }

        PortConfig port = LinePackets.PortOf(_ruleset, line, text);
        ushort arrivedBy = PolicyOf(line, text);
        if (!FrameBuilder.TryAppend(line, _burst, port.Number, out index))
        {
            throw new Refusal($"'{text}': too large");
        }

        _burst.Packets[index].ArrivedBy = arrivedBy;
        return (line, port);
    }

    /// <summary>What the rules that only count have counted so far.</summary>
    private long[] Counted() => [.. _counting.Select(rule => _gateway.Path.Counters.Rule(rule + 1))];

    private static int[] CountingIn(Ruleset ruleset) =>
        [.. Enumerable.Range(0, ruleset.Rules.Length).Where(i => ruleset.Rules[i].Action == RuleAction.Count)];

    /// <summary>The number of the policy that the line says it came by; 0 for the clear.</summary>
    private ushort PolicyOf(PacketLine line, string text)
    {
        if (line.ArrivedBy is not { } name)
        {
            return 0;
        }

        IpsecPolicy? policy = _ruleset.Ipsec?.Policies.FirstOrDefault(p => p.Name == name && p.Action == IpsecAction.Protect);
        return policy?.Number ?? throw new Refusal($"'{text}': {_ruleset.File} has no IPsec policy '{name}' that protects");
    }
}
