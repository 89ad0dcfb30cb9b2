using System.Globalization;
using Filter.Ctl.Control;
using Filter.Ipsec.Ike;
using Filter.Rules.Policy;

namespace Filter.Ctl.Service;

/// <summary>Answers what is asked of IKE: the engine is asked on its own thread, and knows nothing of whom it is for.</summary>
/// <param name="ask">Has the engine asked; gives null where the ruleset names no peers.</param>
/// <param name="rulesets">The ruleset in force.</param>
/// <param name="log">Where it says who ordered what.</param>
internal sealed class IkeDesk(Func<Func<IkeEngine, long, ControlResponse>, Task<ControlResponse?>> ask, RulesetSwitch rulesets, ServiceLog log)
{
    /// <summary>Rows in one line of an answer.</summary>
    private const int RowsAtOnce = 500;

    /// <summary>Most names in a summary.</summary>
    private const int MostNames = 20;

    private const string NoPeers = "the ruleset in force names no peers: there is no IKE";

    /// <summary>Answers "list", "show", "up", "down", "rekey" or "keys".</summary>
    public async Task AnswerAsync(ControlRequest request, PeerCredentials peer, ControlReply reply, CancellationToken cancel)
    {
        bool changes = request.Match is "up" or "down" or "rekey";
        string? wrong =
            request.Match == "keys" && peer.Uid != 0 ? "only root may see keys"
            : changes && peer.Uid != 0 && peer.Uid != ProcessRights.User ? "only root may begin and end SAs"
            : changes && request.Peer is null ? "say which peer, or which policy"
            : null;
        ControlResponse? response = wrong is not null ? ControlResponse.Refuse(wrong) : await ask((engine, now) => Answer(request, engine, now)).ConfigureAwait(false);
        if (changes && response is { Ok: true })
        {
            log.Line(string.Create(CultureInfo.InvariantCulture, $"ike {request.Match} {request.Peer} by uid {peer.Uid}"));
        }

        ControlResponse[] pieces = [.. Pieces(response ?? ControlResponse.Refuse(NoPeers))];
        for (int i = 0; i < pieces.Length; i++)
        {
            await reply.SendAsync(pieces[i] with { More = i < pieces.Length - 1 }, cancel).ConfigureAwait(false);
        }
    }

    /// <summary>How it stands with all peers; null where there are none, or where the engine has no time to say.</summary>
    public async Task<IkeSummaryReply?> SummaryAsync()
    {
        try
        {
            IkeSummaryReply? summary = null;
            await ask((engine, now) =>
            {
                IReadOnlyList<IkePeerReport> all = engine.Report(now);
                summary = new(
                    all.Count, all.Count(static peer => peer.State == IkePeerState.Up),
                    [.. all.Where(static peer => peer.State != IkePeerState.Up && peer.LastFailure is not null).Take(MostNames).Select(static peer => peer.Name)]);
                return new ControlResponse();
            }).ConfigureAwait(false);
            return summary;
        }
        catch (TimeoutException)
        {
            return null;
        }
    }

    /// <summary>An answer in lines that each have room: of a peer with very many IKE SAs some a line.</summary>
    private static IEnumerable<ControlResponse> Pieces(ControlResponse whole)
    {
        if (whole.IkeKeys is { Count: > RowsAtOnce } keys)
        {
            return keys.Chunk(RowsAtOnce).Select(static some => new ControlResponse { IkeKeys = some });
        }

        if (whole.Peers is not { } peers || peers.Sum(static peer => 1 + peer.Sas.Count) <= RowsAtOnce)
        {
            return [whole];
        }

        List<ControlResponse> pieces = [];
        List<IkePeerReply> rows = [];
        int weight = 0;
        foreach (IkePeerReply peer in peers.SelectMany(static peer => peer.Sas.Count <= RowsAtOnce ? [peer] : peer.Sas.Chunk(RowsAtOnce).Select(some => peer with { Sas = some })))
        {
            if (weight > 0 && weight + peer.Sas.Count >= RowsAtOnce)
            {
                pieces.Add(new ControlResponse { Peers = [.. rows] });
                rows.Clear();
                weight = 0;
            }

            rows.Add(peer);
            weight += 1 + peer.Sas.Count;
        }

        pieces.Add(whole with { Peers = rows });
        return pieces;
    }

    private ControlResponse Answer(ControlRequest request, IkeEngine engine, long now) => request.Match switch
    {
        null or "list" or "show" => List(request.Peer, engine, now),
        "up" => Done(engine.Up(request.Peer!, now)),
        "down" => Done(engine.Down(request.Peer!, now)),
        "rekey" => Done(engine.Rekey(request.Peer!, now)),
        "keys" => new ControlResponse { IkeKeys = [.. engine.ExportKeys()] },
        _ => ControlResponse.Refuse("there is no such request"),
    };

    /// <summary>All peers, or the one that is named, itself or by a policy of it.</summary>
    private ControlResponse List(string? name, IkeEngine engine, long now)
    {
        if (rulesets.Current.Ipsec is not { Ike: { } ike } ipsec)
        {
            return ControlResponse.Refuse(NoPeers);
        }

        IkePeer[] meant = [.. ike.Peers.Where(peer => name is null || peer.Name == name)];
        if (meant.Length == 0 && name is not null)
        {
            meant = [.. ipsec.Policies.Where(policy => policy.Name == name).Select(static policy => policy.Peer).OfType<IkePeer>()];
        }

        if (meant.Length == 0 && name is not null)
        {
            return ControlResponse.Refuse($"there is no peer '{name}', and no policy of that name that names one");
        }

        Dictionary<string, IkePeerReport> reports = engine.Report(now).ToDictionary(static report => report.Name, StringComparer.Ordinal);
        return new ControlResponse
        {
            Peers =
            [
                .. meant.Select(peer => IkeTelling.Of(
                    peer, reports.GetValueOrDefault(peer.Name) ?? new IkePeerReport(peer.Name, IkePeerState.Down, [], null, null, []), ipsec.Policies, now)),
            ],
            IkeTraffic = name is null ? IkeTelling.Of(engine.Counters) : null,
        };
    }

    private static ControlResponse Done(IkeAnswer answer) => answer.Done ? new ControlResponse { Message = answer.Text } : ControlResponse.Refuse(answer.Text);
}
