using Filter.Engine.Flows;
using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>Lifetimes shrink as the table fills: here from six flows of ten on.</summary>
public sealed class AdaptiveTimerTests
{
    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void In_a_full_table_a_half_open_flow_has_a_tenth_of_its_time_though_it_began_when_there_was_room(int family)
    {
        TestNet net = With(shortensFrom: 60);
        net.Sends($"inside: tcp {Nets.At(family, 1, 999)} > {Nets.At(family, 3, 443)} SYN seq=99");
        Fill(net, family, 9);
        net.ExpectsFlows(10);
        net.After("23s");                   // of 240 s
        net.ExpectsFlows(10);
        net.After("2s");
        net.ExpectsFlows(9);
        net.Sends($"outside: tcp {Nets.At(family, 3, 443)} > {Nets.At(family, 1, 999)} SYN,ACK seq=9 ack=100");
        net.Expects(DropReason.NoFlow, 1);
        Assert.Equal(1, net.Path.Counters.Expired);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void In_a_full_table_an_opening_has_a_tenth_of_its_time_from_the_beginning(int family)
    {
        TestNet net = With(shortensFrom: 60);
        Fill(net, family, 9);
        net.Sends($"inside: tcp {Nets.At(family, 1, 999)} > {Nets.At(family, 3, 443)} SYN seq=99");
        net.Sends($"inside: tcp {Nets.At(family, 1, 999)} > {Nets.At(family, 3, 443)} SYN seq=99");     // again, now that it is full
        net.After("23s");
        net.ExpectsFlows(10);
        net.After("2s");
        net.ExpectsFlows(9);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_proven_flow_keeps_half_of_its_time_at_least(int family)
    {
        TestNet net = With(shortensFrom: 60);
        Fill(net, family, 10);
        net.After("3719s");                 // of 7440 s
        net.ExpectsFlows(10);
        net.After("2s");                    // the last one was given its time in a full table
        net.ExpectsFlows(9);
        net.After("3710s");
        net.ExpectsFlows(6);                // those that were given theirs when there was room
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void With_room_left_nothing_is_shortened(int family)
    {
        TestNet net = With(shortensFrom: 60);
        net.Sends($"inside: tcp {Nets.At(family, 1, 999)} > {Nets.At(family, 3, 443)} SYN seq=99");
        Fill(net, family, 5);
        net.After("239s");
        net.ExpectsFlows(6);
        net.After("2s");
        net.ExpectsFlows(5);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Where_it_is_forbidden_a_full_table_shortens_nothing(int family)
    {
        TestNet net = With(shortensFrom: null);
        net.Sends($"inside: tcp {Nets.At(family, 1, 999)} > {Nets.At(family, 3, 443)} SYN seq=99");
        Fill(net, family, 9);
        net.After("239s");
        net.ExpectsFlows(10);
        net.Sends($"outside: tcp {Nets.At(family, 3, 443)} > {Nets.At(family, 1, 999)} SYN,ACK seq=9 ack=100");
        net.ExpectsNoDrops();
        net.After("7190s");
        net.ExpectsFlows(9);
    }

    private static TestNet With(int? shortensFrom) => new(
        Nets.OutOnly, flows: 10, policy: policy => policy with { Limits = FlowLimits.None with { ShortensFrom = shortensFrom } });

    private static void Fill(TestNet net, int family, int connections)
    {
        for (int port = 1000; port < 1000 + connections; port++)
        {
            (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, port), Nets.At(family, 2, 443));
            client.Reaches(server, "SYN seq=99");
            server.Reaches(client, "SYN,ACK seq=9 ack=100");
            client.Reaches(server, "ACK seq=100 ack=10");
        }
    }
}
