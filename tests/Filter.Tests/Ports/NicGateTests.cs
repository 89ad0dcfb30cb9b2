using System.Globalization;
using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Tests.Worlds;

namespace Filter.Tests.Ports;

/// <summary>
/// The box has a NIC on the cable, a management address on another interface and a TAP; the far host knows the NIC's MAC
/// for all of their addresses.
/// </summary>
[Collection(InNamespaces.Name)]
public sealed class NicGateTests : IDisposable
{
    private static readonly string[] s_boxAddresses = ["192.0.2.1", "2001:db8:1::1", "203.0.113.1", "2001:db8:f::1", "198.18.0.7", "2001:db8:7::7"];

    private readonly string _records = Directory.CreateTempSubdirectory("filter-records-").FullName;
    private readonly Cable _cable = new();
    private readonly TapPort _tap;

    public NicGateTests()
    {
        _tap = _cable.Box.Run(() => new TapPort(new TapSettings("filter0")
        {
            Addresses = [new(Address.Parse("192.0.2.1"), 24), new(Address.Parse("2001:db8:1::1"), 64)],
        })
        { Name = "self", Number = 3, Side = Side.Protected });
        _cable.Box.Ip("link add mgmt type veth peer name mgmt-peer");
        _cable.Box.Ip("link set mgmt-peer up");
        foreach (string device in new[] { "nic", "mgmt", "filter0" })
        {
            _cable.Box.Exec("sysctl", "-qw", $"net.ipv6.conf.{device}.disable_ipv6=0");
        }

        _cable.Far.Exec("sysctl", "-qw", "net.ipv6.conf.end.disable_ipv6=0");
        _cable.Box.Ip("link set mgmt up");
        _cable.Box.Ip("addr add 203.0.113.1/24 dev mgmt");
        _cable.Box.Ip("addr add 2001:db8:f::1/64 dev mgmt nodad");
        _cable.Box.Ip("addr add 198.18.0.7/24 dev nic");
        _cable.Box.Ip("addr add 2001:db8:7::7/64 dev nic nodad");
        _cable.Box.Ip("route add 198.51.100.0/24 via 198.18.0.2 dev nic metric 7");
        _cable.Box.Ip("route add 2001:db8:9::/48 via 2001:db8:7::2 dev nic metric 7");

        _cable.Far.Ip("addr add 198.18.0.2/24 dev end");
        _cable.Far.Ip("addr add 2001:db8:7::2/64 dev end nodad");
        _cable.Far.Ip("route add 192.0.2.0/24 dev end");
        _cable.Far.Ip("route add 2001:db8:1::/64 dev end");
        _cable.Far.Ip("route add 203.0.113.0/24 dev end");
        _cable.Far.Ip("route add 2001:db8:f::/64 dev end");
        string endMac = _cable.Far.Exec("cat", "/sys/class/net/end/address").Trim();
        _cable.Box.Ip($"neigh replace 2001:db8:7::2 lladdr {endMac} dev nic");
        string nicMac = _cable.Box.Exec("cat", "/sys/class/net/nic/address").Trim();
        foreach (string address in s_boxAddresses)
        {
            _cable.Far.Ip($"neigh replace {address} lladdr {nicMac} dev end");
        }
    }

    [Fact]
    public void Nothing_of_the_box_answers_while_the_gate_is_shut_with_Filter_alive_or_dead()
    {
        // Without the gate the box answers for every address it has: this is what the gate is for.
        Assert.Equal(s_boxAddresses, Answering());

        Assert.Null(Close());
        using (PacketSocketPort nic = _cable.OpenNic())
        {
            long heard = Heard();
            Assert.Empty(Answering());
            Assert.Equal(heard, Heard());

            // The frames were there, and Filter's socket got every one of them.
            Assert.True(_cable.HearNow(nic).Count >= s_boxAddresses.Length);
        }

        // Its sockets are closed and nobody has cleaned up, as after a kill -9.
        Assert.Empty(Answering());
    }

    [Fact]
    public void The_box_cannot_speak_by_a_shut_nic_but_Filter_can()
    {
        Close();
        using PacketSocketPort nic = _cable.OpenNic();
        using PacketSocketPort end = _cable.OpenEnd();
        _cable.Box.Ip("addr add 198.18.0.7/24 dev nic");
        _cable.Box.Ip("neigh replace 198.18.0.2 lladdr 02:00:00:00:00:09 dev nic");
        _cable.Box.Try("ping", "-c", "1", "-W", "1", "-I", "nic", "198.18.0.2");
        Assert.Empty(_cable.HearNow(end));

        _cable.Send(nic, Cable.Frame(60));
        Assert.Equal(Cable.Frame(60), Assert.Single(_cable.Hear(end, 1)).Frame);
    }

    [Fact]
    public void The_pcap_driver_speaks_by_a_shut_nic_too()
    {
        Close();
        using PcapLivePort nic = _cable.Box.Run(() => new PcapLivePort("nic") { Name = "nic", Number = 0, Side = Side.Unprotected });
        using PacketSocketPort end = _cable.OpenEnd();

        _cable.Send(nic, Cable.Frame(60));
        Assert.Equal(Cable.Frame(60), Assert.Single(_cable.Hear(end, 1)).Frame);
        _cable.Send(end, Cable.Frame(1514));
        Assert.Equal(Cable.Frame(1514), Assert.Single(_cable.Hear(nic, 1)).Frame);
        Assert.Empty(_cable.HearNow(end));
    }

    [Fact]
    public void A_shut_nic_has_no_addresses_no_arp_and_no_IPv6_and_is_up()
    {
        _cable.Box.Ip("link set nic down");
        Close();
        string state = _cable.Box.Ip("addr show dev nic");
        Assert.DoesNotContain("inet", state, StringComparison.Ordinal);
        Assert.Contains("NOARP", state, StringComparison.Ordinal);
        Assert.Contains(",UP", state, StringComparison.Ordinal);
        Assert.Equal("1", _cable.Box.Exec("sysctl", "-n", "net.ipv6.conf.nic.disable_ipv6").Trim());
    }

    [Fact]
    public void Restoring_gives_back_everything()
    {
        string before = Snapshot();
        Close();
        Assert.NotEqual(before, Snapshot());

        Assert.Empty(Restore());
        Assert.Equal(before, Snapshot());
        Assert.Empty(Directory.GetFiles(_records));
        Assert.True(FarReaches("198.18.0.7"));
        Assert.True(FarReaches("2001:db8:7::7"));
    }

    [Fact]
    public void A_nic_that_was_down_is_down_again()
    {
        _cable.Box.Ip("link set nic down");
        Close();
        Assert.Contains(",UP", _cable.Box.Ip("link show dev nic"), StringComparison.Ordinal);
        Restore();
        Assert.DoesNotContain(",UP", _cable.Box.Ip("link show dev nic"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[[[[[[")]
    [InlineData("""{ "device": "../../../../etc/x", "index": 2, "up": true, "arp": true, "addresses": [], "routes": [] }""")]
    [InlineData("""{ "device": "nic", "index": 2, "up": true, "arp": true, "addresses": [ null ], "routes": [] }""")]
    [InlineData("""{ "device": "nic", "index": 2, "up": true, "arp": true, "addresses": [ { "text": "x", "payload": null } ], "routes": [] }""")]
    [InlineData("""{ "device": "nic", "index": 2, "up": true, "arp": true, "addresses": [ { "text": "x", "payload": "!!" } ], "routes": [] }""")]
    public void A_record_that_was_tampered_with_is_one_clear_line_and_the_gate_stays_shut(string content)
    {
        _cable.Box.Run(() => new NicGate(_records).Close("nic"));
        File.WriteAllText(Assert.Single(Directory.GetFiles(_records)), content);

        foreach (Action<NicGate> act in new Action<NicGate>[] { gate => gate.Close("nic"), gate => gate.Restore("nic") })
        {
            var error = Assert.Throws<PortException>(() => _cable.Box.Run(() => act(new NicGate(_records))));
            Assert.Contains("is damaged", error.Message, StringComparison.Ordinal);
            Assert.DoesNotContain('\n', error.Message);
            Assert.Contains("policy drop", _cable.Box.Exec("nft", "list", "ruleset"), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_second_start_keeps_the_first_ones_record()
    {
        string before = Snapshot();
        Close();
        Close();
        Assert.Empty(Restore());
        Assert.Equal(before, Snapshot());
    }

    [Fact]
    public void Restoring_what_was_never_shut_does_nothing()
    {
        string before = Snapshot();
        Assert.Empty(Restore());
        Assert.Equal(before, Snapshot());
    }

    [Fact]
    public void A_device_made_anew_under_the_same_name_gets_its_own_record()
    {
        Close();
        _cable.Box.Ip("link delete nic");
        _cable.Box.Ip("link add nic type veth peer name other");
        _cable.Box.Ip("addr add 10.9.9.9/24 dev nic");
        Close();
        Assert.Empty(Restore());
        string state = _cable.Box.Ip("addr show dev nic");
        Assert.Contains("10.9.9.9/24", state, StringComparison.Ordinal);
        Assert.DoesNotContain("198.18.0.7", state, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_a_device_that_has_gone_nothing_is_given_to_the_one_that_took_its_name()
    {
        Close();
        _cable.Box.Ip("link delete nic");
        _cable.Box.Ip("link add nic type veth peer name other");
        string before = _cable.Box.Ip("-o addr show dev nic");

        Assert.Contains("has gone", Assert.Single(Restore()), StringComparison.Ordinal);

        Assert.Equal(before, _cable.Box.Ip("-o addr show dev nic"));
        Assert.Empty(Directory.GetFiles(_records));
        Assert.Equal("", _cable.Box.Exec("nft", "list", "ruleset"));
    }

    [Fact]
    public void The_same_device_name_in_two_namespaces_has_two_records()
    {
        Close();
        _cable.Far.Ip("link add nic type veth peer name other");
        _cable.Far.Run(() => new NicGate(_records).Close("nic"));
        Assert.Equal(2, Directory.GetFiles(_records).Length);
        Assert.True(_cable.Far.Run(() => new NicGate(_records).IsClosed("nic")));
    }

    [Fact]
    public void A_missing_device_is_one_clear_line_and_changes_nothing()
    {
        var error = Assert.Throws<PortException>(() => _cable.Box.Run(() => new NicGate(_records).Close("eth7")));
        Assert.Equal("there is no network device named 'eth7'", error.Message);
        Assert.Empty(Directory.GetFiles(_records));
        Assert.Equal("", _cable.Box.Exec("nft", "list", "ruleset"));
    }

    [Fact]
    public void A_damaged_record_is_one_clear_line_and_is_not_overwritten()
    {
        Close();
        string record = Assert.Single(Directory.GetFiles(_records));
        File.WriteAllText(record, "{ \"device\": ");
        var error = Assert.Throws<PortException>(() => { Close(); });
        Assert.StartsWith($"{record} is damaged", error.Message, StringComparison.Ordinal);
        Assert.Equal("{ \"device\": ", File.ReadAllText(record));
    }

    public void Dispose()
    {
        _tap.Dispose();
        _cable.Dispose();
        Directory.Delete(_records, recursive: true);
    }

    private string? Close() => _cable.Box.Run(() => new NicGate(_records).Close("nic"));

    private IReadOnlyList<string> Restore() => _cable.Box.Run(() => new NicGate(_records).Restore("nic"));

    /// <summary>Those of the box's addresses that answer the far host, asked all at once.</summary>
    private string[] Answering() => [.. s_boxAddresses.AsParallel().AsOrdered().WithDegreeOfParallelism(s_boxAddresses.Length).Where(FarReaches)];

    private bool FarReaches(string address)
        => _cable.Far.Try("ping", "-c", "2", "-i", "0.2", "-W", "1", address).Status == 0;

    /// <summary>ICMP and ICMPv6 messages that the box's own stack has heard.</summary>
    private long Heard()
    {
        string six = _cable.Box.Exec("cat", "/proc/net/snmp6").Split('\n').First(line => line.StartsWith("Icmp6InEchos", StringComparison.Ordinal));
        string four = _cable.Box.Exec("cat", "/proc/net/snmp").Split('\n').Last(line => line.StartsWith("Icmp:", StringComparison.Ordinal));
        return long.Parse(six.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture)
            + long.Parse(four.Split(' ')[1], CultureInfo.InvariantCulture);
    }

    /// <summary>All that could have changed, without what counts or ages.</summary>
    private string Snapshot() => string.Join(
        '\n',
        _cable.Box.Ip("addr show dev nic"),
        string.Join('\n', _cable.Box.Ip("-4 route show dev nic").Split('\n').Order()),
        string.Join('\n', _cable.Box.Ip("-6 route show dev nic").Split('\n').Order()),
        _cable.Box.Exec("sysctl", "net.ipv6.conf.nic.disable_ipv6"),
        _cable.Box.Exec("nft", "list", "ruleset"));
}
