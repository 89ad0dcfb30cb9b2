using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace Filter.Tests.Worlds;

/// <summary>DNS answers larger than the link takes at once come in fragments, and count as the one answer they are.</summary>
[Collection(InNamespaces.Name)]
public sealed partial class LargeAnswerTests(BridgeScene scene) : IClassFixture<BridgeScene>
{
    private const string Question = "+bufsize=4096 +ignore +tries=1 +time=3 " + World.Large + " TXT";

    [Theory]
    [InlineData(World.Client4, World.Dns4, "ip[6:2] & 0x3fff != 0")]
    [InlineData(World.Client6, World.Dns6, "ip6[6] == 44")]
    public void A_DNS_answer_in_fragments_is_one_answer_and_closes_the_pinhole(string client, string server, string fragments)
    {
        int port = FreePort(client);
        using Capture wire = Capture.Start(scene.Client, "eth0", $"src host {server} and {fragments}");
        Balance balance = scene.Count();

        string answer = scene.Client.Must($"dig -b {client}#{port} @{server} {Question}");

        Assert.InRange(int.Parse(SizeWords().Match(answer).Groups[1].Value, null), 3400, 4096);
        Assert.Equal(17, answer.Split('\n').Count(static line => line.StartsWith(World.Large, StringComparison.Ordinal)));
        balance.Settle().AllPassed();
        Assert.Equal(3, wire.End());
        Assert.Empty(scene.Flows(port));

        // Whoever says more is not heard.
        scene.StaysOut($"udp {new IPEndPoint(IPAddress.Parse(server), 53)} > {new IPEndPoint(IPAddress.Parse(client), port)} len=100");
    }

    [Theory]
    [InlineData(World.Dns4)]
    [InlineData(World.Dns6)]
    public void Many_large_answers_at_once_all_come_whole(string server)
    {
        Balance balance = scene.Count();

        // One dig a question, so that each has a port of its own.
        string sizes = scene.Client.Must(
            $"for i in {{1..20}}; do dig @{server} {Question} & done | grep -c 'MSG SIZE  rcvd: 3[4-9]'; wait");

        Assert.Equal("20", sizes.Trim());
        balance.Settle().AllPassed();
    }

    private int FreePort(string address)
    {
        using Socket probe = scene.Client.Open(address, 0, SocketType.Dgram);
        return ((IPEndPoint)probe.LocalEndPoint!).Port;
    }

    [GeneratedRegex(@"MSG SIZE  rcvd: (\d+)")]
    private static partial Regex SizeWords();
}
