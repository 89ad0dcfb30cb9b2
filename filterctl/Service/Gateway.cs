using System.Collections.Immutable;
using Filter.Engine.Local;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Ipsec;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Rules.Compile;
using Filter.Rules.Policy;

namespace Filter.Ctl.Service;

/// <summary>
/// The one place where rules, IPsec, ports and the walk are put together, for `run`, `replay`, `test`
/// and `explain` alike. Owns what it was made of.
/// </summary>
internal sealed class Gateway : IDisposable
{
    /// <summary>Largest IP packet on a link of Ethernet, in bytes.</summary>
    public const int OrdinaryMtu = 1500;

    /// <summary>Link address of a TAP in memory that was given none.</summary>
    private const ulong MadeUpMac = 0x02_00_00_00_00_01;

    private readonly List<Port> _companions = [];

    private readonly bool _negotiates;
    private readonly bool _keyManagers;

    private Gateway(IReadOnlyList<Port> ports, IReadOnlyList<PacketPath> paths, Crew? crew, IpsecStage? ipsec, bool negotiates, bool keyManagers)
    {
        (_negotiates, _keyManagers) = (negotiates, keyManagers);
        Ports = ports;
        Paths = paths;
        Crew = crew;
        Ipsec = ipsec;
    }

    /// <summary>The ports, by number.</summary>
    public IReadOnlyList<Port> Ports { get; }

    /// <summary>The walk; of several workers the first one's.</summary>
    public PacketPath Path => Paths[0];

    /// <summary>Each worker's walk.</summary>
    public IReadOnlyList<PacketPath> Paths { get; }

    /// <summary>What the workers have in common; null for one.</summary>
    public Crew? Crew { get; }

    /// <summary>What was counted, by all workers.</summary>
    public PathCounters Counters => PathCounters.Of([.. Paths.Select(static path => path.Counters)]);

    /// <summary>The stage; null until a ruleset speaks of IPsec.</summary>
    public IpsecStage? Ipsec { get; private set; }

    /// <summary>Policies that key managers have brought; they stand before those of whatever ruleset is in force.</summary>
    public ImmutableArray<IpsecPolicy> Brought { get; private set; } = [];

    /// <summary>Puts it together.</summary>
    /// <param name="ruleset">What it does. Its keys are copied.</param>
    /// <param name="ports">By number; its own from now on.</param>
    /// <param name="trace">Who listens to the walk.</param>
    /// <param name="flows">Room for flows; null for what the ruleset says.</param>
    /// <param name="reserve">Where counters of SAs with replay check are kept; null where nothing outlives the process.</param>
    /// <param name="calendar">What tells schedules the time; null for the machine's own clock.</param>
    /// <param name="judge">The ruleset in its fast form; null to compile it.</param>
    /// <param name="workers">How many workers there are to be.</param>
    /// <param name="negotiates">There is somebody who negotiates keys: packets that find no SA wait for it.</param>
    /// <param name="keyManagers">Key managers may bring SAs and policies: packets wait for them too.</param>
    public static Gateway Compose<TTrace>(
        Ruleset ruleset, IReadOnlyList<Port> ports, TTrace trace = default, int? flows = null, SequenceReserve? reserve = null,
        Calendar? calendar = null, IRuleset? judge = null, int workers = 1, bool negotiates = false, bool keyManagers = false)
        where TTrace : struct, ITrace
    {
        LocalNetwork local = LocalOf(ruleset, ports);
        Crew? crew = workers == 1 ? null : new Crew(workers, ports, local);
        IpsecStage? ipsec = ruleset.Ipsec is null ? null : MakeStage(ruleset, ports, reserve, crew, Waits(ruleset, negotiates, keyManagers));
        PathSettings settings = new()
        {
            Ports = ports,
            Ruleset = judge ?? RulesetCompiler.Compile(ruleset, calendar),
            Ipsec = ipsec,
            Local = local,
            Flows = flows ?? ruleset.Limits.Flows,
        };
        if (crew is null)
        {
            return new Gateway(ports, [new PacketPath<TTrace>(settings, trace)], null, ipsec, negotiates, keyManagers);
        }

        PacketPath[] paths = [.. crew.Seats.Select(seat => new PacketPath<TTrace>(settings with { Seat = seat, Ipsec = ipsec?.Lanes[seat.Number] }, trace))];
        crew.Begin(WallClock.Monotonic);
        return new Gateway(ports, paths, crew, ipsec, negotiates, keyManagers);
    }

    /// <summary>The workers of a gateway that runs. Each port's packets come in at one of them; all send.</summary>
    /// <param name="companions">By worker and port, what it sends with where the port is not its own; null where the port's worker must.</param>
    /// <param name="sleep">Where a worker waits for its ports, and how it is woken.</param>
    public Workforce Man(Func<int, int, Port?> companions, Func<IReadOnlyList<Port>, (Func<int, bool> Wait, Action Wake)> sleep)
    {
        List<Worker> workers = [];
        _companions.Clear();
        for (int worker = 0; worker < Paths.Count; worker++)
        {
            Port[] own = [.. Ports.Where(port => OwnerOf(port) == worker)];
            (Func<int, bool> wait, Action wake) = sleep(own);
            _companions.AddRange(Ports.Where(port => OwnerOf(port) != worker).Select(port => companions(worker, port.Number)).OfType<Port>());
            PortWay[] ways = [.. Ports.Select(port => new PortWay(OwnerOf(port) == worker ? port : companions(worker, port.Number), port.Mask, OwnerOf(port)))];
            workers.Add(new Worker(Paths[worker], own, ways, wait, wake));
        }

        return new Workforce(workers);
    }

    /// <summary>What other workers send with by a port.</summary>
    public IEnumerable<Port> CompanionsOf(Port port) => _companions.Where(companion => companion.Number == port.Number);

    /// <summary>The worker that a port's packets come in at.</summary>
    public int OwnerOf(Port port) => port.Number % Paths.Count;

    /// <summary>
    /// Makes ready to put another ruleset in force, on the control thread; what it returns does so, and is to be called
    /// while all workers stand still between two bursts. The ports must be the same.
    /// </summary>
    /// <param name="next">The ruleset.</param>
    /// <param name="reserve">As for a gateway that starts.</param>
    /// <param name="keepsFlows">Flows that it does not allow stay.</param>
    /// <exception cref="Refusal">The crypto library is missing.</exception>
    /// <exception cref="IOException">Sequence numbers could not be reserved.</exception>
    public Action Prepare(Ruleset next, SequenceReserve? reserve, bool keepsFlows = false)
    {
        IRuleset compiled = RulesetCompiler.Compile(next);
        Publication[] ready = [.. Paths.Select(path => path.Prepare(compiled, keepsFlows))];
        if (Ipsec is null)
        {
            IpsecStage? fresh = next.Ipsec is null ? null : MakeStage(next, Ports, reserve, Crew, Waits(next, _negotiates, _keyManagers));
            return () =>
            {
                Ipsec = fresh;
                Publish(ready);
            };
        }

        IpsecDatabases databases = IpsecDatabases.Build(WithBrought(next.Ipsec, Brought), OwnAddresses(next), Ipsec.Databases, reserve);
        IpsecStage stage = Ipsec;
        return () =>
        {
            stage.Adopt(databases);
            stage.AwaitsKeys = Waits(next, _negotiates, _keyManagers);
            Publish(ready);
        };
    }

    /// <summary>
    /// Makes ready to put policies of key managers in force, in the place of those before; what it returns does so, and is to be called
    /// while all workers stand still. Null where there is no place for them.
    /// </summary>
    /// <param name="current">The ruleset in force, whose own policies stand behind them.</param>
    /// <param name="brought">The policies, in order and numbered so.</param>
    /// <param name="reserve">As for a gateway that starts.</param>
    public Action? PrepareBrought(Ruleset current, ImmutableArray<IpsecPolicy> brought, SequenceReserve? reserve)
    {
        if (Ipsec is not { } stage || current.Ipsec is not { } config || config.Policies.Length >= IpsecPolicy.FirstBrought)
        {
            return null;
        }

        IpsecDatabases databases = IpsecDatabases.Build(WithBrought(config, brought), OwnAddresses(current), stage.Databases, reserve);
        return () =>
        {
            stage.Adopt(databases);
            Brought = brought;
        };
    }

    private static IpsecConfig? WithBrought(IpsecConfig? config, ImmutableArray<IpsecPolicy> brought) =>
        config is null || brought.IsEmpty ? config : config with { Policies = [.. brought, .. config.Policies] };

    private static bool Waits(Ruleset ruleset, bool negotiates, bool keyManagers) => keyManagers || (negotiates && ruleset.Ipsec?.Ike is not null);

    private void Publish(Publication[] ready)
    {
        for (int worker = 0; worker < ready.Length; worker++)
        {
            Paths[worker].Publish(ready[worker], Ipsec?.Lanes[worker]);
        }
    }

    /// <summary>The stage for a ruleset's IPsec part.</summary>
    private static IpsecStage MakeStage(Ruleset ruleset, IReadOnlyList<Port> ports, SequenceReserve? reserve, Crew? crew, bool waits)
    {
        PortConfig? tap = ruleset.Ports.FirstOrDefault(static port => port.Kind == PortKind.Tap);
        IpsecDatabases databases = IpsecDatabases.Build(ruleset.Ipsec, OwnAddresses(ruleset), null, reserve);
        Port? self = tap is null ? null : ports[tap.Number];
        IpsecStage first = new(ports, CryptoBackend.CreateBest(), databases, ports.Count == 2 ? self : null, self, crew?.Seats[0]) { AwaitsKeys = waits };
        foreach (Seat seat in crew?.Seats.Skip(1) ?? [])
        {
            first.For(seat, CryptoBackend.CreateBest());
        }

        return first;
    }

    private static IEnumerable<Address> OwnAddresses(Ruleset ruleset) =>
        ruleset.Ports.SelectMany(static port => port.Addresses).Select(static address => address.Address);

    /// <summary>Ports in memory, as a ruleset describes them: for rehearsals without a device.</summary>
    public static IReadOnlyList<MemoryPort> PortsInMemory(Ruleset ruleset) =>
        [.. ruleset.Ports.Select(static port => new MemoryPort(port.Mtu ?? OrdinaryMtu, MacInMemory(port))
        {
            Name = port.Name,
            Number = port.Number,
            Side = port.Side,
            KeepsSent = false,
        })];

    /// <summary>The link address of a port that has no device: a TAP's own, or one made up; 0 of a NIC.</summary>
    public static ulong MacInMemory(PortConfig port) => port.Kind == PortKind.Tap ? port.Mac ?? MadeUpMac : 0;

    private static LocalNetwork LocalOf(Ruleset ruleset, IReadOnlyList<Port> ports)
    {
        PortConfig? self = ruleset.Ports.FirstOrDefault(static port => port.Kind == PortKind.Tap);
        return new LocalNetwork(
            ports,
            self is null ? null : ports[self.Number],
            self?.Addresses.Select(static a => new LocalAddress(a.Address, a.Length)) ?? [],
            self?.Routes.Select(static r => new LocalRoute(r.To.Base, r.To.Length, r.Via)) ?? []);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Port port in Ports)
        {
            port.Dispose();
        }

        Ipsec?.Dispose();
    }
}
