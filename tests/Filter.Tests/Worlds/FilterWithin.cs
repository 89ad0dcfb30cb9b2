using Filter.Ctl.Service;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Ipsec;
using Filter.Ipsec.Databases;
using Filter.Rules;
using Filter.Rules.Policy;
using ComposedGateway = Filter.Ctl.Service.Gateway;

namespace Filter.Tests.Worlds;

/// <summary>
/// A Filter whose ports are on a host of a <see cref="World"/>, but that runs in the test's own process: what a key manager
/// would do to its SAs, a test can do.
/// </summary>
internal sealed class FilterWithin : IDisposable
{
    /// <summary>A ruleset for a box with a peer on its link: policies link-4, link-6, inner-4 and inner-6.</summary>
    public const string Policies = "tests/world/peer.yaml";

    private readonly Devices _devices;
    private readonly List<PortPoller> _pollers = [];
    private readonly Workforce _workers;

    private FilterWithin(Host host, Ruleset ruleset)
    {
        int workers = Conversations.NetWalk.Usual;
        _devices = host.Inside(() => Devices.Open(ruleset, new NicGate(Path.Combine(host.World.Folder, "nics")), workers));
        Gateway = ComposedGateway.Compose<NoTrace>(ruleset, _devices.Ports, workers: workers);
        _workers = Gateway.Man(_devices.Companion, ports =>
        {
            PortPoller poller = new(ports);
            _pollers.Add(poller);
            return (milliseconds => poller.Wait(milliseconds) != 0, poller.Wake);
        });
        _workers.Start();
    }

    /// <summary>What it is made of. Packets flow: only <see cref="Ask{T}"/> may touch what is the worker's.</summary>
    public ComposedGateway Gateway { get; }

    /// <summary>Its stage.</summary>
    public IpsecStage Ipsec => Gateway.Ipsec!;

    /// <summary>Starts one with a ruleset whose NICs are devices of the host.</summary>
    public static FilterWithin Start(Host host, string file)
    {
        RulesetReading reading = RulesetFile.Read(Path.Combine(Repository.Root, file));
        Assert.True(reading.Ruleset is not null, string.Join('\n', reading.Diagnostics));
        return host.World.Keep(new FilterWithin(host, reading.Ruleset!));
    }

    /// <summary>Has something done while all workers stand still; returns when it is.</summary>
    public T Ask<T>(Func<PacketPath, T> question)
    {
        Task<T> answer = _workers.HoldAsync(() => question(Gateway.Path), Host.Patience);
        Assert.True(answer.Wait(Host.Patience) && _workers.Failure is null, $"the workers do not answer: {_workers.Failure}");
        return answer.Result;
    }

    /// <summary>Adds an SA for a policy.</summary>
    public void Add(SecurityAssociation sa, string policy) => Assert.Null(Ask(_ => Ipsec.Add(sa, policy)));

    /// <summary>Takes all SAs out.</summary>
    public void Flush() => Ask(_ => Ipsec.Sad.All.ToArray().Count(Ipsec.Remove));

    /// <summary>Packets dropped or rejected so far, by reason.</summary>
    public IReadOnlyDictionary<DropReason, long> Drops() => Ask(_ =>
    {
        PathCounters counters = Gateway.Counters;
        return Enum.GetValues<DropReason>().ToDictionary(static reason => reason, reason => counters[reason]);
    });

    public void Dispose()
    {
        _workers.Stop();
        Gateway.Dispose();
        _devices.CloseCompanions();
        _pollers.ForEach(static poller => poller.Dispose());
    }
}
