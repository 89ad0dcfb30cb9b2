using Filter.Engine.Packets;
using Filter.Ipsec.Databases;
using Filter.Ipsec.PfKey.Messages;
using Filter.Rules.Policy;
using Filter.Tests.Ipsec;
using static Filter.Tests.PfKey.Spelling;

namespace Filter.Tests.PfKey;

/// <summary>Policies by PF_KEY, as KAME and Linux have them: beside the ruleset's, and before them.</summary>
public sealed class PfKeyPolicyTests
{
    private const PfKeySaType None = PfKeySaType.Unspecified;

    [Fact]
    public void A_policy_is_added_once_replaced_by_an_update_found_by_its_number_and_gone_when_it_is_deleted()
    {
        using PfKeyTalk talk = new(Left);
        PfKeyExtension[] selectors = [From("10.1.0.0/24"), To("10.2.0.0/24")];
        uint id = talk.Must(PfKeyType.PolicyAdd, None, [.. selectors, Through(PfKeyDirection.Out, Left, Right)]).Find<PolicyExtension>(PfKeyExtensionType.Policy)!.Id;
        Assert.NotEqual(0U, id);
        Assert.Equal(PfKeyError.Exists, talk.Fails(PfKeyType.PolicyAdd, None, [.. selectors, Through(PfKeyDirection.Out, Left, Right)]));
        talk.Must(PfKeyType.PolicyAdd, None, [.. selectors, Through(PfKeyDirection.In, Right, Left)]);       // another way, another policy

        PfKeyMessage updated = talk.Must(PfKeyType.PolicyUpdate, None, [.. selectors, Policy(PfKeyDirection.Out, PfKeyPolicyType.Discard)]);
        Assert.Equal(id, updated.Find<PolicyExtension>(PfKeyExtensionType.Policy)!.Id);
        PfKeyMessage got = talk.Must(PfKeyType.PolicyGet, None, new PolicyExtension(PfKeyPolicyType.Discard, PfKeyDirection.Out, id, 0, []));
        Assert.Equal(PfKeyPolicyType.Discard, got.Find<PolicyExtension>(PfKeyExtensionType.Policy)!.Kind);
        Assert.Equal("10.1.0.0/24", got.Find<AddressExtension>(PfKeyExtensionType.AddressSource)!.Prefix.ToString());

        Assert.Equal([1U, 0U], ((IEnumerable<PfKeyMessage>)[talk.Must(PfKeyType.PolicyDump, None), .. talk.Manager.All()]).Select(static m => m.Header.Sequence));
        talk.Must(PfKeyType.PolicyDelete, None, [.. selectors, Policy(PfKeyDirection.In, PfKeyPolicyType.None)]);
        talk.Must(PfKeyType.PolicyDeleteById, None, new PolicyExtension(PfKeyPolicyType.None, PfKeyDirection.Out, id, 0, []));
        Assert.Equal(PfKeyError.NoEntry, talk.Fails(PfKeyType.PolicyGet, None, new PolicyExtension(PfKeyPolicyType.None, PfKeyDirection.Out, id, 0, [])));
        Assert.Equal(PfKeyError.NoEntry, talk.Fails(PfKeyType.PolicyDelete, None, [.. selectors, Policy(PfKeyDirection.In, PfKeyPolicyType.None)]));
        Assert.Equal(PfKeyError.NoEntry, talk.Fails(PfKeyType.PolicyDump, None));
        Assert.Equal(["pfkey-ike", "policy-1"], talk.Policies);
    }

    [Fact]
    public void Policies_stand_by_priority_before_the_rulesets_own_and_a_flush_leaves_those()
    {
        using PfKeyTalk talk = new(Left);
        PfKeyTalk.Hearer other = talk.Join();
        talk.Must(PfKeyType.PolicySetIndex, None, From("10.1.0.0/24"), To("10.2.0.0/24"), Policy(PfKeyDirection.Out, PfKeyPolicyType.Discard, 20));
        talk.Must(PfKeyType.PolicyAdd, None, From(LeftHost), To(RightHost), Policy(PfKeyDirection.Out, PfKeyPolicyType.None, 10));
        Assert.Equal(["pfkey-ike", "pfkey-2", "pfkey-1", "policy-1"], talk.Policies);
        Assert.Equal(1, talk.Stage.Databases.Spd!.Entry("policy-1")!.Number);
        Assert.Equal("pfkey-1", talk.Stage.Databases.Spd.Entry(talk.Stage.Databases.Spd.Entry("pfkey-1")!.Number)!.Name);

        Assert.Single(talk.Gateway.Send(PfKeySaTests.Ping()));
        Assert.Empty(talk.Gateway.Send(PlainFrames.Udp(Address.Parse("10.1.0.6"), Address.Parse(RightHost), 20)));
        Assert.Equal([DropReason.PolicyDrop], talk.Gateway.Ended);

        other.All();
        talk.Must(PfKeyType.PolicyFlush, None);
        Assert.Equal(PfKeyType.PolicyFlush, other.Next().Header.Type);
        Assert.Equal(["pfkey-ike", "policy-1"], talk.Policies);
        Assert.Single(talk.Gateway.Send(PlainFrames.Udp(Address.Parse("10.1.0.6"), Address.Parse(RightHost), 20)));
    }

    [Theory]
    [InlineData("no policy", PfKeyError.Invalid)]
    [InlineData("no direction", PfKeyError.Invalid)]
    [InlineData("of sockets", PfKeyError.Invalid)]
    [InlineData("nothing protects", PfKeyError.Invalid)]
    [InlineData("a tunnel without ends", PfKeyError.Invalid)]
    [InlineData("a bundle", PfKeyError.NotSupported)]
    [InlineData("IPComp", PfKeyError.NotSupported)]
    [InlineData("two protocols", PfKeyError.Invalid)]
    public void A_policy_that_makes_no_sense_is_refused(string what, PfKeyError error)
    {
        using PfKeyTalk talk = new(Left);
        PfKeyRequest request = new(50, PfKeyMode.Transport, PfKeyLevel.Require, 0, null);
        PolicyExtension? said = what switch
        {
            "no policy" => null,
            "no direction" => Policy(PfKeyDirection.Any, PfKeyPolicyType.None),
            "of sockets" => Policy(PfKeyDirection.Out, PfKeyPolicyType.Bypass),
            "nothing protects" => Policy(PfKeyDirection.Out, PfKeyPolicyType.Ipsec),
            "a tunnel without ends" => Policy(PfKeyDirection.Out, PfKeyPolicyType.Ipsec, 0, request with { Mode = PfKeyMode.Tunnel }),
            "a bundle" => Policy(PfKeyDirection.Out, PfKeyPolicyType.Ipsec, 0, request, request with { Protocol = 51 }),
            "IPComp" => Policy(PfKeyDirection.Out, PfKeyPolicyType.Ipsec, 0, request with { Protocol = 108 }),
            _ => Policy(PfKeyDirection.Out, PfKeyPolicyType.None),
        };
        PfKeyExtension[] selectors = [From(LeftHost, 6), To(RightHost, what == "two protocols" ? (byte)17 : (byte)6)];
        Assert.Equal(error, talk.Fails(PfKeyType.PolicyAdd, None, said is null ? selectors : [.. selectors, said]));
        Assert.Equal(["pfkey-ike", "policy-1"], talk.Policies);
    }

    [Fact]
    public void Selectors_have_protocols_ports_and_types_each_way()
    {
        using PfKeyTalk talk = new(Left);
        talk.Must(PfKeyType.PolicyAdd, None, From(LeftHost, 17, 4000), To(RightHost, 17, 53), Policy(PfKeyDirection.Out, PfKeyPolicyType.Discard));
        talk.Must(PfKeyType.PolicyAdd, None, From(RightHost, 17, 4000), To(LeftHost, 17, 53), Policy(PfKeyDirection.In, PfKeyPolicyType.Discard));
        talk.Must(PfKeyType.PolicyAdd, None, From(LeftHost, 1, 8), To(RightHost, 1), Policy(PfKeyDirection.Out, PfKeyPolicyType.None));

        Assert.Empty(talk.Gateway.Send(PfKeySaTests.Ping()));               // 4000 > 53
        Assert.Empty(talk.Gateway.Receive(PlainFrames.Udp(Address.Parse(RightHost), Address.Parse(LeftHost), 20)));
        Assert.Single(talk.Gateway.Send(PlainFrames.Tcp(Address.Parse(LeftHost), Address.Parse(RightHost), 1, TcpFlags.Syn)));
        IpsecPolicy icmp = talk.Stage.Databases.Spd!.Entry("pfkey-3")!.Policy;
        Assert.Equal("icmpv4/8", icmp.Service!.ToString());
    }

    [Fact]
    public void An_SA_serves_the_policy_of_its_request_whichever_comes_first()
    {
        using PfKeyTalk talk = new(Left);
        talk.Must(PfKeyType.Add, PfKeySaType.Esp, Sa(0x1000), From(Left), To(Right), Encrypts(), Authenticates(), Tunnel(request: 7));
        PfKeySaTests.Protect(talk, Left, Right, "10.1.0.0/24", "10.2.0.0/24", request: 7);
        PfKeySaTests.Protect(talk, Left, Right, "10.3.0.0/24", "10.4.0.0/24", request: 8);
        talk.Must(PfKeyType.Add, PfKeySaType.Esp, Sa(0x1001), From(Left), To(Right), Encrypts(), Authenticates(), Tunnel(request: 8));
        talk.Must(PfKeyType.Add, PfKeySaType.Esp, Sa(0x1002), From(Right), To(Left), Encrypts(), Authenticates(), Tunnel(request: 8));

        string[] Of(uint spi) => [.. talk.Stage.Sad.All.Single(sa => sa.Spi == spi).Policies.Select(static entry => entry.Name)];
        Assert.Equal(["pfkey-1"], Of(0x1000));
        Assert.Equal(["pfkey-4"], Of(0x1001));
        Assert.Equal(["pfkey-5", "pfkey-6"], Of(0x1002));

        // SAs outlive policies and rulesets: they wait for the next one.
        talk.Must(PfKeyType.PolicyFlush, None);
        Assert.Empty(Of(0x1000));
        PfKeySaTests.Protect(talk, Left, Right, "10.1.0.0/24", "10.2.0.0/24", request: 7);
        talk.Reload(Gateway.Config([Gateway.Policy(1, IpsecAction.Drop), Gateway.Policy(2, IpsecAction.Bypass)]));
        Assert.Equal(["pfkey-7"], Of(0x1000));
        Assert.Equal(50, Assert.Single(talk.Gateway.Send(PfKeySaTests.Ping()))[23]);
    }

    [Fact]
    public void A_policy_of_the_ruleset_that_waits_for_a_key_manager_gets_the_SAs_that_fit_it()
    {
        IpsecPolicy waiting = Gateway.Policy(1, IpsecAction.Protect, local: Left, remote: Right);
        using PfKeyTalk talk = new(Left, config: Gateway.Config([waiting, Gateway.Policy(2, IpsecAction.Bypass)]));
        talk.Must(PfKeyType.Add, PfKeySaType.Esp, Sa(0x1000), From(Left), To(Right), Encrypts(), Authenticates());
        talk.Must(PfKeyType.Add, PfKeySaType.Esp, Sa(0x1001), From(Left), To("198.51.100.9"), Encrypts(), Authenticates());

        Assert.Equal("policy-1", talk.Stage.Sad.All.Single(static sa => sa.Spi == 0x1000).Policies.Single().Name);
        Assert.Empty(talk.Stage.Sad.All.Single(static sa => sa.Spi == 0x1001).Policies);
        Assert.Equal(50, Assert.Single(talk.Gateway.Send(PlainFrames.Udp(Address.Parse(Left), Address.Parse(Right), 20)))[23]);
    }

    [Fact]
    public void A_policy_ends_when_its_time_is_over()
    {
        using PfKeyTalk talk = new(Left);
        talk.Must(PfKeyType.PolicyAdd, None, From(LeftHost), To(RightHost), Policy(PfKeyDirection.Out, PfKeyPolicyType.Discard), Hard(seconds: 60));
        talk.Pass(59);
        Assert.Null(talk.Manager.TryNext());
        talk.Pass(1);
        Assert.Equal(PfKeyType.PolicyExpire, talk.Manager.Next().Header.Type);
        Assert.Equal(["pfkey-ike", "policy-1"], talk.Policies);
    }

    [Fact]
    public void What_key_managers_say_to_each_other_is_never_protected()
    {
        using PfKeyTalk talk = new(Left);
        talk.Must(PfKeyType.PolicyAdd, None, From(Left), To(Right), Policy(PfKeyDirection.Out, PfKeyPolicyType.Ipsec, 0, new PfKeyRequest(50, PfKeyMode.Transport, PfKeyLevel.Require, 0, null)));

        Assert.Equal(17, Assert.Single(talk.Gateway.Send(Ike(Left, Right)))[23]);
        Assert.Single(talk.Gateway.Receive(Ike(Right, Left)));
        Assert.Empty(talk.Gateway.Send(PlainFrames.Udp(Address.Parse(Left), Address.Parse(Right), 20)));
        Assert.Equal([DropReason.NoSa], talk.Gateway.Ended);
    }

    [Fact]
    public void A_migration_leads_a_tunnel_and_its_SAs_elsewhere_and_numbers_go_on()
    {
        const string Elsewhere = "203.0.113.7";
        using PfKeyTalk talk = new(Left);
        talk.Must(PfKeyType.Add, PfKeySaType.Esp, Sa(0x1000), From(Left), To(Right), Encrypts(), Authenticates(), Tunnel());
        talk.Must(PfKeyType.Add, PfKeySaType.Esp, Sa(0x1001), From(Right), To(Left), Encrypts(), Authenticates(), Tunnel());
        PfKeySaTests.Protect(talk, Left, Right, "10.1.0.0/24", "10.2.0.0/24");
        talk.Gateway.Send(PfKeySaTests.Ping());

        PolicyExtension Moved(PfKeyDirection direction, (string From, string To) old, (string From, string To) fresh) =>
            Policy(direction, PfKeyPolicyType.Ipsec, 0, TunnelBetween(old.From, old.To), TunnelBetween(fresh.From, fresh.To));
        talk.Must(PfKeyType.Migrate, None, From("10.1.0.0/24"), To("10.2.0.0/24"), Moved(PfKeyDirection.Out, (Left, Right), (Left, Elsewhere)));
        talk.Must(PfKeyType.Migrate, None, From("10.2.0.0/24"), To("10.1.0.0/24"), Moved(PfKeyDirection.In, (Right, Left), (Elsewhere, Left)));

        OutboundSa sealing = talk.Stage.Sad.All.OfType<OutboundSa>().Single();
        Assert.Equal((Address.Parse(Elsewhere), 1UL), (sealing.Remote, sealing.Counter));
        byte[] frame = Assert.Single(talk.Gateway.Send(PfKeySaTests.Ping()));
        Assert.Equal(Address.Parse(Elsewhere).IPv4, System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(frame.AsSpan(30)));
        Assert.Equal(2UL, sealing.Counter);
        Assert.Equal(Address.Parse(Elsewhere), talk.Stage.Sad.All.OfType<InboundSa>().Single().Remote);
        talk.Must(PfKeyType.Get, PfKeySaType.Esp, Sa(0x1000), From(Left), To(Elsewhere));
        Assert.Equal(PfKeyError.NoSuch, talk.Fails(PfKeyType.Get, PfKeySaType.Esp, Sa(0x1000), From(Left), To(Right)));

        Assert.Equal(PfKeyError.NoEntry, talk.Fails(PfKeyType.Migrate, None, From("10.9.0.0/24"), To("10.2.0.0/24"), Moved(PfKeyDirection.Out, (Left, Right), (Left, Elsewhere))));
        Assert.Equal(PfKeyError.Invalid, talk.Fails(PfKeyType.Migrate, None, From("10.1.0.0/24"), To("10.2.0.0/24"), Through(PfKeyDirection.Out, Left, Right)));
    }

    private static byte[] Ike(string from, string to)
    {
        byte[] frame = PlainFrames.Udp(Address.Parse(from), Address.Parse(to), 20);
        (frame[34], frame[35], frame[36], frame[37]) = (500 >> 8, 500 & 0xff, 500 >> 8, 500 & 0xff);
        (frame[40], frame[41]) = (0, 0);        // no checksum
        return frame;
    }
}
