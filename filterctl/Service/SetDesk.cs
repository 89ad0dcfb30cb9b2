using Filter.Ctl.Control;
using Filter.Rules;
using Filter.Rules.Policy;

namespace Filter.Ctl.Service;

/// <summary>Answers what is asked of sets that change.</summary>
internal sealed class SetDesk(RulesetSwitch rulesets, NameResolver names)
{
    /// <summary>Elements in one line of an answer.</summary>
    private const int ElementsAtOnce = 500;

    private const long Second = 1_000_000_000;

    /// <summary>Most seconds that an element stays: a year and a day.</summary>
    private const long LongestTimeout = 366L * 86400;

    /// <summary>Answers "list", "add", "delete" or "flush".</summary>
    public async Task AnswerAsync(ControlRequest request, ControlReply reply, CancellationToken cancel)
    {
        LiveSet[] sets = [.. rulesets.Current.LiveSets];
        if (request.Set is { } name)
        {
            sets = [.. sets.Where(set => set.SetName == name)];
            if (sets.Length == 0)
            {
                string known = string.Join(", ", rulesets.Current.LiveSets.Select(static set => set.SetName));
                await reply.SendAsync(ControlResponse.Refuse(known.Length == 0
                    ? "the ruleset in force has no set that changes: say live: true in it"
                    : $"there is no set '{name}' that changes; there are {known}"), cancel).ConfigureAwait(false);
                return;
            }
        }

        if (request.Match is null or "list")
        {
            await ListAsync(sets, reply, cancel).ConfigureAwait(false);
            return;
        }

        await reply.SendAsync(sets is [var one] && request.Set is not null ? Change(one, request) : ControlResponse.Refuse("say which set"), cancel).ConfigureAwait(false);
    }

    private static ControlResponse Change(LiveSet set, ControlRequest request)
    {
        if (set.Source != LiveSource.Control)
        {
            return ControlResponse.Refuse($"what '{set.SetName}' holds is told by {(set.Source == LiveSource.Names ? "the DNS" : $"the networks of {set.Port}")}; only sets with live: true are changed by hand");
        }

        long now = WallClock.Monotonic;
        if (request.Match == "flush")
        {
            long gone = set.Contents.List(now).Count;
            set.Contents.Clear();
            return new ControlResponse { Count = gone, Message = $"{gone} elements left '{set.SetName}'" };
        }

        List<string> wrong = [];
        List<AddressRange> ranges = [];
        foreach (string text in request.Elements ?? [])
        {
            ranges.AddRange(RulesetWords.Addresses(text, out string? error));
            if (error is not null)
            {
                wrong.Add(error);
            }
        }

        if (wrong.Count > 0 || ranges.Count == 0)
        {
            return ControlResponse.Refuse(wrong.Count == 0 ? "say which elements" : $"{string.Join("; ", wrong.Take(5))}; nothing changed");
        }

        if (request.Match == "delete")
        {
            IReadOnlyList<AddressRange> strangers = set.Contents.Delete(ranges, now);
            long gone = ranges.Count - strangers.Count;
            return strangers.Count == 0
                ? new ControlResponse { Count = gone, Message = $"{gone} elements left '{set.SetName}'" }
                : ControlResponse.Refuse($"{gone} elements left '{set.SetName}'; not in it, as they stand: {string.Join(", ", strangers.Take(5).Select(static range => range.ToString()))}") with { Count = gone };
        }

        if (request.Timeout is < 1 or > LongestTimeout)
        {
            return ControlResponse.Refuse("a timeout is from 1 s to 366 days");
        }

        long deadline = request.Timeout is { } seconds ? now + (seconds * Second) : set.Timeout is { } usual ? now + usual : LiveContents.Never;
        return set.Contents.TryAdd(ranges, deadline, now, set.Size)
            ? new ControlResponse { Count = ranges.Count, Message = $"{ranges.Count} elements are in '{set.SetName}'" }
            : ControlResponse.Refuse($"'{set.SetName}' would have more than its {set.Size:N0} elements; nothing changed");
    }

    private async Task ListAsync(LiveSet[] sets, ControlReply reply, CancellationToken cancel)
    {
        long now = WallClock.Monotonic;
        for (int i = 0; i < sets.Length; i++)
        {
            LiveSet set = sets[i];
            IReadOnlyList<LiveElement> elements = set.Contents.List(now);
            for (int at = 0; at == 0 || at < elements.Count; at += ElementsAtOnce)
            {
                SetReport report = new()
                {
                    Name = set.SetName,
                    Source = set.Source switch { LiveSource.Names => "names", LiveSource.PrefixOf => $"prefix-of {set.Port}", _ => "live" },
                    Count = elements.Count,
                    Size = set.Source == LiveSource.Control ? set.Size : null,
                    Trouble = at == 0 && set.Source == LiveSource.Names ? names.TroubleOf(set) : null,
                    Elements =
                    [
                        .. elements.Skip(at).Take(ElementsAtOnce).Select(one => new ElementReport(
                            one.Range.ToString(), one.Deadline == LiveContents.Never ? null : (one.Deadline - now + Second - 1) / Second)),
                    ],
                };
                bool more = i + 1 < sets.Length || at + ElementsAtOnce < elements.Count;
                await reply.SendAsync(new ControlResponse { Set = report, More = more }, cancel).ConfigureAwait(false);
            }
        }

        if (sets.Length == 0)
        {
            await reply.SendAsync(new ControlResponse { Message = "no set changes" }, cancel).ConfigureAwait(false);
        }
    }
}
