using System.Globalization;

namespace Filter.Tests.Worlds;

/// <summary>
/// A Linux kernel of its own, in user mode, on the far end of a cable: a peer that Filter's authors did not write. Booted by
/// <c>tests/world/guest.sh</c>; what it is told goes over its console, what it sends and receives over the cable alone.
/// </summary>
internal sealed class KernelGuest : IDisposable
{
    private const string Program = "linux.uml";
    private static readonly TimeSpan s_boot = TimeSpan.FromSeconds(60);

    private readonly Spoken _console;
    private readonly string _folder;
    private int _count;

    private KernelGuest(Host host, string tap, string[] addresses)
    {
        _folder = Directory.CreateDirectory(Path.Combine(host.World.Folder, "guest")).FullName;
        _console = new Spoken([Path.Combine(Repository.Root, "tests", "world", "guest.sh"), host.Space, tap, _folder, .. addresses]);
    }

    /// <summary>Boots it, on the far end of a TAP of <paramref name="host"/>; skips the test where there is none to boot.</summary>
    public static KernelGuest Boot(Host host, string tap, params string[] addresses)
    {
        Assert.SkipUnless(
            Environment.GetEnvironmentVariable("PATH")!.Split(':').Any(static folder => File.Exists(Path.Combine(folder, Program))),
            $"no {Program} here to be the peer: ./dev setup installs it (package user-mode-linux)");
        KernelGuest guest = host.World.Keep(new KernelGuest(host, tap, addresses));
        guest._console.Hears("ready", s_boot);
        return guest;
    }

    /// <summary>Runs a shell script to its end.</summary>
    public Ran Run(string script, TimeSpan? limit = null)
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"script-{++_count}");
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, script);
        _console.Say(name);
        string status = _console.Hears($"{name} ", limit ?? Host.Patience);
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

    /// <summary>Its console ends, so it powers off.</summary>
    public void Dispose() => _console.Dispose();
}
