using System.Net;

namespace Filter.Tests.Worlds;

/// <summary>A TFTP server answers from another port than it was asked at (RFC 1350 §4); the helper expects that one flow.</summary>
[Collection(InNamespaces.Name)]
public sealed class TftpTests(HelperScene scene) : IClassFixture<HelperScene>
{
    private const int ClientPort = 40069;

    [Theory]
    [InlineData(World.Client4, World.Www4)]
    [InlineData(World.Client6, World.Www6)]
    public void A_file_is_fetched_whatever_the_size_of_its_blocks(string client, string server)
    {
        string digest = scene.Serve();
        using Running tftp = Tftp();
        Balance balance = scene.Count();

        Assert.Equal(digest, scene.Client.Must($"{Curl(server)} | sha256sum"));
        // In fragments.
        Assert.Equal(digest, scene.Client.Must($"{Curl(server)} --tftp-blksize 8192 --local-port {ClientPort} | sha256sum"));

        balance.Settle().AllPassed();
        scene.StaysOut($"udp {new IPEndPoint(IPAddress.Parse(server), 45000)} > {new IPEndPoint(IPAddress.Parse(client), ClientPort)} len=20");
    }

    [Theory]
    [InlineData(World.Dns4)]
    [InlineData(World.Dns6)]
    public void Where_the_rule_names_no_helper_nothing_is_fetched(string server)
    {
        scene.Serve();
        // It goes on trying, but not beyond the test.
        using Running tftp = Tftp();
        using Capture inside = Capture.Start(scene.Client, "eth0", $"udp and src host {server}");
        Balance balance = scene.Count();

        Assert.False(scene.Client.Run($"{Curl(server)} -m2").Ok);
        tftp.End();

        Counted counted = balance.Settle();
        Assert.InRange(counted["rule default in"], 1, 20);
        Assert.Equal(counted.Dropped, counted["rule default in"]);
        Assert.Equal(0, inside.End());
    }

    private static string Curl(string server) =>
        $"curl -sS -g -m9 tftp://{(server.Contains(':', StringComparison.Ordinal) ? $"[{server}]" : server)}/body";

    private Running Tftp()
    {
        Running running = scene.Server.Start(
            $"exec dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file= --user=root --port=0 --enable-tftp --tftp-root={scene.Folder}");
        scene.Server.Must("until ss -Hlun sport = :69 | grep -q .; do sleep 0.02; done");
        return running;
    }
}
