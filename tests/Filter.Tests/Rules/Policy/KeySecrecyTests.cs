using System.Diagnostics;
using System.Runtime.Versioning;
using Filter.Rules;

namespace Filter.Tests.Rules.Policy;

/// <summary>Keys: never shown, and taken only from files that nobody else could read or change.</summary>
[SupportedOSPlatform("linux")]
public sealed class KeySecrecyTests : IDisposable
{
    private const string Cipher = "00112233445566778899aabbccddeeff";
    private const string Integrity = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    private readonly string _folder = Directory.CreateTempSubdirectory("filter-keys-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("{ spi: 0x1001, encryption-key:0xKEY, integrity-key: 0xMAC }")]
    [InlineData("0xKEY")]
    [InlineData("[ 0xKEY, 0xMAC ]")]
    [InlineData("{ spi: 0xKEY, encryption-key: 0xMAC, integrity-key: KEY }")]
    [InlineData("{ spi: 0x1001, key-file: KEYMAC }")]
    [InlineData("{ spi: 0x1001, 0xKEY: 0xMAC }")]
    [InlineData("{ 0xKEY: spi, KEY: 0xMAC, encryption-key: zzKEY }")]
    [InlineData("\"{ spi: 0xKEY\"")]
    [InlineData("{ spi: 0x1001, encryption-key: 0xKEY,")]
    [InlineData("*KEY")]
    [InlineData("!<KEY> { spi: 1 }")]
    public void A_key_in_a_wrong_place_is_not_shown(string outbound)
    {
        RulesetReading reading = RulesetFile.Parse("k.yaml", Text(outbound.Replace("KEY", Cipher, StringComparison.Ordinal).Replace("MAC", Integrity, StringComparison.Ordinal)), _folder);

        Assert.Null(reading.Ruleset);
        foreach (string text in reading.Diagnostics.SelectMany(static d => new[] { d.ToString(), d.Message, d.Hint ?? "" }))
        {
            Assert.DoesNotContain(Cipher[..16], text, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain(Integrity[..16], text, StringComparison.OrdinalIgnoreCase);
        }
    }

    [Fact]
    public void A_key_file_may_stand_behind_a_link_and_its_own_mode_counts()
    {
        string keys = KeyFile("keys", "600");
        File.CreateSymbolicLink(Path.Combine(_folder, "link"), keys);
        Assert.NotNull(Reading("link").Ruleset);

        File.SetUnixFileMode(keys, (UnixFileMode)Convert.ToInt32("640", 8));
        Assert.Contains("others than its owner", Assert.Single(Reading("link").Diagnostics).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_key_file_of_another_user_is_refused()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            Assert.Skip("giving a file away needs root");
        }

        Give(KeyFile("keys", "600"));
        Assert.Contains("belongs to another user", Assert.Single(Reading("keys").Diagnostics).Message, StringComparison.Ordinal);

        // Unless all of the ruleset's folder is his.
        Give(_folder);
        Assert.NotNull(Reading("keys").Ruleset);

        static void Give(string path)
        {
            using Process chown = Process.Start("chown", ["65534", path]);
            chown.WaitForExit();
        }
    }

    [Fact]
    public void What_is_no_ordinary_file_is_refused_and_holds_nobody_up()
    {
        using (Process fifo = Process.Start("mkfifo", ["-m", "600", Path.Combine(_folder, "fifo")]))
        {
            fifo.WaitForExit();
        }

        File.CreateSymbolicLink(Path.Combine(_folder, "link"), "fifo");
        File.CreateSymbolicLink(Path.Combine(_folder, "endless"), "/dev/zero");
        File.CreateSymbolicLink(Path.Combine(_folder, "loop"), "loop");
        Directory.CreateDirectory(Path.Combine(_folder, "folder"));
        foreach (string name in new[] { "fifo", "link", "endless", "loop", "folder", "nothing" })
        {
            Assert.Contains("key file", Assert.Single(Reading(name).Diagnostics).Message, StringComparison.Ordinal);
        }
    }

    private RulesetReading Reading(string keyFile) => RulesetFile.Parse("k.yaml", Text($"{{ spi: 0x1001, key-file: {keyFile} }}"), _folder);

    private string KeyFile(string name, string mode)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, $"{Cipher}\n{Integrity}\n");
        File.SetUnixFileMode(path, (UnixFileMode)Convert.ToInt32(mode, 8));
        return path;
    }

    private static string Text(string outbound) => $$"""
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        ipsec:
          policies: [ { protect: all, sa: pair } ]
          sas:
            pair:
              mode: transport
              suite: aes-cbc-128+hmac-sha2-256-128
              in: { spi: 0x1002, encryption-key: {{Cipher}}, integrity-key: {{Integrity}} }
              out: {{outbound}}
        """;
}
