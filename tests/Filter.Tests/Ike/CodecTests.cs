using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using Filter.Engine.Packets;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Ike.Crypto;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Tests.Ike;

/// <summary>What is written is read again: each payload, each suite, whole and in fragments.</summary>
public sealed class CodecTests
{
    [Fact]
    public void Every_payload_comes_out_as_it_went_in()
    {
        IkeMessage message = Everything();
        byte[] datagram = IkeCodec.Write(message);
        Assert.True(IkeCodec.TryRead(datagram, out IkeMessage? read, out IkeFault fault), fault.Text);
        Assert.Equal(message.Header with { FirstPayload = PayloadType.Sa }, read.Header);
        Assert.Equal(message.Payloads.Select(static p => p.Type), read.Payloads.Select(static p => p.Type));
        Assert.Equal(datagram, IkeCodec.Write(read));

        Assert.Equal("esp aes-gcm-16-256, hmac-sha2-256-128, x25519, no-esn", read.First<SaPayload>()!.Proposals[0].ToString());
        Assert.Equal(message.First<KeyExchangePayload>()!.Data.ToArray(), read.First<KeyExchangePayload>()!.Data.ToArray());
        Assert.Equal("gw.example.com", read.Identity(ofInitiator: true)!.Identity.Text);
        Assert.Equal("2001:db8::1", read.Identity(ofInitiator: false)!.Identity.Text);
        Assert.Equal(["192.0.2.0/24 protocol 6 port 443", "::/0", "198.51.100.1 port opaque"], read.Selectors(ofInitiator: true)!.Selectors.Select(static s => s.ToString()));
        Assert.True(read.Selectors(ofInitiator: true)!.Selectors[0].IsIPv4);
        Assert.False(read.Selectors(ofInitiator: true)!.Selectors[1].IsIPv4);
        Assert.Equal([0x1001u, 0x1002u], read.First<DeletePayload>()!.Spis);
        Assert.Equal(IkeProtocol.Esp, read.Notify(NotifyType.RekeySa)!.Protocol);
        Assert.Null(read.Error);
        Assert.Equal(ConfigurationAttribute.InternalIp4Address, read.First<ConfigurationPayload>()!.Attributes[0].Type);
        Assert.Equal(99, read.First<UnknownPayload>()!.Number);
    }

    public static TheoryData<string> Suites => [.. AllSuites().Select(static s => s.Name)];

    [Theory]
    [MemberData(nameof(Suites))]
    public void Both_libraries_open_what_either_has_sealed(string name)
    {
        IkeSuite suite = AllSuites().Single(s => s.Name == name);
        byte[] encryption = RandomNumberGenerator.GetBytes(suite.Protection.KeyMaterialLength), integrity = RandomNumberGenerator.GetBytes(suite.Protection.IntegrityKeyLength);
        using IkeCipher ours = new(suite, encryption, integrity), theirs = new(suite, encryption, integrity);
        using MessageSealer managed = new(native: false);
        IkeMessage message = Everything();
        byte[] datagram = Assert.Single(IkeCodec.Seal(message, ours, null));
        Assert.Equal(Opened(datagram, theirs), IkeCodec.Write(message));

        int ivAt = IkeHeader.Length + Payload.HeaderLength;
        byte[] byManaged = [.. datagram], byNative = [.. datagram];
        Assert.True(managed.TryOpen(theirs.Key, byManaged, ivAt));
        Assert.True(MessageSealer.Current.TryOpen(theirs.Key, byNative, ivAt));
        Assert.Equal(byNative, byManaged);
        managed.Seal(ours.Key, byManaged, ivAt);
        Assert.Equal(datagram, byManaged);

        byte[] forged = [.. datagram];
        forged[^1] ^= 1;
        Assert.False(managed.TryOpen(theirs.Key, [.. forged], ivAt));
        Assert.False(MessageSealer.Current.TryOpen(theirs.Key, [.. forged], ivAt));
        forged = [.. datagram];
        forged[20] ^= 1;
        Assert.False(managed.TryOpen(theirs.Key, forged, ivAt));
    }

    [Fact]
    public void No_IV_comes_twice()
    {
        using IkeCipher cipher = Cipher("aes-gcm-16-128", null);
        HashSet<string> ivs = [];
        for (int i = 0; i < 1000; i++)
        {
            byte[] datagram = IkeCodec.Seal(new IkeMessage(Header(), []), cipher, null)[0];
            Assert.True(ivs.Add(Convert.ToHexString(datagram.AsSpan(IkeHeader.Length + Payload.HeaderLength, 8))));
        }
    }

    [Theory]
    [InlineData("aes-gcm-16-256", null)]
    [InlineData("aes-cbc-256", "hmac-sha2-256-128")]
    [InlineData("3des-cbc", "hmac-md5-96")]
    public void What_is_too_long_goes_in_fragments_and_comes_together_in_any_order(string encryption, string? integrity)
    {
        using IkeCipher cipher = Cipher(encryption, integrity);
        IkeMessage message = Long();
        byte[] expected = IkeCodec.Write(message);
        Assert.Single(IkeCodec.Seal(message, cipher, expected.Length + 100));
        for (int size = 120; size < 1300; size += 97)
        {
            byte[][] fragments = [.. IkeCodec.Seal(message, cipher, size)];
            Assert.All(fragments, f => Assert.True(f.Length <= size));
            Assert.True(fragments.Length > 1);
            Random.Shared.Shuffle(fragments);
            FragmentCollector collector = new();
            for (int i = 0; i < fragments.Length; i++)
            {
                IkeHeader header = Head(fragments[i]);
                Assert.True(IkeCodec.TryOpen(fragments[i], header, cipher, collector, out IkeMessage? whole, out IkeFault fault), fault.Text);
                Assert.Equal(i == fragments.Length - 1, whole is not null);
                Assert.Equal(i < fragments.Length - 1, collector.IsWaiting);
                if (whole is not null)
                {
                    Assert.Equal(expected, IkeCodec.Write(whole));
                }
                else
                {
                    // Once more: a retransmission changes nothing.
                    Assert.True(IkeCodec.TryOpen(fragments[i], header, cipher, collector, out whole, out _));
                    Assert.Null(whole);
                }
            }
        }
    }

    [Fact]
    public void Headers_say_which_way_a_message_goes()
    {
        foreach ((bool response, bool initiator) in ((bool, bool)[])[(false, true), (true, false), (false, false), (true, true)])
        {
            IkeHeader header = new(1, 2, ExchangeType.Informational, response, initiator, 0xfffffffe);
            Assert.Equal(header, Head(IkeCodec.Write(new IkeMessage(header, []))));
        }
    }

    /// <summary>What a terminal would take for a command, or a reader for the end.</summary>
    [Fact]
    public void Names_of_strangers_are_shown_without_their_tricks()
    {
        IkeMessage message = new(Header(), [new IdPayload(true, new(IkeIdentityKind.DomainName, [.. "gw\u001b[2J\0.example"u8], ""))]);
        Assert.True(IkeCodec.TryRead(IkeCodec.Write(message), out IkeMessage? read, out _));
        Assert.Equal("gw?[2J?.example", read.First<IdPayload>()!.Identity.Text);
        Assert.Equal(message.First<IdPayload>()!.Identity, read.First<IdPayload>()!.Identity);
    }

    internal static IkeHeader Header() => new(0x1111222233334444, 0x5555666677778888, ExchangeType.IkeAuth, false, true, 1);

    internal static IkeHeader Head(byte[] datagram)
    {
        Assert.True(IkeHeader.TryRead(datagram, out IkeHeader header, out string? why), why);
        return header;
    }

    internal static IkeCipher Cipher(string encryption, string? integrity)
    {
        IkeSuite suite = KeyDerivationTests.Suite(encryption, integrity, "prf-hmac-sha2-256");
        return new IkeCipher(suite, RandomNumberGenerator.GetBytes(suite.Protection.KeyMaterialLength), RandomNumberGenerator.GetBytes(suite.Protection.IntegrityKeyLength));
    }

    internal static IkeMessage Long() => new(Header(), [.. Everything().Payloads, new CertificatePayload(CertificateEncoding.X509Signature, RandomNumberGenerator.GetBytes(3000))]);

    /// <summary>One of each payload.</summary>
    internal static IkeMessage Everything()
    {
        ImmutableArray<Transform> transforms = [.. ((string[])["aes-gcm-16-256", "hmac-sha2-256-128", "x25519"]).Select(static n => Transform.Of(IkeTransforms.TryFind(n, out IkeTransform? t) ? t : throw new ArgumentException(n))), Transform.Of(IkeTransforms.ShortSequence)];
        TrafficSelector web = new(6, new PortRange(443, 443), new AddressRange(Address.Parse("192.0.2.0"), Address.Parse("192.0.2.255")));
        TrafficSelector all = new(0, TrafficSelector.AnyPort, new AddressRange(default, new Address(ulong.MaxValue, ulong.MaxValue)));
        TrafficSelector opaque = new(0, TrafficSelector.OpaquePort, new AddressRange(Address.Parse("198.51.100.1"), Address.Parse("198.51.100.1")));
        return new IkeMessage(Header(),
        [
            new SaPayload([new Proposal(1, IkeProtocol.Esp, new byte[] { 0, 0, 0x10, 1 }, transforms), new Proposal(2, IkeProtocol.Ah, new byte[] { 0, 0, 0x10, 1 }, [new Transform(IkeTransformType.Integrity, 99, 77)])]),
            new KeyExchangePayload(31, RandomNumberGenerator.GetBytes(32)), new NoncePayload(RandomNumberGenerator.GetBytes(32)),
            new IdPayload(true, new(IkeIdentityKind.DomainName, [.. Encoding.ASCII.GetBytes("gw.example.com")], "gw.example.com")),
            new IdPayload(false, new(IkeIdentityKind.IPv6Address, [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "2001:db8::1")),
            new CertificatePayload(CertificateEncoding.RawPublicKey, new byte[] { 1, 2, 3 }), new CertificateRequestPayload(CertificateEncoding.X509Signature, new byte[40]),
            new AuthenticationPayload(AuthenticationMethod.SharedKey, RandomNumberGenerator.GetBytes(32)),
            new NotifyPayload(NotifyType.InitialContact), new NotifyPayload(NotifyType.RekeySa, default, IkeProtocol.Esp, new byte[] { 1, 2, 3, 4 }),
            new DeletePayload(IkeProtocol.Esp, [0x1001, 0x1002]), new VendorIdPayload("Filter"u8.ToArray()),
            new TrafficSelectorPayload(true, [web, all, opaque]), new TrafficSelectorPayload(false, [all]),
            new ConfigurationPayload(ConfigurationKind.Request, [new(ConfigurationAttribute.InternalIp4Address, default), new(ConfigurationAttribute.InternalIp6Address, new byte[17])]),
            new EapPayload(new byte[] { 1, 1, 0, 4 }), new UnknownPayload(99, new byte[] { 9 }),
        ]);
    }

    private static IEnumerable<IkeSuite> AllSuites() => IkeTransforms.All.Where(static t => t.Type == IkeTransformType.Encryption)
        .SelectMany(static e => IkeTransforms.CipherOf(e)!.IsCombined
            ? [KeyDerivationTests.Suite(e.Name, null, "prf-hmac-sha2-256")]
            : IkeTransforms.All.Where(static t => t.Type == IkeTransformType.Integrity).Select(i => KeyDerivationTests.Suite(e.Name, i.Name, "prf-hmac-sha2-256")));

    /// <summary>What was sealed, as it would stand in the clear.</summary>
    private static byte[] Opened(byte[] datagram, IkeCipher cipher)
    {
        Assert.True(IkeCodec.TryOpen(datagram, Head(datagram), cipher, null, out IkeMessage? message, out IkeFault fault), fault.Text);
        return IkeCodec.Write(message!);
    }
}
