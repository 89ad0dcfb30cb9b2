using System.Net.Sockets;
using System.Text.Json;
using Filter.Ctl.Control;

namespace Filter.Tests.Worlds;

/// <summary>A running <c>filterctl run</c> on a host of a <see cref="World"/>, and the other verbs against it.</summary>
public sealed class Daemon : IDisposable
{
    private readonly Host _host;
    private readonly string _socket;

    private Daemon(Host host, string socket, Running process)
    {
        _host = host;
        _socket = socket;
        Process = process;
    }

    /// <summary>The binary under test, as it was built beside the tests.</summary>
    public static string Filterctl { get; } = Path.Combine(AppContext.BaseDirectory, "filterctl");

    /// <summary>The driver of every NIC that no ruleset gives one, `FILTER_DRIVER=ring`; null for what Filter takes itself.</summary>
    public static string? UsualDriver { get; } = Environment.GetEnvironmentVariable("FILTER_DRIVER") is { Length: > 0 } word ? word : null;

    public Running Process { get; }

    /// <summary>Starts Filter and waits until it answers.</summary>
    /// <param name="host">Where.</param>
    /// <param name="ruleset">A file, relative to the repository's root.</param>
    /// <param name="devices">What stands for the ruleset's NICs: `outside=eth0`.</param>
    /// <param name="options">Further options of `run`.</param>
    public static Daemon Start(Host host, string ruleset, IEnumerable<string> devices, string options = "")
    {
        string socket = Path.Combine(host.World.Folder, $"{host.Name}.sock");
        string device = string.Concat(devices.Select(d => $" --device {d}"));
        // `exec`: signals go to Filter itself, not to a shell before it.
        string workers = Conversations.NetWalk.Usual == 1 ? "" : $" --workers {Conversations.NetWalk.Usual}";
        string driver = UsualDriver is null || File.ReadAllText(Path.Combine(Repository.Root, ruleset)).Contains("driver:", StringComparison.Ordinal) ? "" : $" --driver {UsualDriver}";
        Running process = host.Start($"exec {Filterctl} run {ruleset}{device} --socket {socket}{workers}{driver} {options}");
        DateTime until = DateTime.UtcNow + Host.Patience;
        while (!Answers(socket))
        {
            Assert.False(process.HasEnded || DateTime.UtcNow > until, $"Filter did not come up but said:\n{process.Said}");
            Thread.Sleep(20);
        }
        return new(host, socket, process);
    }

    /// <summary>One verb and its arguments: `drops --count 1`.</summary>
    public Ran Ctl(string verb) => _host.Run($"{Filterctl} {verb} --socket {_socket}");

    /// <summary>One verb that has to succeed; gives what it printed.</summary>
    public string Must(string verb) => _host.Must($"{Filterctl} {verb} --socket {_socket}");

    /// <summary>What a verb says in JSON.</summary>
    public JsonElement Json(string verb)
    {
        using JsonDocument document = JsonDocument.Parse(Must($"{verb} --json"));
        return document.RootElement.Clone();
    }

    /// <summary>What a verb without arguments would say in JSON, asked over the socket without a program between: quick.</summary>
    public JsonElement Ask(string verb) =>
        JsonSerializer.SerializeToElement(Ask(new ControlRequest(verb)), ControlJson.Plain.ControlResponse);

    /// <summary>What is answered to a request in one line.</summary>
    internal ControlResponse Ask(ControlRequest request)
    {
        using ControlClient client = ControlClient.Connect(_socket);
        return client.Ask(request).Single();
    }

    /// <summary>A verb that goes on, as `drops` does.</summary>
    public Running Watch(string verb) => _host.Start($"exec {Filterctl} {verb} --socket {_socket}");

    public void Dispose() => Process.Dispose();

    private static bool Answers(string path)
    {
        try
        {
            using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            socket.Connect(new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
