using System.CommandLine;
using Filter.Ctl.Output;
using Filter.Ctl.Service;
using Filter.Rules.Policy;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl run: the daemon.</summary>
internal static class RunVerb
{
    /// <summary>The verb.</summary>
    public static Command Build(Screen screen)
    {
        Argument<string> file = Options.Ruleset();
        Option<KeyValuePair<string, string>[]> devices = new("--device")
        {
            Description = "A device that stands for the one the ruleset names",
            HelpName = "PORT=DEV",
            Arity = ArgumentArity.OneOrMore,
            CustomParser = result =>
            {
                List<KeyValuePair<string, string>> read = [];
                foreach (System.CommandLine.Parsing.Token token in result.Tokens)
                {
                    if (token.Value.Split('=') is [{ Length: > 0 } port, { Length: > 0 } device])
                    {
                        read.Add(new(port, device));
                    }
                    else
                    {
                        result.AddError($"'{token.Value}' is not PORT=DEV");
                    }
                }

                return [.. read];
            },
            DefaultValueFactory = _ => [],
        };
        Option<string> socket = Options.Socket();
        Option<string?> state = new("--state")
        {
            Description = "Where it keeps what outlives it: how NICs were (usually /run/filter), ESP sequence numbers (usually /var/lib/filter)",
            HelpName = "DIR",
        };
        Option<int?> confirm = Options.Confirm("End and give the NICs back unless `filterctl confirm` comes in time");
        Option<bool> restore = new("--restore-on-exit")
        {
            Description = "A signal (Ctrl-C) gives the NICs back too; without it they stay closed",
        };
        Option<bool> json = new("--json") { Description = "Write the log as JSON, one object a line" };
        Option<int?> workers = new("--workers")
        {
            Description = "How many threads carry packets, whatever the ruleset says",
            HelpName = "N",
        };
        workers.Validators.Add(static result =>
        {
            if (result.GetValueOrDefault<int?>() is < 1 or > Engine.Path.Crew.Most)
            {
                result.AddError($"--workers is from 1 to {Engine.Path.Crew.Most}");
            }
        });
        Option<string?> driver = new("--driver")
        {
            Description = "How the frames of every NIC are taken, whatever the ruleset says",
            HelpName = "WORD",
        };
        driver.AcceptOnlyFromAmong([.. PortDrivers.Words.Select(static known => known.Word)]);
        Option<string?> keys = new("--pfkey")
        {
            Description = $"Let key managers bring SAs and policies by PF_KEYv2, on this socket (usually {PfKeySocket.DefaultPath})",
            HelpName = "SOCKET",
            Arity = ArgumentArity.ZeroOrOne,
        };
        Option<bool> legacy = new("--pfkey-legacy") { Description = "They may have algorithms of the legacy tier too (3DES, MD5 and the like)" };
        Command verb = new("run",
            """
            Start Filter in the foreground: open the ports, judge every packet, answer the control
            socket. Needs root, or CAP_NET_ADMIN and CAP_NET_RAW, and CAP_BPF for XDP. Signals: SIGHUP
            reads the ruleset again; SIGTERM and SIGINT end it, and the ports stay closed.

            Example:
              filterctl run office.yaml
              filterctl run bridge.yaml --device outside=enp1s0 --device inside=enp2s0 --confirm 60
            """)
        { file, devices, socket, state, confirm, restore, json, workers, driver, keys, legacy };
        verb.SetAction(parsed => Daemon.Run(
            new RunSettings(
                parsed.GetValue(file)!,
                parsed.GetValue(devices)!,
                parsed.GetValue(socket)!,
                parsed.GetValue(state),
                parsed.GetValue(confirm),
                parsed.GetValue(restore),
                parsed.GetValue(json),
                parsed.GetValue(workers),
                PortDrivers.Words.Where(known => known.Word == parsed.GetValue(driver)).Select(static known => (PortDriver?)known.Driver).FirstOrDefault(),
                parsed.GetResult(keys) is null ? null : parsed.GetValue(keys) ?? PfKeySocket.DefaultPath,
                parsed.GetValue(legacy)),
            screen));
        return verb;
    }
}
