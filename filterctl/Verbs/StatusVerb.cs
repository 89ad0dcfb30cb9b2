using System.CommandLine;
using System.Globalization;
using Filter.Ctl.Control;
using Filter.Ctl.Output;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl status: what runs.</summary>
internal static class StatusVerb
{
    /// <summary>The verb.</summary>
    public static Command Build(Screen screen)
    {
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Command verb = new("status",
            """
            Show what runs: ruleset, ports, flows, SAs.

            Example:
              filterctl status
              filterctl status --json | jq .status.ports
            """)
        { socket, json };
        verb.SetAction(parsed => Asking.Once(
            screen, parsed.GetValue(socket)!, parsed.GetValue(json), new ControlRequest("status"), response => Show(screen, response.Status!)));
        return verb;
    }

    private static void Show(Screen screen, StatusReport status)
    {
        screen.Line($"filter {status.Version}, pid {status.Pid}, up {Wording.Duration(status.Uptime)}");
        screen.Line($"ruleset {status.Ruleset}, generation {status.Generation}"
            + (status.ConfirmWithin is { } left ? screen.Paint($", goes back in {left} s unless confirmed", Tint.Odd) : ""));
        screen.Line($"flows {status.Flows} of {status.FlowCapacity}, {status.ProvenFlows} proven, {status.ManagementFlows} of management"
            + (status.SourcesAtLimit > 0 ? screen.Paint($", {status.SourcesAtLimit} sources at their limit", Tint.Odd) : ""));
        if (status.JudgedAgain is { } judged)
        {
            screen.Line(screen.Paint($"re-judging flows under the new policy: {judged}%", Tint.Odd));
        }

        if (status.EventsLost > 0)
        {
            screen.Line($"events lost {status.EventsLost}");
        }

        screen.Line();
        screen.Table(PortGrid(status.Ports));
        foreach (PortReport port in status.Ports.Where(static port => port.DriverNote is not null))
        {
            screen.Line($"{port.Name}: {port.Driver}, {port.DriverNote}");
        }

        if (status.Workers is { } workers)
        {
            screen.Line();
            screen.Table(WorkerGrid(workers));
        }

        if (status.Sas.Count > 0)
        {
            screen.Line();
            screen.Line($"SAs {status.SaCount:N0}" + (status.SaCount > status.Sas.Count ? $", of which {status.Sas.Count} are shown; filterctl sa list shows more" : ""));
            screen.Table(SaVerb.Rows(status.Sas));
        }

        if (status.Ike is { } ike)
        {
            screen.Line($"IKE: {ike.Up} of {Tell.Count(ike.Peers, "peer")} up{(ike.Down.Count == 0 ? "" : $"; failing: {screen.Paint(string.Join(", ", ike.Down), Tint.Bad)}")}");
        }

        if (status.Crypto.Count > 0)
        {
            screen.Line($"crypto: {string.Join(", ", status.Crypto)}");
        }
    }

    private static Grid WorkerGrid(IReadOnlyList<WorkerReport> workers)
    {
        Grid grid = new("WORKER", ">LOAD", ">FLOWS", ">PACKETS", ">HANDED ON", ">LOST", "PORTS");
        foreach (WorkerReport worker in workers)
        {
            grid.Add(
                worker.Worker.ToString(CultureInfo.InvariantCulture), $"{worker.Load}%", worker.Flows, worker.In, worker.Given, worker.Unsent,
                string.Join(", ", worker.Ports));
        }

        return grid;
    }

    /// <summary>The ports as a table.</summary>
    internal static Grid PortGrid(IReadOnlyList<PortReport> ports)
    {
        Grid grid = new("PORT", "DEVICE", "SIDE", "DRIVER", ">MTU", ">IN", ">BYTES", ">OUT", ">BYTES", ">LOST", "STATE");
        foreach (PortReport port in ports)
        {
            grid.Add(
                port.Name, port.Device, port.Side, port.Driver, port.Mtu.ToString(CultureInfo.InvariantCulture),
                port.ReceivedPackets, port.ReceivedBytes, port.SentPackets, port.SentBytes, port.KernelDrops + port.SendErrors,
                port.Failure is { } failure ? new Cell(failure, Tint.Bad) : new Cell("up", Tint.Good));
        }

        return grid;
    }
}
