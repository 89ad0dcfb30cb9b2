using System.Diagnostics;
using System.Text.Json;

namespace Filter.Tests.Worlds;

/// <summary>A Filter's port and the device at the far end of its cable: what one sends the other receives.</summary>
/// <param name="Port">Its name in the ruleset.</param>
/// <param name="Host">Who stands there; of a TAP, Filter's own host.</param>
/// <param name="Device">The far end; of a TAP, the TAP.</param>
public readonly record struct FarEnd(string Port, Host Host, string Device);

/// <summary>
/// Holds what `filterctl counters` says against what the kernels at the far ends counted themselves: nothing may be on a
/// wire that Filter does not know of, and each packet that came in has exactly one fate.
/// </summary>
public sealed class Balance
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    private readonly Daemon _daemon;
    private readonly FarEnd[] _ends;
    private readonly Dictionary<string, long> _before;

    private Balance(Daemon daemon, FarEnd[] ends)
    {
        _daemon = daemon;
        _ends = ends;
        _before = TakeAtRest();
    }

    /// <summary>Starts to count, once all is quiet. Every port of the ruleset has its far end here.</summary>
    public static Balance Of(Daemon daemon, params FarEnd[] ends) => new(daemon, ends);

    /// <summary>Waits until all is quiet again, asserts that both sides' counts agree, and gives what was counted since the start.</summary>
    public Counted Settle()
    {
        long until = Stopwatch.GetTimestamp() + (long)(s_patience.TotalSeconds * Stopwatch.Frequency);
        while (true)
        {
            TakeAtRest();
            Dictionary<string, long> now = Take(_daemon.Json("counters"));
            Counted counted = new(now.ToDictionary(cell => cell.Key, cell => cell.Value - _before.GetValueOrDefault(cell.Key)));
            string[] wrong = [.. Contradictions(counted)];
            if (wrong.Length == 0)
            {
                return counted;
            }

            // Somebody may have said something between the one count and the other: then a later look agrees.
            Assert.True(Stopwatch.GetTimestamp() < until, $"{string.Join('\n', wrong)}\n{counted}");
        }
    }

    private IEnumerable<string> Contradictions(Counted counted)
    {
        long received = 0, sent = 0;
        foreach ((string port, Host host, string device) in _ends)
        {
            string far = $"{device} of {host.Name}";
            long came = counted[$"port {port} received"], lost = counted[$"port {port} lost"];
            long left = counted[$"port {port} sent"], refused = counted[$"port {port} refused"];
            if (counted[$"{far} sent"] != came + lost)
            {
                yield return $"{far} sent {counted[$"{far} sent"]} frames, but {port} received {came} and the kernel lost {lost}";
            }

            if (counted[$"{far} received"] != left)
            {
                yield return $"{far} received {counted[$"{far} received"]} frames, but {port} sent {left}";
            }

            received += came;
            sent += left + refused;
        }

        if (counted["in"] != received)
        {
            yield return $"in is {counted["in"]}, but the ports received {received}";
        }

        if (counted["out"] != sent)
        {
            yield return $"out is {counted["out"]}, but the ports sent {sent}";
        }

        if (counted["in"] != counted.All("verdict "))
        {
            yield return $"in is {counted["in"]}, but the verdicts are {counted.All("verdict ")}";
        }

        if (counted.Dropped + counted["verdict reject"] != counted.All("reason "))
        {
            yield return $"dropped and rejected {counted.Dropped + counted["verdict reject"]}, but the reasons are {counted.All("reason ")}";
        }
    }

    /// <summary>Takes until nothing changes any more: packets may still be under way.</summary>
    private Dictionary<string, long> TakeAtRest()
    {
        long until = Stopwatch.GetTimestamp() + (long)(s_patience.TotalSeconds * Stopwatch.Frequency);
        Dictionary<string, long> last = Take(_daemon.Ask("counters"));
        for (int same = 0; same < 3 && Stopwatch.GetTimestamp() < until;)
        {
            Thread.Sleep(15);
            Dictionary<string, long> next = Take(_daemon.Ask("counters"));
            same = next.Count == last.Count && next.All(cell => last.GetValueOrDefault(cell.Key) == cell.Value) ? same + 1 : 0;
            last = next;
        }

        return last;
    }

    private Dictionary<string, long> Take(JsonElement answer)
    {
        Dictionary<string, long> cells = [];
        foreach (FarEnd end in _ends)
        {
            LinkCounts link = end.Host.Counts(end.Device);
            cells[$"{end.Device} of {end.Host.Name} sent"] = link.Sent;
            cells[$"{end.Device} of {end.Host.Name} received"] = link.Received;
        }

        JsonElement counters = answer.GetProperty("counters");
        foreach (string name in (string[])["in", "out", "own", "opened", "expired", "disallowed", "heldNow", "coalesced"])
        {
            cells[name] = counters.GetProperty(name).GetInt64();
        }

        Named("verdicts", "verdict", "packets");
        Named("reasons", "reason", "packets");
        Named("rules", "rule", "packets");
        foreach (JsonElement port in counters.GetProperty("ports").EnumerateArray())
        {
            string name = $"port {port.GetProperty("name").GetString()}";
            cells[$"{name} received"] = port.GetProperty("receivedPackets").GetInt64();
            cells[$"{name} sent"] = port.GetProperty("sentPackets").GetInt64();
            cells[$"{name} refused"] = port.GetProperty("sendErrors").GetInt64();
            cells[$"{name} lost"] = port.GetProperty("kernelDrops").GetInt64();
        }

        return cells;

        void Named(string list, string kind, string value)
        {
            foreach (JsonElement entry in counters.GetProperty(list).EnumerateArray())
            {
                cells[$"{kind} {entry.GetProperty("name").GetString()}"] = entry.GetProperty(value).GetInt64();
            }
        }
    }
}

/// <summary>What was counted, by name: `in`, `verdict drop`, `reason default-deny`, `rule outbound`, `port inside received`.</summary>
public sealed class Counted(IReadOnlyDictionary<string, long> cells)
{
    /// <summary>A count; 0 for what never happened.</summary>
    public long this[string name] => cells.TryGetValue(name, out long count) ? count : 0;

    public long Passed => this["verdict pass"];

    public long Dropped => this["verdict drop"];

    /// <summary>The sum of all whose names start so.</summary>
    public long All(string prefix) =>
        cells.Where(cell => cell.Key.StartsWith(prefix, StringComparison.Ordinal)).Sum(static cell => cell.Value);

    /// <summary>Every packet that came in went on, and nothing was lost on the way.</summary>
    public void AllPassed()
    {
        Assert.True(Passed == this["in"], ToString());
        NothingLost();
    }

    /// <summary>No port lost a frame, neither on the way in nor on the way out.</summary>
    public void NothingLost() =>
        Assert.True(cells.All(static cell => !cell.Key.StartsWith("port ", StringComparison.Ordinal)
            || !(cell.Key.EndsWith(" lost", StringComparison.Ordinal) || cell.Key.EndsWith(" refused", StringComparison.Ordinal))
            || cell.Value == 0), ToString());

    public override string ToString() => string.Join(
        '\n', cells.Where(static cell => cell.Value != 0).OrderBy(static cell => cell.Key, StringComparer.Ordinal).Select(static cell => $"  {cell.Key}: {cell.Value}"));
}
