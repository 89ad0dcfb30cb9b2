using System.Diagnostics;
using Filter.Engine.Packets;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Tests.Worlds;

/// <summary>A box behind Filter – a peer that knows the keys and makes its packets by hand: <c>tests/world/forge.py</c>, in scapy.</summary>
public sealed class ForgerScene : IDisposable
{
    private const string Python = "/usr/bin/python3";
    private World? _world;
    private FilterWithin? _filter;
    private Spoken? _forger;

    internal Host Box => _world!.Filter;

    internal FilterWithin Filter => _filter!;

    /// <summary>Starts Filter and its peer, the first time; skips the test where there is no scapy.</summary>
    internal void Start()
    {
        if (_forger is not null)
        {
            return;
        }

        Assert.SkipUnless(
            File.Exists(Python) && Ran.ToTheEnd([Python, "-c", "import scapy.layers.ipsec"], Host.Patience).Ok,
            "no scapy here to forge packets with: ./dev setup installs it (package python3-scapy)");
        _world = World.BesideNobody();
        _filter = FilterWithin.Start(Box, FilterWithin.Policies);

        // Whatever arrives at the box's stack came through Filter: nobody answers, so nobody is asked for.
        Box.Must("sysctl -qw net.ipv4.icmp_echo_ignore_all=1 net.ipv6.icmp.echo_ignore_all=1");
        _forger = _world.Keep(new Spoken(
            ["ip", "netns", "exec", _world["far"].Space, Python, Path.Combine(Repository.Root, "tests", "world", "forge.py"), "eth0", Box.Mac("filter0")]));
        _forger.Hears("ready", TimeSpan.FromSeconds(60));
    }

    /// <summary>Gives both ends fresh SAs.</summary>
    internal void Protect(KernelCase one, Random random, Func<SaSettings, SaSettings>? but = null)
    {
        (string box, string far) = KernelScene.Ends(one.Outer, inner: false);
        SaSettings settings = one.Settings(Address.Parse(box), Address.Parse(far));
        settings = but?.Invoke(settings) ?? settings;
        (FreshKeys inward, FreshKeys outward) = (FreshKeys.Of(one, random), FreshKeys.Of(one, random));
        string policy = one.Policy;
        Filter.Flush();
        Filter.Add(new InboundSa("from-forger", settings, inward.Spi, inward.Key), policy);
        Filter.Add(new OutboundSa("to-forger", settings, outward.Spi, outward.Key), policy);
        Tell($"sa {one.Outer} {(one.IsTunnel ? "tunnel" : "transport")} {one.Suite} {inward} {outward}{(one.Extended ? " esn" : "")}{(one.InUdp ? " udp" : "")}");
    }

    /// <summary>Has the forger send, and gives what became of it: packets dropped, by reason, and those that the kernel's stack got.</summary>
    internal (Dictionary<DropReason, long> Dropped, long Arrived) Send(string forgery)
    {
        IReadOnlyDictionary<DropReason, long> before = Filter.Drops();
        (long arrived, long came) = (Box.Arrivals(), Box.Counts("filter0").Received);
        Tell(forgery);

        // Behind them came a frame that is not IP: once that is counted, so is all before it.
        long until = Stopwatch.GetTimestamp() + (long)(Host.Patience.TotalSeconds * Stopwatch.Frequency);
        IReadOnlyDictionary<DropReason, long> after;
        do
        {
            after = Filter.Drops();
            Assert.True(Stopwatch.GetTimestamp() < until, "Filter never saw the last frame");
        }
        while (after[DropReason.UnknownEtherType] == before[DropReason.UnknownEtherType]);

        arrived = Box.Arrivals() - arrived;
        Assert.Equal(arrived, Box.Counts("filter0").Received - came);
        return (after.Where(cell => cell.Key != DropReason.UnknownEtherType && cell.Value != before[cell.Key])
            .ToDictionary(static cell => cell.Key, cell => cell.Value - before[cell.Key]), arrived);
    }

    public void Dispose() => _world?.Dispose();

    private void Tell(string line)
    {
        _forger!.Say(line);
        _forger.Hears("done", Host.Patience);
    }
}
