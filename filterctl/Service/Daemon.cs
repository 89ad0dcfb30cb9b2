using System.Runtime;
using System.Runtime.InteropServices;
using Filter.Ctl.Control;
using Filter.Ctl.Output;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Rules;
using Filter.Rules.Policy;

namespace Filter.Ctl.Service;

/// <summary>
/// `filterctl run`: one thread or more carry packets, one tells of them, the control socket is served beside,
/// and the main thread looks after all of it until somebody says stop.
/// </summary>
internal sealed class Daemon : IDisposable
{
    /// <summary>How often the main thread looks around.</summary>
    private const int LookInterval = 200;

    private static readonly TimeSpan s_replyPatience = TimeSpan.FromSeconds(5);

    private readonly RunSettings _settings;
    private readonly ServiceLog _log;
    private readonly Devices _devices;
    private readonly Gateway _gateway;
    private readonly List<PortPoller> _pollers = [];
    private readonly Workforce _workers;
    private readonly Sequences _sequences;
    private readonly IpsecEvents _ipsecEvents = new();
    private readonly SaLog _associations;
    private readonly RulesetSwitch _switch;
    private readonly IkeService _ike;
    private readonly PfKeyDesk? _keyManagers;
    private readonly NameResolver _names;
    private readonly PortNetworks _networks = new();
    private readonly StopOrder _stop = new();
    private readonly HashSet<Port> _failed = [];
    private long _nextWatchdog;

    private Daemon(RunSettings settings, ServiceLog log, RulesetLoader loader, Ruleset ruleset, Sequences sequences)
    {
        _settings = settings;
        _log = log;
        _sequences = sequences;
        _associations = new SaLog(log);
        _ipsecEvents.Tell(_associations.Hear);
        _names = new NameResolver(log);
        foreach (LiveSet set in ruleset.LiveSets)
        {
            set.Begin(WallClock.Monotonic);
        }

        int workers = settings.Workers ?? ruleset.Workers ?? Math.Min(Environment.ProcessorCount, Crew.Most);
        _devices = Devices.Open(ruleset, new NicGate(settings.State ?? NicGate.DefaultDirectory), workers);
        try
        {
            _gateway = Gateway.Compose<NoTrace>(ruleset, _devices.Ports, reserve: sequences.For(ruleset), workers: workers, negotiates: true, keyManagers: settings.PfKey is not null);
            _workers = _gateway.Man(_devices.Companion, Sleep);
        }
        catch
        {
            _gateway?.Dispose();
            _devices.Undo();
            throw;
        }

        _switch = new RulesetSwitch(_gateway, _workers, loader, ruleset, sequences, log, _stop);
        _ike = new IkeService(_gateway, _workers, _ipsecEvents, ruleset, log);
        _switch.Followed = _ike.AdoptAsync;
        _keyManagers = settings.PfKey is null ? null : new PfKeyDesk(_gateway, _workers, _switch, sequences, _ipsecEvents, log, settings.PfKeyLegacy);
    }

    /// <summary>Runs until it is stopped, and gives the exit status.</summary>
    public static int Run(RunSettings settings, Screen screen)
    {
        if (!CommandLine.ShowsTraces)
        {
            CoreFiles.Forbid();
        }

        RulesetLoader loader = new(settings.Devices, settings.Driver);
        RulesetReading reading = loader.Read(settings.File);
        screen.Complain(reading.Diagnostics.Select(static d => d.ToString()));
        if (reading.Ruleset is not { } ruleset)
        {
            return Exit.No;
        }

        if (!ProcessRights.MayOpenPorts)
        {
            throw new Refusal("opening ports needs root, or the capabilities CAP_NET_ADMIN and CAP_NET_RAW");
        }

        GCSettings.LatencyMode = GCLatencyMode.SustainedLowLatency;     // what requests and reloads leave behind is collected in the background
        ServiceLog log = new(screen.Error, settings.Json);
        ControlAccess access = ControlAccess.OfMachine();
        ControlSocket socket = ControlSocket.Bind(settings.Socket, access);
        ControlSocket? keys = null;
        bool served = false;
        try
        {
            keys = settings.PfKey is null ? null : PfKeySocket.Bind(settings.PfKey);
            using Sequences sequences = new(settings.State ?? RunSettings.DefaultState);
            using Daemon daemon = new(settings, log, loader, ruleset, sequences);
            served = true;
            return daemon.Serve(socket, keys, access);
        }
        finally
        {
            if (!served)
            {
                socket.Dispose();
                keys?.Dispose();
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _ike.Dispose();
        _gateway.Dispose();
        _devices.CloseCompanions();
        _pollers.ForEach(static poller => poller.Dispose());
        _switch.Dispose();
        _names.Dispose();
        _stop.Dispose();
    }

    private int Serve(ControlSocket socket, ControlSocket? keys, ControlAccess access)
    {
        EventFeed feed = new();
        using Systemd systemd = Systemd.FromEnvironment();
        ControlDesk desk = new(_gateway, _workers, _switch, feed, _stop, _names, _ike.AskAsync, _log);
        ControlServer server = new(socket, access, desk.AnswerAsync);
        PfKeySocket? keyManagers = keys is null ? null : new PfKeySocket(keys, _keyManagers!);
        using (EventPump pump = new(_gateway.Paths, _gateway.Ports, feed, _log, () => _switch.Current.Rules.Any(static rule => rule.Log)))
        {
            using PosixSignalRegistration term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, StopBySignal);
            using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, StopBySignal);
            using PosixSignalRegistration hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
            {
                context.Cancel = true;
                _ = ReloadBySignalAsync(systemd);
            });
            _workers.Start();
            pump.Start();
            _ike.Start();
            _switch.BeginTrial(_settings.Confirm);
            server.Start();
            _keyManagers?.Begin();
            keyManagers?.Start();
            Greet(systemd);
            LookAfter(systemd);
            systemd.Stopping();
            keyManagers?.DisposeAsync().AsTask().GetAwaiter().GetResult();
            _ike.Stop();
            _workers.Stop();
        }

        int status = End();
        server.DisposeAsync().AsTask().GetAwaiter().GetResult();
        return status;
    }

    private void Greet(Systemd systemd)
    {
        foreach (string warning in _devices.Warnings)
        {
            _log.Line($"warning: {warning}");
        }

        string ports = string.Join(", ", _switch.Current.Ports.Select(static port => $"{port.Name} on {port.Device} ({port.Side.Word()})"));
        _log.Line($"ready: {_switch.Current.File}, {ports}, socket {Path.GetFullPath(_settings.Socket)}{(_settings.PfKey is { } keys ? $", PF_KEY at {Path.GetFullPath(keys)}" : "")}");
        systemd.Ready($"{_switch.Current.File}, {_gateway.Ports.Count} ports");
    }

    private void LookAfter(Systemd systemd)
    {
        while (!_stop.Wait(LookInterval) && _workers.Failure is null)
        {
            foreach (Port port in _gateway.Ports)
            {
                if (port.Failure is { } failure && _failed.Add(port))
                {
                    _log.Line($"port {port.Name} is lost: {failure}");
                }
            }

            _sequences.Renew(_gateway.Ipsec, _log);
            _ipsecEvents.Look(_gateway.Ipsec);
            _associations.Look(_gateway.Ipsec);
            _keyManagers?.Look();
            _switch.LookAtTrial();
            _names.Look(_switch.Current);
            _networks.Look(_switch.Current);
            FeedWatchdog(systemd);
        }
    }

    /// <summary>The watchdog is fed only while every worker turns: one that hangs is to be started anew.</summary>
    private void FeedWatchdog(Systemd systemd)
    {
        if (systemd.WatchdogInterval is { } interval && Environment.TickCount64 >= _nextWatchdog && _workers.HaveBreathed())
        {
            systemd.Watchdog();
            _nextWatchdog = Environment.TickCount64 + (long)interval.TotalMilliseconds;
        }
    }

    private int End()
    {
        foreach (Port port in _gateway.Ports)
        {
            port.Dispose();
        }

        _devices.CloseCompanions();
        string? workerFailure = _workers.Failure is { } failure ? $"{failure.GetType().Name}: {failure.Message.ReplaceLineEndings(" ")}" : null;
        if (workerFailure is not null && CommandLine.ShowsTraces)
        {
            _log.Line(_workers.Failure!.ToString());
        }

        List<string> problems = [];
        if (_stop.Restore)
        {
            problems.AddRange(_devices.Restore());
        }

        problems.ForEach(problem => _log.Line($"not as it was: {problem}"));
        string told = _stop.Restore ? "stopped; the NICs are as they were" : "stopped; the ports stay closed";
        _log.Line(workerFailure is null ? told : $"ended by an internal error: {workerFailure}; the ports stay closed");
        _stop.Done(problems.Count == 0 ? told : $"stopped, but {string.Join("; ", problems)}", s_replyPatience);
        return workerFailure is null && problems.Count == 0 ? Exit.Done : Exit.No;
    }

    /// <summary>Where a worker waits for its ports.</summary>
    private (Func<int, bool> Wait, Action Wake) Sleep(IReadOnlyList<Port> ports)
    {
        PortPoller poller = new(ports);
        _pollers.Add(poller);
        return (milliseconds => poller.Wait(milliseconds) != 0, poller.Wake);
    }

    private void StopBySignal(PosixSignalContext context)
    {
        context.Cancel = true;
        _stop.Give(_settings.RestoreOnExit);
    }

    private async Task ReloadBySignalAsync(Systemd systemd)
    {
        systemd.Reloading();
        ControlResponse response = await _switch.ReloadAsync(null, null).ConfigureAwait(false);
        foreach (string finding in response.Diagnostics ?? [])
        {
            _log.Line(finding);
        }

        _log.Line(response.Ok ? response.Message! : $"reload: {response.Error}");
        systemd.Ready(response.Ok ? $"{_switch.Current.File}, {_gateway.Ports.Count} ports" : "the last reload was refused");
    }
}
