using System.CommandLine;
using Filter.Ctl.Control;
using Filter.Ctl.Output;
using Filter.Rules;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl set: sets that change while Filter runs.</summary>
internal static class SetVerb
{
    /// <summary>Elements in one request, so that the longest fit.</summary>
    private const int AtOnce = 500;

    /// <summary>The verb with its four: list, which may be left out, add, delete and flush.</summary>
    public static Command Build(Screen screen)
    {
        Command verb = new("set",
            """
            Look at, and change, sets of the running Filter that change: those with `live: true` by hand;
            those of names, and of a port's prefixes, change by themselves. Flows are judged again at
            once. What was added stays over a reload, and goes with the daemon. Alone it lists.

            Example:
              filterctl set
              filterctl set add blocklist 203.0.113.9 2001:db8:bad::/48 --timeout 2h
              filterctl set delete blocklist 203.0.113.9
            """);
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        verb.Add(socket);
        verb.Add(json);
        verb.SetAction(parsed => List(screen, parsed.GetValue(socket)!, parsed.GetValue(json), null));
        verb.Add(BuildList(screen));
        verb.Add(BuildChange(screen, "add", "Add elements: addresses, prefixes or ranges. One that is there stays for the new time."));
        verb.Add(BuildChange(screen, "delete", "Take elements out, as they were added."));
        verb.Add(BuildFlush(screen));
        return verb;
    }

    private static Argument<string> Name() => new("SET") { Description = "The set's name" };

    private static Command BuildList(Screen screen)
    {
        Argument<string?> name = new("SET") { Description = "The set's name; absent = all", Arity = ArgumentArity.ZeroOrOne };
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Command verb = new("list",
            """
            Show what sets that change hold, beside what the ruleset writes into them for good.

            Example:
              filterctl set list blocklist
            """)
        { name, socket, json };
        verb.SetAction(parsed => List(screen, parsed.GetValue(socket)!, parsed.GetValue(json), parsed.GetValue(name)));
        return verb;
    }

    private static Command BuildChange(Screen screen, string word, string what)
    {
        Argument<string> name = Name();
        Argument<string[]> elements = new("ELEMENT") { Description = "Address, prefix or range; - reads them from stdin, one a line", Arity = ArgumentArity.OneOrMore };
        Option<string?> timeout = new("--timeout") { Description = "How long they stay: 90s, 10m, 2h; else as long as the set says", HelpName = "TIME" };
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        string options = word == "add" ? " --timeout 10m" : "";
        Command verb = new(word, $"{what}\n\nExample:\n  filterctl set {word} blocklist 203.0.113.9{options}\n  filterctl set {word} blocklist - < addresses.txt\n") { name, elements, socket, json };
        if (word == "add")
        {
            verb.Add(timeout);
        }

        verb.SetAction(parsed => Change(
            screen, parsed.GetValue(socket)!, parsed.GetValue(json), word, parsed.GetValue(name)!, parsed.GetValue(elements)!, word == "add" ? parsed.GetValue(timeout) : null));
        return verb;
    }

    private static Command BuildFlush(Screen screen)
    {
        Argument<string> name = Name();
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Command verb = new("flush",
            """
            Take out every element but what the ruleset writes for good.

            Example:
              filterctl set flush blocklist
            """)
        { name, socket, json };
        verb.SetAction(parsed => Asking.Once(
            screen, parsed.GetValue(socket)!, parsed.GetValue(json), new ControlRequest("set") { Match = "flush", Set = parsed.GetValue(name) }, response => screen.Line(response.Message!)));
        return verb;
    }

    private static int Change(Screen screen, string socket, bool json, string word, string name, string[] elements, string? timeout)
    {
        long? seconds = null;
        if (timeout is not null)
        {
            seconds = RulesetWords.Seconds(timeout) ?? throw new Refusal($"--timeout {timeout}: write 90s, 10m or 2h", Exit.Usage);
        }

        string[] all = elements is ["-"] ? [.. ReadInput()] : elements;
        int status = Exit.Done;
        foreach (string[] some in all.Chunk(AtOnce))
        {
            ControlRequest request = new("set") { Match = word, Set = name, Elements = some, Timeout = seconds };
            status = Math.Max(status, Asking.Once(screen, socket, json, request, response => screen.Line(response.Message!)));
        }

        return all.Length > 0 ? status : throw new Refusal("no element was given", Exit.Usage);
    }

    private static IEnumerable<string> ReadInput()
    {
        while (Console.In.ReadLine() is { } line)
        {
            int comment = line.IndexOf('#', StringComparison.Ordinal);
            string text = (comment < 0 ? line : line[..comment]).Trim();
            if (text.Length > 0)
            {
                yield return text;
            }
        }
    }

    private static int List(Screen screen, string socket, bool json, string? name)
    {
        using ControlClient client = ControlClient.Connect(socket);
        Grid grid = new("SET", "ELEMENT", ">LEFT");
        List<string> heads = [];
        foreach (ControlResponse response in client.Ask(new ControlRequest("set") { Match = "list", Set = name }))
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
            else if (response.Set is { } set)
            {
                string head = $"{set.Name} ({set.Source}): {Tell.Count(set.Count, "element")}{(set.Size is { } size ? $" of at most {size:N0}" : "")}{(set.Trouble is null ? "" : $"; {set.Trouble}")}";
                if (heads.Count == 0 || !heads[^1].StartsWith($"{set.Name} (", StringComparison.Ordinal))
                {
                    heads.Add(head);
                }

                foreach (ElementReport element in set.Elements)
                {
                    grid.Add(set.Name, element.Element, element.Left is { } left ? Wording.Duration(left) : "-");
                }
            }
            else if (response.Message is { } message)
            {
                screen.Line(message);
            }
        }

        if (grid.Rows.Count > 0)
        {
            screen.Table(grid);
        }

        heads.ForEach(screen.Line);
        return Exit.Done;
    }
}
