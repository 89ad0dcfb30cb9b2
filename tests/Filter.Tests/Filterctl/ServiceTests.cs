using System.Net.Sockets;
using System.Text;
using Filter.Ctl.Control;
using Filter.Ctl.Output;
using Filter.Ctl.Rehearsals;
using Filter.Ctl.Service;
using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Rules;
using Filter.Rules.Policy;

namespace Filter.Tests.Filterctl;

/// <summary>The daemon's parts, each alone.</summary>
public sealed class ServiceTests
{
    [Fact]
    public void Systemd_hears_that_it_is_ready_reloads_lives_and_stops()
    {
        using Scratch scratch = new();
        using Socket systemd = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        systemd.Bind(new UnixDomainSocketEndPoint(scratch["notify"]));
        using Systemd told = Systemd.From(scratch["notify"], "3000000", $"{Environment.ProcessId}");
        Assert.Equal(TimeSpan.FromSeconds(1.5), told.WatchdogInterval);
        told.Ready("two ports");
        told.Reloading();
        told.Watchdog();
        told.Stopping();
        Assert.Equal("READY=1\nSTATUS=two ports", Hear());
        Assert.Matches("^RELOADING=1\nMONOTONIC_USEC=[0-9]+$", Hear());
        Assert.Equal("WATCHDOG=1", Hear());
        Assert.Equal("STOPPING=1", Hear());

        string Hear()
        {
            byte[] buffer = new byte[1024];
            return Encoding.UTF8.GetString(buffer, 0, systemd.Receive(buffer));
        }
    }

    [Theory]
    [InlineData(null, null, null)]
    [InlineData("", "1000", null)]
    [InlineData("relative", "1000", null)]
    [InlineData("/no/such/socket", "1000", null)]
    public void Without_systemd_nothing_is_told_and_nothing_fails(string? path, string? watchdog, string? pid)
    {
        using Systemd told = Systemd.From(path, watchdog, pid);
        Assert.Null(told.WatchdogInterval);
        told.Ready("");
        told.Watchdog();
    }

    [Fact]
    public void Another_process_watchdog_is_not_ours()
    {
        using Scratch scratch = new();
        using Socket systemd = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        systemd.Bind(new UnixDomainSocketEndPoint(scratch["notify"]));
        using Systemd told = Systemd.From(scratch["notify"], "3000000", "1");
        Assert.Null(told.WatchdogInterval);
    }

    [Fact]
    public void A_listener_that_does_not_read_loses_events_and_is_told_how_many()
    {
        EventFeed feed = new();
        Assert.False(feed.Heard);
        using EventFeed.Listener slow = feed.Listen();
        using EventFeed.Listener quick = feed.Listen();
        for (int i = 0; i < EventFeed.Backlog + 7; i++)
        {
            feed.Publish(new PacketEvent { Time = i, Verdict = "drop", Line = "" });
            Assert.True(quick.Events.TryRead(out PacketEvent? heard));
            Assert.Equal(i, heard.Time);
        }

        feed.Lose(3);
        Assert.Equal(3, quick.TakeLost());
        Assert.Equal(10, slow.TakeLost());
        Assert.Equal(0, slow.TakeLost());
        Assert.Equal(EventFeed.Backlog, slow.Events.Count);
    }

    [Fact]
    public void A_listener_that_left_is_heard_of_no_more()
    {
        EventFeed feed = new();
        feed.Listen().Dispose();
        Assert.False(feed.Heard);
    }

    [Fact]
    public void What_is_asked_of_a_rehearsed_ruleset_is_asked_of_the_one_in_force()
    {
        // A member with a default that nobody forwards would be answered as if the ruleset had none of it.
        Type asked = typeof(LiveRehearsal.AskedRuleset);
        Assert.All(asked.GetInterfaceMap(typeof(IRuleset)).TargetMethods, method => Assert.Equal(asked, method.DeclaringType));
    }

    [Theory]
    [InlineData("""- allow: a""", """- allow: a""", "no rule changed")]
    [InlineData("- allow: a", "# further down\n  - allow: a", "no rule changed")]
    [InlineData("- allow: a", "- drop: a", "1 rule changed")]
    [InlineData("- allow: a\n    source: [ 10.0.0.0/24, 10.0.1.0/24 ]", "- allow: a\n    source: 10.0.0.0/23", "no rule changed")]
    [InlineData("- allow: a\n    service: [ tcp/1, udp/2 ]\n    source-port: [ 3, 4 ]", "- allow: a\n    source-port: [ 3, 4 ]\n    service: [ udp/2, tcp/1 ]", "no rule changed")]
    [InlineData("- allow: a\n    service: tcp/1", "- allow: a\n    service: tcp/2", "1 rule changed")]
    [InlineData("- allow: a\n    size: 1-9\n    dscp: ef", "- allow: a\n    dscp: ef\n    size: 1-9", "no rule changed")]
    [InlineData("- allow: a\n    size: 1-9\n    dscp: ef", "- allow: a\n    dscp: ef\n    size: 1-8", "1 rule changed")]
    [InlineData("- allow: a\n    tcp-flags: syn", "- allow: a\n    tcp-flags: syn", "no rule changed")]
    [InlineData("- allow: a\n  - drop: b", "- drop: b\n  - allow: a", "1 rule moved")]
    [InlineData("- allow: a\n  - drop: b\n  - drop: c", "- drop: d\n  - allow: e\n  - drop: c\n  - drop: a", "2 rules added, 1 removed, 1 changed, 1 moved")]
    public void What_a_reload_changes_of_the_rules_is_said_by_name(string before, string after, string said) =>
        Assert.Equal(said, RuleChanges.Between(Rules(before), Rules(after)).ToString());

    private static Ruleset Rules(string rules)
    {
        RulesetReading reading = RulesetFile.Parse("a.yaml",
            $"filter: 1\nports:\n  out: {{ nic: eth0, side: unprotected }}\n  in: {{ nic: eth1, side: protected }}\nrules:\n  {rules}\n");
        Assert.True(reading.Ruleset is not null, string.Join('\n', reading.Diagnostics));
        return reading.Ruleset;
    }

    [Theory]
    [InlineData(null, true)]
    [InlineData("all", true)]
    [InlineData("7", true)]
    [InlineData("8", false)]
    [InlineData("tcp", true)]
    [InlineData("udp", false)]
    [InlineData("192.0.2.5", true)]
    [InlineData("198.51.100.7", true)]
    [InlineData("192.0.2.6", false)]
    [InlineData(":443", true)]
    [InlineData(":40000 tcp 192.0.2.5", true)]
    [InlineData(":40000 tcp 192.0.2.6", false)]
    public void A_flow_is_meant_where_every_word_holds(string? words, bool meant)
    {
        FlowKey key = new(Address.Parse("192.0.2.5"), Address.Parse("198.51.100.7"), 40000, 443, 6, 0);
        Flow flow = new() { Opening = new OpeningFacts(key, 0, 1, Direction.Out, TcpFlags.Syn, 0, 0, 0, 0) };
        Assert.Equal(meant, FlowMatch.Parse(words, out _)!.Holds(7, flow));
    }

    [Theory]
    [InlineData("everything")]
    [InlineData(":port")]
    [InlineData(":70000")]
    [InlineData("192.0.2.5.6")]
    [InlineData("a a a a a a a a a a a a a a a a a")]
    public void Words_that_mean_no_flow_are_refused(string words)
    {
        Assert.Null(FlowMatch.Parse(words, out string? error));
        Assert.NotNull(error);
    }

    [Fact]
    public void In_a_pipe_a_table_is_columns_of_plain_text()
    {
        Grid grid = new("PORT", ">PACKETS", "STATE");
        grid.Add("outside", 7, new Cell("up", Tint.Good));
        grid.Add("in", 12345, "");
        using StringWriter text = new();
        grid.Write(text);
        Assert.Equal(
            """
            PORT     PACKETS  STATE
            outside        7  up
            in         12345

            """, text.ToString());
    }

    [Theory]
    [InlineData(0, "0s")]
    [InlineData(59, "59s")]
    [InlineData(61, "1m1s")]
    [InlineData(3661, "1h1m")]
    [InlineData(90000, "1d1h")]
    public void Durations_are_short(long seconds, string text) => Assert.Equal(text, Wording.Duration(seconds));
}
