using System.Text.RegularExpressions;

namespace Filter.Tests.Worlds;

/// <summary>What tcpdump saw on a device of a host.</summary>
internal sealed partial class Capture : IDisposable
{
    private readonly Host _host;
    private readonly Running _tcpdump;

    private Capture(Host host, string device, string filter)
    {
        _host = host;
        File = Path.Combine(host.World.Folder, $"{host.Name}-{device}-{Guid.NewGuid():N}.pcap");
        _tcpdump = host.Start($"exec tcpdump -n --immediate-mode -U -B 65536 -i {device} -w {File} '{filter}'");
        _tcpdump.Says("listening on");
    }

    /// <summary>The file it writes.</summary>
    public string File { get; }

    /// <summary>Starts to capture; returns when nothing will be missed any more.</summary>
    public static Capture Start(Host host, string device, string filter = "") => new(host, device, filter);

    /// <summary>Ends it, asserts that the kernel lost none, and gives how many there were.</summary>
    public int End()
    {
        Assert.Equal(0, _tcpdump.End("INT"));
        _tcpdump.Says("dropped by kernel");
        Assert.Contains("\n0 packets dropped by kernel", _tcpdump.Said, StringComparison.Ordinal);
        return int.Parse(CapturedWords().Match(_tcpdump.Said).Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture);
    }

    /// <summary>The packets that match, a line each, with absolute sequence numbers.</summary>
    public string[] Lines(string filter = "") =>
        _host.Must($"tcpdump -n -t -S -r {File} '{filter}' 2> /dev/null").Split('\n', StringSplitOptions.RemoveEmptyEntries);

    public void Dispose() => _tcpdump.Dispose();

    [GeneratedRegex(@"(\d+) packets? captured")]
    private static partial Regex CapturedWords();
}
