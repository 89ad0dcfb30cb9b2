using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;

namespace Filter.Tests.Worlds;

/// <summary>
/// curl and vsftpd across the bridge: the rules speak of the control connection alone, and its helper lets in, or out, the data
/// connections that are agreed upon there, and no others.
/// </summary>
[Collection(InNamespaces.Name)]
public sealed partial class FtpTests(HelperScene scene) : IClassFixture<HelperScene>
{
    private const string Passive = "", Active = "--ftp-port -";

    [Theory]
    [InlineData(World.Client4, World.Www4, Passive, "EPSV")]
    [InlineData(World.Client4, World.Www4, Passive + "--disable-epsv", "PASV")]
    [InlineData(World.Client4, World.Www4, Active, "EPRT")]
    [InlineData(World.Client4, World.Www4, Active + " --disable-eprt", "PORT")]
    [InlineData(World.Client6, World.Www6, Passive, "EPSV")]
    [InlineData(World.Client6, World.Www6, Active, "EPRT")]
    public void Files_go_both_ways_and_afterwards_no_way_is_left_open(string client, string server, string options, string command)
    {
        string digest = scene.Serve(), stored = $"{command}-{Guid.NewGuid():N}";
        string curl = $"curl -v -sS -g -m9 {options}", url = Url(server);
        Balance balance = scene.Count();

        // Two data connections over one control connection, the first for the list of files.
        Ran fetched = scene.Client.Run($"{curl} -o /dev/null {url}/ -o {scene.Folder}/got {url}/body");
        Assert.True(fetched.Ok, fetched.ToString());
        Ran put = scene.Client.Run($"{curl} -T {scene.Folder}/body {url}/in/{stored}");
        Assert.True(put.Ok, put.ToString());

        Assert.Equal(digest, scene.Server.Must($"sha256sum < {scene.Folder}/got"));
        Assert.Equal(digest, scene.Server.Must($"sha256sum < {scene.Folder}/in/{stored}"));
        balance.Settle().AllPassed();
        string said = fetched.Errors + put.Errors;
        Assert.Equal(3, Regex.Count(said, $"^> {command}", RegexOptions.Multiline));

        // Whoever comes to those ports now, from the same address, finds them closed.
        int[] ports = [.. Announced(said)];
        Assert.Equal(3, ports.Length);
        bool active = options.StartsWith(Active, StringComparison.Ordinal);
        balance = scene.Count();
        using (RawSender late = new(active ? scene.Server : scene.Client, "eth0"))
        {
            string receiver = (active ? scene.Client : scene.Server).Mac("eth0");
            foreach (int port in ports)
            {
                IPEndPoint from = new(IPAddress.Parse(active ? server : client), 45000), to = new(IPAddress.Parse(active ? client : server), port);
                late.Send($"tcp {from} > {to} syn seq=1", receiver);
            }
        }

        Counted counted = balance.Settle();
        Assert.Equal(3, counted["in"]);
        Assert.Equal(3, counted["reason default-deny"]);
        Assert.Equal(0, counted["out"]);
    }

    [Fact]
    public void Where_the_rule_names_no_helper_the_same_transfers_fail()
    {
        scene.Serve();
        Balance balance = scene.Count();

        Running[] transfers =
        [
            .. from server in (string[])[World.Dns4, World.Dns6]
               from options in (string[])[Passive, Active]
               select scene.Client.Start($"exec curl -sS -g --connect-timeout 2 -m9 {options} -o /dev/null {Url(server)}/body"),
        ];

        Assert.All(transfers, static transfer => Assert.NotEqual(0, transfer.Ends()));
        Counted counted = balance.Settle();
        Assert.Equal(counted.Dropped, counted["reason default-deny"]);
        Assert.InRange(counted["rule default out"], 2, 20);         // passive: the client's SYN, and again
        Assert.InRange(counted["rule default in"], 2, 20);          // active: the server's
        Assert.InRange(counted["rule ftp-alone"], 40, 400);
    }

    private static string Url(string server) =>
        $"ftp://{(server.Contains(':', StringComparison.Ordinal) ? $"[{server}]" : server)}";

    /// <summary>The ports that were told in EPRT and PORT, or in the answers to EPSV and PASV.</summary>
    private static IEnumerable<int> Announced(string said)
    {
        foreach (Match match in AnnouncedWords().Matches(said))
        {
            int last = int.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture);
            yield return match.Groups[1].Success ? int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) * 256 + last : last;
        }
    }

    // PORT 192,0,2,5,200,10   EPRT |1|192.0.2.5|51210|   227 … (198,51,100,7,200,10).   229 … (|||51210|)
    [GeneratedRegex(@"^(?:> PORT|> EPRT|< 227|< 229) .*?(?:(\d+),)?(\d+)\|?(?:\)\.?)?\r?$", RegexOptions.Multiline)]
    private static partial Regex AnnouncedWords();
}
