using System.Globalization;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Rules;
using Filter.Rules.Compile;
using Filter.Rules.Policy;
using Filter.Tests.Worlds;

namespace Filter.Tests.Conversations;

/// <summary>
/// The walk itself between ports in memory, under a clock that the test turns. Hosts speak packet
/// lines; whatever leaves by a port is heard there.
/// </summary>
internal sealed class TestNet
{
    private readonly Burst _burst = new();
    private readonly Dictionary<string, MemoryPort> _ports;
    private readonly Dictionary<string, List<PacketLine>> _heard;
    private readonly Ruleset _ruleset;
    private long _now = 1_000_000_000_000;
    private bool _gathering;

    /// <summary>A net under a ruleset.</summary>
    /// <param name="ruleset">Its text, or the name of a file from the project's root.</param>
    /// <param name="mtu">Largest IP packet that ports take.</param>
    /// <param name="flows">Most flows.</param>
    /// <param name="policy">Changes what the ruleset says of the walk as a whole.</param>
    /// <param name="workers">How many workers; 0 for what the environment says, 1 where a test looks into the one path.</param>
    public TestNet(string ruleset, int mtu = 1500, int flows = 1024, Func<PathPolicy, PathPolicy>? policy = null, int workers = 0)
    {
        _ruleset = Read(ruleset);
        _ruleset = _ruleset with { Path = policy?.Invoke(_ruleset.Path) ?? _ruleset.Path };
        _ports = _ruleset.Ports.ToDictionary(
            port => port.Name, port => new MemoryPort(mtu) { Name = port.Name, Number = port.Number, Side = port.Side });
        _heard = _ports.Keys.ToDictionary(name => name, _ => new List<PacketLine>());
        Path = new NetWalk(
            new PathSettings
            {
                Ports = [.. _ports.Values.OrderBy(port => port.Number)],
                Ruleset = RulesetCompiler.Compile(_ruleset),
                Flows = flows,
            },
            workers);
    }

    /// <summary>The walk that is tested.</summary>
    public NetWalk Path { get; }

    /// <summary>The port of that name.</summary>
    public MemoryPort this[string port] => _ports[port];

    /// <summary>A host at port "inside" and one at "outside" that speak to each other.</summary>
    /// <param name="inside">Address and port, as packet lines write them; without port for ICMP and its like.</param>
    /// <param name="outside">As <paramref name="inside"/>.</param>
    /// <param name="protocol">What they speak.</param>
    public (TestHost Inside, TestHost Outside) Between(string inside, string outside, string protocol = "tcp") =>
        (new TestHost(this, "inside", inside, outside, protocol), new TestHost(this, "outside", outside, inside, protocol));

    /// <summary>A packet comes in; unless it is gathered, it is walked at once.</summary>
    /// <param name="line">The packet, with the port it comes in by.</param>
    public void Sends(string line)
    {
        PacketLine read = PacketLine.Parse(line);
        byte[] frame = new byte[FrameBuilder.Length(read)];
        Offload offload = FrameBuilder.Write(read, frame);
        Sends(read.Port!, frame, offload);
    }

    /// <summary>A frame comes in by a port.</summary>
    public void Sends(string port, byte[] frame, Offload offload = default)
    {
        _burst.Now = _now;
        _ports[port].Inject(frame, offload);
        _ports[port].Receive(_burst);
        if (!_gathering)
        {
            Breathe();
        }
    }

    /// <summary>What is sent meanwhile is walked in one burst, in its order.</summary>
    public void InOneBurst(Action sends)
    {
        _gathering = true;
        sends();
        _gathering = false;
        Breathe();
    }

    /// <summary>Time passes: <c>30ms</c>, <c>31s</c>, <c>5m</c>, <c>2h</c>.</summary>
    public void After(string time)
    {
        int unit = time.IndexOfAny(['m', 's', 'h']);
        double value = double.Parse(time.AsSpan(0, unit), CultureInfo.InvariantCulture);
        _now += (long)(value * time[unit..] switch { "ms" => 1e6, "s" => 1e9, "m" => 60e9, "h" => 3600e9, _ => double.NaN });
        _burst.Now = _now;
        Path.Tick(_burst, Deliver);
    }

    /// <summary>Puts another ruleset with the same ports in force.</summary>
    public void Reloads(string ruleset, bool keepsFlows = false) =>
        Path.Publish(RulesetCompiler.Compile(Read(ruleset)), keepsFlows);

    /// <summary>So many packets were dropped (or rejected) for this reason, and none for another.</summary>
    public void Expects(DropReason reason, long count)
    {
        PathCounters counters = Path.Counters;
        IEnumerable<string> seen = Enum.GetValues<DropReason>().Where(why => counters[why] > 0)
            .Select(why => $"{why.Name()}: {counters[why]}");
        Assert.Equal(count == 0 ? "" : $"{reason.Name()}: {count}", string.Join(", ", seen));
    }

    /// <summary>Nothing was dropped.</summary>
    public void ExpectsNoDrops() => Expects(DropReason.None, 0);

    /// <summary>So many flows are in the table.</summary>
    public void ExpectsFlows(int count) => Assert.Equal(count, Path.Flows.Count);

    /// <summary>The next packet that left by a port, to a host or to anyone; null where there was none.</summary>
    internal PacketLine? Take(string port, Address? to)
    {
        List<PacketLine> heard = _heard[port];
        int index = heard.FindIndex(line => to is null || line.Destination == to);
        if (index < 0)
        {
            return null;
        }

        PacketLine line = heard[index];
        heard.RemoveAt(index);
        return line;
    }

    /// <summary>The next packet that left by a port is this one.</summary>
    public void Hears(string port, string line) => Assert.Equal(Normal(line), Take(port, null)?.ToString());

    /// <summary>Nothing more left by a port.</summary>
    public void HearsNothing(string port) => Assert.Null(Take(port, null)?.ToString());

    /// <summary>A line as the packet prints that it builds.</summary>
    internal static string Normal(string line)
    {
        PacketLine read = PacketLine.Parse(line);
        byte[] frame = new byte[FrameBuilder.Length(read)];
        Offload offload = FrameBuilder.Write(read, frame);
        return Parse(frame, offload).ToString();
    }

    private void Breathe()
    {
        Path.Walk(_burst, Deliver);
        foreach (PacketPath path in Path.Paths)
        {
            PathCounters counters = path.Counters;
            Assert.Equal(counters.In, Enum.GetValues<Verdict>().Sum(verdict => counters[verdict]));
            Assert.Equal(0, counters[DropReason.None]);
        }
    }

    private void Deliver(Burst burst)
    {
        foreach (MemoryPort port in _ports.Values)
        {
            port.Transmit(burst);
            foreach (SentFrame frame in port.TakeSent())
            {
                _heard[port.Name].Add(Parse(frame.Bytes, frame.Offload));
            }
        }
    }

    private static PacketLine Parse(byte[] frame, Offload offload)
    {
        var packet = new Packet { Slab = frame, Length = frame.Length, Ceiling = frame.Length, Offload = offload };
        packet.Reason = Parser.Parse(ref packet);
        return PacketLine.Of(packet, null);
    }

    private static Ruleset Read(string ruleset)
    {
        RulesetReading reading = ruleset.Contains('\n', StringComparison.Ordinal)
            ? RulesetFile.Parse("test.yaml", ruleset)
            : RulesetFile.Read(System.IO.Path.Combine(Repository.Root, ruleset));
        Assert.Empty(reading.Diagnostics.Where(found => found.Severity == Filter.Rules.Syntax.Severity.Error).Select(found => found.ToString()));
        return reading.Ruleset!;
    }
}
