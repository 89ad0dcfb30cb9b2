using System.Runtime.InteropServices;
using Filter.Rules;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;
using Filter.Tests.Filterctl;

namespace Filter.Tests.Rules.Policy;

/// <summary>A ruleset made of several files.</summary>
public sealed class IncludeTests : IDisposable
{
    private const string Ports = """
        ports:
          outside: { nic: eth0, side: unprotected, prefixes: [ 0.0.0.0/0, ::/0 ] }
          inside: { nic: eth1, side: protected }

        """;

    private readonly Scratch _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void What_files_say_comes_together_and_keeps_its_place()
    {
        Write("common/sets.yaml", "filter: 1\nsets: { lan: [ 192.0.2.0/24, 2001:db8::/64 ] }\nschedules: { work: mon-fri 08:00-18:00 }\n");
        Write("common/base.yaml", "filter: 1\ninclude: sets.yaml\nrules:\n  - drop: base\n    source: lan\ntests:\n  - drop: \"outside: tcp 192.0.2.5:4 > 198.51.100.7:22\"\n");
        Write("guests.yaml", "filter: 1\nrules:\n  - allow: guests\n    when: work\n");
        Write("more.yaml", "filter: 1\nrules:\n  - allow: more\n    service: ntp\n");
        Ruleset ruleset = Read("""
            filter: 1
            include: [ common/sets.yaml, common/base.yaml ]
            rules:
              - allow: first
              - include: guests.yaml
              - group: g
                from: inside
                rules:
                  - include: more.yaml
                  - allow: last
            sets:
              mine: [ lan, 198.51.100.0/24 ]
            tests:
              - pass: "inside: udp 192.0.2.5:4 > 198.51.100.7:22"

            """ + Ports);
        Assert.Equal(["base", "first", "guests", "more", "last"], ruleset.Rules.Select(static r => r.Name));
        Assert.Equal([(_folder["common/base.yaml"], 4), (_folder["main.yaml"], 4), (_folder["guests.yaml"], 3), (_folder["more.yaml"], 3), (_folder["main.yaml"], 10)],
            ruleset.Rules.Select(static r => (r.At.File, r.At.Line)));
        Assert.Equal((2, 2, 2), (ruleset.Rules[3].From, ruleset.AddressSets.Count, ruleset.Tests.Length));
        Assert.Equal("work", ruleset.Rules[2].Conditions!.Schedule!.Name);
    }

    [Fact]
    public void Peers_of_several_files_stand_beside_each_other_and_their_secrets_beside_their_file()
    {
        Write("people/anna.psk", "a sample that everybody knows\n");
        if (!RuntimeInformation.IsOSPlatform(OSPlatform.Windows))
        {
            File.SetUnixFileMode(_folder["people/anna.psk"], UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        Write("people/anna.yaml", """
            filter: 1
            ipsec:
              policies: [ { protect: anna, ike: anna, remote: 10.9.0.0/24 } ]
              ike:
                peers: { anna: { local: 192.0.2.1, remote: any, peer-identity: anna@example.com, psk-file: anna.psk, pools: people } }
                pools: { people: 10.9.0.0/24 }

            """);
        string main = """
            filter: 1
            include: people/anna.yaml
            ports:
              outside: { nic: eth0, side: unprotected }
              inside: { nic: eth1, side: protected }
              self: { tap: filter0, side: protected, addresses: [ 192.0.2.1/24 ] }
            ipsec:
              policies: [ { protect: branch, ike: branch, remote: 10.2.0.0/16 } ]
              ike:
                peers: { branch: { local: 192.0.2.1, remote: 198.51.100.1, psk: "a sample that everybody knows" } }
                limits: { half-open: 100 }

            """;
        IkeConfig ike = Read(main).Ipsec!.Ike!;

        Assert.Equal(["anna", "branch"], ike.Peers.Select(static p => p.Name));
        Assert.Equal((29, "people", 100), (((PskCredential)ike.Peers[0].LocalCredential).Key.Length, ike.Peers[0].Pools[0].Name, ike.Limits.HalfOpen));
        string[] twice = [.. RulesetFile.Read(Write("twice.yaml", main.Replace("branch: {", "anna: {", StringComparison.Ordinal))).Diagnostics.Select(static d => d.Message)];
        Assert.Contains(twice, static message => message.StartsWith("there already is a peer 'anna' in ", StringComparison.Ordinal));
    }

    [Fact]
    public void Policies_and_sas_may_stand_in_a_file_of_their_own_with_its_keys_beside_it()
    {
        Write("vpn/branch.keys", new string('5', 31) + "a\n" + new string('6', 63) + "b\n");
        if (!RuntimeInformation.IsOSPlatform(OSPlatform.Windows))
        {
            File.SetUnixFileMode(_folder["vpn/branch.keys"], UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        Write("vpn/branch.yaml", """
            filter: 1
            ipsec:
              policies:
                - protect: to-branch
                  remote: 10.2.0.0/16
                  sa: branch
              sas:
                branch:
                  mode: transport
                  suite: aes-cbc-128+hmac-sha2-256-128
                  out: { spi: 0x1001, key-file: branch.keys }
                  in: { spi: 0x1002, key-file: branch.keys }
            """);
        Ruleset ruleset = Read("filter: 1\ninclude: vpn/branch.yaml\nrules: [ { allow: sealed, ipsec: to-branch } ]\nipsec: { policies: [ { bypass: rest } ] }\n" + Ports);
        Assert.Equal(["to-branch", "rest"], ruleset.Ipsec!.Policies.Select(static p => p.Name));
        Assert.Equal([1, 2], ruleset.Ipsec.Policies.Select(static p => (int)p.Number));
        Assert.Equal([(ushort)1], ruleset.Rules[0].Conditions!.ArrivedBy);
        ruleset.WipeKeys();
    }

    [Fact]
    public void A_link_to_a_file_that_is_open_is_a_ring()
    {
        Write("a.yaml", "filter: 1\ninclude: b.yaml\n");
        File.CreateSymbolicLink(_folder["b.yaml"], _folder["a.yaml"]);
        Assert.Equal("files include each other in a ring: " + _folder["a.yaml"] + " > " + _folder["a.yaml"], Error("include: a.yaml"));
    }

    [Fact]
    public void How_deep_and_how_many_files_include_is_bounded()
    {
        for (int i = 0; i < 20; i++)
        {
            Write($"deep{i}.yaml", $"filter: 1\ninclude: deep{i + 1}.yaml\n");
        }

        Assert.Equal("files include files deeper than 16 levels", Error("include: deep0.yaml"));
        for (int i = 0; i < 257; i++)
        {
            Write($"f{i}.yaml", "filter: 1\n");
        }

        Assert.Equal("more than 256 files are included", Error("include: [ " + string.Join(", ", Enumerable.Range(0, 257).Select(static i => $"f{i}.yaml")) + " ]"));
    }

    [Fact]
    public void How_much_all_files_together_hold_is_bounded()
    {
        string large = "filter: 1\nsets:\n" + string.Concat(Enumerable.Range(0, 10).Select(static i => $"  s{{0}}x{i}: [ {string.Join(',', Enumerable.Repeat("1.1.1.1", 140_000))} ]\n"));
        for (int i = 0; i < 5; i++)
        {
            Write($"large{i}.yaml", large.Replace("{0}", i.ToString(System.Globalization.CultureInfo.InvariantCulture), StringComparison.Ordinal));
        }

        Assert.StartsWith("with all included files the ruleset has more than", Error("include: [ large0.yaml, large1.yaml, large2.yaml, large3.yaml, large4.yaml ]"), StringComparison.Ordinal);
        Write("huge.yaml", "filter: 1\n" + new string('#', 17 * 1024 * 1024));
        Assert.Contains("bytes; 16,777,216 at most are read", Error("include: huge.yaml"), StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_no_ordinary_file_is_not_opened()
    {
        Assert.Equal(0, MakeFifo(_folder["fifo"], 0x180));
        foreach (string name in new[] { "fifo", "/dev/zero", "/dev/stdin" })
        {
            Assert.Equal($"'{name}' cannot be included: it is not an ordinary file", Error($"include: {name}"));
        }

        Assert.Equal("'.' cannot be included: it is a directory", Error("include: ."));
        Assert.Equal("'none' cannot be included: there is no such file", Error("include: none"));
        Assert.EndsWith("is not the name of a file", Error("include: \"a\\0b\""), StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_a_reload_reads_wrong_changes_nothing_as_all_its_findings_are_told_with_their_file()
    {
        Write("bad.yaml", "filter: 1\nrules:\n  - allow: a\n    servce: web\n");
        RulesetReading reading = RulesetFile.Read(Write("main.yaml", "filter: 1\nrules: [ { include: bad.yaml }, { allow: b, colour: red } ]\n" + Ports));
        Assert.Null(reading.Ruleset);
        Assert.Equal([(_folder["bad.yaml"], 4), (_folder["main.yaml"], 2)], reading.Diagnostics.Select(static d => (d.At.File, d.At.Line)));
    }

    private string Write(string name, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_folder[name])!);
        return _folder.Write(name, text);
    }

    private Ruleset Read(string text)
    {
        RulesetReading reading = RulesetFile.Read(Write("main.yaml", text));
        Assert.DoesNotContain(reading.Diagnostics, static d => d.Severity == Severity.Error);
        return reading.Ruleset!;
    }

    private string Error(string include) =>
        Assert.Single(RulesetFile.Read(Write("main.yaml", $"filter: 1\n{include}\n{Ports}")).Diagnostics).Message;

    [DllImport("libc", EntryPoint = "mkfifo")]
    private static extern int MakeFifo([MarshalAs(UnmanagedType.LPUTF8Str)] string path, uint mode);
}
