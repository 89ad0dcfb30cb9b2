using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>The named schedules of a ruleset, and every place that may name or write one.</summary>
internal sealed class Schedules
{
    /// <summary>The most different schedules of a ruleset: each takes a kilobyte, however few bytes wrote it.</summary>
    public const int Most = 1000;

    private readonly Dictionary<string, Schedule?> _named = new(StringComparer.Ordinal);
    private readonly Dictionary<Schedule, Schedule> _known = [];
    private readonly Diagnostics _found;
    private bool _spent;

    public Schedules(Node? node, Diagnostics found)
    {
        _found = found;
        if (node is null)
        {
            return;
        }

        if (node is not MapNode map)
        {
            found.Error(node.At, $"'schedules' is a mapping of names to times, not {node.Kind}", "write work: mon-fri 08:00-18:00");
            return;
        }

        foreach ((ScalarNode key, Node value) in map.Entries)
        {
            if (Values.Name(key, "the name of a schedule", 63, found) is not { } name)
            {
                continue;
            }

            if (ScheduleWords.LooksLikeOne(name.Value))
            {
                found.Error(key.At, $"{Wording.Quote(name.Value)} reads like days of the week", "choose another name for the schedule");
            }

            _named[name.Value] = Union(value, $"the schedule {Wording.Quote(name.Value)}", name.Value);
        }
    }

    /// <summary>The times that a place writes or names, one or a list; null where there are none, or after an error.</summary>
    public Schedule? Read(Node? node, string what) => node is null ? null : Union(node, what);

    /// <summary>The one object for these minutes; the same after too many, which is an error.</summary>
    public Schedule Known(Schedule schedule, SourceMark at)
    {
        if (_known.TryGetValue(schedule, out Schedule? known))
        {
            return known;
        }

        if (_known.Count >= Most)
        {
            if (!_spent)
            {
                _found.Error(at, $"there are more than {Most} different schedules");
            }

            _spent = true;
            return schedule;
        }

        _known.Add(schedule, schedule);
        return schedule;
    }

    private Schedule? Union(Node node, string what, string? name = null)
    {
        Schedule? all = null;
        bool good = true;
        IReadOnlyList<Node> entries = Values.Each(node);
        if (entries.Count == 0)
        {
            _found.Error(node.At, $"{what} is an empty list, which never holds", "write times: mon-fri 08:00-18:00");
        }

        foreach (Node entry in entries)
        {
            Schedule? one = Values.Text(entry, $"an entry of {what}", _found) is { } text ? One(text, mayName: name is null) : null;
            good &= one is not null;
            all = all is null || one is null ? all ?? one : all.Union(one).Named($"{all.Name}, {one.Name}");
        }

        return good && all is not null ? Known(name is null ? all : all.Named(name), node.At) : null;
    }

    private Schedule? One(Located<string> text, bool mayName)
    {
        if (ScheduleWords.LooksLikeOne(text.Value))
        {
            return ScheduleWords.Read(text, _found) is { } spans ? Schedule.Of(text.Value, spans) : null;
        }

        if (mayName && _named.TryGetValue(text.Value, out Schedule? named))
        {
            return named;                       // one that is wrong was told of where it is written
        }

        string? near = mayName ? Wording.Nearest(text.Value, _named.Keys) : null;
        _found.Error(text.At, mayName ? $"there is no schedule {Wording.Quote(text.Value)}" : $"{Wording.Quote(text.Value)} is no time",
            near is null ? "write days, times or both: mon-fri 08:00-18:00" + (mayName ? "; names stand under 'schedules'" : "") : $"did you mean {Wording.Quote(near)}?");
        return null;
    }
}
