using Filter.Ctl.Control;
using Filter.Ctl.Rehearsals;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Ipsec;
using Filter.Ipsec.Databases;

namespace Filter.Ctl.Service;

/// <summary>Answers what is asked of policies.</summary>
internal sealed class PolicyDesk(Gateway gateway, Workforce workers, RulesetSwitch rulesets)
{
    /// <summary>Rows in one line of an answer.</summary>
    private const int RowsAtOnce = 100;

    private static readonly TimeSpan s_workerPatience = TimeSpan.FromSeconds(10);

    /// <summary>Answers "list", "show" or "explain".</summary>
    public async Task AnswerAsync(ControlRequest request, ControlReply reply, CancellationToken cancel)
    {
        if (gateway.Ipsec is not { } stage || stage.Databases.Spd is not { } spd)
        {
            await reply.SendAsync(ControlResponse.Refuse("the ruleset in force says nothing of IPsec: there are no policies"), cancel).ConfigureAwait(false);
            return;
        }

        if (request.Match == "explain")
        {
            await reply.SendAsync(await ExplainAsync(request.Line).ConfigureAwait(false), cancel).ConfigureAwait(false);
            return;
        }

        SpdEntry[] meant = [.. spd.Entries.Where(entry => request.Policy is null || entry.Name == request.Policy)];
        if (meant.Length == 0 && request.Policy is { } name)
        {
            await reply.SendAsync(ControlResponse.Refuse($"there is no policy '{name}'"), cancel).ConfigureAwait(false);
            return;
        }

        ILookup<SpdEntry, SecurityAssociation> users = stage.Sad.All
            .SelectMany(static sa => sa.Policies.Select(entry => (entry, sa)))
            .ToLookup(static use => use.entry, static use => use.sa);
        for (int at = 0; at == 0 || at < meant.Length; at += RowsAtOnce)
        {
            PolicyReport[] rows = [.. meant.Skip(at).Take(RowsAtOnce).Select(entry => request.Match == "show" ? SpdTelling.Whole(spd, entry, [.. users[entry]]) : SpdTelling.Of(entry, [.. users[entry]]))];
            await reply.SendAsync(new ControlResponse { Policies = rows, More = at + RowsAtOnce < meant.Length }, cancel).ConfigureAwait(false);
        }
    }

    private async Task<ControlResponse> ExplainAsync(string? line)
    {
        if (line is null)
        {
            return ControlResponse.Refuse("say which packet");
        }

        try
        {
            return await rulesets.LendAsync(ruleset =>
            {
                Packet packet = LinePackets.Parse(ruleset, line);
                long now = WallClock.Monotonic;
                IReadOnlyList<PolicyWalkReport> walks = workers.First.AskAsync(_ => SpdTelling.Explain(gateway.Ipsec!, ruleset, packet, now))
                    .WaitAsync(s_workerPatience).GetAwaiter().GetResult();
                return new ControlResponse { PolicyWalks = walks };
            }).ConfigureAwait(false);
        }
        catch (Refusal wrong)
        {
            return ControlResponse.Refuse(wrong.Message);
        }
    }
}
