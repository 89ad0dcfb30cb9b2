using System.CommandLine;
using System.Text.Json;
using Filter.Ctl.Control;
using Filter.Ctl.Output;
using Filter.Ctl.Rehearsals;
using Filter.Ctl.Service;
using Filter.Engine.Packets;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl policy: the security policy database of the running Filter, and what policy says of a packet.</summary>
internal static class PolicyVerb
{
    /// <summary>The verb with its subverbs; alone it lists.</summary>
    public static Command Build(Screen screen)
    {
        Command verb = new("policy",
            """
            Look at the IPsec policies of the running Filter, or of a ruleset, and ask what they say of a
            packet. Alone it lists.

            Example:
              filterctl policy
              filterctl policy explain --running 'inside: udp 10.1.0.5:4000 > 10.2.0.5:53'
            """);
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        verb.Add(socket);
        verb.Add(json);
        verb.SetAction(parsed => List(screen, parsed.GetValue(socket)!, parsed.GetValue(json)));
        verb.Add(BuildList(screen));
        verb.Add(BuildShow(screen));
        verb.Add(BuildExplain(screen));
        return verb;
    }

    private static Command BuildList(Screen screen)
    {
        Argument<string?> file = new("FILE") { Description = "A ruleset (YAML); left out for the running Filter", Arity = ArgumentArity.ZeroOrOne };
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Command verb = new("list",
            """
            List policies in their order: what each selects, its SAs, and what it counted since the daemon
            started, whatever became of its SAs. Of a ruleset what stands there.

            Example:
              filterctl policy list
              filterctl policy list office.yaml
            """)
        { file, socket, json };
        verb.SetAction(parsed => parsed.GetValue(file) is { } ruleset
            ? ListOf(screen, parsed.GetValue(json), ruleset)
            : List(screen, parsed.GetValue(socket)!, parsed.GetValue(json)));
        return verb;
    }

    private static Command BuildShow(Screen screen)
    {
        Argument<string[]> words = new("FILE NAME") { Description = "The policy's name; before it a ruleset (YAML), left out for the running Filter", Arity = new ArgumentArity(1, 2) };
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Command verb = new("show",
            """
            Show a policy and its SAs, and what it decides alone: the packets that it selects and no policy
            before it does, in boxes of which no two overlap (RFC 4301 §4.4.1).

            Example:
              filterctl policy show other-site
              filterctl policy show office.yaml other-site
            """)
        { words, socket, json };
        verb.SetAction(parsed => parsed.GetValue(words) is [var file, var of]
            ? ShowOf(screen, parsed.GetValue(json), file, of)
            : Show(screen, parsed.GetValue(socket)!, parsed.GetValue(json), parsed.GetValue(words)![0]));
        return verb;
    }

    private static Command BuildExplain(Screen screen)
    {
        Argument<string> file = new("FILE") { Description = "The ruleset (YAML); left out with --running" };
        Argument<string?> line = new("LINE") { Description = "Packet line, as for explain", Arity = ArgumentArity.ZeroOrOne };
        Option<bool> running = new("--running") { Description = "Ask the running Filter: its policies, its SAs as they are. It does not notice" };
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Command verb = new("explain",
            """
            Say which policy decides for a packet and for its answer, in what the policies before it
            differ, and by which SA each is sealed, or must come.

            Example:
              filterctl policy explain office.yaml 'inside: udp 10.1.0.5:4000 > 10.2.0.5:53'
              filterctl policy explain --running 'inside: udp 10.1.0.5:4000 > 10.2.0.5:53'
            """)
        { file, line, running, socket, json };
        verb.Validators.Add(result =>
        {
            bool live = result.GetResult(running)?.GetValueOrDefault<bool>() ?? false;
            if (live == (result.GetResult(line)?.Tokens.Count > 0))
            {
                result.AddError(live ? "--running takes one LINE alone: no FILE" : "a packet line is missing: explain FILE LINE");
            }
        });
        verb.SetAction(parsed => parsed.GetValue(running)
            ? Ask(screen, parsed.GetValue(socket)!, parsed.GetValue(json), parsed.GetValue(file)!)
            : Offline(screen, parsed.GetValue(json), parsed.GetValue(file)!, parsed.GetValue(line)!));
        return verb;
    }

    private static int List(Screen screen, string socket, bool json)
    {
        using ControlClient client = ControlClient.Connect(socket);
        Grid grid = new("POLICY", "ACTION", "SELECTS", ">SAS", ">DECIDED", ">PROTECTED", ">BYTES", ">OPENED", ">BYTES", "REFUSED");
        foreach (ControlResponse response in client.Ask(new ControlRequest("policy") { Match = "list" }))
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

            foreach (PolicyReport policy in response.Policies ?? [])
            {
                grid.Add(
                    policy.Name, policy.Action, Selects(policy), policy.Sas, policy.Decisions, policy.Protected, policy.ProtectedBytes, policy.Opened, policy.OpenedBytes,
                    policy.Refused.Count == 0 ? "-" : new Cell(Refused(policy), Tint.Bad));
            }
        }

        if (!json)
        {
            screen.Table(grid);
        }

        return Exit.Done;
    }

    private static int Show(Screen screen, string socket, bool json, string name)
    {
        int status = Asking.Once(screen, socket, json, new ControlRequest("policy") { Match = "show", Policy = name }, response =>
        {
            foreach (PolicyReport policy in response.Policies ?? [])
            {
                screen.Line($"{screen.Paint(policy.Name, Tint.Strong)} ({policy.Place}): {policy.Action} {Selects(policy)}");
                TellAlone(screen, policy);
                if (policy.Peer is { } peer)
                {
                    screen.Line($"  peer       {peer}");
                }

                screen.Line($"  decided    {policy.Decisions}");
                screen.Line($"  protected  {Tell.Count(policy.Protected, "packet")}, {Tell.Count(policy.ProtectedBytes, "byte")}");
                screen.Line($"  opened     {Tell.Count(policy.Opened, "packet")}, {Tell.Count(policy.OpenedBytes, "byte")}");
                screen.Line($"  refused    {Refused(policy)}");
                screen.Line();
            }
        });
        return status != Exit.Done ? status
            : SaVerb.List(screen, socket, json, new ControlRequest("sa") { Match = "list", Policy = name, Limit = SaVerb.DefaultLimit });
    }

    private static int ListOf(Screen screen, bool json, string file) => Told(screen, json, file, policies =>
    {
        Grid grid = new("POLICY", "ACTION", "SELECTS", "SAS");
        foreach ((PolicyReport policy, string[] sas) in policies)
        {
            grid.Add(policy.Name, policy.Action, Selects(policy), Keys(policy, sas));
        }

        screen.Table(grid);
    });

    private static int ShowOf(Screen screen, bool json, string file, string name) => Told(screen, json, file, policies =>
    {
        foreach ((PolicyReport policy, string[] sas) in policies)
        {
            screen.Line($"{screen.Paint(policy.Name, Tint.Strong)} ({policy.Place}): {policy.Action} {Selects(policy)}");
            TellAlone(screen, policy);
            screen.Line($"  SAs        {Keys(policy, sas)}");
        }
    }, name);

    /// <summary>Has a ruleset's policies told, all or the one of a name; that one whole.</summary>
    private static int Told(Screen screen, bool json, string file, Action<IEnumerable<(PolicyReport Policy, string[] Sas)>> tell, string? name = null)
    {
        if (Rulesets.Read(file, screen) is not { } ruleset)
        {
            return Exit.No;
        }

        ruleset.WipeKeys();
        Spd spd = Spd.Of(ruleset.Ipsec) ?? throw new Refusal($"{file} says nothing of IPsec: everything goes in the clear");
        SpdEntry[] meant = [.. spd.Entries.Where(entry => name is null || entry.Name == name)];
        if (meant.Length == 0 && name is not null)
        {
            throw new Refusal($"there is no policy '{name}' in {file}");
        }

        (PolicyReport Policy, string[] Sas)[] all =
        [
            .. meant.Select(entry => (
                (name is null ? SpdTelling.Of(entry, []) : SpdTelling.Whole(spd, entry, [])) with { Sas = entry.Policy.Sas.Length * 2 },
                entry.Policy.Sas.Select(static sa => sa.Name).ToArray())),
        ];
        if (json)
        {
            screen.Line(JsonSerializer.Serialize(new ControlResponse { Policies = [.. all.Select(static one => one.Policy)] }, ControlJson.Plain.ControlResponse));
        }
        else
        {
            tell(all);
        }

        return Exit.Done;
    }

    /// <summary>Both ways in one where they are the same.</summary>
    private static void TellAlone(Screen screen, PolicyReport policy)
    {
        bool same = policy.AloneOut is { } leaving && policy.AloneIn is { } coming && leaving.SequenceEqual(coming);
        foreach ((string what, IReadOnlyList<string>? boxes) in (ReadOnlySpan<(string, IReadOnlyList<string>?)>)
            [(same ? "alone" : "alone out", policy.AloneOut), ("alone in", same ? null : policy.AloneIn)])
        {
            foreach (string box in boxes is { Count: 0 } ? ["nothing: policies before it select all of it"] : boxes ?? [])
            {
                screen.Line($"  {what,-10} {box}");
            }
        }
    }

    private static int Ask(Screen screen, string socket, bool json, string line) =>
        Asking.Once(screen, socket, json, new ControlRequest("policy") { Match = "explain", Line = line }, response => Narrate(screen, line, response.PolicyWalks ?? []));

    private static int Offline(Screen screen, bool json, string file, string line)
    {
        if (Rulesets.Read(file, screen) is not { } ruleset)
        {
            return Exit.No;
        }

        using Gateway gateway = Gateway.Compose<Engine.Path.NoTrace>(ruleset, Gateway.PortsInMemory(ruleset), flows: 16);
        ruleset.WipeKeys();
        if (gateway.Ipsec is not { } stage)
        {
            throw new Refusal($"{file} says nothing of IPsec: everything goes in the clear");
        }

        Packet packet = LinePackets.Parse(ruleset, line);
        IReadOnlyList<PolicyWalkReport> walks = SpdTelling.Explain(stage, ruleset, packet, now: 1);
        if (json)
        {
            screen.Line(JsonSerializer.Serialize(new ControlResponse { PolicyWalks = walks }, ControlJson.Plain.ControlResponse));
        }
        else
        {
            Narrate(screen, line, walks);
        }

        return Exit.Done;
    }

    private static void Narrate(Screen screen, string line, IReadOnlyList<PolicyWalkReport> walks)
    {
        screen.Line(screen.Paint(line, Tint.Strong));
        foreach (PolicyWalkReport walk in walks)
        {
            Tint tint = walk.Action == "drop" || walk.Sentence.StartsWith("dropped", StringComparison.Ordinal) || walk.Sentence.StartsWith("cannot", StringComparison.Ordinal) ? Tint.Bad : Tint.Good;
            screen.Line($"{(walk.Answer ? "answer" : "packet")} {walk.Direction}: {screen.Paint(walk.Sentence, tint)}");
            foreach (PassedPolicyReport passed in walk.Passed)
            {
                screen.Line($"  not '{passed.Policy}' ({passed.Place}): {passed.Selector}: {passed.What}");
            }

            foreach (ConsideredSaReport sa in walk.Sas.Where(static sa => sa.Why is not null))
            {
                screen.Line($"  not the SA '{sa.Name}' {sa.Spi}: {sa.Why}");
            }
        }
    }

    private static string Refused(PolicyReport policy) =>
        policy.Refused.Count == 0 ? "-" : string.Join(", ", policy.Refused.Select(static cause => $"{cause.Packets} {cause.Name}"));

    private static string Keys(PolicyReport policy, string[] sas) =>
        policy.Peer is { } peer ? $"by IKE with {peer}" : sas.Length == 0 ? "-" : string.Join(", ", sas);

    /// <summary>The selectors as a ruleset has them.</summary>
    private static string Selects(PolicyReport policy)
    {
        List<string> words = [];
        foreach ((string name, IReadOnlyList<string>? values) in (ReadOnlySpan<(string, IReadOnlyList<string>?)>)
            [("local", policy.Local), ("remote", policy.Remote), ("service", policy.Service), ("local-port", policy.LocalPort), ("populate", policy.Populate)])
        {
            if (values is not null)
            {
                words.Add($"{name}: {(values.Count == 1 ? values[0] : $"[ {string.Join(", ", values)} ]")}");
            }
        }

        if (policy.Direction != "both")
        {
            words.Add($"direction: {policy.Direction}");
        }

        return words.Count == 0 ? "everything" : string.Join(" ", words);
    }
}
