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
    private Gateway(Ruleset ruleset, IReadOnlyList<Port> ports, PacketPath path, IpsecStage? ipsec)
    {
        Ruleset = ruleset;
        Ports = ports;
        Path = path;
        Ipsec = ipsec;
    }

    /// <summary>The ruleset it was composed with.</summary>
    public Ruleset Ruleset { get; }

    /// <summary>The ports, by number.</summary>
    public IReadOnlyList<Port> Ports { get; }

    /// <summary>The walk.</summary>
    public PacketPath Path { get; }

    /// <summary>The stage; null where the ruleset says nothing of IPsec.</summary>
    public IpsecStage? Ipsec { get; }

    /// <summary>Puts it together.</summary>
    /// <param name="ruleset">What it does. Its keys are copied.</param>
    /// <param name="ports">By number; its own from now on.</param>
    /// <param name="trace">Who listens to the walk.</param>
    /// <param name="flows">Room for flows; null for what the ruleset says.</param>
    /// <param name="reserve">Where counters of SAs with replay check are kept; null where nothing outlives the process.</param>
    public static Gateway Compose<TTrace>(
        Ruleset ruleset, IReadOnlyList<Port> ports, TTrace trace = default, int? flows = null, SequenceReserve? reserve = null)
        where TTrace : struct, ITrace
    {
        IpsecStage? ipsec = ruleset.Ipsec is null ? null : MakeStage(ruleset, ports, reserve);
        PathSettings settings = new()
        {
            Ports = ports,
            Ruleset = RulesetCompiler.Compile(ruleset),
            Ipsec = ipsec,
            Flows = flows ?? ruleset.Limits.Flows,
        };
        return new Gateway(ruleset, ports, new PacketPath<TTrace>(settings, trace), ipsec);
    }

    /// <summary>The stage for a ruleset's IPsec part.</summary>
    /// <exception cref="Refusal">The crypto library is missing.</exception>
    public static IpsecStage MakeStage(Ruleset ruleset, IReadOnlyList<Port> ports, SequenceReserve? reserve)
    {
        try
        {
            return new IpsecStage(ports, CryptoBackend.CreateBest(), IpsecDatabases.Build(ruleset.Ipsec, OwnAddresses(ruleset), null, reserve));
        }
        catch (Exception failure) when (failure is DllNotFoundException or EntryPointNotFoundException)
        {
            throw new Refusal($"IPsec needs libcrypto (package libssl3): {failure.Message}");
        }
    }

    /// <summary>The gateway's own addresses, of all its ports.</summary>
    public static IEnumerable<Address> OwnAddresses(Ruleset ruleset) =>
        ruleset.Ports.SelectMany(static port => port.Addresses).Select(static address => address.Address);

    /// <summary>Ports in memory, as a ruleset describes them: for rehearsals without a device.</summary>
    public static IReadOnlyList<MemoryPort> PortsInMemory(Ruleset ruleset) =>
        [.. ruleset.Ports.Select(static port => new MemoryPort(port.Mtu ?? 1500, port.Mac ?? 0)
        {
            Name = port.Name,
            Number = port.Number,
            Side = port.Side,
            KeepsSent = false,
        })];

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
