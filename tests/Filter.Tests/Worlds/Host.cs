using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace Filter.Tests.Worlds;

/// <summary>One host of a <see cref="World"/>: a network namespace to run programs in.</summary>
public sealed partial class Host(World world, string name, string space)
{
    /// <summary>Its name in the scene: <c>client</c>.</summary>
    public string Name => name;

    public World World => world;

    /// <summary>The name of its namespace.</summary>
    public string Space => space;

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

    /// <summary>Pings, and hears as many answers as asked for.</summary>
    /// <param name="address">Of either family.</param>
    /// <param name="options">`-c5 -s 3000`, …</param>
    public void Pings(string address, string options)
    {
        Ran ran = Run($"ping -q {options} -w9 {address}");
        Assert.True(ran.Ok && MissedPings(ran.Output) <= 1, ran.ToString());
    }

    /// <summary>
    /// How many answers ping never got. Not counted are those that it did not wait for: it ends with the last answer it was asked
    /// for, while of a slow box's answers as many are on their way as it names its pipe.
    /// </summary>
    public static int MissedPings(string output)
    {
        Match counts = PingWords().Match(output);
        int unanswered = Number(counts.Groups[1]) - Number(counts.Groups[2]);
        Match pipe = PipeWord().Match(output);
        return pipe.Success ? Math.Max(0, unanswered - Number(pipe.Groups[1]) + 1) : unanswered;
    }

    private static int Number(Group digits) => int.Parse(digits.ValueSpan, CultureInfo.InvariantCulture);

    /// <summary>Starts a shell command line that runs on, until disposed or the world ends.</summary>
    public Running Start(string command) => world.Keep(new Running(Line(command)));

    /// <summary>Calls on a thread that lives on the host; sockets opened there stay there, whoever uses them later.</summary>
    public T Inside<T>(Func<T> call) => NetNs.RunIn(space, call);

    /// <summary>Opens a socket on the host, bound there; it waits five seconds for what it is to receive.</summary>
    /// <param name="address">Of either family.</param>
    /// <param name="port">0: any.</param>
    /// <param name="type">Stream or datagram.</param>
    /// <param name="listens">A stream socket also listens.</param>
    public Socket Open(string address, int port, SocketType type, bool listens = true)
    {
        IPEndPoint end = new(IPAddress.Parse(address), port);
        Socket socket = Inside(() => new Socket(end.AddressFamily, type, ProtocolType.Unspecified) { ReceiveTimeout = 5000 });
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        socket.Bind(end);
        if (type == SocketType.Stream && listens)
        {
            socket.Listen();
        }

        return socket;
    }

    /// <summary>Serves a file of random bytes by HTTP, on all addresses, until the world ends.</summary>
    /// <param name="name">Its name, alone in its folder.</param>
    /// <param name="bytes">How long it is.</param>
    /// <param name="digest">What `sha256sum` says of its bytes.</param>
    /// <param name="port">Where.</param>
    /// <returns><paramref name="port"/>.</returns>
    public int Serve(string name, int bytes, out string digest, int port = 8000)
    {
        string folder = Directory.CreateDirectory(Path.Combine(world.Folder, $"{Name}-{port}")).FullName;
        digest = Must($"head -c {bytes} /dev/urandom | tee {folder}/{name} | sha256sum");
        Start($"exec busybox httpd -f -p {port} -h {folder}");
        Must($"until ss -Hltn sport = :{port} | grep -q .; do sleep 0.02; done");
        return port;
    }

    /// <summary>The kernel's own counts of a device, as `ip -s link` shows them.</summary>
    public LinkCounts Counts(string device)
    {
        // Of the thread's own namespace. Received: bytes, packets, errors, drops and four more; then the same of what was sent.
        string line = Inside(static () => File.ReadAllLines("/proc/thread-self/net/dev"))
            .Single(line => line.TrimStart().StartsWith($"{device}:", StringComparison.Ordinal));
        long[] counts = [.. line[(line.IndexOf(':') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(static word => long.Parse(word, CultureInfo.InvariantCulture))];
        return new(counts[1], counts[0], counts[3], counts[9], counts[8], counts[11]);
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
        string[][] lines = [.. Inside(static () => File.ReadAllLines("/proc/thread-self/net/snmp"))
            .Where(line => line.StartsWith($"{protocol}:", StringComparison.Ordinal)).Select(static line => line.Split(' '))];
        return long.Parse(lines[1][Array.IndexOf(lines[0], name)], CultureInfo.InvariantCulture);
    }

    private long Snmp6(string name) => long.Parse(
        Inside(static () => File.ReadAllLines("/proc/thread-self/net/snmp6"))
            .Select(static line => line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))
            .First(words => words[0] == name)[1], CultureInfo.InvariantCulture);

    [GeneratedRegex(@"(\d+) packets transmitted, (\d+) received")]
    private static partial Regex PingWords();

    [GeneratedRegex(@", pipe (\d+)")]
    private static partial Regex PipeWord();

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
