using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Tests.Worlds;

namespace Filter.Tests.Ports;

[Collection(InNamespaces.Name)]
public class PortPollerTests
{
    [Fact]
    public void It_names_the_ports_that_have_something_to_read()
    {
        using var cable = new Cable();
        using PacketSocketPort nic = cable.OpenNic();
        using PacketSocketPort end = cable.OpenEnd();
        using var poller = new PortPoller([nic, end]);

        Assert.Equal(0, poller.Wait(0));
        cable.Send(end, Cable.Frame(60));
        Assert.Equal(nic.Mask, poller.Wait(10_000));
        cable.Send(nic, Cable.Frame(60));
        Assert.Equal(nic.Mask | end.Mask, poller.Wait(10_000));
        cable.HearNow(nic);
        cable.HearNow(end);
        Assert.Equal(0, poller.Wait(0));
    }

    [Fact]
    public void Where_a_port_polls_busily_it_looks_and_does_not_wait()
    {
        using var quiet = new MemoryPort { Name = "q", Number = 0, Side = Side.Protected };
        using var busy = new MemoryPort { Name = "b", Number = 1, Side = Side.Protected, BusyPolls = true };
        using var poller = new PortPoller([quiet, busy]);
        Assert.Equal(0, poller.Wait(-1));       // would never end by itself
    }

    [Fact]
    public void Another_thread_wakes_it_once()
    {
        using var port = new MemoryPort { Name = "m", Number = 0, Side = Side.Protected };
        using var poller = new PortPoller([port]);
        var waker = new Thread(poller.Wake);
        waker.Start();
        Assert.Equal(0, poller.Wait(-1));       // would never end by itself
        waker.Join();
        Assert.Equal(0, poller.Wait(0));
    }

    [Fact]
    public void Waking_before_the_wait_ends_it_too()
    {
        using var poller = new PortPoller([]);
        poller.Wake();
        poller.Wake();
        Assert.Equal(0, poller.Wait(-1));
    }

    [Fact]
    public void Waiting_allocates_nothing()
    {
        using var port = new MemoryPort { Name = "m", Number = 0, Side = Side.Protected };
        using var poller = new PortPoller([port]);
        Assert.Equal(0, Allocations.Least(() =>
        {
            for (int i = 0; i < 100; i++)
            {
                poller.Wait(0);
            }
        }));
    }
}
