using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Filter.Tests.Worlds;

/// <summary>
/// A network namespace of a test's own, gone when it is disposed. What runs in it runs on a thread that never runs
/// anything else; sockets opened there stay there, whoever uses them later.
/// </summary>
public sealed class NetNs : IDisposable
{
    private const int CloneNewNet = 0x40000000;
    private static readonly ConcurrentDictionary<string, NetNs> s_living = new();
    private static int s_count;

    static NetNs() => AppDomain.CurrentDomain.ProcessExit += (_, _) =>
    {
        foreach (NetNs left in s_living.Values)
        {
            left.Dispose();
        }
    };

    private NetNs(string name) => Name = name;

    /// <summary>The name that the program ip knows it by.</summary>
    public string Name { get; }

    /// <summary>Makes a namespace with its loopback up; skips the test where that is not allowed.</summary>
    public static NetNs Create(string purpose)
    {
        if (!Environment.IsPrivilegedProcess)
        {
            Assert.Skip("network namespaces need root");
        }

        string name = $"ft-{Environment.ProcessId}-{Interlocked.Increment(ref s_count)}-{purpose}";
        (int status, string output) = Execute("ip", ["netns", "add", name]);
        if (status != 0)
        {
            Assert.Skip($"this machine makes no network namespaces: {output.Trim()}");
        }

        var made = new NetNs(name);
        s_living[name] = made;
        made.Ip("link set lo up");
        return made;
    }

    /// <summary>Joins two namespaces by a cable: a veth pair, both ends up.</summary>
    public static void Cable(NetNs one, string device, NetNs other, string otherDevice, int queues = 1)
    {
        string words = $"numrxqueues {queues} numtxqueues {queues}";
        one.Ip($"link add {device} {words} type veth peer name {otherDevice} netns {other.Name} {words}");
        one.Ip($"link set {device} up");
        other.Ip($"link set {otherDevice} up");
    }

    /// <summary>Runs a program on the machine; its status and all it said.</summary>
    public static (int Status, string Output) Execute(string program, IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + error.GetAwaiter().GetResult());
    }

    /// <summary>Runs ip in the namespace; its output. Words are separated by blanks.</summary>
    public string Ip(string words) => Must("ip", ["-n", Name, .. words.Split(' ', StringSplitOptions.RemoveEmptyEntries)]);

    /// <summary>Runs a program in the namespace; its status and all it said.</summary>
    public (int Status, string Output) Try(string program, params string[] arguments)
        => Execute("ip", ["netns", "exec", Name, program, .. arguments]);

    /// <summary>Runs a program in the namespace that must succeed; its output.</summary>
    public string Exec(string program, params string[] arguments)
        => Must("ip", ["netns", "exec", Name, program, .. arguments]);

    /// <summary>Calls on a thread that lives in the namespace.</summary>
    public T Run<T>(Func<T> call) => RunIn(Name, call);

    /// <summary>Calls on a thread that lives in a namespace that ip knows by this name.</summary>
    public static T RunIn<T>(string name, Func<T> call)
    {
        T? result = default;
        ExceptionDispatchInfo? thrown = null;
        var thread = new Thread(() =>
        {
            try
            {
                Enter(name);
                result = call();
            }
            catch (Exception e)
            {
                thrown = ExceptionDispatchInfo.Capture(e);
            }
        })
        { IsBackground = true, Name = name };
        thread.Start();
        thread.Join();
        thrown?.Throw();
        return result!;
    }

    /// <inheritdoc cref="Run{T}"/>
    public void Run(Action call) => Run(() =>
    {
        call();
        return true;
    });

    /// <inheritdoc/>
    public void Dispose()
    {
        if (s_living.TryRemove(Name, out _))
        {
            Execute("ip", ["netns", "delete", Name]);
        }
    }

    private static string Must(string program, string[] arguments)
    {
        (int status, string output) = Execute(program, arguments);
        return status == 0
            ? output
            : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: status {status}: {output}");
    }

    private static void Enter(string name)
    {
        using SafeFileHandle file = File.OpenHandle($"/run/netns/{name}", share: FileShare.ReadWrite | FileShare.Delete);
        if (SetNamespace(file, CloneNewNet) != 0)
        {
            throw new InvalidOperationException($"cannot enter {name}: errno {Marshal.GetLastPInvokeError()}");
        }
    }

    [DllImport("libc", EntryPoint = "setns", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SetNamespace(SafeFileHandle file, int kind);
}
