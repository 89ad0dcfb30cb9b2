using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Filter.Tests.Worlds;

/// <summary>What nobody behind the bridge asked for does not get in, and Filter says which rule it met.</summary>
[Collection(InNamespaces.Name)]
public sealed partial class BridgeDefenceTests(BridgeScene scene) : IClassFixture<BridgeScene>
{
    [Theory]
    [InlineData(World.Client4, "192.0.2.5")]
    [InlineData(World.Client6, "[2001:db8:1::5]")]
    public void Unsolicited_packets_are_dropped_by_the_default(string client, string shown)
    {
        // Somebody listens there: silence is Filter's doing.
        using Socket tcp = scene.Client.Open(client, 8080, SocketType.Stream);
        using Socket udp = scene.Client.Open(client, 8081, SocketType.Dgram);
        using Running drops = Watched("drops --json");
        Balance balance = scene.Count();

        Assert.False(scene.Server.Run($"ncat -w1 {client} 8080 < /dev/null").Ok);
        scene.Server.Must($"echo hello | ncat -u -w1 {client} 8081");
        drops.Says($"{shown}:8081");

        Counted counted = balance.Settle();
        Assert.Equal(0, udp.Available);
        Assert.False(tcp.Poll(0, SelectMode.SelectRead));
        Assert.InRange(counted["reason default-deny"], 2, 6);       // the SYN is sent again
        Assert.Equal(counted["reason default-deny"], counted["rule default in"]);
        Assert.Equal(counted.Dropped, counted["reason default-deny"]);
        foreach (JsonElement drop in Events(drops))
        {
            Assert.Equal("default in", drop.GetProperty("rule").GetString());
            Assert.Equal($"rules/bridge.yaml:{LineOf("rules/bridge.yaml", "in: drop")}", drop.GetProperty("place").GetString());
        }
    }

    [Theory]
    [InlineData("icmp 192.0.2.1 > 192.0.2.5 timestamp-request id=1 seq=1 len=12", "default-deny")]
    [InlineData("icmp 192.0.2.1 > 192.0.2.5 echo-reply id=1 seq=1", "no-flow")]
    [InlineData("icmp 2001:db8:1::1 > 2001:db8:1::5 echo-reply id=1 seq=1", "no-flow")]
    [InlineData("icmp 192.0.2.1 > 192.0.2.5 destination-unreachable code=1 quote=\"udp 192.0.2.5:4000 > 192.0.2.1:53\"", "stray-icmp-error")]
    [InlineData("icmp 2001:db8:1::1 > 2001:db8:1::5 destination-unreachable code=1 quote=\"udp [2001:db8:1::5]:4000 > [2001:db8:1::1]:53\"", "stray-icmp-error")]
    [InlineData("tcp 192.0.2.1:80 > 192.0.2.5:40000 syn ack seq=1 ack=1", "no-flow")]
    [InlineData("tcp [2001:db8:1::1]:80 > [2001:db8:1::5]:40000 ack seq=1 ack=1 len=10", "no-flow")]
    [InlineData("tcp 192.0.2.1:4000 > 192.0.2.5:22 syn fin", "bad-flags")]
    [InlineData("tcp 192.0.2.5:22 > 192.0.2.5:22 syn", "land")]
    [InlineData("udp 192.0.2.1:53 > 192.0.2.5:40000 len=100", "default-deny")]
    [InlineData("sctp [2001:db8:1::1]:4000 > [2001:db8:1::5]:5000 len=20", "no-flow")]
    public void A_crafted_packet_is_dropped_for_its_reason_and_the_machine_never_sees_it(string line, string reason)
    {
        Balance balance = scene.Count();
        long arrivals = scene.Client.Arrivals();

        using (RawSender attacker = new(scene.Server, "eth0"))
        {
            attacker.Send(line, scene.Client.Mac("eth0"));
        }

        Counted counted = balance.Settle();
        Assert.Equal(1, counted[$"reason {reason}"]);
        Assert.Equal(1, counted.Dropped);
        Assert.Equal(1, counted["in"]);
        Assert.Equal(0, counted["out"]);
        Assert.Equal(arrivals, scene.Client.Arrivals());
    }

    [Theory]
    [InlineData(World.Client4, World.Www4)]
    [InlineData(World.Client6, World.Www6)]
    public void Each_question_earns_one_answer_and_not_one_more(string client, string server)
    {
        using Socket asker = scene.Client.Open(client, 0, SocketType.Dgram);
        using Socket answerer = scene.Server.Open(server, 53, SocketType.Dgram);
        EndPoint there = answerer.LocalEndPoint!, here = asker.LocalEndPoint!;
        byte[] room = new byte[100];
        Balance balance = scene.Count();

        asker.SendTo("A?"u8, there);
        asker.SendTo("AAAA?"u8, there);
        Assert.Equal("A?"u8, room.AsSpan(0, answerer.Receive(room)));
        Assert.Equal("AAAA?"u8, room.AsSpan(0, answerer.Receive(room)));
        answerer.SendTo("A"u8, here);
        answerer.SendTo("AAAA"u8, here);
        answerer.SendTo("a third"u8, here);
        answerer.SendTo("a fourth"u8, here);

        Counted counted = balance.Settle();
        Assert.Equal("A"u8, room.AsSpan(0, asker.Receive(room)));
        Assert.Equal("AAAA"u8, room.AsSpan(0, asker.Receive(room)));
        Assert.Equal(0, asker.Available);
        Assert.Equal(4, counted["rule resolve"]);
        Assert.Equal(2, counted.Dropped);
        Assert.Equal(2, counted["reason default-deny"]);
        Assert.Empty(scene.Flows(((IPEndPoint)here).Port));
    }

    [Theory]
    [InlineData(World.Client4, World.Www4)]
    [InlineData(World.Client6, World.Www6)]
    public void After_FIN_FIN_ACK_the_port_is_closed_again(string client, string server)
    {
        using Capture wire = Capture.Start(scene.Server, "eth0", "tcp port 8080");
        (Socket near, Socket far) = Connect(client, server);
        EndPoint here = near.LocalEndPoint!, there = far.LocalEndPoint!;
        near.Shutdown(SocketShutdown.Send);
        Assert.Equal(0, far.Receive(new byte[10]));
        far.Dispose();
        Assert.Equal(0, near.Receive(new byte[10]));
        near.Dispose();

        Balance balance = scene.Count();
        (uint sequence, uint acknowledgment) = LastWords(wire, there);
        SendLate(here, there, $"ack psh seq={sequence} ack={acknowledgment} len=4");          // behind its FIN
        SendLate(here, there, $"ack seq={sequence + 1} ack={acknowledgment}");
        SendLate(here, there, $"syn seq={sequence + 1000}");

        Counted counted = balance.Settle();
        Assert.Equal(3, counted.Dropped);
        Assert.Equal(0, counted["port inside sent"]);
        Assert.Equal(2, counted["reason invalid-state"]);
        Assert.Equal(1, counted["reason default-deny"]);
    }

    [Theory]
    [InlineData(World.Client4, World.Www4, "client")]
    [InlineData(World.Client6, World.Www6, "client")]
    [InlineData(World.Client4, World.Www4, "server")]
    [InlineData(World.Client6, World.Www6, "server")]
    public void After_RST_the_port_is_closed_again(string client, string server, string who)
    {
        using Capture wire = Capture.Start(scene.Server, "eth0", "tcp port 8080");
        (Socket near, Socket far) = Connect(client, server);
        EndPoint here = near.LocalEndPoint!, there = far.LocalEndPoint!;
        Socket resets = who == "client" ? near : far;
        resets.LingerState = new LingerOption(true, 0);
        resets.Dispose();

        Balance balance = scene.Count();
        near.Dispose();
        far.Dispose();
        (uint sequence, uint acknowledgment) = LastWords(wire, there);
        SendLate(here, there, $"ack psh seq={sequence} ack={acknowledgment} len=4");
        SendLate(here, there, $"ack seq={sequence} ack={acknowledgment}");
        SendLate(here, there, $"fin ack seq={sequence} ack={acknowledgment}");
        SendLate(here, there, $"syn ack seq={sequence - 1} ack={acknowledgment}");

        Counted counted = balance.Settle();
        Assert.Equal(4, counted.Dropped);
        Assert.Equal(4, counted["reason invalid-state"]);
        Assert.Equal(0, counted["port inside sent"]);
    }

    /// <summary>A connection over which both ends have said something.</summary>
    private (Socket Near, Socket Far) Connect(string client, string server)
    {
        using Socket listener = scene.Server.Open(server, 8080, SocketType.Stream);
        Socket near = scene.Client.Open(client, 0, SocketType.Stream, listens: false);
        near.Connect(listener.LocalEndPoint!);
        Socket far = listener.Accept();
        byte[] room = new byte[10];
        near.Send("hello"u8);
        Assert.Equal(5, far.Receive(room));
        far.Send("hello"u8);
        Assert.Equal(5, near.Receive(room));
        return (near, far);
    }

    /// <summary>What the server would say next: one behind the highest number it sent, and what it acknowledged.</summary>
    private static (uint Sequence, uint Acknowledgment) LastWords(Capture wire, EndPoint server)
    {
        wire.End();
        string from = $" {Spoken(server)} > ";
        uint sequence = 0, acknowledgment = 0;
        foreach (string line in wire.Lines().Where(line => line.Contains(from, StringComparison.Ordinal)))
        {
            if (SequenceWords().Match(line) is { Success: true } seq)
            {
                bool flag = line.Contains("Flags [F", StringComparison.Ordinal) || line.Contains("Flags [S", StringComparison.Ordinal);
                sequence = uint.Parse(seq.Groups[1].Value, null) + (flag ? 1u : 0);
            }

            acknowledgment = AcknowledgmentWords().Match(line) is { Success: true } ack ? uint.Parse(ack.Groups[1].Value, null) : acknowledgment;
        }

        Assert.NotEqual(0u, sequence);
        return (sequence, acknowledgment);
    }

    private static string Spoken(EndPoint end) => $"{((IPEndPoint)end).Address}.{((IPEndPoint)end).Port}";

    private void SendLate(EndPoint client, EndPoint server, string words)
    {
        using RawSender late = new(scene.Server, "eth0");
        late.Send($"tcp {server} > {client} {words}", scene.Client.Mac("eth0"));
    }

    /// <summary>A verb that goes on, once it hears.</summary>
    private Running Watched(string verb)
    {
        Running running = scene.Filter.Watch(verb);
        using RawSender knocker = new(scene.Server, "eth0");
        // Whether it listens yet cannot be seen from here: knock until it has heard.
        for (int i = 0; i < 100 && running.Said.Length == 0; i++)
        {
            knocker.Send("udp 192.0.2.1:9 > 192.0.2.5:9 len=1", scene.Client.Mac("eth0"));
            Thread.Sleep(20);
        }

        return running;
    }

    private static IEnumerable<JsonElement> Events(Running drops)
    {
        foreach (string line in drops.Said.Split('\n').Where(static line => line.Contains("\"event\"", StringComparison.Ordinal)))
        {
            yield return JsonDocument.Parse(line).RootElement.GetProperty("event");
        }
    }

    private static int LineOf(string file, string text) =>
        Array.FindIndex(File.ReadAllLines(Path.Combine(Repository.Root, file)), line => line.Trim() == text) + 1;

    [GeneratedRegex(@"seq (?:\d+:)?(\d+)")]
    private static partial Regex SequenceWords();

    [GeneratedRegex(@" ack (\d+)")]
    private static partial Regex AcknowledgmentWords();
}
