using System.Text.Json;

namespace Filter.Tests.Worlds;

/// <summary>A SYN flood of bounded size, from senders who do not exist, beside a transfer that must not notice it.</summary>
[Collection(InNamespaces.Name)]
public sealed class SynFloodTests
{
    private const int Fewest = 3000, Most = 20_000;

    private const string Ruleset = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        limits: { flows: 1024, half-open: 256 }
        rules:
          - allow: neighbours
            service: [ nd, mld, igmp ]
          - allow: outbound
            from: inside
          - allow: web
            from: outside
            service: tcp/80

        """;

    [Theory]
    [InlineData(World.Inner4, World.Www4)]
    [InlineData(World.Inner6, $"[{World.Www6}]")]
    public void Beside_a_flood_a_transfer_goes_on_and_the_table_stays_bounded(string flooded, string server)
    {
        using World world = World.Bridge();
        using Daemon filter = Daemon.Start(world.Filter, world.Write("flood.yaml", Ruleset), ["outside=eth0", "inside=eth1"]);
        int port = world.Server.Serve("body", bytes: 20_000_000, out string digest);
        world.Client.Serve("index.html", bytes: 100, out _, port: 80);
        world.Client.Must("sysctl -qw net.ipv4.tcp_synack_retries=0");      // or its answers would go on for a minute
        string mac = world.Client.Mac("eth0");
        using RawSender attacker = new(world.Server, "eth0");
        Balance balance = Balance.Of(filter, new("outside", world.Server, "eth0"), new("inside", world.Client, "eth0"));

        Running transfer = world.Client.Start($"curl -sS -m40 --limit-rate 8M http://{server}:{port}/body | sha256sum");
        int sent = 0;
        for (; sent < Fewest || (!transfer.HasEnded && sent < Most); sent++)
        {
            string source = flooded.Contains(':') ? $"[2001:db8:{0x1000 + (sent / 8):x}::1]" : $"203.0.113.{1 + (sent % 200)}";
            attacker.Send($"tcp {source}:{1024 + sent} > {Spelt(flooded)}:80 syn seq={sent}", mac);
            if (sent % 1000 == 500)
            {
                Assert.InRange(Flows(filter), 1, 256 + 20);
                world.Client.Must($"curl -sS -o /dev/null -m10 http://{server}/");      // who asks now is answered, too
            }
        }

        Assert.Equal(0, transfer.Ends(TimeSpan.FromSeconds(45)));
        Assert.Contains(digest.Split(' ')[0], transfer.Said, StringComparison.Ordinal);
        filter.Process.Says("limit half-open: ");
        Assert.Contains(" flows given up, most to " + flooded + " tcp/80", filter.Process.Said, StringComparison.Ordinal);
        Counted counted = balance.Settle();
        long lost = counted["port outside lost"];
        Assert.InRange(counted["opened"], sent - lost, sent + lost + 100);
        JsonElement halfOpen = filter.Json("counters").GetProperty("counters").GetProperty("limits").EnumerateArray()
            .Single(limit => limit.GetProperty("name").GetString() == "half-open");
        Assert.InRange(halfOpen.GetProperty("givenUp").GetInt64(), sent - lost - 1024, sent);
    }

    private static long Flows(Daemon filter) => filter.Ask("status").GetProperty("status").GetProperty("flows").GetInt64();

    private static string Spelt(string address) => address.Contains(':') ? $"[{address}]" : address;
}
