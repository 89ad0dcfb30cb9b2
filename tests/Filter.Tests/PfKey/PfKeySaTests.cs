using Filter.Engine.Packets;
using Filter.Ipsec.Databases;
using Filter.Ipsec.PfKey.Messages;
using Filter.Rules.Policy;
using Filter.Tests.Ipsec;
using static Filter.Tests.PfKey.Spelling;

namespace Filter.Tests.PfKey;

/// <summary>SAs by PF_KEY: they come, change, are looked at, and go (RFC 2367 §3.1).</summary>
public sealed class PfKeySaTests
{
    private const PfKeySaType Esp = PfKeySaType.Esp;

    [Fact]
    public void Two_key_managers_bring_up_a_tunnel_and_packets_cross_it()
    {
        using PfKeyTalk left = new(Left), right = new(Right);

        // Each gives the SPI that it receives by, as IKE has it.
        uint toRight = right.Must(PfKeyType.GetSpi, Esp, From(Left), To(Right), new SpiRangeExtension(0x100, 0xffff)).Find<SaExtension>(PfKeyExtensionType.Sa)!.Spi;
        Assert.InRange(toRight, 0x100U, 0xffffU);
        right.Must(PfKeyType.Update, Esp, Sa(toRight), From(Left), To(Right), Encrypts(), Authenticates(), Tunnel());
        left.Must(PfKeyType.Add, Esp, Sa(toRight), From(Left), To(Right), Encrypts(), Authenticates(), Tunnel());
        uint toLeft = left.Must(PfKeyType.GetSpi, Esp, From(Right), To(Left)).Find<SaExtension>(PfKeyExtensionType.Sa)!.Spi;
        left.Must(PfKeyType.Update, Esp, Sa(toLeft), From(Right), To(Left), Encrypts(), Authenticates(), Tunnel());
        right.Must(PfKeyType.Add, Esp, Sa(toLeft), From(Right), To(Left), Encrypts(), Authenticates(), Tunnel());
        Assert.DoesNotContain(left.Gateway.Send(Ping()), static frame => frame[23] == 50);        // no policy protects yet

        Protect(left, Left, Right, "10.1.0.0/24", "10.2.0.0/24");
        Protect(right, Right, Left, "10.2.0.0/24", "10.1.0.0/24");

        byte[] sealedFrame = Assert.Single(left.Gateway.Send(Ping()));
        Assert.Equal(50, sealedFrame[23]);
        Assert.Single(right.Gateway.Receive(sealedFrame));
        Assert.Single(left.Gateway.Receive(right.Gateway.Send(PlainFrames.Udp(Address.Parse(RightHost), Address.Parse(LeftHost), 20))));
        LifetimeExtension carried = left.Must(PfKeyType.Get, Esp, Sa(toRight), From(Left), To(Right)).Find<LifetimeExtension>(PfKeyExtensionType.LifetimeCurrent)!;
        Assert.Equal((1U, 48UL), (carried.Allocations, carried.Bytes));
        Assert.NotEqual(0UL, carried.Used);
    }

    [Fact]
    public void Every_answer_goes_to_all_and_keys_to_nobody_but_who_asks_for_them()
    {
        using PfKeyTalk talk = new(Left);
        PfKeyTalk.Hearer other = talk.Join();
        PfKeyMessage added = talk.Must(PfKeyType.Add, Esp, Sa(0x1000), From(Left), To(Right), Encrypts(), Authenticates(), Tunnel(), Identity(PfKeyExtensionType.IdentitySource, "a.example"));
        PfKeyMessage heard = other.Next();
        Assert.Equal(added.Header, heard.Header);
        Assert.False(heard.Has(PfKeyExtensionType.KeyEncryption) || heard.Has(PfKeyExtensionType.KeyAuthentication));
        Assert.Equal("a.example", System.Text.Encoding.ASCII.GetString([.. heard.Find<IdentityExtension>(PfKeyExtensionType.IdentitySource)!.Name]).TrimEnd('\0'));

        PfKeyMessage got = talk.Must(PfKeyType.Get, Esp, Sa(0x1000), From(Left), To(Right));
        Assert.Equal(Encrypts().Key, got.Find<KeyExtension>(PfKeyExtensionType.KeyEncryption)!.Key);
        Assert.Equal(Authenticates().Key, got.Find<KeyExtension>(PfKeyExtensionType.KeyAuthentication)!.Key);
        Assert.Equal(PfKeySaState.Mature, got.Find<SaExtension>(PfKeyExtensionType.Sa)!.State);
        Assert.Null(other.TryNext());

        talk.Must(PfKeyType.Delete, Esp, Sa(0x1000), From(Left), To(Right));
        Assert.Equal(PfKeyType.Delete, other.Next().Header.Type);
        Assert.Equal(0, talk.Stage.Sad.Count);
    }

    [Fact]
    public void An_error_goes_to_who_made_it_alone()
    {
        using PfKeyTalk talk = new(Left);
        PfKeyTalk.Hearer other = talk.Join();

        Assert.Equal(PfKeyError.NoSuch, talk.Fails(PfKeyType.Get, Esp, Sa(0x1000), From(Left), To(Right)));
        Assert.Equal(PfKeyError.NoSuch, talk.Fails(PfKeyType.Delete, Esp, Sa(0x1000), From(Left), To(Right)));
        Assert.Equal(PfKeyError.NoSuch, talk.Fails(PfKeyType.Update, Esp, Sa(0x1000), From(Left), To(Right), Encrypts(), Authenticates()));
        Assert.Null(other.TryNext());
    }

    [Theory]
    [InlineData("no ends", PfKeyError.Invalid)]
    [InlineData("two families", PfKeyError.Invalid)]
    [InlineData("larval", PfKeyError.Invalid)]
    [InlineData("reserved SPI", PfKeyError.Invalid)]
    [InlineData("a short key", PfKeyError.Invalid)]
    [InlineData("no integrity", PfKeyError.Invalid)]
    [InlineData("a legacy cipher", PfKeyError.NoAlgorithm)]
    [InlineData("an unknown cipher", PfKeyError.NoAlgorithm)]
    [InlineData("another's ends", PfKeyError.NotOurs)]
    [InlineData("a mode that is none", PfKeyError.Invalid)]
    [InlineData("UDP without ports", PfKeyError.Invalid)]
    [InlineData("IPComp", PfKeyError.NotSupported)]
    [InlineData("no protocol", PfKeyError.Invalid)]
    public void An_SA_that_makes_no_sense_is_refused(string what, PfKeyError error)
    {
        using PfKeyTalk talk = new(Left);
        PfKeyExtension[] keys = [Encrypts(), Authenticates()];
        Assert.Equal(error, what switch
        {
            "no ends" => talk.Fails(PfKeyType.Add, Esp, [Sa(0x1000), .. keys]),
            "two families" => talk.Fails(PfKeyType.Add, Esp, [Sa(0x1000), From(Left), To("2001:db8::1"), .. keys]),
            "larval" => talk.Fails(PfKeyType.Add, Esp, [Sa(0x1000, state: PfKeySaState.Larval), From(Left), To(Right), .. keys]),
            "reserved SPI" => talk.Fails(PfKeyType.Add, Esp, [Sa(255), From(Left), To(Right), .. keys]),
            "a short key" => talk.Fails(PfKeyType.Add, Esp, Sa(0x1000), From(Left), To(Right), Encrypts(15), Authenticates()),
            "no integrity" => talk.Fails(PfKeyType.Add, Esp, Sa(0x1000, authentication: 0), From(Left), To(Right), Encrypts()),
            "a legacy cipher" => talk.Fails(PfKeyType.Add, Esp, Sa(0x1000, 3), From(Left), To(Right), Encrypts(24), Authenticates()),
            "an unknown cipher" => talk.Fails(PfKeyType.Add, Esp, Sa(0x1000, 99), From(Left), To(Right), Encrypts(24), Authenticates()),
            "another's ends" => talk.Fails(PfKeyType.Add, Esp, [Sa(0x1000), From("203.0.113.1"), To("203.0.113.2"), .. keys]),
            "a mode that is none" => talk.Fails(PfKeyType.Add, Esp, [Sa(0x1000), From(Left), To(Right), new Sa2Extension(PfKeyMode.Beet, 0, 0), .. keys]),
            "UDP without ports" => talk.Fails(PfKeyType.Add, Esp, [Sa(0x1000), From(Left), To(Right), new NatTypeExtension(2), .. keys]),
            "IPComp" => talk.Fails(PfKeyType.GetSpi, PfKeySaType.IpComp, From(Left), To(Right)),
            _ => talk.Fails(PfKeyType.GetSpi, PfKeySaType.Unspecified, From(Left), To(Right)),
        });
        Assert.Equal(0, talk.Stage.Sad.Count);
    }

    [Fact]
    public void One_SPI_is_given_once_and_one_SA_is_added_once()
    {
        using PfKeyTalk talk = new(Left);
        SpiRangeExtension few = new(0x1000, 0x1001);
        uint[] given = [.. Enumerable.Range(0, 2).Select(_ => talk.Must(PfKeyType.GetSpi, Esp, From(Right), To(Left), few).Find<SaExtension>(PfKeyExtensionType.Sa)!.Spi)];
        Assert.Equal([0x1000U, 0x1001U], given.Order());
        Assert.Equal(PfKeyError.NoEntry, talk.Fails(PfKeyType.GetSpi, Esp, From(Right), To(Left), few));
        Assert.Equal(PfKeyError.Exists, talk.Fails(PfKeyType.Add, Esp, Sa(0x1000), From(Right), To(Left), Encrypts(), Authenticates()));
        Assert.Equal(PfKeyError.Invalid, talk.Fails(PfKeyType.GetSpi, Esp, From(Right), To(Left), new SpiRangeExtension(0, 255)));

        talk.Must(PfKeyType.Add, Esp, Sa(0x2000), From(Left), To(Right), Encrypts(), Authenticates());
        Assert.Equal(PfKeyError.Exists, talk.Fails(PfKeyType.Add, Esp, Sa(0x2000), From(Left), To(Right), Encrypts(), Authenticates()));
        talk.Must(PfKeyType.Add, PfKeySaType.Ah, Sa(0x2000, encryption: 0), From(Left), To(Right), Authenticates());     // another protocol's SPIs are others
    }

    [Fact]
    public void A_larval_SA_is_gone_after_its_time_and_everybody_hears_of_it()
    {
        using PfKeyTalk talk = new(Left);
        SaExtension larval = talk.Must(PfKeyType.GetSpi, Esp, From(Right), To(Left)).Find<SaExtension>(PfKeyExtensionType.Sa)!;
        Assert.Equal(PfKeySaState.Larval, larval.State);
        Assert.Equal(PfKeySaState.Larval, talk.Must(PfKeyType.Get, Esp, larval, From(Right), To(Left)).Find<SaExtension>(PfKeyExtensionType.Sa)!.State);

        talk.Pass(164);
        Assert.Null(talk.Manager.TryNext());
        talk.Pass(2);
        PfKeyMessage expired = talk.Manager.Next();
        Assert.Equal((PfKeyType.Expire, larval.Spi), (expired.Header.Type, expired.Find<SaExtension>(PfKeyExtensionType.Sa)!.Spi));
        Assert.Equal(PfKeyError.NoSuch, talk.Fails(PfKeyType.Update, Esp, larval with { State = PfKeySaState.Mature }, From(Right), To(Left), Encrypts(), Authenticates()));
    }

    [Fact]
    public void A_dump_counts_down_to_zero_and_others_SAs_are_in_it_without_keys()
    {
        SaConfig manual = Gateway.Sa(IpsecMode.Tunnel, Left, Right);
        using PfKeyTalk talk = new(Left, config: Gateway.Config([Gateway.Policy(1, IpsecAction.Protect, manual)], manual));
        talk.Must(PfKeyType.Add, Esp, Sa(0x1000), From(Left), To(Right), Encrypts(), Authenticates(), Tunnel());
        talk.Must(PfKeyType.Add, PfKeySaType.Ah, Sa(0x1000, encryption: 0), From(Left), To(Right), Authenticates(), Tunnel());

        PfKeyMessage first = talk.Must(PfKeyType.Dump, Esp);
        List<PfKeyMessage> all = [first, .. talk.Manager.All()];
        Assert.Equal([2U, 1U, 0U], all.Select(static m => m.Header.Sequence));
        Assert.Equal([0x1000U, 0x1001U, 0x1002U], all.Select(static m => m.Find<SaExtension>(PfKeyExtensionType.Sa)!.Spi).Order());
        Assert.Equal(1, all.Count(static m => m.Has(PfKeyExtensionType.KeyEncryption)));
        talk.Must(PfKeyType.Dump, PfKeySaType.Unspecified);
        Assert.Equal(3, talk.Manager.All().Count);

        // What the ruleset has brought is not for key managers to change.
        Assert.Equal(PfKeyError.NotPermitted, talk.Fails(PfKeyType.Delete, Esp, Sa(manual.Out.Spi), From(Left), To(Right)));
        Assert.Equal(PfKeyError.NotPermitted, talk.Fails(PfKeyType.Update, Esp, Sa(manual.Out.Spi), From(Left), To(Right)));
        talk.Must(PfKeyType.Flush, Esp);
        Assert.Equal(3, talk.Stage.Sad.Count);
        talk.Must(PfKeyType.Flush, PfKeySaType.Unspecified);
        Assert.Equal(2, talk.Stage.Sad.Count);
        Assert.Equal(PfKeyError.NoEntry, talk.Fails(PfKeyType.Dump, PfKeySaType.Ah));
    }

    [Fact]
    public void A_mature_SA_gets_other_limits_and_keeps_its_keys()
    {
        using PfKeyTalk talk = new(Left);
        talk.Must(PfKeyType.Add, Esp, Sa(0x1000), From(Left), To(Right), Encrypts(), Authenticates(), Hard(packets: 5));
        talk.Must(PfKeyType.Update, Esp, Sa(0x1000), From(Left), To(Right), Encrypts(16, 99), Authenticates(20, 99), Hard(packets: 9, seconds: 60), Soft(packets: 7));

        SecurityAssociation sa = talk.Stage.Sad.All.Single();
        Assert.Equal((new SaLifetime(0, 9, 60_000_000_000), new SaLifetime(0, 7, 0)), (sa.Settings.Hard, sa.Settings.Soft));
        Assert.Equal(Encrypts().Key, talk.Must(PfKeyType.Get, Esp, Sa(0x1000), From(Left), To(Right)).Find<KeyExtension>(PfKeyExtensionType.KeyEncryption)!.Key);
    }

    [Theory]
    [InlineData(12, 16, 5, 32, "aes-cbc-128+hmac-sha2-256-128")]
    [InlineData(12, 32, 7, 64, "aes-cbc-256+hmac-sha2-512-256")]
    [InlineData(13, 20, 3, 20, "aes-ctr-128+hmac-sha1-96")]
    [InlineData(16, 35, 0, 0, "aes-ccm-16-256")]
    [InlineData(20, 36, 0, 0, "aes-gcm-16-256")]
    [InlineData(18, 20, 0, 0, "aes-gcm-8-128")]
    [InlineData(22, 24, 6, 48, "camellia-cbc-192+hmac-sha2-384-192")]
    [InlineData(23, 20, 0, 0, "aes-gmac-128")]
    [InlineData(11, 0, 9, 16, "null+aes-xcbc-96")]
    [InlineData(3, 24, 2, 16, "3des-cbc+hmac-md5-96")]
    [InlineData(6, 16, 8, 20, "cast-cbc-128+hmac-ripemd160-96")]
    [InlineData(7, 56, 3, 20, "blowfish-cbc-448+hmac-sha1-96")]
    public void Algorithms_have_the_numbers_of_RFC_2367_and_Linux(byte encryption, int encryptionBytes, byte authentication, int authenticationBytes, string suite)
    {
        using PfKeyTalk talk = new(Left, legacy: true);
        PfKeyExtension[] keys = [.. encryptionBytes > 0 ? [Encrypts(encryptionBytes)] : Array.Empty<PfKeyExtension>(), .. authenticationBytes > 0 ? [Authenticates(authenticationBytes)] : Array.Empty<PfKeyExtension>()];
        talk.Must(PfKeyType.Add, Esp, [Sa(0x1000, encryption, authentication), From(Left), To(Right), .. keys]);
        Assert.Equal(suite, talk.Stage.Sad.All.Single().Suite.Name);
    }

    [Fact]
    public void Which_way_an_SA_carries_is_told_by_its_ends_its_larva_or_a_policy()
    {
        using PfKeyTalk talk = new(Left);
        talk.Must(PfKeyType.Add, Esp, Sa(0x1000), From(Left), To(Right), Encrypts(), Authenticates());
        talk.Must(PfKeyType.Add, Esp, Sa(0x1001), From(Right), To(Left), Encrypts(), Authenticates());
        Assert.IsType<OutboundSa>(talk.Stage.Sad.All.First(static sa => sa.Spi == 0x1000));
        Assert.IsType<InboundSa>(talk.Stage.Sad.All.First(static sa => sa.Spi == 0x1001));

        SaExtension larval = talk.Must(PfKeyType.GetSpi, Esp, From("203.0.113.1"), To("203.0.113.2")).Find<SaExtension>(PfKeyExtensionType.Sa)!;
        talk.Must(PfKeyType.Update, Esp, Sa(larval.Spi), From("203.0.113.1"), To("203.0.113.2"), Encrypts(), Authenticates());
        Assert.IsType<InboundSa>(talk.Stage.Sad.All.First(sa => sa.Spi == larval.Spi));

        // Of hosts that a bridge speaks for.
        talk.Must(PfKeyType.PolicyAdd, PfKeySaType.Unspecified, From("203.0.113.1"), To("203.0.113.2"), Policy(PfKeyDirection.Out, PfKeyPolicyType.Ipsec, 0, new PfKeyRequest(50, PfKeyMode.Transport, PfKeyLevel.Require, 0, null)));
        talk.Must(PfKeyType.Add, Esp, Sa(0x1002), From("203.0.113.1"), To("203.0.113.2"), Encrypts(), Authenticates());
        Assert.Equal("pfkey-1", Assert.IsType<OutboundSa>(talk.Stage.Sad.All.First(static sa => sa.Spi == 0x1002)).Policies.Single().Name);
    }

    [Fact]
    public void ESP_in_UDP_has_the_ports_of_both_ends()
    {
        using PfKeyTalk talk = new(Left);
        talk.Must(
            PfKeyType.Add, Esp, Sa(0x1000), From(Left), To(Right), Encrypts(), Authenticates(), Tunnel(), new NatTypeExtension(2),
            new NatPortExtension(PfKeyExtensionType.NatSourcePort, 4500), new NatPortExtension(PfKeyExtensionType.NatDestinationPort, 61234));
        Assert.Equal(new UdpEncapsulation(4500, 61234, 0), talk.Stage.Sad.All.Single().Settings.Encapsulation);
    }

    [Fact]
    public void What_seals_counts_over_at_no_window()
    {
        using PfKeyTalk talk = new(Left);
        talk.Must(PfKeyType.Add, Esp, Sa(0x1000, 20, 0, replay: 0), From(Left), To(Right), Encrypts(20));
        talk.Must(PfKeyType.Add, Esp, Sa(0x1001, 20, 0, replay: 0), From(Right), To(Left), Encrypts(20));
        Assert.NotEqual(0, talk.Stage.Sad.All.OfType<OutboundSa>().Single().Settings.ReplayWindow);
        Assert.Equal(0, talk.Stage.Sad.All.OfType<InboundSa>().Single().Settings.ReplayWindow);
    }

    /// <summary>Policies of both directions, as IKE daemons set them.</summary>
    internal static void Protect(PfKeyTalk talk, string near, string far, string local, string remote, uint request = 0)
    {
        talk.Must(PfKeyType.PolicyAdd, PfKeySaType.Unspecified, From(local), To(remote), Through(PfKeyDirection.Out, near, far, request));
        talk.Must(PfKeyType.PolicyAdd, PfKeySaType.Unspecified, From(remote), To(local), Through(PfKeyDirection.In, far, near, request));
        talk.Must(PfKeyType.PolicyAdd, PfKeySaType.Unspecified, From(remote), To(local), Through(PfKeyDirection.Forward, far, near, request));
    }

    internal static byte[] Ping() => PlainFrames.Udp(Address.Parse(LeftHost), Address.Parse(RightHost), 20);
}
