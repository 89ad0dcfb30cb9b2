using System.Globalization;
using System.Text.Json;

namespace Filter.Tests.Worlds;

/// <summary>One host of a <see cref="World"/>: a network namespace to run programs in.</summary>
public sealed class Host(World world, string name, string space)
{
    /// <summary>Its name in the scene: <c>client</c>.</summary>
    public string Name => name;

    public World World => world;

    /// <summary>The longest that a command runs unless told otherwise.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    /// <summary>Runs a shell command line to its end.</summary>
    public Ran Run(string command, TimeSpan? limit = null) => Ran.ToTheEnd(Line(command), limit ?? Patience);

    /// <summary>Runs a shell command line that has to succeed; gives what it wrote to its standard output.</summary>
    public string Must(string command, TimeSpan? limit = null)
    {
        Ran ran = Run(command, limit);
        Assert.True(ran.Ok, ran.ToString());
        return ran.Output;
    }

    /// <summary>Starts a shell command line that runs on, until disposed or the world ends.</summary>
    public Running Start(string command) => world.Keep(new Running(Line(command)));

    /// <summary>Calls on a thread that lives on the host; sockets opened there stay there, whoever uses them later.</summary>
    public T Inside<T>(Func<T> call) => NetNs.RunIn(space, call);

    /// <summary>The kernel's own counts of a device, as `ip -s link` shows them.</summary>
    public LinkCounts Counts(string device)
    {
        using JsonDocument document = JsonDocument.Parse(Must($"ip -s -j link show dev {device}"));
        JsonElement counts = document.RootElement[0].GetProperty("stats64");
        JsonElement received = counts.GetProperty("rx"), sent = counts.GetProperty("tx");
        return new(Of(received, "packets"), Of(received, "bytes"), Of(received, "dropped"),
            Of(sent, "packets"), Of(sent, "bytes"), Of(sent, "dropped"));

        static long Of(JsonElement counts, string name) => counts.GetProperty(name).GetInt64();
    }

    /// <summary>Datagrams that came, but found their socket's buffer full: the host's own losses, of both families.</summary>
    public long Overflows() => Snmp("Udp", "RcvbufErrors") + Snmp6("Udp6RcvbufErrors");

    /// <summary>IP packets, of both families, that reached the kernel's stack by whatever way.</summary>
    public long Arrivals() => Snmp("Ip", "InReceives") + Snmp6("Ip6InReceives");

    /// <summary>The MAC address of a device, as `02:00:00:00:00:01`.</summary>
    public string Mac(string device) => Must($"cat /sys/class/net/{device}/address").Trim();

    /// <summary>A count of /proc/net/snmp, which has a line of names and a line of values for each protocol.</summary>
    private long Snmp(string protocol, string name)
    {
        string[][] lines = [.. Must("cat /proc/net/snmp").Split('\n')
            .Where(line => line.StartsWith($"{protocol}:", StringComparison.Ordinal)).Select(static line => line.Split(' '))];
        return long.Parse(lines[1][Array.IndexOf(lines[0], name)], CultureInfo.InvariantCulture);
    }

    private long Snmp6(string name) => long.Parse(
        Must("cat /proc/net/snmp6").Split('\n').Select(static line => line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))
            .First(words => words[0] == name)[1], CultureInfo.InvariantCulture);

    private string[] Line(string command) => ["ip", "netns", "exec", space, "bash", "-c", command];
}

/// <summary>Packets and bytes of one device, both ways, and what it dropped itself. A super-frame counts once.</summary>
public readonly record struct LinkCounts(
    long Received, long ReceivedBytes, long ReceivedDropped, long Sent, long SentBytes, long SentDropped)
{
    /// <summary>What was counted since <paramref name="before"/>.</summary>
    public LinkCounts Since(LinkCounts before) => new(
        Received - before.Received, ReceivedBytes - before.ReceivedBytes, ReceivedDropped - before.ReceivedDropped,
        Sent - before.Sent, SentBytes - before.SentBytes, SentDropped - before.SentDropped);
}
