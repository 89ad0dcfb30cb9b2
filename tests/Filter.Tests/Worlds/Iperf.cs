using System.Text.Json;

namespace Filter.Tests.Worlds;

/// <summary>What one run of iperf3 said of itself.</summary>
internal sealed record Iperf(long SentBytes, long ReceivedBytes, long Datagrams, long LostDatagrams)
{
    /// <summary>The server takes one client at a time, and closes its listener for a moment after each.</summary>
    private static readonly string[] s_notReady =
        ["server is busy", "unable to connect to server: Connection refused", "unable to receive control message: Connection reset"];

    /// <summary>Runs the client against a server that listens.</summary>
    /// <param name="client">Where.</param>
    /// <param name="server">The server's address.</param>
    /// <param name="options">`-u -R -n 5M`, …</param>
    public static Iperf Run(Host client, string server, string options)
    {
        Ran ran = client.Run(Command(server, options));
        for (int i = 0; i < 50 && s_notReady.Any(word => ran.Output.Contains(word, StringComparison.Ordinal)); i++)
        {
            Thread.Sleep(20);
            ran = client.Run(Command(server, options));
        }

        Assert.True(ran.Ok, ran.ToString());
        return Read(ran.Output);
    }

    /// <summary>The command line whose output <see cref="Read"/> takes.</summary>
    public static string Command(string server, string options) => $"iperf3 -J -c {server} --connect-timeout 3000 {options}";

    /// <summary>Reads what it printed, warnings before it included.</summary>
    public static Iperf Read(string output)
    {
        using JsonDocument document = JsonDocument.Parse(output[output.IndexOf('{')..]);
        JsonElement end = document.RootElement.GetProperty("end");
        Assert.True(end.TryGetProperty("sum_sent", out JsonElement sent), output);
        JsonElement received = end.GetProperty("sum_received");
        return new Iperf(
            sent.GetProperty("bytes").GetInt64(),
            received.GetProperty("bytes").GetInt64(),
            received.TryGetProperty("packets", out JsonElement packets) ? packets.GetInt64() : 0,
            received.TryGetProperty("lost_packets", out JsonElement lost) ? lost.GetInt64() : 0);
    }
}
