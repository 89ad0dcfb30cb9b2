using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Globalization;
using System.Net.NetworkInformation;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Ipsec;
using Filter.Ipsec.PfKey;
using Filter.Ipsec.PfKey.Messages;
using Filter.Rules.Policy;

namespace Filter.Ctl.Service;

/// <summary>
/// Lets key managers have the SAs and policies of a daemon: its <see cref="PfKeyEngine"/>, asked by one at a time. What changes is
/// changed while all workers stand still and no ruleset is put in force.
/// </summary>
internal sealed class PfKeyDesk : IPfKeyHost
{
    /// <summary>Most lines about refused messages between two looks.</summary>
    private const int MostLines = 10;

    /// <summary>Most events that wait for a look.</summary>
    private const int MostEvents = 4096;

    private static readonly TimeSpan s_workerPatience = TimeSpan.FromSeconds(10);

    private readonly Gateway _gateway;
    private readonly Workforce _workers;
    private readonly RulesetSwitch _rulesets;
    private readonly Sequences _sequences;
    private readonly ServiceLog _log;
    private readonly PfKeyEngine _engine;
    private readonly Lock _turn = new();
    private readonly ConcurrentQueue<IpsecEvent> _events = [];
    private int _lines;

    /// <summary>A desk that hears of a gateway's events, and answers nobody yet.</summary>
    public PfKeyDesk(Gateway gateway, Workforce workers, RulesetSwitch rulesets, Sequences sequences, IpsecEvents events, ServiceLog log, bool legacy)
    {
        (_gateway, _workers, _rulesets, _sequences, _log) = (gateway, workers, rulesets, sequences, log);
        _engine = new PfKeyEngine(this, legacy);
        events.Tell(Hear);
    }

    /// <inheritdoc/>
    public IpsecStage? Stage => _gateway.Ipsec;

    private static PfKeyTime Now => new(WallClock.Monotonic, DateTimeOffset.UtcNow.ToUnixTimeSeconds());

    /// <summary>Begins, once the workers carry packets.</summary>
    public void Begin()
    {
        Try(_engine.Begin);
    }

    /// <summary>Somebody opened a socket.</summary>
    public void Join(PfKeyListener listener)
    {
        lock (_turn)
        {
            _engine.Join(listener);
        }
    }

    /// <summary>Its socket is closed.</summary>
    public void Leave(PfKeyListener listener)
    {
        lock (_turn)
        {
            _engine.Leave(listener);
        }
    }

    /// <summary>Does what a message asks; the answer is sent when this returns.</summary>
    public void Receive(PfKeyListener from, ReadOnlySpan<byte> message)
    {
        lock (_turn)
        {
            _engine.Receive(from, message, Now);
        }
    }

    /// <summary>Tells key managers what happened since the last look, and ends what has waited too long.</summary>
    public void Look()
    {
        Try(() =>
        {
            PfKeyTime now = Now;
            while (_events.TryDequeue(out IpsecEvent told))
            {
                _engine.Hear(told, now);
            }

            _engine.Tick(now);
            _lines = 0;
        });
    }

    /// <inheritdoc/>
    public AddressSet Own => AddressSet.Of(
        (_gateway.Ipsec?.Databases.Own ?? FrozenSet<Address>.Empty).Concat(Leased()).Select(static own => new AddressRange(own, own)));

    /// <inheritdoc/>
    public T Hold<T>(Func<IpsecStage, T> change) => _rulesets.LendAsync(_ => Held(() => change(_gateway.Ipsec!))).GetAwaiter().GetResult();

    /// <inheritdoc/>
    public PfKeyError Adopt(ImmutableArray<IpsecPolicy> policies, Action<IpsecStage> then) => _rulesets.LendAsync(current =>
    {
        if (_gateway.PrepareBrought(current, policies, _sequences.For(current)) is not { } publish)
        {
            return PfKeyError.NotDone;
        }

        return Held(() =>
        {
            publish();
            then(_gateway.Ipsec!);
            return PfKeyError.None;
        });
    }).GetAwaiter().GetResult();

    /// <inheritdoc/>
    public void Refused(PfKeyHeader header, PfKeyError error, string why)
    {
        if (_lines++ < MostLines)
        {
            _log.Line(string.Create(CultureInfo.InvariantCulture, $"pfkey: {header.Type} of process {header.Process} refused ({error}): {why}"));
        }
    }

    /// <summary>Something happened that nobody expected; whose message it was is sent away.</summary>
    public void Failed(Exception failure) => _log.Line($"pfkey: internal error: {failure.GetType().Name}: {failure.Message.ReplaceLineEndings(" ")}");

    /// <summary>Addresses that the box's own stack has, whoever gave it them.</summary>
    private static IEnumerable<Address> Leased() =>
        from device in NetworkInterface.GetAllNetworkInterfaces()
        where device.NetworkInterfaceType != NetworkInterfaceType.Loopback
        from own in device.GetIPProperties().UnicastAddresses
        let bytes = own.Address.GetAddressBytes()
        select bytes.Length == 4 ? Address.ReadIPv4(bytes) : Address.ReadIPv6(bytes);

    private void Hear(IpsecEvent told)
    {
        if (_events.Count < MostEvents)
        {
            _events.Enqueue(told);
        }
    }

    /// <summary>What no key manager asked for, and so nobody is told that it could not be.</summary>
    private void Try(Action what)
    {
        lock (_turn)
        {
            try
            {
                what();
            }
            catch (Exception failure) when (failure is TimeoutException or IOException)
            {
                _log.Line($"pfkey: {failure.Message}");
            }
        }
    }

    private T Held<T>(Func<T> what) => _workers.HoldAsync(what, s_workerPatience).GetAwaiter().GetResult();
}
