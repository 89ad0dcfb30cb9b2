using Filter.Ctl.Service;
using Filter.Engine.Packets;
using Filter.Ipsec;
using Filter.Rules.Policy;
using Filter.Tests.Ipsec;
using Gateway = Filter.Tests.Ipsec.Gateway;

namespace Filter.Tests.Filterctl;

/// <summary>What the log says of SAs that end, and of those that are missing.</summary>
public sealed class SaLogTests : IDisposable
{
    private readonly StringWriter _said = new();

    public void Dispose() => _said.Dispose();

    [Fact]
    public void Packets_that_find_no_SA_are_one_line_a_policy()
    {
        using Gateway gateway = new(Gateway.Config([Gateway.Policy(1, IpsecAction.Protect) with { Name = "branch" }]));
        (IpsecEvents events, SaLog log) = (new IpsecEvents(), new SaLog(new ServiceLog(_said, json: false)));
        events.Tell(log.Hear);
        byte[] frame = PlainFrames.Udp(Address.Parse("10.1.0.5"), Address.Parse("10.2.0.9"), 20);
        gateway.Send(frame, frame, frame);

        Assert.Equal(3, events.Look(gateway.Stage));
        log.Look(gateway.Stage);
        log.Look(gateway.Stage);

        Assert.Equal("policy branch: no SA for 3 packets, the first udp 10.1.0.5 > 10.2.0.9", Said());
    }

    [Fact]
    public void An_SA_that_nears_its_end_and_reaches_it_is_named_without_its_keys()
    {
        SaConfig sa = Gateway.Sa(IpsecMode.Tunnel, "192.0.2.1", "198.51.100.1");
        sa = sa with { Settings = sa.Settings with { Soft = new SaLifetime(0, 1, 0), Hard = new SaLifetime(0, 2, 0) } };
        using Gateway gateway = new(Gateway.Config([Gateway.Policy(1, IpsecAction.Protect, sa)], sa));
        (IpsecEvents events, SaLog log) = (new IpsecEvents(), new SaLog(new ServiceLog(_said, json: false)));
        events.Tell(log.Hear);
        byte[] frame = PlainFrames.Udp(Address.Parse("10.1.0.5"), Address.Parse("10.2.0.9"), 20);

        for (int i = 0; i < 3; i++)
        {
            gateway.Send(frame);
        }

        events.Look(gateway.Stage);
        log.Look(gateway.Stage);
        Assert.Equal(
            """
            SA branch (out, 0x00001001) reached its soft limit, or its sequence numbers run low: replace it
            SA branch (out, 0x00001001) reached its hard limit, and carries nothing any more
            policy policy-1: no SA for 1 packets, the first udp 10.1.0.5 > 10.2.0.9
            """.ReplaceLineEndings("\n"),
            Said());
    }

    [Fact]
    public void Everybody_who_asked_hears_every_event_once_and_nobody_after_he_left()
    {
        using Gateway gateway = new(Gateway.Config([Gateway.Policy(1, IpsecAction.Protect)]));
        byte[] frame = PlainFrames.Udp(Address.Parse("10.1.0.5"), Address.Parse("10.2.0.9"), 20);
        IpsecEvents events = new();
        int first = 0, second = 0;
        void Second(IpsecEvent told) => second++;
        events.Tell(_ => first++);
        events.Tell(Second);

        gateway.Send(frame);
        events.Look(gateway.Stage);
        events.Look(gateway.Stage);
        events.Forget(Second);
        gateway.Send(frame);
        events.Look(gateway.Stage);

        Assert.Equal((2, 1), (first, second));
    }

    private string Said()
    {
        string said = string.Join('\n', _said.ToString().Trim().Split(Environment.NewLine).Select(static line => line[(line.IndexOf(' ') + 1)..]));
        _said.GetStringBuilder().Clear();
        return said;
    }
}
