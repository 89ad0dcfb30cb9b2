using System.Runtime.Versioning;
using System.Text.Json;
using Filter.Engine.Packets;
using Filter.Ipsec.Databases;
using Filter.Tests.Worlds;

namespace Filter.Tests.Filterctl;

/// <summary>filterctl sa, typed at a daemon in memory that runs one end of the site-to-site tunnel.</summary>
[SupportedOSPlatform("linux")]
public sealed class SaVerbTests : IDisposable
{
    private const string There = "inside: udp 10.1.0.10:4000 > 10.2.0.10:4001";
    private const string Encryption = "c0ffee00c0ffee00c0ffee00c0ffee01", Integrity = "facade00facade00facade00facade00facade00facade00facade00facade02";
    private static readonly string s_rules = File.ReadAllText(Path.Combine(Repository.Root, "rules/site-to-site.yaml"));

    private readonly MemoryDaemon _daemon = new(s_rules);

    private static string Second(string name = "second", string more = "") => $$"""
        {{name}}:
          policy: other-site
          mode: tunnel
          local: 192.0.2.1
          remote: 198.51.100.1
          suite: aes-cbc-128+hmac-sha2-256-128
          {{more}}
          out: { spi: 0x2001, encryption-key: 0x{{Encryption}}, integrity-key: {{Integrity}} }
          in: { spi: 0x2002, encryption-key: {{Encryption}}, integrity-key: {{Integrity}} }

        """;

    [Fact]
    public async Task Each_direction_is_a_row_and_show_has_all_of_both()
    {
        Assert.Equal(DropReason.None, (await _daemon.WalkAsync(There)).Reason);
        string[] rows = _daemon.Must("sa").Split('\n');
        Assert.Matches(@"^branch +out +esp +0x00001001 +tunnel +192\.0\.2\.1 > 198\.51\.100\.1 +aes-cbc-128\+hmac-sha2-256-128 +other-site +live +\w+ +1 +\d+ +1 +-$", rows[1]);
        Assert.Matches(@"^branch +in +esp +0x00001002 +tunnel +198\.51\.100\.1 > 192\.0\.2\.1 .* other-site +live +\w+ +0 +0 +[0-]+ +-$", rows[2]);
        Assert.Equal("2 SAs", rows[3]);

        string all = _daemon.Must("sa", "show", "branch");
        Assert.Contains("branch out: esp 0x00001001 tunnel 192.0.2.1 > 198.51.100.1", all, StringComparison.Ordinal);
        Assert.Contains("branch in: esp 0x00001002 tunnel 198.51.100.1 > 192.0.2.1", all, StringComparison.Ordinal);
        Assert.Contains("outer      df copy, dscp copy, ecn copy, ttl 64", all, StringComparison.Ordinal);
        JsonElement one = Assert.Single(Json("sa", "show", "4098").GetProperty("sas").EnumerateArray().ToArray());
        Assert.Equal("in", one.GetProperty("direction").GetString());
        Assert.Equal("ruleset", one.GetProperty("source").GetString());
    }

    [Fact]
    public async Task What_is_added_carries_at_once_stays_over_a_reload_and_is_gone_when_deleted()
    {
        string file = _daemon.Scratch.Write("second.yaml", Second());
        Assert.Equal("'second' added, both directions; they go with the daemon\n", _daemon.Must("sa", "add", file));
        Assert.Equal(DropReason.None, (await _daemon.WalkAsync(There)).Reason);
        Assert.Equal(1, Packets("0x2001"));
        Assert.Equal(0, Packets("0x1001"));

        _daemon.Must("reload");
        Assert.Equal(1, Packets("0x2001"));
        await _daemon.WalkAsync(There);
        Assert.Equal(2, Packets("0x2001"));

        Assert.StartsWith("2 SAs deleted\n", _daemon.Must("sa", "delete", "second"), StringComparison.Ordinal);
        await _daemon.WalkAsync(There);
        Assert.Equal(1, Packets("0x1001"));
        Assert.StartsWith("1 SA deleted; the ruleset brings back its own", _daemon.Must("sa", "delete", "0x1001"), StringComparison.Ordinal);
        Assert.Equal((Verdict.Drop, DropReason.NoSa), await _daemon.WalkAsync(There));
        _daemon.Must("reload");
        Assert.Equal(DropReason.None, (await _daemon.WalkAsync(There)).Reason);
        Assert.Contains("SA 'second' added by uid ", _daemon.Log, StringComparison.Ordinal);
    }

    [Fact]
    public void A_policy_with_an_SA_for_each_packets_values_takes_none_by_hand()
    {
        using MemoryDaemon daemon = new("""
            filter: 1
            ports:
              outside: { nic: eth0, side: unprotected }
              inside: { nic: eth1, side: protected }
              self: { tap: filter0, side: protected, addresses: [ 192.0.2.1/24 ] }
            ipsec: { policies: [ { protect: other-site, populate: [ remote ] } ] }
            """);
        Typed ran = daemon.Type("sa", "add", daemon.Scratch.Write("second.yaml", Second()));
        Assert.Equal(1, ran.Status);
        Assert.Contains("the policy 'other-site' has an SA for each packet's values", ran.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("sa add FILE")]
    [InlineData("sa delete branch")]
    [InlineData("sa flush")]
    public void Only_root_and_who_runs_the_daemon_change_SAs(string words)
    {
        string file = _daemon.Scratch.Write("second.yaml", Second());
        string[] typed = words.Replace("FILE", file, StringComparison.Ordinal).Split(' ');
        _daemon.As = 54321;
        Typed refused = _daemon.Type(typed);
        Assert.Equal(1, refused.Status);
        Assert.Contains("only root may change SAs", refused.Error, StringComparison.Ordinal);
        Assert.Equal(2, _daemon.Gateway.Ipsec!.Sad.Count);
        Assert.Contains("branch", _daemon.Must("sa"), StringComparison.Ordinal);

        _daemon.As = Filter.Ctl.Service.ProcessRights.User;
        _daemon.Must(typed);
    }

    [Fact]
    public async Task Keep_alives_are_shown_with_the_SA_that_sends_them()
    {
        using MemoryDaemon daemon = new(s_rules.Replace("mss: clamp ", "udp: { remote-port: 4501 } #", StringComparison.Ordinal));
        await daemon.WalkAsync(There);
        await daemon.Worker.AskAsync(_ => daemon.Gateway.Ipsec!.Sad.All.OfType<OutboundSa>().Single().Statistics.KeepAlives = 3);
        await daemon.WalkAsync("outside: udp 198.51.100.1:4501 > 192.0.2.1:4500 data=\"\\xff\"");

        string all = daemon.Must("sa", "show", "branch");
        Assert.Contains("udp        4500 to 4501; 3 keep-alives sent", all, StringComparison.Ordinal);
        Assert.Contains("udp        4501 to 4500; 1 keep-alive heard, for all SAs in UDP", all, StringComparison.Ordinal);
    }

    [Fact]
    public void A_name_that_looks_like_an_SPI_is_meant_before_the_SPI()
    {
        _daemon.Must("sa", "add", _daemon.Scratch.Write("number.yaml", Second("4098")));
        Assert.StartsWith("2 SAs deleted", _daemon.Must("sa", "delete", "4098"), StringComparison.Ordinal);
        Assert.Contains("branch in: esp 0x00001002", _daemon.Must("sa", "show", "4098"), StringComparison.Ordinal);
    }

    [Fact]
    public void Flush_leaves_what_the_ruleset_brought()
    {
        _daemon.Must("sa", "add", _daemon.Scratch.Write("second.yaml", Second()));
        Assert.Equal("2 SAs deleted\n", _daemon.Must("sa", "flush", "--policy", "other-site"));
        Assert.Equal("0 SAs deleted\n", _daemon.Must("sa", "flush"));
        Assert.Equal(["branch", "branch"], Json("sa", "list").GetProperty("sas").EnumerateArray().Select(static sa => sa.GetProperty("name").GetString()!));
    }

    [Fact]
    public void An_SA_may_be_written_in_words_and_its_keys_come_from_files_then()
    {
        string keys = _daemon.Scratch.Write("second.keys", $"{Encryption}\n{Integrity}\n");
        File.SetUnixFileMode(keys, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        string[] words =
        [
            "sa", "add", "second", "policy=other-site", "mode=tunnel", "local=192.0.2.1", "remote=198.51.100.1", "suite=aes-cbc-128+hmac-sha2-256-128",
            "out.spi=0x2001", $"out.key-file={keys}", "in.spi=0x2002", $"in.key-file={keys}",
        ];
        _daemon.As = 0;
        _daemon.Must(words);
        Assert.Equal(4, _daemon.Gateway.Ipsec!.Sad.Count);
        Typed seen = _daemon.Type("sa", "add", "third", "out.encryption-key=00");
        Assert.Equal(2, seen.Status);
        Assert.Contains("for everybody to see", seen.Error, StringComparison.Ordinal);

        File.SetUnixFileMode(keys, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead);
        words[2] = "third";
        Assert.Contains("others than its owner may read or change the key file", _daemon.Type(words).Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("policy: other-site", "policy: nobody", "no policy 'nobody' protects anything")]
    [InlineData("policy: other-site", "policy: rest", "no policy 'rest' protects anything")]
    [InlineData("  policy: other-site\n", "", "says not which policy it is for")]
    [InlineData("mode: tunnel", "mode: funnel", "'funnel'")]
    [InlineData("spi: 0x2001", "spi: 12", "an SPI")]
    [InlineData("0x2002", "0x1002", "there already is an SA that receives with the SPI 0x00001002")]
    [InlineData("0x2001", "0x1001", "there already is an SA that sends to this end with the SPI 0x00001001")]
    [InlineData("second:", "branch:", "there already is an SA 'branch'")]
    [InlineData("192.0.2.1", "192.0.2.7", "192.0.2.7 is no address of the port 'self'")]
    [InlineData("aes-cbc-128+hmac-sha2-256-128", "aes-gcm-16-128", "aes-gcm-16-128")]
    [InlineData("198.51.100.1", "198.51.100.2", "the tunnels 'branch' and 'second' of the policy 'other-site' have different ends: 'branch' leads from 192.0.2.1 to 198.51.100.1")]
    [InlineData("  mode: tunnel\n  local: 192.0.2.1\n  remote: 198.51.100.1\n", "  mode: transport\n", "the SAs 'branch' and 'second' of the policy 'other-site' are of different modes")]
    public void A_wrong_one_changes_nothing_and_says_why(string good, string wrong, string why)
    {
        Typed ran = _daemon.Type("sa", "add", _daemon.Scratch.Write("wrong.yaml", Second().Replace(good, wrong, StringComparison.Ordinal)));
        Assert.Equal(1, ran.Status);
        Assert.Contains(why, ran.Error, StringComparison.Ordinal);
        Assert.Equal(2, _daemon.Gateway.Ipsec!.Sad.Count);
    }

    [Fact]
    public void SAs_that_are_added_together_fit_each_other_and_their_policy()
    {
        const string waiting = """
            filter: 1
            ports:
              outside: { nic: eth0, side: unprotected }
              inside: { nic: eth1, side: protected }
              self: { tap: filter0, side: protected, addresses: [ 192.0.2.1/24 ] }
            ipsec: { policies: [ { protect: other-site, service: SERVICE } ] }
            """;
        string other = Second("third").Replace("0x2001", "0x3001", StringComparison.Ordinal).Replace("0x2002", "0x3002", StringComparison.Ordinal);
        string transport = Second().Replace("  mode: tunnel\n  local: 192.0.2.1\n  remote: 198.51.100.1\n", "  mode: transport\n", StringComparison.Ordinal);
        using MemoryDaemon daemon = new(waiting.Replace("SERVICE", "tcp", StringComparison.Ordinal)), pieces = new(waiting.Replace("SERVICE", "opaque", StringComparison.Ordinal));

        Typed ran = daemon.Type("sa", "add", daemon.Scratch.Write("two.yaml", Second() + other.Replace("198.51.100.1", "198.51.100.2", StringComparison.Ordinal)));
        Assert.Contains("'second' and 'third' of the policy 'other-site' have different ends", ran.Error, StringComparison.Ordinal);
        Assert.Equal(0, daemon.Gateway.Ipsec!.Sad.Count);
        Assert.Contains("'second' must be a tunnel", pieces.Type("sa", "add", pieces.Scratch.Write("one.yaml", transport)).Error, StringComparison.Ordinal);

        daemon.Must("sa", "add", daemon.Scratch.Write("two.yaml", Second() + other));
        Assert.Equal(4, daemon.Gateway.Ipsec!.Sad.Count);
    }

    [Fact]
    public void Of_several_none_is_added_where_one_is_wrong()
    {
        string other = Second("third").Replace("0x2001", "0x3001", StringComparison.Ordinal).Replace("0x2002", "0x1002", StringComparison.Ordinal);
        Assert.Equal(1, _daemon.Type("sa", "add", _daemon.Scratch.Write("two.yaml", Second() + other)).Status);
        Assert.Equal(["branch", "branch"], _daemon.Gateway.Ipsec!.Sad.All.Select(static sa => sa.Name));
    }

    [Fact]
    public void What_is_not_there_is_refused_in_one_line()
    {
        Assert.Contains("there is no SA 'nobody'", _daemon.Type("sa", "show", "nobody").Error, StringComparison.Ordinal);
        Assert.Contains("there is no SA '0x9999'", _daemon.Type("sa", "delete", "0x9999").Error, StringComparison.Ordinal);
        Assert.Contains("there is no policy 'nobody'", _daemon.Type("sa", "list", "--policy", "nobody").Error, StringComparison.Ordinal);
        using MemoryDaemon none = new("filter: 1\nports: { outside: { nic: eth0, side: unprotected }, inside: { nic: eth1, side: protected } }\n");
        Assert.Contains("says nothing of IPsec", none.Type("sa").Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Thousands_are_listed_in_pieces_up_to_a_limit_and_counted_in_status()
    {
        const int Pairs = 3000;
        SecurityAssociation like = _daemon.Gateway.Ipsec!.Sad.All.First(static sa => sa is InboundSa);
        byte[] encryption = Convert.FromHexString(Encryption), integrity = Convert.FromHexString(Integrity);
        for (uint i = 0; i < Pairs; i++)
        {
            uint spi = 0x10000 + i;
            await _daemon.Worker.AskAsync(_ => _daemon.Gateway.Ipsec!.Add(
                new InboundSa($"many{spi}", like.Settings, spi, new Filter.Ipsec.Crypto.SaKey(like.Suite, encryption, integrity)), "other-site"));
        }

        string list = _daemon.Must("sa", "list", "--limit", "1200");
        Assert.EndsWith($"1200 of {Pairs + 2} SAs; --limit shows more\n", list, StringComparison.Ordinal);
        Assert.Equal(1202, list.Count(static c => c == '\n'));
        Assert.EndsWith("1 SA\n", _daemon.Must("sa", "list", "--spi", "0x10005"), StringComparison.Ordinal);
        JsonElement status = Json("status").GetProperty("status");
        Assert.Equal(Pairs + 2, status.GetProperty("saCount").GetInt64());
        Assert.Equal(20, status.GetProperty("sas").GetArrayLength());
        Assert.Contains($"SAs {Pairs + 2:N0}, of which 20 are shown", _daemon.Must("status"), StringComparison.Ordinal);
        Assert.Equal($"{Pairs:N0} SAs deleted\n", _daemon.Must("sa", "flush"));
    }

    [Fact]
    public void No_output_has_a_key()
    {
        string file = _daemon.Scratch.Write("second.yaml", Second());
        string wrong = _daemon.Scratch.Write("wrong.yaml", Second().Replace("policy: other-site", "policy: x", StringComparison.Ordinal));
        string shorter = _daemon.Scratch.Write("short.yaml", Second("short").Replace($"integrity-key: {Integrity}", $"integrity-key: {Integrity[2..]}", StringComparison.Ordinal));
        string said = "";
        foreach (string words in (string[])
            ["status", "status --json", $"sa add {wrong}", $"sa add {shorter}", $"sa add {file} --json", "sa", "sa list --json", "sa show second", "sa show second --json", "sa show branch", "counters --json", $"sa add {file}", "sa delete second"])
        {
            Typed ran = _daemon.Type(words.Split(' '));
            said += ran.Out + ran.Error;
        }

        said += _daemon.Log;
        foreach (string key in (string[])[Encryption, Integrity, Integrity[2..], "5a5a5a5a", "5b5b5b5b", "a5a5a5a5", "b5b5b5b5"])
        {
            Assert.DoesNotContain(key, said, StringComparison.OrdinalIgnoreCase);
        }
    }

    [Theory]
    [InlineData("sa show branch --show-keys")]
    [InlineData("sa list --show-keys")]
    [InlineData("sa list --show-keys --json")]
    [InlineData("sa list --show-keys --wireshark")]
    public void Keys_are_shown_to_root_who_asks_and_to_nobody_else(string words)
    {
        const string Key = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a0a";
        _daemon.As = 0;
        Assert.Contains(Key, _daemon.Must(words.Split(' ')), StringComparison.Ordinal);
        _daemon.As = 1000;
        Typed refused = _daemon.Type(words.Split(' '));
        Assert.Equal((1, ""), (refused.Status, refused.Out));
        Assert.Contains("only root may see keys", refused.Error, StringComparison.Ordinal);
        Assert.DoesNotContain(Key, _daemon.Log, StringComparison.Ordinal);
        Assert.Equal(2, _daemon.Type("sa", "list", "--wireshark").Status);
    }

    public void Dispose() => _daemon.Dispose();

    private long Packets(string spi) => Json("sa", "show", spi).GetProperty("sas")[0].GetProperty("packets").GetInt64();

    private JsonElement Json(params string[] words)
    {
        using JsonDocument document = JsonDocument.Parse(_daemon.Must([.. words, "--json"]));
        return document.RootElement.Clone();
    }
}
