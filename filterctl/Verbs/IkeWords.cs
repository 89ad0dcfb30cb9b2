using Filter.Ctl.Control;
using Filter.Ctl.Output;

namespace Filter.Ctl.Verbs;

/// <summary>How peers are shown to people.</summary>
internal static class IkeWords
{
    /// <summary>A row for each IKE SA, or for a peer that has none.</summary>
    public static Grid Rows(IReadOnlyList<IkePeerReply> peers)
    {
        Grid grid = new("PEER", "STATE", "ENDS", "IDENTITY", "SUITE", ">AGE", ">RE-KEY", "POLICIES", "LAST FAILURE");
        foreach (IkePeerReply peer in peers)
        {
            foreach (IkeSaReply? sa in peer.Sas.Count == 0 ? [null] : peer.Sas.Cast<IkeSaReply?>())
            {
                grid.Add(
                    peer.Name, State(sa?.State ?? peer.State), sa is null ? $"{peer.Local ?? "any"} > {peer.Remote}" : $"{sa.Local} > {sa.Remote}",
                    sa?.PeerIdentity ?? peer.PeerIdentity, sa?.Suite ?? "-", sa is null ? "-" : Wording.Duration(sa.Age),
                    sa?.RekeyIn is { } rekey ? Wording.Duration(rekey) : "-", Policies(peer), Failure(peer));
            }
        }

        return grid;
    }

    /// <summary>All of a peer.</summary>
    public static void Show(Screen screen, IkePeerReply peer)
    {
        screen.Line($"{screen.Paint(peer.Name, Tint.Strong)}{(peer.Place is null ? "" : $" ({peer.Place})")}: {Paint(screen, State(peer.State))}{Retry(peer)}");
        Line(screen, "ends", $"{peer.Local ?? "any"} > {peer.Remote}");
        Line(screen, "we", $"{peer.Identity}, by {peer.Proof}");
        Line(screen, "peer", $"{peer.PeerIdentity}, by {peer.PeerProof}");
        Line(screen, "begins", peer.Start);
        Each(screen, "proposes", peer.Proposals);
        foreach (IkePolicyReply policy in peer.Policies)
        {
            Line(screen, "policy", $"{policy.Name}: {Paint(screen, State(policy.State))}, {string.Join(", ", policy.Suites)}");
        }

        foreach (IkeSaReply sa in peer.Sas)
        {
            Show(screen, sa);
        }

        if (peer.Failure is { } failure)
        {
            Line(screen, "failed", $"{Wording.Duration(failure.Age)} ago: {failure.Text}");
        }
    }

    /// <summary>Why it is not up, or that it is.</summary>
    public static void Explain(Screen screen, IkePeerReply peer)
    {
        screen.Line($"{screen.Paint(peer.Name, Tint.Strong)}: {Paint(screen, State(peer.State))}{Retry(peer)}");
        if (peer.Failure is { } failure)
        {
            Explain(screen, failure);
        }
        else if (peer.State == "down")
        {
            screen.Line($"  nothing went wrong: {Waiting(peer)}");
        }

        foreach (IkePolicyReply policy in peer.Policies)
        {
            screen.Line($"policy {screen.Paint(policy.Name, Tint.Strong)}: {Paint(screen, State(policy.State))}");
            if (policy.Failure is { } own)
            {
                Explain(screen, own);
            }
            else if (policy.State == "down" && peer.State == "up")
            {
                screen.Line("  nothing went wrong: it begins when a packet needs it, when the peer asks, or by filterctl ike up");
            }
        }
    }

    private static void Explain(Screen screen, IkeFailureReply failure)
    {
        screen.Line($"  {Wording.Duration(failure.Age)} ago, {failure.Kind}: {screen.Paint(failure.Text, Tint.Bad)}");
        if (failure.Unproven)
        {
            screen.Line("  nobody has proved that he said so: it may be forged, and ended nothing");
        }

        if (failure.Ours is { } ours && failure.Theirs is { } theirs)
        {
            Grid sides = new("OURS", "THEIRS");
            for (int i = 0; i < Math.Max(1, Math.Max(ours.Count, theirs.Count)); i++)
            {
                sides.Add(i < ours.Count ? ours[i] : "", i < theirs.Count ? theirs[i] : theirs.Count == 0 && i == 0 ? "(not said)" : "");
            }

            screen.Table(sides);
        }

        foreach ((string what, string? text) in (ReadOnlySpan<(string, string?)>)[("differs", failure.Differs), ("expected", failure.Expected), ("found", failure.Found)])
        {
            if (!string.IsNullOrEmpty(text))
            {
                Line(screen, what, text);
            }
        }
    }

    private static string Waiting(IkePeerReply peer) => peer.Start switch
    {
        "never" => $"it waits for {peer.PeerIdentity} to begin",
        "at-once" => "it is about to begin",
        _ => "it begins when a packet needs it, when the peer does, or by filterctl ike up",
    };

    private static void Show(Screen screen, IkeSaReply sa)
    {
        Line(screen, "IKE SA", $"{sa.Spis}: {Paint(screen, State(sa.State))}, {Wording.Duration(sa.Age)} old, begun by {(sa.Initiator ? "us" : "the peer")}");
        Line(screen, "", $"{sa.Local} > {sa.Remote}, {sa.Suite ?? "no algorithms yet"}{(sa.PeerIdentity is null ? "" : $", {sa.PeerIdentity}")}");
        if (sa.RekeyIn is { } rekey)
        {
            Line(screen, "", $"new keys in {Wording.Duration(rekey)}");
        }

        if (sa.Translated is { } translated)
        {
            string who = translated switch { "both" => "both of us", "we" => "us", _ => "the peer" };
            Line(screen, "", $"a device that translates addresses stands before {who}: ESP goes in UDP");
        }

        if (sa.Given is { } given)
        {
            Line(screen, "", $"addresses given: {string.Join(", ", given)}");
        }

        foreach (IkeChildReply child in sa.Children)
        {
            Line(screen, "child", $"{child.Name}: {Paint(screen, State(child.State))}, {child.Protocol} {child.Mode}, {child.Suite}, in {child.In}, out {child.Out}, {Wording.Duration(child.Age)} old");
            Line(screen, "", $"{child.Local} > {child.Remote}");
        }
    }

    private static void Each(Screen screen, string what, IReadOnlyList<string> texts)
    {
        for (int i = 0; i < texts.Count; i++)
        {
            Line(screen, i == 0 ? what : "", texts[i]);
        }
    }

    private static void Line(Screen screen, string what, string text) => screen.Line($"  {what,-9} {text}");

    private static string Retry(IkePeerReply peer) => peer.RetryIn is { } seconds ? $", tried again in {Wording.Duration(seconds)}" : "";

    private static Cell Policies(IkePeerReply peer)
    {
        int up = peer.Policies.Count(static policy => policy.State == "up"), down = peer.Policies.Count - up;
        return down == 0 ? up == 0 ? "-" : $"{up} up" : new Cell(up == 0 ? $"{down} down" : $"{up} up, {down} down", Tint.Odd);
    }

    private static Cell Failure(IkePeerReply peer) =>
        (peer.Failure ?? peer.Policies.Select(static policy => policy.Failure).FirstOrDefault(static failure => failure is not null)) is { } failure ? new Cell(failure.Text, Tint.Bad) : "-";

    private static string Paint(Screen screen, Cell cell) => screen.Paint(cell.Text, cell.Tint);

    private static Cell State(string state) =>
        new(state, state switch { "up" => Tint.Good, "down" or "closed" or "gone" => Tint.Bad, _ => Tint.Odd });
}
