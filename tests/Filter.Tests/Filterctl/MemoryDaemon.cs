using Filter.Ctl.Control;
using Filter.Ctl.Service;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Ipsec.Ike;
using Filter.Rules.Policy;

namespace Filter.Tests.Filterctl;

/// <summary>A daemon without devices: ports in memory, a worker, and a control socket that verbs are typed at.</summary>
internal sealed class MemoryDaemon : IDisposable
{
    private readonly StringWriter _log = new();
    private readonly StopOrder _stop = new();
    private readonly NameResolver _names;
    private readonly RulesetSwitch _switch;
    private readonly Sequences _sequences;
    private readonly ControlServer _server;
    private PfKeyDesk? _keyManagers;

    /// <summary>Runs a ruleset.</summary>
    /// <param name="ruleset">Its text.</param>
    /// <param name="workers">How many workers; 0 for what the environment says.</param>
    public MemoryDaemon(string ruleset, int workers = 0)
    {
        File = Scratch.Write("rules.yaml", ruleset);
        RulesetLoader loader = new([]);
        Ruleset first = loader.Read(File).Ruleset ?? throw new InvalidOperationException(string.Join('\n', loader.Read(File).Diagnostics));
        Gateway = Gateway.Compose<NoTrace>(first, Gateway.PortsInMemory(first), flows: 4096, workers: workers > 0 ? workers : Conversations.NetWalk.Usual);
        Workers = Gateway.Man(static (_, _) => null, static _ => (static _ => Thread.Yield(), static () => { }));
        ServiceLog log = new(_log, json: false);
        _sequences = new Sequences(Scratch.Folder);
        _switch = new RulesetSwitch(Gateway, Workers, loader, first, _sequences, log, _stop);
        _names = new NameResolver(log);
        ControlAccess access = new(Group: 4242, ProcessRights.User);
        ControlDesk desk = new(Gateway, Workers, _switch, new EventFeed(), _stop, _names, AskIkeAsync, log);
        _server = new ControlServer(ControlSocket.Bind(Socket, access), access, (request, peer, reply, cancel) =>
            desk.AnswerAsync(request, As is { } uid ? peer with { Uid = uid } : peer, reply, cancel));
        Workers.Start();
        _server.Start();
    }

    public Scratch Scratch { get; } = new();

    public string File { get; }

    public Gateway Gateway { get; }

    public Workforce Workers { get; }

    /// <summary>The only worker, or the first.</summary>
    public Worker Worker => Workers.First;

    /// <summary>The engine of IKE; null for none.</summary>
    public IkeEngine? Ike { get; set; }

    /// <summary>Who the desk takes its clients for; null for who they are.</summary>
    public uint? As { get; set; }

    public string Log => _log.ToString();

    public string Socket => Scratch["ctl.sock"];

    /// <summary>Lets key managers in, at <c>pfkey</c> in its folder.</summary>
    public PfKeySocket Admit(out string path)
    {
        path = Scratch["pfkey"];
        _keyManagers = new PfKeyDesk(Gateway, Workers, _switch, _sequences, new IpsecEvents(), new ServiceLog(_log, json: false), legacy: false);
        _keyManagers.Begin();
        PfKeySocket socket = new(PfKeySocket.Bind(path), _keyManagers);
        socket.Start();
        return socket;
    }

    /// <summary>As the daemon does every now and then.</summary>
    public void LookAfterKeyManagers() => _keyManagers?.Look();

    /// <summary>Types a verb at it.</summary>
    public Typed Type(params string[] words) => Typed.Run([.. words, "--socket", Socket]);

    /// <summary>Types a verb that is done.</summary>
    public string Must(params string[] words)
    {
        Typed ran = Type(words);
        Assert.True(ran.Status == 0, ran.Out + ran.Error);
        return ran.Out;
    }

    /// <summary>Has the worker walk a packet line; gives how the packet ended, and what of it leaves.</summary>
    public async Task<(Verdict Verdict, DropReason Reason)> WalkAsync(string line, string? port = null) =>
        await Workers.HoldAsync(() =>
        {
            Assert.True(PacketLine.TryParse(line, out PacketLine? packet, out string? error), error);
            Burst burst = new() { Now = WallClock.Monotonic };
            byte number = (byte)Gateway.Ports.First(p => p.Name == (port ?? packet!.Port)).Number;
            Assert.True(FrameBuilder.TryAppend(packet!, burst, number, out _));
            (Verdict, DropReason) ended = default;
            void Ended(Burst walked, int worker) => ended = walked.Count == 0 ? ended : (walked.Packets[0].Verdict, walked.Packets[0].Reason);
            if (Gateway.Crew is { } crew)
            {
                crew.Walk(burst, 0, Ended);
            }
            else
            {
                Gateway.Path.Walk(burst);
                Ended(burst, 0);
                burst.Reset();
            }

            return ended;
        }, TimeSpan.FromSeconds(10));

    private Task<ControlResponse?> AskIkeAsync(Func<IkeEngine, long, ControlResponse> question) =>
        Task.FromResult(Ike is { } engine ? question(engine, WallClock.Monotonic) : null);

    public void Dispose()
    {
        Ike?.Dispose();
        _server.DisposeAsync().AsTask().GetAwaiter().GetResult();
        Workers.Stop();
        Gateway.Dispose();
        _switch.Dispose();
        _names.Dispose();
        _sequences.Dispose();
        _stop.Dispose();
        Scratch.Dispose();
    }
}
