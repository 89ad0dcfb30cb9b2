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
}
