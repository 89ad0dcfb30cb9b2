using Filter.Engine.Ports;
using Filter.Tests.Worlds;

namespace Filter.Tests.Ports;

/// <summary>What two instructions in the kernel keep from the box's own stack, and what they do not.</summary>
[Collection(InNamespaces.Name)]
public class IngressDropTests
{
    [Fact]
    public void The_box_hears_nothing_and_the_packet_socket_all_until_it_ends()
    {
        using var cable = new Cable();
        cable.Box.Ip("addr add 192.0.2.1/24 dev nic");
        cable.Far.Ip("addr add 192.0.2.2/24 dev end");
        cable.Far.Ip($"neigh replace 192.0.2.1 lladdr {cable.Box.Exec("cat", "/sys/class/net/nic/address").Trim()} dev end");
        Assert.Equal(0, Ping(cable));
        using PacketSocketPort nic = cable.OpenNic();
        cable.HearNow(nic);

        using (IngressDrop? drop = cable.Box.Run(() => IngressDrop.TryBegin("nic")))
        {
            Assert.SkipWhen(drop is null, "the kernel attaches no programs to ingress (Linux 6.6)");
            Assert.NotEqual(0, Ping(cable));
            Assert.NotEmpty(cable.Hear(nic, 1));
        }

        Assert.Equal(0, Ping(cable));
    }

    [Fact]
    public void A_NIC_that_is_not_there_is_no_error()
    {
        using var cable = new Cable();
        Assert.Null(cable.Box.Run(() => IngressDrop.TryBegin("eth7")));
    }

    private static int Ping(Cable cable) => cable.Far.Try("ping", "-q", "-c1", "-W1", "192.0.2.1").Status;
}
