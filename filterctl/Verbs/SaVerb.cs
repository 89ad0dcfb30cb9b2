using System.CommandLine;
using System.Globalization;
using Filter.Ctl.Control;
using Filter.Ctl.Output;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl sa: the security associations of the running Filter.</summary>
internal static class SaVerb
{
    /// <summary>Rows that are shown where nothing else is said.</summary>
    internal const int DefaultLimit = 1000;

    /// <summary>The verb with its subverbs; alone it lists.</summary>
    public static Command Build(Screen screen)
    {
        Command verb = new("sa",
            """
            Look at, and change, the SAs of the running Filter, each direction by itself. Only root, or the
            daemon's own user, changes them. What was added by hand stays over a reload that leaves its
            policy, and goes with the daemon. Alone it lists.

            Example:
              filterctl sa
              filterctl sa show branch
              filterctl sa delete 0x1002
            """);
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        verb.Add(socket);
        verb.Add(json);
        verb.SetAction(parsed => List(screen, parsed.GetValue(socket)!, parsed.GetValue(json), new ControlRequest("sa") { Match = "list", Limit = DefaultLimit }));
        verb.Add(BuildList(screen));
        verb.Add(BuildShow(screen));
        verb.Add(BuildAdd(screen));
        verb.Add(BuildDelete(screen));
        verb.Add(BuildFlush(screen));
        return verb;
    }

    private static Option<string?> Policy() => new("--policy") { Description = "Those of this policy alone", HelpName = "NAME" };

    private static Option<bool> ShowKeys() => new("--show-keys") { Description = "With the keys, for root alone" };

    private static Command BuildList(Screen screen)
    {
        Option<bool> keys = ShowKeys();
        Option<bool> wireshark = new("--wireshark") { Description = "As lines of Wireshark's table esp_sa; needs --show-keys" };
        Option<string?> policy = Policy();
        Option<string?> spi = new("--spi") { Description = "Those with this SPI alone", HelpName = "SPI" };
        Option<int> limit = new("--limit") { Description = "Most SAs to show", HelpName = "N", DefaultValueFactory = _ => DefaultLimit };
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Command verb = new("list",
            """
            List SAs: what sends and what receives. REFUSED says how many packets each refused, and why;
            SEQUENCE is the last number sent, or the highest taken.

            Example:
              filterctl sa list --policy branch
              filterctl sa list --show-keys --wireshark > ~/.config/wireshark/esp_sa
            """)
        { policy, spi, limit, keys, wireshark, socket, json };
        verb.SetAction(parsed =>
        {
            ControlRequest request = new("sa") { Match = "list", Policy = parsed.GetValue(policy), Sa = parsed.GetValue(spi), Limit = parsed.GetValue(limit), ShowKeys = parsed.GetValue(keys) };
            return !parsed.GetValue(wireshark) ? List(screen, parsed.GetValue(socket)!, parsed.GetValue(json), request)
                : request.ShowKeys ? ListForWireshark(screen, parsed.GetValue(socket)!, request)
                : throw new Refusal("--wireshark writes keys: say --show-keys too", Exit.Usage);
        });
        return verb;
    }

    private static Command BuildShow(Screen screen)
    {
        Argument<string> name = Name();
        Option<bool> keys = ShowKeys();
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Command verb = new("show",
            """
            Show all there is to know of an SA, both directions: what is left of its life, its window,
            what it may carry, what it counted.

            Example:
              filterctl sa show branch
              filterctl sa show 0x1002
            """)
        { name, keys, socket, json };
        verb.SetAction(parsed => Show(
            screen, parsed.GetValue(socket)!, parsed.GetValue(json), new ControlRequest("sa") { Match = "show", Sa = parsed.GetValue(name), ShowKeys = parsed.GetValue(keys) }));
        return verb;
    }

    private static Command BuildAdd(Screen screen)
    {
        Argument<string[]> words = new("FILE")
        {
            Description = "A file of SAs, or - for stdin; or the name of one, and KEY=VALUE for each key that it has in a ruleset, out.spi=VALUE for those within",
            Arity = ArgumentArity.OneOrMore,
        };
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Command verb = new("add",
            """
            Add SAs, both directions each, written as under `sas` in a ruleset, with the policy that uses
            them: `policy: NAME`. Packets go by the newest. Mode and tunnel ends are those of the policy's
            other SAs; key files have mode 0600. Nothing of what was added outlives the daemon: add it
            anew, with new keys.

            Example:
              filterctl sa add branch2.yaml
              filterctl sa add branch2 policy=branch mode=tunnel local=192.0.2.1 remote=198.51.100.1 suite=aes-cbc-256+hmac-sha2-256-128 out.spi=0x2001 out.key-file=out.keys in.spi=0x2002 in.key-file=in.keys
            """)
        { words, socket, json };
        verb.SetAction(parsed => Change(screen, parsed.GetValue(socket)!, parsed.GetValue(json), SaWords.Request(parsed.GetValue(words)!)));
        return verb;
    }

    private static Command BuildDelete(Screen screen)
    {
        Argument<string> name = Name();
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Command verb = new("delete",
            """
            Take out an SA and wipe its keys: by name both directions, by SPI the one. What it carried is
            dropped from then on. One of the ruleset comes back, with its window empty, when the ruleset
            is read again.

            Example:
              filterctl sa delete branch
            """)
        { name, socket, json };
        verb.SetAction(parsed => Change(screen, parsed.GetValue(socket)!, parsed.GetValue(json), new ControlRequest("sa") { Match = "delete", Sa = parsed.GetValue(name) }));
        return verb;
    }

    private static Command BuildFlush(Screen screen)
    {
        Option<string?> policy = Policy();
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Command verb = new("flush",
            """
            Take out every SA that was added by hand.

            Example:
              filterctl sa flush --policy branch
            """)
        { policy, socket, json };
        verb.SetAction(parsed => Change(screen, parsed.GetValue(socket)!, parsed.GetValue(json), new ControlRequest("sa") { Match = "flush", Policy = parsed.GetValue(policy) }));
        return verb;
    }

    private static Argument<string> Name() => new("NAME|SPI") { Description = "The SA's name, or the SPI of one direction" };

    private static int Change(Screen screen, string socket, bool json, ControlRequest request) =>
        Asking.Once(screen, socket, json, request, response => screen.Line(response.Message!));

    /// <summary>Lists SAs.</summary>
    internal static int List(Screen screen, string socket, bool json, ControlRequest request)
    {
        using ControlClient client = ControlClient.Connect(socket);
        List<SaReport> rows = [];
        long count = 0;
        foreach (ControlResponse response in client.Ask(request))
        {
            if (!response.Ok)
            {
                Asking.Refuse(screen, response);
                return Exit.No;
            }

            if (json)
            {
                Asking.Print(screen, response);
            }

            rows.AddRange(json ? [] : response.Sas ?? []);
            count = response.Count ?? count;
        }

        if (!json)
        {
            screen.Table(Rows(rows));
            foreach (SaReport sa in rows.Where(static sa => sa.EncryptionKey is not null))
            {
                screen.Line($"keys of {sa.Name} {sa.Direction} {sa.Spi}: 0x{sa.EncryptionKey} 0x{sa.IntegrityKey}");
            }

            screen.Line(rows.Count < count ? $"{rows.Count} of {count} SAs; --limit shows more" : Tell.Count(count, "SA"));
        }

        return Exit.Done;
    }

    private static int ListForWireshark(Screen screen, string socket, ControlRequest request)
    {
        using ControlClient client = ControlClient.Connect(socket);
        foreach (ControlResponse response in client.Ask(request))
        {
            if (!response.Ok)
            {
                Asking.Refuse(screen, response);
                return Exit.No;
            }

            foreach (string line in (response.Sas ?? []).SelectMany(WiresharkSa.Lines))
            {
                screen.Line(line);
            }
        }

        return Exit.Done;
    }

    /// <summary>SAs as a table.</summary>
    internal static Grid Rows(IReadOnlyList<SaReport> sas)
    {
        Grid grid = new("SA", "DIRECTION", "PROTOCOL", "SPI", "MODE", "ENDS", "SUITE", "POLICY", "STATE", ">AGE", ">PACKETS", ">BYTES", ">SEQUENCE", "REFUSED");
        foreach (SaReport sa in sas)
        {
            string refused = sa.Refused();
            grid.Add(
                sa.Name, sa.Direction, sa.Protocol, sa.Spi, sa.Mode, Ends(sa), sa.Suite, Policies(sa), State(sa), Wording.Duration(sa.Age),
                sa.Packets, sa.Bytes, Number(sa.Sequence), refused == "-" ? refused : new Cell(refused, Tint.Bad));
        }

        return grid;
    }

    private static int Show(Screen screen, string socket, bool json, ControlRequest request)
    {
        using ControlClient client = ControlClient.Connect(socket);
        foreach (ControlResponse response in client.Ask(request))
        {
            if (!response.Ok)
            {
                Asking.Refuse(screen, response);
                return Exit.No;
            }

            if (json)
            {
                Asking.Print(screen, response);
                continue;
            }

            foreach (SaReport sa in response.Sas ?? [])
            {
                screen.Line($"{screen.Paint(sa.Name, Tint.Strong)} {sa.Direction}: {sa.Protocol} {sa.Spi} {sa.Mode} {Ends(sa)}, {sa.Suite}");
                foreach ((string what, string text) in Lines(sa, sa.Details!))
                {
                    screen.Line($"  {what,-10} {text}");
                }
            }
        }

        return Exit.Done;
    }

    private static IEnumerable<(string What, string Text)> Lines(SaReport sa, SaDetails all)
    {
        yield return ("policy", Policies(sa));
        yield return ("state", $"{sa.State}, {Wording.Duration(sa.Age)} old, {Source(sa)}, number {all.Number}");
        foreach (SaLimitReport limit in all.Limits)
        {
            yield return ("life", $"{limit.Used} {limit.Unit} of {Bounds(limit)}");
        }

        if (sa.Direction == "in")
        {
            yield return ("window", all.Window is { } window ? $"{window} packets up to {Number(sa.Sequence)}" : "off");
        }
        else
        {
            yield return ("sequence", $"{Number(sa.Sequence)}, at most {Number(all.SequenceLimit)} for now");
        }

        yield return ("esn", all.Esn ? "on" : "off");
        if (all.UdpPort is { } port)
        {
            string alive = all.KeepAlivesSent is { } sent ? $"{Tell.Count(sent, "keep-alive")} sent" : $"{Tell.Count(all.KeepAlivesHeard ?? 0, "keep-alive")} heard, for all SAs in UDP";
            yield return ("udp", sa.Direction == "out" ? $"{port} to {all.UdpRemotePort}; {alive}" : $"{all.UdpRemotePort} to {port}; {alive}");
        }

        if (all.Dscps is { } dscps)
        {
            yield return ("dscp", string.Join(", ", dscps));
        }

        if (all.Selectors is { } own)
        {
            yield return ("carries", $"{own.Local} > {own.Remote}, protocol {(own.Protocol is { } p ? Number((ulong)p) : "any")}, ports {own.LocalPorts} > {own.RemotePorts}");
        }

        if (all.Outer is { } outer)
        {
            yield return ("outer", outer);
        }

        if (all.ClampMss)
        {
            yield return ("mss", "clamp");
        }

        if (all.PathMtu is { } learnt)
        {
            yield return ("path MTU", string.Create(CultureInfo.InvariantCulture, $"{learnt}, learnt"));
        }

        if (sa.EncryptionKey is not null)
        {
            yield return ("encryption", $"0x{sa.EncryptionKey}");
            yield return ("integrity", $"0x{sa.IntegrityKey}");
        }

        yield return ("carried", $"{Tell.Count(sa.Packets, "packet")}, {Tell.Count(sa.Bytes, "byte")}{(sa.Dummies > 0 ? $", {sa.Dummies} dummies" : "")}");
        yield return ("refused", sa.Refused());
    }

    private static string Source(SaReport sa) => sa.Source switch
    {
        "ruleset" => "of the ruleset",
        "ike" => "agreed on by IKE",
        "key-manager" => "brought by a key manager",
        _ => "added by hand",
    };

    private static string Bounds(SaLimitReport limit) => (limit.Soft, limit.Hard) switch
    {
        ({ } soft, { } hard) => $"{soft} (soft), {hard} (hard); {Math.Max(0, hard - limit.Used)} left",
        ({ } soft, null) => $"{soft} (soft)",
        _ => $"{limit.Hard} (hard); {Math.Max(0, (limit.Hard ?? 0) - limit.Used)} left",
    };

    private static string Ends(SaReport sa) =>
        sa.Direction == "out" ? $"{sa.Local ?? "any"} > {sa.Remote ?? "any"}" : $"{sa.Remote ?? "any"} > {sa.Local ?? "any"}";

    private static string Policies(SaReport sa) => sa.Policies.Count == 0 ? "-" : string.Join(", ", sa.Policies);

    private static Cell State(SaReport sa) =>
        new(sa.State, sa.State switch { "live" => Tint.Good, "expiring" => Tint.Odd, _ => Tint.Bad });

    private static string Number(ulong? number) => number is { } value ? value.ToString(CultureInfo.InvariantCulture) : "-";
}
