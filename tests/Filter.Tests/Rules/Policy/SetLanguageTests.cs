using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules;
using Filter.Rules.Compile;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;
using Filter.Tests.Filterctl;

namespace Filter.Tests.Rules.Policy;

public sealed class SetLanguageTests
{
    private const string Ports = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected, prefixes: [ 192.0.2.0/24, 2001:db8:1::/64 ] }

        """;

    [Theory]
    [InlineData("[ 10.0.0.0/8, not 10.1.0.0/16 ]", "10.0.0.1 10.2.0.1", "10.1.0.1 11.0.0.1 2001:db8::1")]
    [InlineData("not 10.0.0.0/8", "11.0.0.1 2001:db8::1", "10.1.0.1")]
    [InlineData("[ lan, not printers ]", "192.0.2.1 2001:db8:1::1", "192.0.2.100 198.51.100.1")]
    [InlineData("not lan", "198.51.100.1 2001:db8:9::1", "192.0.2.1 2001:db8:1::1")]
    [InlineData("people", "192.0.2.1", "192.0.2.100 198.51.100.1")]
    [InlineData("[ people, 192.0.2.100 ]", "192.0.2.1 192.0.2.100", "192.0.2.101")]
    [InlineData("any-ten", "2001:db8:1::10 2a00::10", "2001:db8:1::11 192.0.2.10 2001:db8:1:0:1::10")]
    [InlineData("ten", "2001:db8:1::10", "2a00::10 2001:db8:1::11")]
    [InlineData("four-ten", "192.0.2.10 198.51.100.10", "192.0.2.11 2001:db8::10")]
    [InlineData("inside-net", "192.0.2.77 2001:db8:1::77", "198.51.100.1 2001:db8:2::1")]
    [InlineData("not inside-net", "198.51.100.1", "192.0.2.77 2001:db8:1::77")]
    [InlineData("[ any-ten, not ten ]", "2a00::10", "2001:db8:1::10")]
    [InlineData("blocked", "203.0.113.9", "203.0.113.10 2001:db8:1::10")]
    [InlineData("subnet-one-ten", "2001:db8:7:1::10 2a00:1:2:1::10", "2001:db8:7:2::10 2001:db8:7::10 2001:db8:7:1::11")]
    [InlineData("moving", "198.51.100.9 198.51.100.10", "198.51.100.11")]
    [InlineData("[ moving, not 198.51.100.10 ]", "198.51.100.9", "198.51.100.10 198.51.100.11")]
    [InlineData("[ moving, 192.0.2.7, not 198.51.100.10 ]", "198.51.100.9 192.0.2.7", "198.51.100.10 192.0.2.8")]
    [InlineData("not moving", "198.51.100.11 2001:db8::1", "198.51.100.9 198.51.100.10")]
    [InlineData("[ outsiders, not blocked ]", "198.51.100.7", "203.0.113.9 192.0.2.1")]
    public void A_source_is_what_its_entries_say_without_what_stands_behind_not(string source, string within, string without)
    {
        Ruleset ruleset = Read(Ports + """
            sets:
              lan: [ 192.0.2.0/24, 2001:db8:1::/64 ]
              printers: 192.0.2.100-192.0.2.109
              people: [ 192.0.2.0/24, not printers ]
              any-ten: { host: ::10 }
              ten: { prefix-of: inside, host: ::10 }
              subnet-one-ten: { host: "0:0:0:1::10/48" }
              moving: { live: true, entries: [ { 198.51.100.9: 10m }, { 198.51.100.10: 10m } ] }
              four-ten: { host: 0.0.0.10/24 }
              inside-net: { prefix-of: inside }
              blocked: { live: true, entries: [ 203.0.113.9 ] }
              outsiders: [ 198.51.100.0/24, 203.0.113.0/24 ]

            """ + $"rules: [ {{ allow: it, source: {source} }} ]\n");
        foreach (LiveSet set in ruleset.LiveSets)
        {
            set.Begin(0);
        }

        CompiledRuleset rules = RulesetCompiler.Compile(ruleset);
        rules.Advance(1);
        foreach (string address in within.Split(' '))
        {
            Assert.True(rules.Judge(From(address)).Rule == 1, $"{address} is in {source}");
        }

        foreach (string address in without.Split(' '))
        {
            Assert.True(rules.Judge(From(address)).Rule != 1, $"{address} is not in {source}");
        }
    }

    [Theory]
    [InlineData("[ tcp, not tcp/25 ]", "tcp/0-24, tcp/26-65535")]
    [InlineData("[ tcp/1-100, not tcp/10-20, not udp ]", "tcp/1-9, tcp/21-100")]
    [InlineData("[ icmp, not ping ]", "icmpv4/0-7, icmpv4/9-255, icmpv6/0-127, icmpv6/129-255")]
    [InlineData("[ icmpv4/3, not icmpv4/3/4 ]", "icmpv4/3, icmpv4/3")]
    [InlineData("[ gre, not gre ]", "")]
    public void Services_are_taken_away_alike(string service, string meaning) =>
        Assert.Equal(meaning, Read(Ports + $"rules: [ {{ drop: x, service: {service} }} ]\n").Rules.Single().Service!.ToString());

    [Fact]
    public void Everything_but_some_services_agrees_with_asking_each_and_names_no_type()
    {
        ServiceSet service = Read(Ports + "rules: [ { allow: x, service: [ not web, not icmp/echo-request, not icmpv4/3/1 ] } ]\n").Rules.Single().Service!;
        for (int protocol = 0; protocol < 256; protocol++)
        {
            foreach ((ushort port, byte type, byte code) in new (ushort, byte, byte)[] { (80, 8, 0), (443, 128, 0), (22, 3, 1), (22, 3, 2), (0, 139, 0) })
            {
                bool web = (protocol == 6 && port is 80 or 443) || (protocol == 17 && port == 443);
                bool icmp = (protocol == 1 && (type == 8 || (type == 3 && code == 1))) || (protocol == 58 && type == 128);
                bool expected = !((protocol is 6 or 17 && web && protocol == 6) || (protocol == 17 && port == 443) || icmp);
                Assert.True(expected == service.Matches((byte)protocol, port, type, code), $"{protocol} {port} {type} {code}");
            }
        }

        Assert.False(service.NamesIcmp);
    }

    [Fact]
    public void A_file_holds_an_entry_a_line_and_names_the_line_that_is_wrong()
    {
        using Scratch folder = new();
        folder.Write("good.txt", "# who is not wanted\n203.0.113.9\n  198.51.100.0/24   # a network\r\n\n2001:db8:bad::1-2001:db8:bad::9\n");
        string main = folder.Write("f.yaml", Ports + "sets: { bad: { file: good.txt } }\nrules: [ { drop: x, source: bad } ]\n");
        Ruleset good = RulesetFile.Read(main).Ruleset!;
        Assert.Equal("198.51.100.0-198.51.100.255, 2001:db8:bad::1-2001:db8:bad::9, 203.0.113.9", string.Join(", ", good.Rules[0].Source!.ToString().Split(", ").Order()));

        string[] lines = [.. Enumerable.Range(0, 100_000).Select(static i => $"10.{i / 65536}.{(i / 256) % 256}.{i % 256}")];
        lines[77_776] = " 10.0.0.300";
        folder.Write("good.txt", string.Join('\n', lines));
        RulesetReading wrong = RulesetFile.Read(main);
        Assert.Null(wrong.Ruleset);
        Diagnostic only = Assert.Single(wrong.Diagnostics);
        Assert.Equal(("good.txt", 77_777, 2), (Path.GetFileName(only.At.File), only.At.Line, only.At.Column));
        Assert.Contains("'10.0.0.300' is not an address", only.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\u00ff\u00fe1\0", "UTF-16")]
    [InlineData("10.0.0.1\nlan\n", "'lan' is no address, prefix or range")]
    [InlineData("10.0.0.1/8\n", "host bits set")]
    [InlineData("\x01\x02\n", "is no address")]
    public void What_is_no_list_of_addresses_is_an_error_in_words(string content, string word)
    {
        using Scratch folder = new();
        folder.Write("bad.txt", "");
        File.WriteAllBytes(folder["bad.txt"], [.. content.Select(static c => (byte)c)]);
        RulesetReading reading = RulesetFile.Read(folder.Write("f.yaml", Ports + "sets: { bad: { file: bad.txt } }\n"));
        Assert.Contains(reading.Diagnostics, d => d.Message.Contains(word, StringComparison.Ordinal));
        Assert.Null(reading.Ruleset);
    }

    [Fact]
    public void A_line_without_end_is_refused_in_bounded_memory()
    {
        using Scratch folder = new();
        File.WriteAllText(folder["bad.txt"], new string('1', 8_000_000));
        long before = GC.GetAllocatedBytesForCurrentThread();
        RulesetReading reading = RulesetFile.Read(folder.Write("f.yaml", Ports + "sets: { bad: { file: bad.txt } }\n"));
        Assert.Contains(reading.Diagnostics, static d => d.Message.Contains("a line of 8,000,000 bytes is no address", StringComparison.Ordinal));
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 64_000_000);
    }

    private static OpeningFacts From(string source)
    {
        Address address = Address.Parse(source);
        return new OpeningFacts(new FlowKey(address, Address.Parse(address.IsIPv4 ? "9.9.9.9" : "2620:fe::fe"), 40000, 443, IpProtocol.Tcp, 0), 1, 0, Direction.Out, TcpFlags.Syn, 0, 0, 0, 0);
    }

    private static Ruleset Read(string text)
    {
        RulesetReading reading = RulesetFile.Parse("f.yaml", text);
        return reading.Ruleset ?? throw new InvalidOperationException(string.Join('\n', reading.Diagnostics));
    }
}
