using System.CommandLine;
using Filter.Ctl.Control;
using Filter.Ctl.Output;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl ike: peers of the running Filter, and the keys that are agreed on with them.</summary>
internal static class IkeVerb
{
    /// <summary>The verb with its subverbs; alone it lists.</summary>
    public static Command Build(Screen screen)
    {
        Command verb = new("ike",
            """
            Look at the peers with whom the running Filter negotiates keys (IKEv2), say why one is down,
            and begin, renew and end SAs. Only root, or the daemon's own user, changes anything. Alone it
            lists.

            Example:
              filterctl ike
              filterctl ike up site-b
              filterctl ike explain site-b
            """);
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        verb.Add(socket);
        verb.Add(json);
        verb.SetAction(parsed => List(screen, parsed.GetValue(socket)!, parsed.GetValue(json)));
        verb.Add(BuildList(screen));
        verb.Add(BuildTold(
            screen, "show",
            """
            Show all there is to know of a peer: what is configured, its IKE SAs, and their children, the
            pairs of SAs that `filterctl sa` counts packets of.
            """,
            IkeWords.Show));
        verb.Add(BuildTold(
            screen, "explain",
            """
            Say why a peer, or a policy of it, is down: both proposals side by side and the first
            algorithm in which they differ, both selectors, or what was expected of whom.
            """,
            IkeWords.Explain));
        verb.Add(BuildOrder(screen, "up", "Bring up a peer with all its policies, or one policy: with SAs that are up already it does nothing."));
        verb.Add(BuildOrder(screen, "down", "Delete the SAs of a peer, or of one policy. They come back when a packet, or somebody, wants them."));
        verb.Add(BuildOrder(screen, "rekey", "Renew the keys of a peer's IKE SAs, or of one policy's SAs, now; no packet is lost."));
        verb.Add(BuildKeys(screen));
        return verb;
    }

    private static Argument<string> Name() => new("NAME") { Description = "A peer, or a policy that names one" };

    private static Command BuildList(Screen screen)
    {
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Command verb = new("list",
            """
            List peers. Of one that is down it is told what went wrong last; one that nothing went wrong
            with is waiting for a packet, for the peer, or for `up`.

            Example:
              filterctl ike list
            """)
        { socket, json };
        verb.SetAction(parsed => List(screen, parsed.GetValue(socket)!, parsed.GetValue(json)));
        return verb;
    }

    private static Command BuildTold(Screen screen, string name, string what, Action<Screen, IkePeerReply> tell)
    {
        Argument<string> of = Name();
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Command verb = new(name, $"{what}\n\nExample:\n  filterctl ike {name} site-b\n") { of, socket, json };
        verb.SetAction(parsed => Gather(
            screen, parsed.GetValue(socket)!, parsed.GetValue(json), new ControlRequest("ike") { Match = "show", Peer = parsed.GetValue(of) },
            (peers, _) => peers.ForEach(peer => tell(screen, peer))));
        return verb;
    }

    private static Command BuildOrder(Screen screen, string order, string what)
    {
        Argument<string> name = Name();
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Command verb = new(order, $"{what}\n\nExample:\n  filterctl ike {order} site-b\n") { name, socket, json };
        verb.SetAction(parsed => Asking.Once(
            screen, parsed.GetValue(socket)!, parsed.GetValue(json), new ControlRequest("ike") { Match = order, Peer = parsed.GetValue(name) },
            response => screen.Line(response.Message!)));
        return verb;
    }

    private static Command BuildKeys(Screen screen)
    {
        Option<string?> table = new("--table") { Description = "One table alone: ike (ikev2_decryption_table) or esp (esp_sa)", HelpName = "ike|esp" };
        table.AcceptOnlyFromAmong("ike", "esp");
        Option<string> socket = Options.Socket();
        Command verb = new("keys",
            """
            Write the keys of all IKE SAs, and of all SAs of ESP, as lines of Wireshark's tables, for root
            alone. Who has them reads, and forges, all that they protect: keep them in a folder that is
            yours alone, and renew the keys when you are done (`rekey`).

            Example:
              filterctl ike keys --table ike > ~/.config/wireshark/ikev2_decryption_table
              filterctl ike keys --table esp > ~/.config/wireshark/esp_sa
            """)
        { table, socket };
        verb.SetAction(parsed => Keys(screen, parsed.GetValue(socket)!, parsed.GetValue(table)));
        return verb;
    }

    private static int List(Screen screen, string socket, bool json) => Gather(screen, socket, json, new ControlRequest("ike") { Match = "list" }, (peers, traffic) =>
    {
        screen.Table(IkeWords.Rows(peers));
        screen.Line($"{peers.Count(static peer => peer.State == "up")} of {Tell.Count(peers.Count, "peer")} up; messages: {traffic!.Received} came, {traffic.Sent} went, {traffic.Retransmitted} of them again; "
            + $"refused: {(traffic.Refused.Count == 0 ? "-" : string.Join(", ", traffic.Refused.Select(static one => $"{one.Packets} {one.Name}")))}");
    });

    /// <summary>Asks for peers, which may come in several lines, and one of them in several too; prints each line as JSON, or tells them all.</summary>
    private static int Gather(Screen screen, string socket, bool json, ControlRequest request, Action<List<IkePeerReply>, IkeTrafficReply?> tell)
    {
        using ControlClient client = ControlClient.Connect(socket);
        List<IkePeerReply> peers = [];
        IkeTrafficReply? traffic = null;
        foreach (ControlResponse response in client.Ask(request))
        {
            if (json)
            {
                Asking.Print(screen, response);
            }

            if (!response.Ok)
            {
                Asking.Refuse(screen, response);
                return Exit.No;
            }

            foreach (IkePeerReply peer in response.Peers ?? [])
            {
                if (peers.Count > 0 && peers[^1].Name == peer.Name)
                {
                    peers[^1] = peer with { Sas = [.. peers[^1].Sas, .. peer.Sas] };
                }
                else
                {
                    peers.Add(peer);
                }
            }

            traffic = response.IkeTraffic ?? traffic;
        }

        if (!json)
        {
            tell(peers, traffic);
        }

        return Exit.Done;
    }

    private static int Keys(Screen screen, string socket, string? table)
    {
        ControlRequest ike = new("ike") { Match = "keys" }, esp = new("sa") { Match = "list", ShowKeys = true };
        foreach ((string name, ControlRequest request) in new[] { ("ike", ike), ("esp", esp) }.Where(one => table is null || one.Item1 == table))
        {
            if (table is null)
            {
                screen.Line(name == "ike" ? "# ikev2_decryption_table" : "# esp_sa");
            }

            using ControlClient client = ControlClient.Connect(socket);
            foreach (ControlResponse response in client.Ask(request))
            {
                if (!response.Ok)
                {
                    Asking.Refuse(screen, response);
                    return Exit.No;
                }

                foreach (string line in (response.IkeKeys ?? []).Concat((response.Sas ?? []).SelectMany(WiresharkSa.Lines)))
                {
                    screen.Line(line);
                }
            }
        }

        return Exit.Done;
    }
}
