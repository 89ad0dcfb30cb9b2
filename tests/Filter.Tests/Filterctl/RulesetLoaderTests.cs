using Filter.Ctl.Service;
using Filter.Rules.Policy;
using Filter.Tests.Worlds;

namespace Filter.Tests.Filterctl;

/// <summary>What the command line says of ports, over what the ruleset says.</summary>
public sealed class RulesetLoaderTests
{
    [Fact]
    public void A_driver_is_for_every_NIC_whatever_device_stands_for_it_and_for_no_TAP()
    {
        RulesetLoader loader = new([new("outside", "enp1s0")], PortDriver.Ring);

        Assert.Equal(
            [("enp1s0", PortDriver.Ring), ("eth1", PortDriver.Ring)],
            loader.Read(Path.Combine(Repository.Root, "rules", "bridge.yaml")).Ruleset!.Ports.Select(static port => (port.Device, port.Driver)));
        Assert.Equal(
            [("enp1s0", PortDriver.Ring), ("filter0", PortDriver.Packet)],
            loader.Read(Path.Combine(Repository.Root, "rules", "host.yaml")).Ruleset!.Ports.Select(static port => (port.Device, port.Driver)));
    }
}
