using System.Net;

namespace Filter.Tests.Worlds;

/// <summary>Two Filters protect a link: all that crosses it is ESP, whole and openable by others, whatever its size.</summary>
public abstract class EspTests(EspScene scene)
{
    private const int Smallest = 1200, Largest = 1500;

    /// <summary>What fits into ESP on a link of 1,500 bytes, headers of the packet included.</summary>
    protected abstract int LargestProtected(int family);

    [Fact]
    public void The_link_carries_nothing_but_ESP_that_tshark_opens_with_every_ICV_good()
    {
        scene.Start();
        using Capture wire = Capture.Start(scene.World["link"], "eth0");
        Balance a = scene.Count("a"), b = scene.Count("b");
        long before = Handled();

        foreach (string server in (string[])[scene.Server4, scene.Server6])
        {
            scene.Client.Pings(server, "-c20 -i0.005");
            scene.Client.Pings(server, "-c3 -i0.01 -s 3000");
            Iperf.Run(scene.Client, server, "-n 1M");
            Iperf.Run(scene.Client, server, "-n 1M -R");
        }

        Assert.StartsWith("Hello from", scene.Client.Must($"curl -4 -sS -m5 http://{World.Www}/"), StringComparison.Ordinal);
        Assert.StartsWith("Hello from", scene.Client.Must($"curl -6 -sS -m5 http://{World.Www}/"), StringComparison.Ordinal);

        Counted atA = a.Settle(), atB = b.Settle();
        long handled = Handled() - before;
        Assert.Equal(0, atA.Dropped + atB.Dropped);
        atA.NothingLost();
        atB.NothingLost();
        wire.End();
        (int packets, int good) = scene.Open(wire.File);
        Assert.Equal(packets, good);
        Assert.Equal(handled, good);
        Assert.InRange(good, 1500, long.MaxValue);
        Assert.Empty(EspScene.Clear(wire));

        long Handled() => scene.Handled("a", "out") + scene.Handled("a", "in");
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Every_size_crosses_both_ways_and_is_learnt_from_the_first_answer(int family)
    {
        scene.Start();
        Balance a = scene.Count("a"), b = scene.Count("b");
        using Capture wire = Capture.Start(scene.World["link"], "eth0");
        long before = scene.Handled("a", "out") + scene.Handled("a", "in");
        using UdpEcho echo = new(scene.Client, scene.Server, There(family), PathMtu.Want);

        int missed = 0;
        for (int size = Smallest; size <= Largest; size++)
        {
            int tries = echo.Try(size, most: 3);
            Assert.True(tries > 0, $"{size} bytes did not cross");
            missed += tries - 1;
        }

        // One loss each way, at the first that is too large: Filter's answer tells the sender, who cuts from then on.
        Assert.InRange(missed, 1, 2);
        Assert.Equal(LargestProtected(family), echo.KnownMtu);
        Counted atA = a.Settle(), atB = b.Settle();
        Assert.Equal(1, atA["verdict answered"]);
        Assert.Equal(1, atB["verdict answered"]);
        Assert.Equal(0, atA.Dropped + atB.Dropped);
        wire.End();
        (int packets, int good) = scene.Open(wire.File);
        Assert.Equal(packets, good);
        Assert.Equal(scene.Handled("a", "out") + scene.Handled("a", "in") - before, good);
        Assert.Empty(EspScene.Clear(wire));
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void With_DF_the_sender_learns_exactly_what_fits(int family)
    {
        scene.Start();
        using UdpEcho echo = new(scene.Client, scene.Server, There(family), PathMtu.Do);
        for (int size = Smallest; size <= LargestProtected(family); size++)
        {
            Assert.Equal(1, echo.Try(size, most: 1));
        }

        Assert.Equal(Largest, echo.KnownMtu);
        Assert.False(echo.Crosses(LargestProtected(family) + 1));
        Assert.Equal(LargestProtected(family), echo.KnownMtu);
        Assert.Equal(1, echo.Try(LargestProtected(family), most: 1));
    }

    [Fact]
    public void Without_DF_every_size_crosses_at_once()
    {
        scene.Start();
        Balance a = scene.Count("a"), b = scene.Count("b");
        using Capture wire = Capture.Start(scene.World["link"], "eth0");
        using UdpEcho echo = new(scene.Client, scene.Server, There(4), PathMtu.Dont);

        for (int size = Smallest; size <= Largest; size++)
        {
            Assert.True(echo.Crosses(size), $"{size} bytes did not cross");
        }

        Counted atA = a.Settle(), atB = b.Settle();
        Assert.Equal(0, atA.Dropped + atB.Dropped);
        Assert.Equal(0, atA["verdict answered"] + atB["verdict answered"]);
        wire.End();
        (int packets, int good) = scene.Open(wire.File);
        Assert.Equal(packets, good);
        Assert.Empty(EspScene.Clear(wire));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_TCP_bulk_transfer_gets_its_speed_with_and_without_clamping(bool clamped)
    {
        scene.Start(clamped);
        Balance a = scene.Count("a"), b = scene.Count("b");
        using Running atA = scene.Drops("a"), atB = scene.Drops("b");

        foreach (string server in (string[])[scene.Server4, scene.Server6])
        {
            foreach (string direction in (string[])["", "-R"])
            {
                Assert.InRange(Iperf.Run(scene.Client, server, $"-n 8M {direction}").SentBytes, 8 << 20, long.MaxValue);
            }
        }

        Counted countedA = a.Settle(), countedB = b.Settle();
        Assert.True(countedA.Dropped + countedB.Dropped == 0, $"{atA.Said}{atB.Said}");
        // Clamped, no segment was ever too large; else the senders were told.
        long answered = countedA["verdict answered"] + countedB["verdict answered"];
        Assert.Equal(clamped, answered == 0);
        Assert.Equal(0, scene.Refused("a") + scene.Refused("b"));
        // What came in segments left in super-frames, and the hosts behind took them whole.
        Assert.InRange(countedB["coalesced"], 1, countedB.Passed);
        Assert.InRange(countedA["coalesced"], 1, countedA.Passed);
    }

    private IPEndPoint There(int family) => new(IPAddress.Parse(family == 4 ? scene.Server4 : scene.Server6), 443);
}

/// <summary>Both families in one tunnel between two IPv4 gateways.</summary>
[Collection(InNamespaces.Name)]
public sealed class EspTunnelTests(EspTunnelScene scene) : EspTests(scene), IClassFixture<EspTunnelScene>
{
    /// <summary>1,500 less header 20, SPI and number 8, IV 16, ICV 16: 1,440, whole blocks of 16, the last two bytes the trailer's.</summary>
    protected override int LargestProtected(int family) => 1438;
}

/// <summary>Hosts that keep their addresses, over both families.</summary>
[Collection(InNamespaces.Name)]
public sealed class EspTransportTests(EspTransportScene scene) : EspTests(scene), IClassFixture<EspTransportScene>
{
    /// <summary>1,500 less the header and 40: 1,440 or 1,420, down to whole blocks, less two, and the header again.</summary>
    protected override int LargestProtected(int family) => family == 4 ? 1458 : 1446;
}
