using Filter.Engine.Local;
using Filter.Engine.Packets;
using Filter.Engine.Ports;

namespace Filter.Tests.Local;

public sealed class BridgeTests : IDisposable
{
    private const ulong Self = 0x0200_0000_00aa, A = 0x0200_0000_000a, B = 0x0200_0000_000b, Everybody = 0xffff_ffff_ffff;
    private const byte Inside = 0, Outside = 1, Tap = 2;
    private readonly MemoryPort[] _ports =
    [
        new() { Name = "inside", Number = Inside, Side = Side.Protected },
        new() { Name = "outside", Number = Outside, Side = Side.Unprotected },
        new(mac: Self) { Name = "self", Number = Tap, Side = Side.Protected },
    ];

    private readonly Burst _burst = new() { Now = 1_000_000_000 };
    private readonly Bridge _bridge;

    public BridgeTests()
    {
        var local = new LocalNetwork(_ports, _ports[Tap], [new(Address.Parse("192.0.2.1"), 24)], []);
        _bridge = new Bridge(_ports, local);
    }

    [Fact]
    public void Two_ports_always_send_to_each_other()
    {
        var bridge = new Bridge(_ports[..2], LocalNetwork.None);
        Assert.Equal(1 << Outside, Route(bridge, Inside, A, B));
        Assert.Equal(1 << Inside, Route(bridge, Outside, B, A));
        Assert.Equal(1 << Inside, Route(bridge, Outside, A, B));
    }

    [Fact]
    public void An_unknown_receiver_and_a_group_are_looked_for_everywhere_else()
    {
        Assert.Equal((1 << Outside) | (1 << Tap), Route(Inside, A, B));
        Assert.Equal((1 << Inside) | (1 << Tap), Route(Outside, B, Everybody));
        Assert.Equal((1 << Inside) | (1 << Outside), Route(Tap, Self, 0x0100_5e00_0001));
    }

    [Fact]
    public void A_known_receiver_is_found_on_its_port()
    {
        Route(Inside, A, Everybody);
        Assert.Equal(1 << Inside, Route(Outside, B, A));
        Assert.Equal(1 << Outside, Route(Tap, Self, B));
    }

    [Fact]
    public void What_is_for_the_gateway_goes_to_its_port_without_having_been_seen()
    {
        Assert.Equal(1 << Tap, Route(Inside, A, Self));
        Assert.Equal(1 << Tap, Route(Outside, B, Self));
    }

    [Fact]
    public void A_frame_for_its_own_segment_is_no_business_of_ours()
    {
        Route(Inside, B, Everybody);
        Assert.Equal(0, Route(Inside, A, B));
        Assert.Equal(Verdict.Consumed, _burst.Packets[0].Verdict);
        Assert.True(_burst.Packets[0].Done);
    }

    [Fact]
    public void A_machine_that_was_silent_too_long_is_looked_for_again()
    {
        Route(Inside, A, Everybody);
        _burst.Now += 299_000_000_000;
        Assert.Equal(1 << Inside, Route(Outside, B, A));
        _burst.Now += 1_000_000_000;
        Assert.Equal((1 << Inside) | (1 << Tap), Route(Outside, B, A));
    }

    [Fact]
    public void A_machine_may_move_but_the_outside_cannot_take_one_that_is_inside()
    {
        Route(Outside, A, Everybody);
        Route(Inside, A, Everybody);
        Assert.Equal(1 << Inside, Route(Tap, Self, A));
        Route(Outside, A, Everybody);
        Assert.Equal(1 << Inside, Route(Tap, Self, A));
        Route(Outside, Self, Everybody);
        Assert.Equal(1 << Tap, Route(Inside, A, Self));
        _burst.Now += 301_000_000_000;
        Route(Outside, A, Everybody);
        Assert.Equal(1 << Outside, Route(Tap, Self, A));
    }

    [Fact]
    public void A_flood_of_addresses_fills_the_table_and_nothing_else()
    {
        for (ulong i = 0; i < 100_000; i++)
        {
            Route(Outside, 0x0600_0000_0000 + i, Everybody);
        }

        Assert.Equal(0, Allocations.Least(() => Route(Outside, 0x0a00_0000_0001, Everybody)));
        Assert.Equal(1 << Outside, Route(Inside, A, 0x0a00_0000_0001));
    }

    [Fact]
    public void What_came_out_of_a_tunnel_goes_to_the_gateway_or_to_the_protected_machines()
    {
        Assert.Equal(1 << Tap, Opened("192.0.2.1", out bool needs));
        Assert.False(needs);
        Assert.Equal(1 << Inside, Opened("192.0.2.77", out needs));
        Assert.True(needs);
    }

    public void Dispose()
    {
        foreach (MemoryPort port in _ports)
        {
            port.Dispose();
        }
    }

    private int Opened(string destination, out bool needs)
    {
        Route(Outside, B, Self);
        ref Packet packet = ref _burst.Packets[0];
        packet.NeedsNextHop = true;
        packet.NextHop = Address.Parse(destination);
        int egress = _bridge.Route(ref packet);
        needs = packet.NeedsNextHop;
        return egress;
    }

    private int Route(byte ingress, ulong source, ulong destination) => Route(_bridge, ingress, source, destination);

    private int Route(Bridge bridge, byte ingress, ulong source, ulong destination)
    {
        _burst.Reset();
        _burst.TryAppend(60, out int index);
        ref Packet packet = ref _burst.Packets[index];
        packet.Length = 60;
        packet.Ingress = ingress;
        packet.Bytes.Clear();
        Frames.WriteMac(packet.Bytes, destination);
        Frames.WriteMac(packet.Bytes[6..], source);
        return bridge.Route(ref packet);
    }
}
