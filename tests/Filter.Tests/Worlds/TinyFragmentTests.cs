using System.Net.Sockets;

namespace Filter.Tests.Worlds;

/// <summary>A TCP header spread over pieces so that no filter which looks at pieces sees it whole (RFC 1858).</summary>
[Collection(InNamespaces.Name)]
public sealed class TinyFragmentTests(BridgeScene scene) : IClassFixture<BridgeScene>
{
    private const string Nmap = "nmap -n -Pn --disable-arp-ping --send-ip -oG - -sS -p 22,80";

    // One test: what is held from the tiny ones counts as dropped half a minute later.
    [Fact]
    public void Fragments_that_can_be_judged_are_and_tiny_ones_never_pass()
    {
        using Socket ssh = scene.Client.Open(World.Inner4, 22, SocketType.Stream);
        using Socket web = scene.Client.Open(World.Inner4, 80, SocketType.Stream);
        Balance balance = scene.Count();

        // The first 24 bytes are the whole header of a SYN.
        string said = scene.Server.Must($"{Nmap} -T4 --max-retries 2 --mtu 24 --data-length 48 {World.Inner4}");
        Assert.Contains("22/filtered/", said, StringComparison.Ordinal);
        Assert.Contains("80/open/", said, StringComparison.Ordinal);
        Counted counted = balance.Settle();
        Assert.InRange(counted["rule web-in"], 1, 10);
        Assert.Equal(counted.Dropped, counted["reason default-deny"]);
        balance = scene.Count();

        // Eight bytes a piece; sixteen.
        Running[] tiny = [.. from size in (string[])["-f", "-f -f"] select scene.Server.Start($"exec {Nmap} -T5 --max-retries 1 {size} {World.Inner4}")];
        Running forged = scene.Server.Start($"exec hping3 -n -q -c 1 --syn --destport 80 --frag --mtu 16 --data 40 {World.Inner4}");
        foreach (Running scan in tiny)
        {
            Assert.Equal(0, scan.Ends());
            Assert.Contains("22/filtered/", scan.Said, StringComparison.Ordinal);
            Assert.Contains("80/filtered/", scan.Said, StringComparison.Ordinal);
        }

        forged.Ends();
        counted = balance.Settle();
        Assert.Equal(0, counted["out"]);
        Assert.InRange(counted["reason bad-fragment"], 2 * 2 + 1, 2 * 2 * 2 + 1);
        Assert.Equal(counted["in"], counted.Dropped + counted["verdict held"]);
    }
}
