using System.Globalization;

namespace Filter.Tests.Worlds;

/// <summary>Rules that ask for size, DSCP, link addresses, fragments and the time, with packets of real stacks.</summary>
[Collection(InNamespaces.Name)]
public sealed class ConditionTests(ConditionScene scene) : IClassFixture<ConditionScene>
{
    [Theory]
    [InlineData(World.Gateway4, 77)]
    [InlineData(World.Gateway6, 78)]
    public void Of_one_ping_the_large_packets_are_dropped_and_the_small_ones_pass(string server, int identifier)
    {
        Balance balance = scene.Count();
        scene.Client.Pings(server, $"-c3 -i0.01 -e {identifier}");
        Assert.False(scene.Client.Run($"ping -q -c2 -i0.01 -W0.3 -e {identifier} -s 1200 {server}").Ok);
        scene.Client.Pings(server, $"-c3 -i0.01 -e {identifier} -s 900 -Q 184");
        Counted counted = balance.Settle();
        Assert.Equal((2, 2), (counted["reason denied"], counted["rule large-pings"]));
        Assert.InRange(counted["rule marked"], 3, 6);           // the answers too, where the server's stack marks them alike
        Assert.Equal(1, Assert.Single(scene.Flows(identifier)).GetProperty("rule").GetString() == "pings" ? 1 : 0);
    }

    [Fact]
    public void Another_card_is_nobodys()
    {
        Balance balance = scene.Count();
        using RawSender sender = new(scene.Client, "eth0");
        sender.Send($"udp {World.Client4}:4000 > {World.Gateway4}:5000 len=10", scene.Server.Mac("eth0"), "02:00:00:00:0b:ad");
        Counted counted = balance.Settle();
        Assert.Equal(1, counted["reason default-deny"]);
        balance = scene.Count();
        sender.Send($"udp {World.Client4}:4000 > {World.Gateway4}:5000 len=10", scene.Server.Mac("eth0"));
        Assert.InRange(balance.Settle()["rule datagrams"], 1, 2);         // and that nobody listens
    }

    [Fact]
    public void Datagrams_that_come_in_pieces_are_dropped_whole()
    {
        Balance balance = scene.Count();
        scene.Client.Must($"head -c 4000 /dev/zero | ncat -u --send-only {World.Gateway4} 5001");
        scene.Client.Must($"head -c 400 /dev/zero | ncat -u --send-only {World.Gateway4} 5001");
        Counted counted = balance.Settle();
        Assert.Equal(3, counted["reason denied"]);
        Assert.InRange(counted["rule datagrams"], 1, 2);
    }

    [Fact]
    public void A_count_that_logs_writes_a_line_under_its_own_name_and_the_rule_below_decides()
    {
        using World world = World.Bridge();
        string file = world.Write("counts.yaml", """
            filter: 1
            ports:
              outside: { nic: eth0, side: unprotected }
              inside: { nic: eth1, side: protected }
            rules:
              - count: pings-seen
                service: ping
                log: true
              - allow: pings
                service: ping

            """);
        using Daemon daemon = Daemon.Start(world.Filter, file, ["outside=eth0", "inside=eth1"]);
        world.Client.Pings(World.Gateway4, "-c2 -i0.01");
        daemon.Process.Says($"counted 'inside: icmp {World.Client4} > {World.Gateway4} echo-request");
        Assert.Contains($"by pings-seen ({file}:6)", daemon.Process.Said, StringComparison.Ordinal);
        Assert.DoesNotContain("pass '", daemon.Process.Said, StringComparison.Ordinal);
        Assert.Equal(0, daemon.Process.End());
    }

    [Fact]
    [Trait("Suite", "long")]
    public void A_connection_ends_at_the_minute_at_which_its_rules_time_does()
    {
        using World world = World.Bridge();
        DateTime now = DateTime.Now, end = now.AddMinutes(now.Second < 50 ? 1 : 2);
        string until = end.ToString("HH:mm", CultureInfo.InvariantCulture);
        string from = now.AddHours(-1).ToString("HH:mm", CultureInfo.InvariantCulture);
        using Daemon daemon = Daemon.Start(world.Filter, world.Write("time.yaml", $$"""
            filter: 1
            ports:
              outside: { nic: eth0, side: unprotected }
              inside: { nic: eth1, side: protected }
            rules:
              - allow: segment
                service: [ nd, mld ]
              - allow: pings
                service: ping
                when: {{from}}-{{until}}

            """), ["outside=eth0", "inside=eth1"]);
        world.Client.Pings(World.Gateway4, "-c3 -i0.01");
        DateTime last = DateTime.MaxValue;
        while (world.Client.Run($"ping -q -c1 -W0.3 -e 99 {World.Gateway4}").Ok)
        {
            last = DateTime.Now;
            Assert.True(last < end.AddMinutes(2), "the time has passed, and pings still do");
            Thread.Sleep(100);
        }

        DateTime minute = new(end.Year, end.Month, end.Day, end.Hour, end.Minute, 0, DateTimeKind.Local);
        Assert.True(last < minute.AddSeconds(20), $"a ping passed at {last:T}");
    }
}
