using Filter.Engine.Flows;

namespace Filter.Tests.Conversations;

/// <summary>What a sender who sees no answer may not bring about: a flow that no limit gives up.</summary>
public sealed class ProofTests
{
    private const string Midstream = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        rules:
          - allow: anything
            midstream: true
        """;

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_connection_picked_up_midstream_is_not_proven_before_its_answer(int family)
    {
        var net = new TestNet(Midstream, flows: 8, policy: policy => policy with { Limits = FlowLimits.None });
        for (int port = 1001; port <= 1020; port++)
        {
            net.Sends($"outside: tcp {Nets.At(family, 2, port)} > {Nets.At(family, 1, 80)} ACK seq=99 ack=9");
        }

        net.ExpectsNoDrops();
        net.ExpectsFlows(8);
        Assert.Equal(0, net.Path.Flows.Proven);
        net.Sends($"inside: tcp {Nets.At(family, 1, 80)} > {Nets.At(family, 2, 1020)} ACK seq=9 ack=99");
        Assert.Equal(1, net.Path.Flows.Proven);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void A_handshake_ends_by_what_acknowledges_its_answer_and_by_no_near_guess(int family)
    {
        var net = new TestNet(Nets.Open);
        (TestHost service, TestHost forged) = net.Between(Nets.At(family, 1, 80), Nets.At(family, 2, 1001));
        forged.Reaches(service, "SYN seq=99");
        service.Reaches(forged, "SYN,ACK seq=500000 ack=100");
        forged.Reaches(service, "ACK seq=100 ack=400000");
        forged.Reaches(service, "ACK,PSH seq=100 ack=499999 len=5");
        Assert.Equal(0, net.Path.Flows.Proven);
        forged.Reaches(service, "ACK seq=100 ack=500001");
        Assert.Equal(1, net.Path.Flows.Proven);
    }
}
