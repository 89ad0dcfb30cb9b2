using Filter.Engine.Flows;
using Filter.Engine.Flows.Trackers;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Rules;
using Filter.Rules.Compile;
using Filter.Tests.Conversations;

namespace Filter.Tests.Oracle;

/// <summary>Filter as a judge: the conversations through the walk, between ports in memory.</summary>
internal sealed class FilterWalk
{
    private readonly MemoryPort[] _ports =
    [
        new MemoryPort { Name = "outside", Number = 0, Side = Side.Unprotected },
        new MemoryPort { Name = "inside", Number = 1, Side = Side.Protected },
    ];

    private readonly Burst _burst = new() { Now = 1_000_000_000_000 };
    private readonly NetWalk _path;
    private readonly string[][] _verdicts;
    private readonly string[][] _phases;

    private FilterWalk(IReadOnlyList<Conversation> conversations, bool bothMayOpen)
    {
        RulesetReading reading = RulesetFile.Parse("oracle.yaml", bothMayOpen ? Nets.Open : Nets.OutOnly);
        _path = new NetWalk(new PathSettings { Ports = _ports, Ruleset = RulesetCompiler.Compile(reading.Ruleset!) });
        Passed = new CameOut(conversations);
        _verdicts = [.. conversations.Select(conversation => new string[conversation.Steps.Count])];
        _phases = [.. conversations.Select(conversation => new string[conversation.Steps.Count])];
    }

    /// <summary>What came out.</summary>
    public CameOut Passed { get; }

    /// <summary>"passes", or the reason of the drop.</summary>
    public string Verdict(int conversation, int step) => _verdicts[conversation][step];

    /// <summary>Where the packet's flow stood before it came: "none", or its tracker's phase.</summary>
    public string Phase(int conversation, int step) => _phases[conversation][step];

    /// <summary>Walks all of them, a step of each after the other.</summary>
    public static FilterWalk Of(IReadOnlyList<Conversation> conversations, bool bothMayOpen)
    {
        var walk = new FilterWalk(conversations, bothMayOpen);
        for (int round = 0; round < conversations.Max(conversation => conversation.Steps.Count); round++)
        {
            foreach (Conversation conversation in conversations.Where(conversation => round < conversation.Steps.Count))
            {
                walk.Take(conversation, round);
            }

            walk._burst.Now += 1_000_000;
        }

        return walk;
    }

    private void Take(Conversation conversation, int step)
    {
        byte[] frame = conversation.Frame(step);
        _phases[conversation.Number][step] = PhaseBefore(frame);
        MemoryPort port = conversation.Steps[step].FromInside ? _ports[1] : _ports[0];
        port.Inject(frame);
        port.Receive(_burst);
        string verdict = "passes";
        _path.Walk(_burst, burst => verdict = Deliver(burst, step, verdict));
        _verdicts[conversation.Number][step] = verdict;
    }

    private string Deliver(Burst burst, int step, string verdict)
    {
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            verdict = packet.Verdict switch
            {
                Engine.Packets.Verdict.Drop => packet.Reason.Name(),
                Engine.Packets.Verdict.Held => "waits for its rest",
                Engine.Packets.Verdict.Pass => verdict,
                _ => packet.Verdict.ToString(),
            };
        }

        foreach (MemoryPort far in _ports)
        {
            far.Transmit(burst);
            foreach (SentFrame sent in far.TakeSent())
            {
                Passed.Take(far.Side == Side.Unprotected, sent.Bytes, step);
            }
        }

        return verdict;
    }

    private string PhaseBefore(byte[] frame)
    {
        var packet = new Packet { Slab = frame, Length = frame.Length, Ceiling = frame.Length };
        Parser.Parse(ref packet);
        if (!_path.TryFind(packet.Key, out Flow flow))
        {
            return "none";
        }

        return flow.Opening.Key.Protocol == IpProtocol.Tcp ? ((TcpPhase)flow.State).ToString() : ((DatagramPhase)flow.State).ToString();
    }
}
