using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Tests.Ipsec;

/// <summary>Packets that policy protects wait while somebody negotiates keys, and go on in their order.</summary>
public sealed class WaitingTests
{
    private const string Ruleset = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        rules:
          - allow: out
            to: outside
        ipsec:
          policies:
            - { protect: branch, remote: 10.2.0.0/16 }
            - { protect: other, remote: 10.3.0.0/16 }
            - bypass: rest
        """;

    private static readonly Address s_client = Address.Parse("10.1.0.5");
    private static readonly Address s_server = Address.Parse("10.2.0.9");
    private static readonly Address s_other = Address.Parse("10.3.0.9");

    [Fact]
    public void What_finds_no_SA_waits_and_is_sealed_in_order_once_there_is_one()
    {
        using Site site = new(Ruleset, negotiates: true);
        Assert.Empty(site.Carry("inside", To(s_server, 30), To(s_server, 130)));
        Assert.Empty(site.Carry("inside", To(s_server, 230)));
        Assert.Equal((3, 3, 0), (site.Path.HeldNow, site.Path.Counters[Verdict.Held], site.Path.Counters[DropReason.NoSa]));
        Assert.Empty(site.Tick());

        Bring(site, "branch");

        List<byte[]> sent = site.Tick()["outside"];
        Assert.Equal(3, sent.Count);
        Assert.True(sent[0].Length < sent[1].Length && sent[1].Length < sent[2].Length, "their order is kept");
        Assert.All(sent, frame => Assert.Equal(IpProtocol.Esp, PlainFrames.Parsed(frame).Key.Protocol));
        Assert.Equal((0, 0, 3), (site.Path.HeldNow, site.Path.Counters[Verdict.Held], site.Path.Counters[Verdict.Pass]));
        Assert.Equal(1, site.Path.Flows.Count);
        Assert.Equal((3, 3), (site.Path.Counters.In, site.Path.Counters.Out));
    }

    [Fact]
    public void The_next_packet_takes_along_those_that_waited()
    {
        using Site site = new(Ruleset, negotiates: true);
        Assert.Empty(site.Carry("inside", To(s_server, 30)));
        Bring(site, "branch");

        Assert.Equal(2, site.Carry("inside", To(s_server, 40))["outside"].Count);
        Assert.Equal(0, site.Path.HeldNow);
    }

    [Fact]
    public void Who_has_waited_too_long_is_dropped()
    {
        using Site site = new(Ruleset, negotiates: true);
        Assert.Empty(site.Carry("inside", To(s_server, 30)));
        site.Now += WaitingRoom.Patience;

        Assert.Empty(site.Tick());

        Assert.Equal((0, 1), (site.Path.HeldNow, site.Path.Counters[DropReason.NoSa]));
        Bring(site, "branch");
        Assert.Empty(site.Tick());
    }

    [Fact]
    public void A_far_end_that_does_not_answer_takes_no_room_from_another()
    {
        using Site site = new(Ruleset, negotiates: true);
        for (int i = 0; i < 100; i++)
        {
            Assert.Empty(site.Carry("inside", To(s_server, 30)));
        }

        Assert.Empty(site.Carry("inside", To(s_other, 30)));
        Assert.Equal((WaitingRoom.PlacesPerPolicy + 1, 100 - WaitingRoom.PlacesPerPolicy), (site.Path.HeldNow, site.Path.Counters[DropReason.HoldLimit]));

        Bring(site, "other");

        Assert.Single(site.Tick()["outside"]);
        Assert.Equal(WaitingRoom.PlacesPerPolicy, site.Path.HeldNow);
    }

    [Fact]
    public void A_new_ruleset_ends_the_waiting()
    {
        using Site site = new(Ruleset, negotiates: true);
        Assert.Empty(site.Carry("inside", To(s_server, 30)));
        site.Reload(Ruleset.Replace("- { protect: branch, remote: 10.2.0.0/16 }", "- { drop: branch, remote: 10.2.0.0/16 }", StringComparison.Ordinal));

        Assert.Empty(site.Tick());

        Assert.Equal((0, 1), (site.Path.HeldNow, site.Path.Counters[DropReason.NoSa]));
    }

    [Fact]
    public void Nobody_waits_where_nobody_negotiates()
    {
        using Site site = new(Ruleset);
        Assert.Empty(site.Carry("inside", To(s_server, 30)));
        Assert.Equal((0, 1), (site.Path.HeldNow, site.Path.Counters[DropReason.NoSa]));
    }

    private static byte[] To(Address server, int length) => PlainFrames.Udp(s_client, server, length);

    private static void Bring(Site site, string policy)
    {
        SaSettings settings = new() { Mode = IpsecMode.Transport, Suite = IpsecSuite.AesCbc128HmacSha256 };
        Assert.Null(site.Stage.Add(new OutboundSa("out", settings, 0x1234, new SaKey(settings.Suite, new byte[16], new byte[32])), policy));
    }
}
