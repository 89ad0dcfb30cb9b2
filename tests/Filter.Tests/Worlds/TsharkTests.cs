using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Filter.Engine.Packets;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Tests.Worlds;

/// <summary>A third opinion: tshark, with the keys, finds every ICV good and something known inside.</summary>
[Collection(InNamespaces.Name)]
public sealed class TsharkTests
{
    private static readonly int[] s_sizes = [1, 33, 1200];

    [Fact]
    public void Tshark_opens_what_Filter_sends_by_every_suite_that_both_have()
    {
        using World world = World.BesideNobody();
        FilterWithin filter = FilterWithin.Start(world.Filter, FilterWithin.Policies);
        int seed = Random.Shared.Next();
        Random random = new(seed);
        TestContext.Current.TestOutputHelper!.WriteLine($"seed {seed}");
        string folder = Directory.CreateDirectory(Path.Combine(world.Folder, "wireshark")).FullName;
        Dictionary<uint, KernelCase> cases = [];
        List<string> lines = [];
        using Capture wire = Capture.Start(world["far"], "eth0", "ip proto 50 or ip6 proto 50");

        foreach (KernelCase one in KernelCases.EachSuiteOnce.Where(static one => TsharkSpelling.Opens(one.Suite)))
        {
            FreshKeys keys = FreshKeys.Of(one, random);
            cases.Add(keys.Spi, one);
            lines.Add(TsharkSpelling.Line(keys, one.Outer));
            Send(world.Filter, filter, one, keys);
        }

        int expected = cases.Count * s_sizes.Length;
        Assert.True(SpinWait.SpinUntil(() => wire.Lines().Length >= expected, Host.Patience), $"{wire.Lines().Length} packets, not {expected}");
        Assert.Equal(expected, wire.End());
        File.WriteAllLines(Path.Combine(folder, "esp_sa"), lines);

        // A line a packet: its SPI, whether the ICV is good, and the protocol found inside; the first of each that is there twice.
        string said = world["far"].Must(
            $"WIRESHARK_CONFIG_DIR={folder} tshark -n -r {wire.File} -o esp.enable_encryption_decode:TRUE -o esp.enable_authentication_check:TRUE "
            + "-Y esp -T fields -E occurrence=f -e esp.spi -e esp.icv_good -e esp.protocol 2> /dev/null", TimeSpan.FromSeconds(60));
        Dictionary<string, int> good = cases.Values.ToDictionary(static one => one.ToString(), static _ => 0);
        foreach (string[] words in said.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static line => line.Split('\t')))
        {
            KernelCase one = cases[uint.Parse(words[0].AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture)];
            bool opened = words[1] is "1" or "True" && words[2] == ProtocolInside(one);
            good[one.ToString()] += opened ? 1 : 0;
        }

        Assert.DoesNotContain(good, static pair => pair.Value != s_sizes.Length);
    }

    private static void Send(Host box, FilterWithin filter, KernelCase one, FreshKeys keys)
    {
        (string boxOuter, string farOuter) = KernelScene.Ends(one.Outer, inner: false);
        (string from, string to) = KernelScene.Ends(one.Inner, one.IsTunnel);
        OutboundSa sa = new("to-far", one.Settings(Address.Parse(boxOuter), Address.Parse(farOuter)), keys.Spi, keys.Key);
        filter.Flush();
        filter.Add(sa, one.Policy);
        using Socket socket = box.Open(from, 0, SocketType.Dgram);
        foreach (int size in s_sizes)
        {
            socket.SendTo(new byte[size], new IPEndPoint(IPAddress.Parse(to), 9));
        }

        Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref sa.Statistics.Packets) == s_sizes.Length, Host.Patience), $"{one} sealed {sa.Statistics.Packets}");
    }

    private static string ProtocolInside(KernelCase one) => (one.IsTunnel, one.Inner) switch
    {
        (false, _) => "0x11",
        (true, 4) => "0x04",
        _ => "0x29",
    };
}
