using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Ipsec.Ike.Authentication;
using Filter.Ipsec.Ike.Crypto;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Fuzz;

/// <summary>
/// Whatever comes to the IKE ports: an input is a message. It is read in the clear, opened as if it were encrypted, and its payloads once more as if
/// they had stood under a good ICV, in two fragments. What is read can be written, and read again.
/// </summary>
internal static class IkeMessages
{
    private static readonly string[] s_names = ["aes-cbc-128", "hmac-sha2-256-128", "prf-hmac-sha2-256", "x25519"];
    private static readonly IkeSuite s_suite = new(Find("aes-cbc-128"), Find("hmac-sha2-256-128"), Find("prf-hmac-sha2-256"), Find("x25519"));
    private static readonly IkeHeader s_header = new(1, 2, ExchangeType.IkeAuth, false, true, 1);

    /// <summary>Reads an input; throws where what was read cannot be written and read again.</summary>
    public static void Run(byte[] input)
    {
        using IkeCipher cipher = new(s_suite, new byte[16], new byte[32]);
        if (IkeHeader.TryRead(input, out IkeHeader header, out _))
        {
            IkeCodec.TryOpen(input, header, cipher, new FragmentCollector(), out _, out _);
        }

        if (!IkeCodec.TryRead(input, out IkeMessage? message, out IkeFault fault))
        {
            Must(fault.Kind != IkeFaultKind.None && fault.Text.Length > 0, "a fault has a kind and a text");
            return;
        }

        // A payload whose selectors were all of unknown types is empty once they are left out, which none may be.
        if (message.All<TrafficSelectorPayload>().Any(static ts => ts.HasUnknownTypes))
        {
            return;
        }

        byte[] clear = IkeCodec.Write(message);
        Must(IkeCodec.TryRead(clear, out IkeMessage? again, out _) && IkeCodec.Write(again).AsSpan().SequenceEqual(clear), "what is read can be written");
        foreach (CertificatePayload certificate in message.All<CertificatePayload>())
        {
            PeerCertificate.TryRead(certificate.Data.Span, out _);
            RevocationList.TryRead(certificate.Data.Span, out _);
            VerifyingKey.TryRead(certificate.Data.Span, out VerifyingKey? key, out _);
            key?.Dispose();
        }

        FragmentCollector collector = new();
        IkeMessage? whole = null;
        foreach (byte[] datagram in IkeCodec.Seal(message with { Header = s_header }, cipher, Math.Max(200, clear.Length / 2)))
        {
            Must(IkeHeader.TryRead(datagram, out header, out _) && IkeCodec.TryOpen(datagram, header, cipher, collector, out whole, out _), "what is sealed can be opened");
        }

        Must(whole is not null && whole.Payloads.Length == message.Payloads.Length, "what was in fragments is whole");
    }

    /// <summary>Inputs to begin with: one of each payload, and all together.</summary>
    public static IEnumerable<byte[]> Seeds()
    {
        AddressRange network = new(Address.Parse("10.1.0.0"), Address.Parse("10.1.255.255")), all = new(default, new Address(ulong.MaxValue, ulong.MaxValue));
        ImmutableArray<Payload> payloads =
        [
            new SaPayload([new Proposal(1, IkeProtocol.Ike, default, [.. s_names.Select(static n => Transform.Of(Find(n)))])]),
            new KeyExchangePayload(31, new byte[32]), new NoncePayload(new byte[32]), new NotifyPayload(NotifyType.RekeySa, default, IkeProtocol.Esp, new byte[4]),
            new IdPayload(true, new(IkeIdentityKind.DomainName, [.. "gw.example"u8], "")), new IdPayload(false, new(IkeIdentityKind.IPv4Address, [192, 0, 2, 1], "")),
            new CertificatePayload(CertificateEncoding.X509Signature, new byte[] { 0x30, 3, 2, 1, 5 }), new CertificateRequestPayload(CertificateEncoding.X509Signature, new byte[20]),
            new AuthenticationPayload(AuthenticationMethod.SharedKey, new byte[32]), new DeletePayload(IkeProtocol.Esp, [0x1001, 0x1002]), new VendorIdPayload(new byte[16]),
            new TrafficSelectorPayload(true, [new(17, new PortRange(53, 53), network)]), new TrafficSelectorPayload(false, [new(0, TrafficSelector.AnyPort, all)]),
            new ConfigurationPayload(ConfigurationKind.Request, [new(ConfigurationAttribute.InternalIp4Address, default)]), new EapPayload(new byte[4]), new UnknownPayload(99, new byte[3]),
        ];
        return payloads.Select(static p => IkeCodec.Write(new IkeMessage(s_header, [p]))).Append(IkeCodec.Write(new IkeMessage(s_header, payloads)));
    }

    private static IkeTransform Find(string name) => IkeTransforms.TryFind(name, out IkeTransform? found) ? found : throw new ArgumentException(name);

    private static void Must(bool so, string what)
    {
        if (!so)
        {
            throw new InvalidOperationException($"not so: {what}");
        }
    }
}
