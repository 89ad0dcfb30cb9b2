using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>A connection of which one end has gone does not stay for two hours.</summary>
public sealed class TcpTimerTests
{
    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Three_repetitions_that_nobody_answers_leave_five_minutes(int family)
    {
        (TestNet net, TestHost client, TestHost server) = Connect(family, "default");
        client.Reaches(server, "ACK,PSH seq=100 ack=10 len=50");
        for (int i = 0; i < 3; i++)
        {
            net.After("119s");
            client.Reaches(server, "ACK,PSH seq=100 ack=10 len=50");
        }

        net.After("299s");
        net.ExpectsFlows(1);
        net.After("2s");
        net.ExpectsFlows(0);
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_answer_gives_the_two_hours_back(int family)
    {
        (TestNet net, TestHost client, TestHost server) = Connect(family, "default");
        for (int i = 0; i < 5; i++)
        {
            server.Reaches(client, "ACK,PSH seq=10 ack=100 len=50");
        }

        client.Reaches(server, "ACK seq=100 ack=60");
        net.After("2h");
        server.Reaches(client, "ACK,PSH seq=60 ack=100 len=50");
        net.ExpectsNoDrops();
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void What_is_new_and_what_only_acknowledges_is_no_repetition(int family)
    {
        (TestNet net, TestHost client, TestHost server) = Connect(family, "default");
        for (int i = 0; i < 5; i++)
        {
            server.Reaches(client, $"ACK,PSH seq={10 + (50 * i)} ack=100 len=50");
            server.Reaches(client, $"ACK seq={60 + (50 * i)} ack=100");
        }

        net.After("2h");
        net.ExpectsFlows(1);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void In_rfc6092_no_repetition_shortens_anything(int family)
    {
        (TestNet net, TestHost client, TestHost server) = Connect(family, "rfc6092");
        for (int i = 0; i < 5; i++)
        {
            client.Reaches(server, "ACK,PSH seq=100 ack=10 len=50");
        }

        net.After("2h");
        net.ExpectsFlows(1);
    }

    private static (TestNet Net, TestHost Client, TestHost Server) Connect(int family, string profile)
    {
        var net = new TestNet(Nets.OutOnly.Replace("filter: 1", $"filter: 1\nprofile: {profile}", StringComparison.Ordinal));
        (TestHost client, TestHost server) = net.Between(Nets.Public(family, 1, 40000), Nets.Public(family, 2, 443));
        client.Reaches(server, "SYN seq=99");
        server.Reaches(client, "SYN,ACK seq=9 ack=100");
        client.Reaches(server, "ACK seq=100 ack=10");
        return (net, client, server);
    }
}
