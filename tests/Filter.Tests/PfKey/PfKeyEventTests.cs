using Filter.Engine.Packets;
using Filter.Ipsec.PfKey.Messages;
using Filter.Rules.Policy;
using Filter.Tests.Ipsec;
using static Filter.Tests.PfKey.Spelling;

namespace Filter.Tests.PfKey;

/// <summary>What key managers hear unasked: SAs are wanted, and limits are reached.</summary>
public sealed class PfKeyEventTests
{
    private const PfKeySaType Esp = PfKeySaType.Esp;

    [Fact]
    public void Who_registers_hears_what_there_is_and_legacy_algorithms_only_where_they_are_allowed()
    {
        using PfKeyTalk talk = new(Left), old = new(Left, legacy: true);
        PfKeyMessage registered = talk.Must(PfKeyType.Register, Esp);
        byte[] Ciphers(PfKeyMessage m) => [.. m.Find<SupportedExtension>(PfKeyExtensionType.SupportedEncryption)!.Algorithms.Select(static a => a.Id)];
        byte[] Macs(PfKeyMessage m) => [.. m.Find<SupportedExtension>(PfKeyExtensionType.SupportedAuthentication)!.Algorithms.Select(static a => a.Id)];

        Assert.Equal([11, 12, 13, 14, 15, 16, 18, 19, 20, 22, 23], Ciphers(registered));
        Assert.Equal([3, 5, 6, 7, 9], Macs(registered));
        Assert.Equal(new PfKeyAlgorithm(12, 16, 128, 256), registered.Find<SupportedExtension>(PfKeyExtensionType.SupportedEncryption)!.Algorithms.Single(static a => a.Id == 12));
        Assert.Equal(new PfKeyAlgorithm(20, 8, 160, 288), registered.Find<SupportedExtension>(PfKeyExtensionType.SupportedEncryption)!.Algorithms.Single(static a => a.Id == 20));

        PfKeyMessage all = old.Must(PfKeyType.Register, Esp);
        Assert.Equal([2, 3, 6, 7, .. Ciphers(registered)], Ciphers(all));
        Assert.Equal([2, 3, 5, 6, 7, 8, 9], Macs(all));
        Assert.False(talk.Must(PfKeyType.Register, PfKeySaType.Ah).Has(PfKeyExtensionType.SupportedEncryption));
        Assert.Equal(PfKeyError.Invalid, talk.Fails(PfKeyType.Register, PfKeySaType.Unspecified));
        Assert.Equal(PfKeyError.NotDone, talk.Fails(PfKeyType.Promiscuous, PfKeySaType.Unspecified));
    }

    [Fact]
    public void A_packet_without_an_SA_asks_those_who_registered_once_and_again_when_they_failed()
    {
        using PfKeyTalk talk = new(Left);
        PfKeyTalk.Hearer other = talk.Join(), ah = talk.Join();
        talk.Must(PfKeyType.Register, Esp);
        talk.Say(ah, PfKeyType.Register, PfKeySaType.Ah);
        PfKeySaTests.Protect(talk, Left, Right, "10.1.0.0/24", "10.2.0.0/24");
        _ = (other.All(), ah.All());

        for (int i = 0; i < 3; i++)
        {
            talk.Gateway.Send(PfKeySaTests.Ping());
            talk.Look();
        }

        PfKeyMessage wanted = Assert.Single(talk.Manager.All());
        Assert.Equal((PfKeyType.Acquire, Esp, 0U), (wanted.Header.Type, wanted.Header.SaType, wanted.Header.Process));
        Assert.Equal((Address.Parse(Left), Address.Parse(Right)), (wanted.Find<AddressExtension>(PfKeyExtensionType.AddressSource)!.Address, wanted.Find<AddressExtension>(PfKeyExtensionType.AddressDestination)!.Address));
        Assert.Equal(1U, wanted.Find<PolicyExtension>(PfKeyExtensionType.Policy)!.Id);
        Assert.Contains(wanted.Find<ProposalExtension>(PfKeyExtensionType.Proposal)!.Combinations, static c => (c.Encryption, c.EncryptionBits) == (20, (160, 288)));
        Assert.DoesNotContain(wanted.Find<ProposalExtension>(PfKeyExtensionType.Proposal)!.Combinations, static c => c.Encryption is 2 or 3);
        Assert.Null(other.TryNext());
        Assert.Null(ah.TryNext());

        talk.Tell(talk.Manager, wanted.Header with { Error = (PfKeyError)110 });          // ETIMEDOUT
        talk.Gateway.Send(PfKeySaTests.Ping());
        talk.Look();
        Assert.NotEqual(wanted.Header.Sequence, Assert.Single(talk.Manager.All()).Header.Sequence);
    }

    [Fact]
    public void An_SA_that_answers_a_wish_serves_the_policy_of_the_ruleset_that_had_it()
    {
        IpsecPolicy waiting = Gateway.Policy(1, IpsecAction.Protect, local: "10.1.0.0-10.1.0.255", remote: "10.2.0.0-10.2.0.255");
        using PfKeyTalk talk = new(Left, config: Gateway.Config([waiting, Gateway.Policy(2, IpsecAction.Bypass)]));
        talk.Must(PfKeyType.Register, Esp);
        talk.Gateway.Send(PfKeySaTests.Ping());
        talk.Look();
        PfKeyMessage wanted = Assert.Single(talk.Manager.All());
        Assert.Equal((LeftHost, RightHost), (wanted.Find<AddressExtension>(PfKeyExtensionType.AddressSource)!.Address.ToString(), wanted.Find<AddressExtension>(PfKeyExtensionType.AddressDestination)!.Address.ToString()));

        talk.Tell(talk.Manager, new PfKeyHeader(PfKeyType.Add, PfKeyError.None, Esp, wanted.Header.Sequence, 77), Sa(0x1000), From(Left), To(Right), Encrypts(), Authenticates(), Tunnel());
        Assert.Equal(PfKeyError.None, talk.Manager.Next().Header.Error);
        Assert.Equal(50, Assert.Single(talk.Gateway.Send(PfKeySaTests.Ping()))[23]);
    }

    [Fact]
    public void Whoever_wants_an_SA_may_ask_for_it_and_hears_that_nobody_would()
    {
        using PfKeyTalk talk = new(Left);
        PfKeyExtension[] wish = [From(Left), To(Right), Filter.Ipsec.PfKey.PfKeyAlgorithms.Proposal(Esp, legacy: false)];
        Assert.Equal(PfKeyError.NoSuch, talk.Fails(PfKeyType.Acquire, Esp, wish));
        PfKeyTalk.Hearer negotiator = talk.Join();
        talk.Say(negotiator, PfKeyType.Register, Esp);
        talk.Must(PfKeyType.Acquire, Esp, wish);
        Assert.Equal(PfKeyType.Acquire, negotiator.Next().Header.Type);
        Assert.Equal(PfKeyError.Invalid, talk.Fails(PfKeyType.Acquire, Esp, From(Left), To(Right)));
    }

    [Fact]
    public void An_SA_that_a_person_deletes_is_told_as_ended()
    {
        using PfKeyTalk talk = new(Left);
        talk.Must(PfKeyType.Add, Esp, Sa(0x1000), From(Left), To(Right), Encrypts(), Authenticates());
        Assert.True(talk.Stage.Remove(talk.Stage.Sad.All.Single()));
        talk.Pass(1);
        Assert.Equal(PfKeyType.Expire, talk.Manager.Next().Header.Type);
        Assert.Equal(PfKeyError.NoSuch, talk.Fails(PfKeyType.Delete, Esp, Sa(0x1000), From(Left), To(Right)));
    }

    [Fact]
    public void A_soft_limit_is_told_and_a_hard_one_ends_the_SA()
    {
        using PfKeyTalk talk = new(Left);
        PfKeyTalk.Hearer other = talk.Join();
        talk.Must(PfKeyType.Add, Esp, Sa(0x1000), From(Left), To(Right), Encrypts(), Authenticates(), Tunnel(), Soft(packets: 1), Hard(packets: 3));
        PfKeySaTests.Protect(talk, Left, Right, "10.1.0.0/24", "10.2.0.0/24");
        _ = (talk.Manager.All(), other.All());

        talk.Gateway.Send(PfKeySaTests.Ping());
        talk.Gateway.Send(PfKeySaTests.Ping());
        talk.Look();
        PfKeyMessage soft = Assert.Single(other.All());
        Assert.Equal((PfKeyType.Expire, PfKeySaState.Dying), (soft.Header.Type, soft.Find<SaExtension>(PfKeyExtensionType.Sa)!.State));
        Assert.True(soft.Has(PfKeyExtensionType.LifetimeSoft) && soft.Has(PfKeyExtensionType.LifetimeCurrent) && !soft.Has(PfKeyExtensionType.LifetimeHard));

        talk.Gateway.Send(PfKeySaTests.Ping());
        Assert.Empty(talk.Gateway.Send(PfKeySaTests.Ping()));
        talk.Look();
        PfKeyMessage hard = other.All()[^1];
        Assert.Equal((PfKeyType.Expire, PfKeySaState.Dead), (hard.Header.Type, hard.Find<SaExtension>(PfKeyExtensionType.Sa)!.State));
        Assert.True(hard.Has(PfKeyExtensionType.LifetimeHard));
        Assert.Equal(0, talk.Stage.Sad.Count);
    }
}
