using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Filter.Ctl.Control;
using Filter.Engine.Path;
using Filter.Ipsec;
using Filter.Ipsec.Databases;
using Filter.Rules;
using Filter.Rules.Policy;

namespace Filter.Ctl.Service;

/// <summary>
/// Answers what is asked of SAs. Lists are read beside the worker, which waits for none; what changes SAs is run by it, between
/// two bursts and while no ruleset is put in force.
/// </summary>
internal sealed class SaDesk(Gateway gateway, Workforce workers, RulesetSwitch rulesets, ServiceLog log)
{
    /// <summary>Rows in one line of an answer.</summary>
    private const int RowsAtOnce = 500;

    /// <summary>Most rows of a list, whatever was asked for.</summary>
    private const int MostRows = 4_000_000;

    /// <summary>SAs that the worker takes out between two bursts: each costs its policy's others a copy of their list.</summary>
    private const int RemovedAtOnce = 16;

    private const string NoIpsec = "the ruleset in force says nothing of IPsec: there are no SAs";
    private static readonly TimeSpan s_workerPatience = TimeSpan.FromSeconds(10);

    /// <summary>Answers "list", "show", "add", "delete" or "flush".</summary>
    public async Task AnswerAsync(ControlRequest request, PeerCredentials peer, ControlReply reply, CancellationToken cancel)
    {
        if (gateway.Ipsec is not { } stage)
        {
            await reply.SendAsync(ControlResponse.Refuse(NoIpsec), cancel).ConfigureAwait(false);
            return;
        }

        if (request.ShowKeys && peer.Uid != 0)
        {
            await reply.SendAsync(ControlResponse.Refuse("only root may see keys"), cancel).ConfigureAwait(false);
            return;
        }

        if (request.Match is "add" or "delete" or "flush" && peer.Uid != 0 && peer.Uid != ProcessRights.User)
        {
            // Whoever adds an SA reads what its policy protects, and sends under its name.
            await reply.SendAsync(ControlResponse.Refuse("only root may change SAs"), cancel).ConfigureAwait(false);
            return;
        }

        if (Wrong(request, stage) is { } wrong)
        {
            await reply.SendAsync(ControlResponse.Refuse(wrong), cancel).ConfigureAwait(false);
            return;
        }

        switch (request.Match)
        {
            case null or "list" or "show":
                await ListAsync(request, stage, reply, cancel).ConfigureAwait(false);
                break;
            case "delete" when request.Sa is not null:
                if (Meant(request, stage).FirstOrDefault(static sa => sa.Origin == SaOrigin.Ike) is { } agreed)
                {
                    // The peer has the other end of it, and would send into the void.
                    string policy = agreed.Policies.Count > 0 ? agreed.Policies[0].Name : "POLICY";
                    await reply.SendAsync(ControlResponse.Refuse($"'{agreed.Name}' was agreed on by IKE: filterctl ike down {policy}, or ike rekey {policy}"), cancel).ConfigureAwait(false);
                    break;
                }

                await reply.SendAsync(await RemoveAsync(Meant(request, stage), $"sa delete {request.Sa}", peer).ConfigureAwait(false), cancel).ConfigureAwait(false);
                break;
            case "add" when request.Text is not null:
                await reply.SendAsync(await AddAsync(request, peer).ConfigureAwait(false), cancel).ConfigureAwait(false);
                break;
            case "flush":
                SecurityAssociation[] added = [.. Meant(request, stage).Where(static sa => sa.Origin == SaOrigin.Hand)];
                await reply.SendAsync(await RemoveAsync(added, request.Policy is null ? "sa flush" : $"sa flush --policy {request.Policy}", peer).ConfigureAwait(false), cancel).ConfigureAwait(false);
                break;
            default:
                await reply.SendAsync(ControlResponse.Refuse("say which SA, and what is to become of it"), cancel).ConfigureAwait(false);
                break;
        }
    }

    private static string? Wrong(ControlRequest request, IpsecStage stage)
    {
        if (request.Policy is { } policy && stage.Databases.Spd?.Entry(policy) is null)
        {
            return $"there is no policy '{policy}'";
        }

        return request.Sa is { } sa && !Meant(request, stage).Any() ? $"there is no SA '{sa}'{(request.Policy is { } of ? $" of the policy '{of}'" : "")}" : null;
    }

    /// <summary>The SAs that a request speaks of. A name may look like an SPI: it comes first, so that one is never deleted for the other.</summary>
    private static IEnumerable<SecurityAssociation> Meant(ControlRequest request, IpsecStage stage)
    {
        uint? spi = request.Sa is null || stage.Sad.All.Any(sa => sa.Name == request.Sa) ? null : SpiOf(request.Sa);
        return stage.Sad.All.Where(sa =>
            (request.Sa is null || sa.Name == request.Sa || sa.Spi == spi)
            && (request.Policy is null || sa.Policies.Any(policy => policy.Name == request.Policy)));
    }

    /// <summary>An SPI as people write it; null for what is none.</summary>
    private static uint? SpiOf(string? text) =>
        text is null ? null
        : text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            ? uint.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint hex) ? hex : null
            : uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out uint number) ? number : null;

    private static async Task ListAsync(ControlRequest request, IpsecStage stage, ControlReply reply, CancellationToken cancel)
    {
        SecurityAssociation[] meant = [.. SaTelling.InOrder(Meant(request, stage))];
        SaReport Row(SecurityAssociation sa, long now) => SaTelling.Of(sa, now, request.Match == "show" ? stage : null);
        int shown = Math.Clamp(request.Limit ?? MostRows, 0, meant.Length);
        for (int at = 0; at == 0 || at < shown; at += RowsAtOnce)
        {
            int end = Math.Min(at + RowsAtOnce, shown);
            long now = WallClock.Monotonic;
            SaReport[] rows = [.. meant[at..end].Select(sa => request.ShowKeys ? WithKeys(sa, Row(sa, now)) : Row(sa, now))];
            bool more = end < shown;
            await reply.SendAsync(new ControlResponse { Sas = rows, More = more, Count = more ? null : meant.Length }, cancel).ConfigureAwait(false);
        }
    }

    /// <summary>All of a text's SAs, or none. Its keys are in the SAs alone afterwards.</summary>
    private async Task<ControlResponse> AddAsync(ControlRequest request, PeerCredentials peer)
    {
        string file = request.File ?? "SA";
        byte[] text = Encoding.UTF8.GetBytes(request.Text!);
        (ControlResponse response, string[] names) = await rulesets.LendAsync(ruleset =>
        {
            SaReading reading = SaFile.Parse(file, text, request.Folder ?? "/", ruleset);
            CryptographicOperations.ZeroMemory(text);
            string[] findings = [.. reading.Diagnostics.Select(static d => d.ToString())];
            try
            {
                string? wrong = reading.Holds ? Add(reading.Sas) : $"{file} is wrong; no SA was added";
                return ((wrong is null ? new ControlResponse() : ControlResponse.Refuse(wrong)) with { Diagnostics = findings }, reading.Sas.Select(static added => added.Sa.Name).ToArray());
            }
            finally
            {
                reading.WipeKeys();
            }
        }).ConfigureAwait(false);
        if (!response.Ok)
        {
            return response;
        }

        string all = string.Join(", ", names.Select(static name => $"'{name}'"));
        log.Line(string.Create(CultureInfo.InvariantCulture, $"SA {all} added by uid {peer.Uid}"));
        return response with { Count = names.Length * 2, Message = $"{all} added, both directions; they go with the daemon" };
    }

    /// <summary>Puts pairs of SAs in force; gives why not, and none is there then.</summary>
    private string? Add(IReadOnlyList<AddedSa> sas)
    {
        IpsecStage running = gateway.Ipsec!;
        foreach (AddedSa added in sas)
        {
            SaConfig sa = added.Sa;
            if (running.Sad.All.FirstOrDefault(other => other.Name == sa.Name) is not null)
            {
                return $"there already is an SA '{sa.Name}': delete it first, or choose another name";
            }

            if (running.Sad.All.Any(other => other is OutboundSa && other.Spi == sa.Out.Spi && other.Remote == (sa.Settings.Remote ?? default)))
            {
                return string.Create(CultureInfo.InvariantCulture, $"there already is an SA that sends to this end with the SPI 0x{sa.Out.Spi:x8}");
            }
        }

        if (Differs(running, sas) is { } differs)
        {
            return differs;
        }

        List<(SecurityAssociation Sa, string[] Policies)> fresh = [];
        string? wrong = null;
        try
        {
            foreach (AddedSa added in sas)
            {
                (OutboundSa outbound, InboundSa inbound) = IpsecDatabases.MakePair(added.Sa);
                fresh.AddRange([(outbound, [.. added.Policies]), (inbound, [.. added.Policies])]);
            }

            wrong = Ask(stage => AddAll(stage, fresh));
        }
        catch (Exception failure) when (failure is CryptographicException or NotSupportedException)
        {
            wrong = failure.Message;
        }

        if (wrong is not null)
        {
            fresh.ForEach(static one => one.Sa.Dispose());
        }

        return wrong;
    }

    /// <summary>
    /// What goes by one policy goes in one mode, and by tunnels between one pair of ends (RFC 4301 §4.4.1.2): those that are there,
    /// and those that are added, in the words that a ruleset is told it in.
    /// </summary>
    private static string? Differs(IpsecStage running, IReadOnlyList<AddedSa> sas)
    {
        Dictionary<string, (string Name, SaSettings Settings)> first = new(StringComparer.Ordinal);
        foreach (SecurityAssociation there in running.Sad.All)
        {
            foreach (SpdEntry entry in there.Policies)
            {
                first.TryAdd(entry.Name, (there.Name, there.Settings));
            }
        }

        foreach (AddedSa added in sas)
        {
            SaSettings settings = added.Sa.Settings;
            foreach (string policy in added.Policies)
            {
                if (settings.Mode == IpsecMode.Transport && running.Databases.Spd?.Entry(policy)?.Policy.Opaque == true)
                {
                    return $"the policy '{policy}' is for pieces of packets, which transport mode does not carry (RFC 4303 §3.3.4): '{added.Sa.Name}' must be a tunnel";
                }

                if (!first.TryAdd(policy, (added.Sa.Name, settings)) && first[policy] is var (name, other))
                {
                    if (other.Mode != settings.Mode)
                    {
                        return $"the SAs '{name}' and '{added.Sa.Name}' of the policy '{policy}' are of different modes: they are all tunnels, or all transport";
                    }

                    if (settings.Mode == IpsecMode.Tunnel && (other.Local, other.Remote) != (settings.Local, settings.Remote))
                    {
                        return $"the tunnels '{name}' and '{added.Sa.Name}' of the policy '{policy}' have different ends: '{name}' leads from {other.Local} to {other.Remote}";
                    }
                }
            }
        }

        return null;
    }

    private static string? AddAll(IpsecStage stage, List<(SecurityAssociation Sa, string[] Policies)> fresh)
    {
        for (int i = 0; i < fresh.Count; i++)
        {
            if (stage.Add(fresh[i].Sa, fresh[i].Policies) is { } wrong)
            {
                fresh[..i].ForEach(before => stage.Remove(before.Sa));
                return wrong;
            }
        }

        return null;
    }

    private static SaReport WithKeys(SecurityAssociation sa, SaReport row) =>
        sa.RevealKeys() is { } keys ? row with { EncryptionKey = keys.Encryption, IntegrityKey = keys.Integrity } : row;

    private async Task<ControlResponse> RemoveAsync(IEnumerable<SecurityAssociation> meant, string what, PeerCredentials peer)
    {
        long gone = 0, ofRuleset = 0;
        foreach (SecurityAssociation[] some in meant.Chunk(RemovedAtOnce))
        {
            // No ruleset comes between: one that is made ready may hold on to an SA that it found.
            (long taken, long its) = await rulesets.LendAsync(_ => Remove(some)).ConfigureAwait(false);
            (gone, ofRuleset) = (gone + taken, ofRuleset + its);
        }

        log.Line(string.Create(CultureInfo.InvariantCulture, $"{what}: {Output.Tell.Count(gone, "SA")} deleted by uid {peer.Uid}"));
        string back = ofRuleset > 0 ? "; the ruleset brings back its own when it is read again" : "";
        return new ControlResponse { Count = gone, Message = $"{Output.Tell.Count(gone, "SA")} deleted{back}" };
    }

    private (long Gone, long OfRuleset) Remove(SecurityAssociation[] some) => Ask(stage =>
    {
        (long gone, long ofRuleset) = (0, 0);
        foreach (SecurityAssociation sa in some)
        {
            if (stage.Remove(sa))
            {
                gone++;
                ofRuleset += sa.IsOfRuleset ? 1 : 0;
            }
        }

        return (gone, ofRuleset);
    });

    /// <summary>Has it done while all workers stand still, and waits: for what no reload may come between.</summary>
    private T Ask<T>(Func<IpsecStage, T> what) =>
        workers.HoldAsync(() => what(gateway.Ipsec!), s_workerPatience).GetAwaiter().GetResult();
}
