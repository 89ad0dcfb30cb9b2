using Filter.Engine.Local;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Ipsec;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Rules;
using Filter.Rules.Compile;
using Filter.Rules.Policy;
using Filter.Tests.Conversations;

namespace Filter.Tests.Ipsec;

/// <summary>A gateway made as `filterctl run` makes one, its ports in memory.</summary>
internal sealed class Site : IDisposable
{
    private readonly Dictionary<string, MemoryPort> _ports = [];
    private readonly IpsecStage _stage;
    private readonly Burst _burst = new();

    /// <param name="text">The ruleset.</param>
    /// <param name="superFrames">Whether its ports take super-frames.</param>
    /// <param name="workers">How many workers; 0 for what the environment says.</param>
    /// <param name="negotiates">Somebody negotiates keys.</param>
    internal Site(string text, bool superFrames = false, int workers = 0, bool negotiates = false)
    {
        RulesetReading reading = RulesetFile.Parse("site.yaml", text);
        Assert.True(reading.Ruleset is not null, string.Join('\n', reading.Diagnostics));
        Ruleset ruleset = reading.Ruleset;
        MemoryPort? self = null;
        foreach (PortConfig port in ruleset.Ports)
        {
            var memory = new MemoryPort(port.Mtu ?? 1500, port.Mac ?? 0) 
            {
                Name = port.Name, Number = port.Number, Side = port.Side, TakesSuperFrames = superFrames,
            };
            _ports.Add(port.Name, memory);
            self = port.Kind == PortKind.Tap ? memory : self;
        }

        PortConfig? own = ruleset.Ports.FirstOrDefault(p => p.Kind == PortKind.Tap);
        LocalAddress[] addresses = [.. own?.Addresses.Select(a => new LocalAddress(a.Address, a.Length)) ?? []];
        Port[] ports = [.. _ports.Values];
        IpsecStage? first = null;
        Path = new NetWalk(
            new PathSettings
            {
                Ports = ports,
                Ruleset = RulesetCompiler.Compile(ruleset),
                Local = new LocalNetwork(ports, self, addresses, []),
                Flows = 1024,
            },
            workers,
            seat => first is not null ? first.For(seat!, CryptoBackend.CreateBest()) : first = new IpsecStage(
                ports, CryptoBackend.CreateBest(), IpsecDatabases.Build(ruleset.Ipsec, addresses.Select(a => a.Address)), ports.Length == 2 ? self : null, self, seat)
            { AwaitsKeys = negotiates });
        _stage = first!;
        ruleset.WipeKeys();
    }

    internal NetWalk Path { get; }

    internal IpsecStage Stage => _stage;

    /// <summary>The metadata of what each port sent last.</summary>
    internal Dictionary<string, List<Offload>> Offloads { get; } = [];

    internal long Now { get; set; } = 1_000_000_000;

    public void Dispose() => _stage.Dispose();

    /// <summary>Puts another ruleset in force, its ports the same, as a reload does between two bursts.</summary>
    internal void Reload(string text, bool keepsFlows = false)
    {
        Ruleset ruleset = RulesetFile.Parse("site.yaml", text).Ruleset!;
        _stage.Adopt(IpsecDatabases.Build(ruleset.Ipsec, [], _stage.Databases));
        Path.Publish(RulesetCompiler.Compile(ruleset), keepsFlows, worker => _stage.Lanes[worker]);
    }

    /// <summary>Lets frames arrive together at a port; gives what each port then sent.</summary>
    internal Dictionary<string, List<byte[]>> Carry(string port, params byte[][] frames) =>
        Carry(port, frames.Select(static frame => (frame, default(Offload))));

    /// <summary>The same, of frames with metadata.</summary>
    internal Dictionary<string, List<byte[]>> Carry(string port, IEnumerable<(byte[] Frame, Offload Offload)> frames)
    {
        foreach ((byte[] frame, Offload offload) in frames)
        {
            _ports[port].Inject(frame, offload);
        }

        _burst.Now = Now;
        _ports[port].Receive(_burst);
        Path.Walk(_burst, Transmit);
        return Sent();
    }

    /// <summary>Lets the path look at the time; gives what each port then sent.</summary>
    internal Dictionary<string, List<byte[]>> Tick()
    {
        _burst.Now = Now;
        Path.Tick(_burst, Transmit);
        return Sent();
    }

    private Dictionary<string, List<byte[]>> Sent()
    {
        Dictionary<string, List<byte[]>> sent = [];
        foreach (MemoryPort each in _ports.Values)
        {
            IReadOnlyList<SentFrame> frames = each.TakeSent();
            List<byte[]> these = [.. frames.Select(s => s.Bytes)];
            Offloads[each.Name] = [.. frames.Select(s => s.Offload)];
            if (these.Count > 0)
            {
                sent.Add(each.Name, these);
            }
        }

        return sent;
    }

    private void Transmit(Burst walked)
    {
        foreach (MemoryPort each in _ports.Values)
        {
            each.Transmit(walked);
        }
    }
}
