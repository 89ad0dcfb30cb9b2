using Filter.Engine.Flows;
using Filter.Engine.Path;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads <c>timers:</c>, on top of what the profile says.</summary>
internal static class TimersReader
{
    private static readonly string[] s_keys = [.. FlowTimers.Words.Select(static w => w.Word)];

    private static readonly string[] s_ruleKeys =
        [.. FlowTimers.Words.Where(static w => w.Timer is not (FlowTimer.FragmentsIpv4 or FlowTimer.FragmentsIpv6)).Select(static w => w.Word)];

    /// <summary>The times in force. A profile with minima refuses what is below them.</summary>
    public static FlowTimers Read(Node? node, Profile profile, Diagnostics found) =>
        Read(node, profile, FlowTimers.Of(profile), s_keys, found);

    /// <summary>The times of one rule's flows, on top of those in force. Fragments wait before any rule is known.</summary>
    public static FlowTimers OfRule(Node node, Profile profile, FlowTimers times, Diagnostics found) =>
        Read(node, profile, times, s_ruleKeys, found);

    private static FlowTimers Read(Node? node, Profile profile, FlowTimers timers, string[] keys, Diagnostics found)
    {
        if (node is null || Fields.Of(node, "'timers'", found, keys) is not { } fields)
        {
            return timers;
        }

        foreach ((string word, FlowTimer timer) in FlowTimers.Words)
        {
            if (Values.Duration(keys.Contains(word) ? fields[word] : null, Wording.Quote(word), found) is not { } time)
            {
                continue;
            }

            (long least, string source) = FlowTimers.Minimum(profile, timer);
            if (time >= least)
            {
                timers = timers.With(timer, time);
            }
            else if (least == long.MaxValue)
            {
                found.Error(fields.KeyAt(word), $"'{word}' shortens what profile rfc6092 promises to keep", $"leave it out, or write profile: default ({source})");
            }
            else
            {
                found.Error(fields[word]!.At, $"'{word}' is at least {Wording.Duration(least)}, not {Wording.Duration(time)}", profile == Profile.Default ? "a shorter time loses answers that are on their way" : $"profile rfc6092 keeps what the RFC asks for: {source}");
            }
        }

        return timers;
    }
}
