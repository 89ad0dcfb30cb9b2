using System.CommandLine;
using Filter.Ctl.Control;
using Filter.Ctl.Output;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl counters: how often each verdict, reason and rule.</summary>
internal static class CountersVerb
{
    /// <summary>The verb.</summary>
    public static Command Build(Screen screen)
    {
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Command verb = new("counters",
            """
            Show the counters: packets per verdict, reason, rule and port; flows, what helpers announced,
            and what each limit cost. What is counted belongs to a rule's name, and survives reloads.

            Example:
              filterctl counters
              filterctl counters --json | jq '.counters.reasons'
            """)
        { socket, json };
        verb.SetAction(parsed => Asking.Once(
            screen, parsed.GetValue(socket)!, parsed.GetValue(json), new ControlRequest("counters"), response => Show(screen, response.Counters!)));
        return verb;
    }

    private static void Show(Screen screen, CountersReport counters)
    {
        screen.Line($"in {counters.In}, out {counters.Out}, own {counters.Own}, held now {counters.HeldNow}"
            + (counters.Coalesced > 0 ? $", coalesced {counters.Coalesced}" : ""));
        screen.Line($"flows opened {counters.Opened}, expired {counters.Expired}, given up {counters.Evicted}, no longer allowed {counters.Disallowed}"
            + (counters.Kept > 0 ? $", kept {counters.Kept}" : ""));
        if (counters.Announced + counters.Met + counters.NoRoom + counters.Disbelieved + counters.HelpersSilent > 0)
        {
            screen.Line(
                $"expected flows announced {counters.Announced}, met {counters.Met}, unmet {counters.Unmet}, without room {counters.NoRoom}, "
                + $"not believed {counters.Disbelieved}; helpers silent {counters.HelpersSilent}");
        }

        screen.Line();
        Grid verdicts = new("VERDICT", ">PACKETS");
        foreach (CountReport count in counters.Verdicts)
        {
            verdicts.Add(count.Name, count.Packets);
        }

        screen.Table(verdicts);
        if (counters.Limits.Any(static limit => limit.GivenUp + limit.Refused > 0))
        {
            Grid limits = new("LIMIT", ">GIVEN UP", ">REFUSED");
            foreach (LimitReport limit in counters.Limits)
            {
                limits.Add(limit.Name, limit.GivenUp, limit.Refused);
            }

            screen.Line();
            screen.Table(limits);
        }

        if (counters.Reasons.Count > 0)
        {
            Grid reasons = new("REASON", ">PACKETS");
            foreach (CountReport count in counters.Reasons)
            {
                reasons.Add(count.Name, count.Packets);
            }

            screen.Line();
            screen.Table(reasons);
        }

        Grid rules = new("RULE", ">PACKETS", ">LIMITED", ">FLOWS ENDED", "PLACE");
        foreach (RuleReport rule in counters.Rules)
        {
            string place = rule.Line > 0 ? $"{rule.File}:{rule.Line}" : rule.File;
            rules.Add(rule.Name, rule.Packets, rule.Limited, rule.Ended, rule.Gone is true ? $"gone, was {place}" : place);
        }

        screen.Line();
        screen.Table(rules);
        screen.Line();
        screen.Table(StatusVerb.PortGrid(counters.Ports));
    }
}
