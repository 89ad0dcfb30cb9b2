using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Filter.Tests.Worlds;

/// <summary>
/// A Linux kernel of its own, in user mode, on the far end of a cable: a peer that Filter's authors did not write. Booted by
/// <c>tests/world/guest.sh</c>; what it is told goes over its console, what it sends and receives over the cable alone.
/// </summary>
internal sealed class KernelGuest : IDisposable
{
    private const string Program = "linux.uml";
    private static readonly TimeSpan s_boot = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly string _folder;
    private readonly StringBuilder _console = new();
    private int _count;

    private KernelGuest(Host host, string tap, string[] addresses)
    {
        _folder = Directory.CreateDirectory(Path.Combine(host.World.Folder, "guest")).FullName;
        _process = Ran.Start([Path.Combine(Repository.Root, "tests", "world", "guest.sh"), host.Space, tap, _folder, .. addresses]);
        _process.ErrorDataReceived += (_, line) =>
        {
            lock (_console)
            {
                _console.AppendLine(line.Data);
            }
        };
        _process.BeginErrorReadLine();
    }

    /// <summary>Boots it, on the far end of a TAP of <paramref name="host"/>; skips the test where there is none to boot.</summary>
    public static KernelGuest Boot(Host host, string tap, params string[] addresses)
    {
        Assert.SkipUnless(
            Environment.GetEnvironmentVariable("PATH")!.Split(':').Any(static folder => File.Exists(Path.Combine(folder, Program))),
            $"no {Program} here to be the peer: ./dev setup installs it (package user-mode-linux)");
        KernelGuest guest = host.World.Keep(new KernelGuest(host, tap, addresses));
        guest.Expect("ready", s_boot);
        return guest;
    }

    /// <summary>Runs a shell script to its end.</summary>
    public Ran Run(string script, TimeSpan? limit = null)
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"script-{++_count}");
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, script);
        _process.StandardInput.WriteLine(name);
        _process.StandardInput.Flush();
        string status = Expect($"{name} ", limit ?? Host.Patience);
        Ran ran = new(script, int.Parse(status, CultureInfo.InvariantCulture), File.ReadAllText($"{path}.out"), "");
        File.Delete(path);
        return ran;
    }

    /// <summary>Runs a shell script that has to succeed; gives what it wrote.</summary>
    public string Must(string script, TimeSpan? limit = null)
    {
        Ran ran = Run(script, limit);
        Assert.True(ran.Ok, $"in the guest: {ran}");
        return ran.Output;
    }

    public void Dispose()
    {
        // Its console ends, so it powers off; what hangs is killed.
        _process.StandardInput.Close();
        if (!_process.WaitForExit(TimeSpan.FromSeconds(2)))
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit();
        }

        _process.Dispose();
    }

    /// <summary>The rest of the console's next line that begins so.</summary>
    private string Expect(string start, TimeSpan limit)
    {
        DateTime until = DateTime.UtcNow + limit;
        Task<string?> line;
        do
        {
            line = _process.StandardOutput.ReadLineAsync();
            TimeSpan left = until - DateTime.UtcNow;
            if (!line.Wait(left > TimeSpan.Zero ? left : TimeSpan.Zero) || line.Result is null)
            {
                // Whatever it would say later answers no question any more.
                _process.Kill(entireProcessTree: true);
                Assert.Fail($"the guest never said '{start}'; its kernel said:\n{Console()}");
            }
        }
        while (!line.Result!.StartsWith(start, StringComparison.Ordinal));
        return line.Result[start.Length..].Trim();
    }

    private string Console()
    {
        lock (_console)
        {
            return _console.ToString();
        }
    }
}
