using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Filter.Ipsec.Ike.Authentication;
using Filter.Ipsec.Ike.Crypto;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;
using Org.BouncyCastle.Crypto.Parameters;
using Org.BouncyCastle.Pkcs;

namespace Filter.Tests.Ike;

/// <summary>Who proves himself is let in as who he is, and nobody else is: keys, certificates, revocation, names.</summary>
public sealed class AuthenticationTests : IDisposable
{
    private static readonly byte[] s_octets = "what both ends have said"u8.ToArray();
    private static readonly IkeIdentity s_gateway = Name("gw.example.com");
    private static readonly Prf s_prf = Prf.TryOf(5, out Prf? prf) ? prf : throw new InvalidOperationException();

    private readonly Authority _root = new("CN=Root, O=Example");
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public void Dispose()
    {
        _root.Dispose();
        _key.Dispose();
    }

    [Fact]
    public void A_pre_shared_key_proves_and_another_does_not()
    {
        IkePeer peer = Peer(Psk("secret"));
        AuthenticationPayload proof = Sign(Psk("secret"));
        Assert.Equal(AuthenticationMethod.SharedKey, proof.Method);
        Good(peer, proof);
        Bad(AuthFailureKind.WrongProof, peer, Sign(Psk("secreT")));
        Bad(AuthFailureKind.WrongProof, peer, proof with { Data = proof.Data[..^1] });
        Bad(AuthFailureKind.WrongMethod, peer, proof with { Method = AuthenticationMethod.Null });
        Bad(AuthFailureKind.WrongIdentity, peer, proof, Name("other.example.com"));
        Bad(AuthFailureKind.WrongIdentity, peer with { RemoteIdentity = new(null, null) }, proof);
    }

    [Theory]
    [InlineData("rsa", AuthenticationMethod.RsaSignature)]
    [InlineData("p256", AuthenticationMethod.EcdsaP256)]
    [InlineData("p384", AuthenticationMethod.EcdsaP384)]
    [InlineData("p521", AuthenticationMethod.EcdsaP521)]
    [InlineData("ed25519", AuthenticationMethod.None)]
    public void A_key_of_each_kind_proves_by_RFC_7427_and_by_what_was_before(string kind, AuthenticationMethod older)
    {
        (PrivateKeyCredential ours, byte[] publicKey) = Key(kind);
        PublicKeyCredential theirs = new() { At = default, PublicKey = [.. publicKey] };
        IkePeer peer = Peer(theirs);
        AuthenticationPayload proof = Sign(ours);
        Assert.Equal(AuthenticationMethod.DigitalSignature, proof.Method);
        Good(peer, proof);
        byte[] forged = proof.Data.ToArray();
        forged[^1] ^= 1;
        Bad(AuthFailureKind.WrongProof, peer, proof with { Data = forged });
        for (int cut = 1; cut < proof.Data.Length; cut += 9)
        {
            Refused(peer, proof with { Data = proof.Data[..cut] });
        }

        Assert.True(Signer.TryCreate(ours, out Signer? signer, out _));
        using (signer)
        {
            bool signed = signer.TrySign(s_octets, s_prf, [], out AuthenticationPayload? before, out string? why);
            Assert.Equal(older != AuthenticationMethod.None, signed);
            Assert.Equal(signed, why is null);
            if (signed)
            {
                Assert.Equal(older, before!.Method);
                Good(peer, before);
                Bad(AuthFailureKind.WrongMethod, peer, before with { Method = AuthenticationMethod.DssSignature });
            }

            Assert.False(signer.TrySign(s_octets, s_prf, [(SignatureHash)99], out _, out why));
            Assert.NotEmpty(why!);
            Assert.Equal(CertificateEncoding.RawPublicKey, Assert.Single(signer.Certificates(new PeerVerifier(peer).Requests)).Encoding);
            Assert.Empty(signer.Certificates([]));
        }

        // The same kind of key, and another one.
        Bad(AuthFailureKind.WrongProof, Peer(new PublicKeyCredential { At = default, PublicKey = [.. Key(kind).PublicKey] }), proof);
        Bad(AuthFailureKind.WrongMethod, peer, Sign(Psk("secret")));
    }

    [Fact]
    public void A_certificate_of_a_trusted_authority_proves_whose_it_is()
    {
        using X509Certificate2 leaf = Leaf();
        Good(Peer(_root.Trust()), Sign(Ours()), Payload(leaf));
        Good(Peer(_root.Trust(), "GW.Example.COM"), Sign(Ours()), Payload(leaf));
        PeerVerifier verifier = new(Peer(_root.Trust()));
        byte[] hash = CryptographicOperations.HashData(HashAlgorithmName.SHA1, _root.Certificate.PublicKey.ExportSubjectPublicKeyInfo());
        Assert.Equal(hash, Assert.Single(verifier.Requests).Hashes.ToArray());
    }

    [Fact]
    public void A_chain_leads_through_authorities_that_the_peer_sends()
    {
        using Authority middle = new("CN=Middle", _root), below = new("CN=Below", middle);
        using X509Certificate2 leaf = below.Issue("CN=gw", _key, static n => n.AddDnsName("gw.example.com"));
        IkePeer peer = Peer(_root.Trust());
        Good(peer, Sign(Ours()), Payload(leaf), below.Payload, middle.Payload);
        Good(peer, Sign(Ours()), Payload(leaf), middle.Payload, below.Payload);
        Bad(AuthFailureKind.Untrusted, peer, Sign(Ours()), certificates: [Payload(leaf), below.Payload]);
        Bad(AuthFailureKind.Untrusted, peer, Sign(Ours()), certificates: [Payload(leaf), middle.Payload]);
    }

    [Fact]
    public void Whoever_is_no_authority_issues_nothing()
    {
        using Authority none = new("CN=None", _root, isAuthority: false), unusable = new("CN=Unusable", _root, usage: X509KeyUsageFlags.DigitalSignature);
        using Authority narrow = new("CN=Narrow", _root, pathLength: 0), below = new("CN=Below", narrow);
        foreach (Authority issuer in (Authority[])[none, unusable, below])
        {
            using X509Certificate2 leaf = issuer.Issue("CN=gw", _key, static n => n.AddDnsName("gw.example.com"));
            Bad(AuthFailureKind.WrongUsage, Peer(_root.Trust()), Sign(Ours()), certificates: [Payload(leaf), issuer.Payload, narrow.Payload]);
        }
    }

    [Fact]
    public void A_certificate_that_is_not_valid_not_trusted_or_not_there_proves_nothing()
    {
        using X509Certificate2 leaf = Leaf(), old = _root.Issue("CN=gw", _key, static n => n.AddDnsName("gw.example.com"), Authority.Now.AddDays(-1));
        using Authority another = new("CN=Root, O=Example");
        IkePeer peer = Peer(_root.Trust());
        Bad(AuthFailureKind.Expired, peer, Sign(Ours()), certificates: [Payload(old)]);
        Bad(AuthFailureKind.Untrusted, Peer(another.Trust()), Sign(Ours()), certificates: [Payload(leaf)]);
        Bad(AuthFailureKind.NoCertificate, peer, Sign(Ours()));
        Bad(AuthFailureKind.NoCertificate, peer, Sign(Ours()), certificates: [Payload(leaf) with { Data = leaf.RawData.AsMemory(1) }]);
        Bad(AuthFailureKind.WrongProof, peer, Sign(Key("p256").Ours), certificates: [Payload(leaf)]);
        Bad(AuthFailureKind.WrongMethod, peer, Sign(Psk("secret")), certificates: [Payload(leaf)]);
    }

    [Fact]
    public void A_revoked_certificate_proves_nothing_and_a_list_may_be_needed()
    {
        using X509Certificate2 leaf = Leaf(), other = Leaf();
        DateTimeOffset soon = Authority.Now.AddDays(1), past = Authority.Now.AddDays(-1);
        byte[] revoked = _root.Revoke(soon, leaf), clean = _root.Revoke(soon, other), old = _root.Revoke(past, other), oldRevoked = _root.Revoke(past, leaf);
        Bad(AuthFailureKind.Revoked, Peer(_root.Trust(false, revoked)), Sign(Ours()), certificates: [Payload(leaf)]);
        Bad(AuthFailureKind.Revoked, Peer(_root.Trust(false, clean, oldRevoked)), Sign(Ours()), certificates: [Payload(leaf)]);
        Good(Peer(_root.Trust(true, clean)), Sign(Ours()), Payload(leaf));
        Bad(AuthFailureKind.NoRevocationList, Peer(_root.Trust(true)), Sign(Ours()), certificates: [Payload(leaf)]);
        Bad(AuthFailureKind.NoRevocationList, Peer(_root.Trust(true, old)), Sign(Ours()), certificates: [Payload(leaf)]);

        // One that the peer brings counts where its authority signed it, and not where another of that name did.
        CertificatePayload brought = new(CertificateEncoding.RevocationList, clean);
        Good(Peer(_root.Trust(true)), Sign(Ours()), Payload(leaf), brought);
        using Authority forger = new("CN=Root, O=Example");
        Bad(AuthFailureKind.NoRevocationList, Peer(_root.Trust(true)), Sign(Ours()), certificates: [Payload(leaf), brought with { Data = forger.Revoke(soon) }]);
        Good(Peer(_root.Trust(false, forger.Revoke(soon, leaf))), Sign(Ours()), Payload(leaf));
    }

    [Fact]
    public void The_identity_is_one_of_the_certificates_names_and_no_name_stands_for_several()
    {
        using X509Certificate2 leaf = _root.Issue("CN=gw, O=Example", _key, static n =>
        {
            n.AddDnsName("gw.example.com");
            n.AddDnsName("*.example.org");
            n.AddEmailAddress("anna@example.com");
            n.AddIpAddress(System.Net.IPAddress.Parse("192.0.2.1"));
        });
        IkePeer anybody = Peer(_root.Trust()) with { RemoteIdentity = new(null, null) };
        IkeIdentity subject = new(IkeIdentityKind.DistinguishedName, [.. leaf.SubjectName.RawData], "");
        IkeIdentity[] good = [s_gateway, Mail("anna@example.com"), new(IkeIdentityKind.IPv4Address, [192, 0, 2, 1], ""), subject];
        Assert.All(good, id => Good(anybody, Sign(Ours()), id, Payload(leaf)));
        IkeIdentity[] bad =
        [
            Name("other.example.com"), Name("www.example.org"), Name("*.example.com"), Name("gw.example.com\0.evil"), Mail("gw.example.com"), new(IkeIdentityKind.IPv4Address, [192, 0, 2, 2], ""),
            new(IkeIdentityKind.KeyId, [.. "gw.example.com"u8], ""), new(IkeIdentityKind.DistinguishedName, [.. _root.Certificate.SubjectName.RawData], ""),
        ];
        Assert.All(bad, id => Bad(AuthFailureKind.NotInCertificate, anybody, Sign(Ours()), id, Payload(leaf)));
        Bad(AuthFailureKind.WrongIdentity, anybody, Sign(Ours()), new IkeIdentity(IkeIdentityKind.None, [], ""), Payload(leaf));
    }

    [Fact]
    public void A_key_is_used_for_what_its_certificate_says()
    {
        X509EnhancedKeyUsageExtension Purposes(string id, bool critical) => new([new Oid(id)], critical);
        X509Extension unknown = new("1.2.3.4", [5, 0], critical: true);
        using X509Certificate2 other = _root.Issue("CN=gw", _key, static n => n.AddDnsName("gw.example.com"), usage: X509KeyUsageFlags.KeyEncipherment);
        using X509Certificate2 web = _root.Issue("CN=gw", _key, static n => n.AddDnsName("gw.example.com"), more: Purposes("1.3.6.1.5.5.7.3.1", true));
        using X509Certificate2 strange = _root.Issue("CN=gw", _key, static n => n.AddDnsName("gw.example.com"), more: unknown);
        Assert.All((X509Certificate2[])[other, web, strange], c => Bad(AuthFailureKind.WrongUsage, Peer(_root.Trust()), Sign(Ours()), certificates: [Payload(c)]));
        using X509Certificate2 ike = _root.Issue("CN=gw", _key, static n => n.AddDnsName("gw.example.com"), more: Purposes("1.3.6.1.5.5.7.3.17", true));
        using X509Certificate2 noted = _root.Issue("CN=gw", _key, static n => n.AddDnsName("gw.example.com"), more: Purposes("1.3.6.1.5.5.7.3.1", false));
        Assert.All((X509Certificate2[])[ike, noted], c => Good(Peer(_root.Trust()), Sign(Ours()), Payload(c)));
    }

    [Fact]
    public void A_certificate_with_any_bit_changed_is_refused_and_throws_nothing()
    {
        using X509Certificate2 leaf = Leaf();
        PeerVerifier verifier = new(Peer(_root.Trust(true, _root.Revoke(Authority.Now.AddDays(1)))));
        AuthenticationPayload proof = Sign(Ours());
        List<string> accepted = [];
        for (int bit = 0; bit < 8 * leaf.RawData.Length; bit++)
        {
            byte[] changed = [.. leaf.RawData];
            changed[bit / 8] ^= (byte)(1 << (bit % 8));
            if (verifier.TryVerify(ProofOf(proof, s_gateway, [Payload(leaf) with { Data = changed }]), out AuthFailure? failure))
            {
                accepted.Add($"byte {bit / 8}: {leaf.RawData[bit / 8]:x2} as {changed[bit / 8]:x2}, in {Convert.ToHexString(leaf.RawData.AsSpan(Math.Max(0, (bit / 8) - 8), 16))}");
            }
            else
            {
                Assert.NotEmpty(failure.ToString());
            }
        }

        Assert.Empty(accepted);
    }

    [Theory]
    [InlineData(".example.com", "gw.example.com", true)]
    [InlineData(".example.com", "a.b.EXAMPLE.com", true)]
    [InlineData(".example.com", ".example.com", false)]
    [InlineData(".example.com", "example.com", false)]
    [InlineData(".example.com", "gw.example.com.evil.net", false)]
    [InlineData(".example.com", "gwexample.com", false)]
    [InlineData("@example.com", "gw@example.com", false)]
    public void A_suffix_means_what_lies_below_it(string suffix, string name, bool meant) => Assert.Equal(meant, IdentityMatch.Means(new(null, suffix), Name(name)));

    [Fact]
    public void Hashes_that_the_peer_verifies_are_read_however_many_it_names()
    {
        Assert.Equal(SignatureHashes.Ours, SignatureHashes.Read(SignatureHashes.Notify()));
        Assert.Empty(SignatureHashes.Read(null));
        Assert.Empty(SignatureHashes.Read(new NotifyPayload(NotifyType.SignatureHashAlgorithms, new byte[1])));
        Assert.Equal(16, SignatureHashes.Read(new NotifyPayload(NotifyType.SignatureHashAlgorithms, new byte[60_000])).Length);
    }

    private static IkeIdentity Name(string text) => new(IkeIdentityKind.DomainName, [.. Encoding.ASCII.GetBytes(text)], text);

    private static IkeIdentity Mail(string text) => new(IkeIdentityKind.MailAddress, [.. Encoding.ASCII.GetBytes(text)], text);

    private static PskCredential Psk(string text) => new() { At = default, Key = new SecretKey(Encoding.ASCII.GetBytes(text)) };

    private static CertificatePayload Payload(X509Certificate2 certificate) => new(CertificateEncoding.X509Signature, certificate.RawData);

    private static IkePeer Peer(IkeCredential theirs, string name = "gw.example.com") => new()
    {
        Name = "site", At = default, LocalIdentity = Name("us.example.com"), RemoteIdentity = new(Name(name), null), LocalCredential = theirs, RemoteCredential = theirs,
        Proposals = [], Child = null!,
    };

    private static (PrivateKeyCredential Ours, byte[] PublicKey) Key(string kind)
    {
        if (kind == "ed25519")
        {
            Ed25519PrivateKeyParameters edwards = new(new Org.BouncyCastle.Security.SecureRandom());
            return (Credential(PrivateKeyInfoFactory.CreatePrivateKeyInfo(edwards).GetDerEncoded()), Org.BouncyCastle.X509.SubjectPublicKeyInfoFactory.CreateSubjectPublicKeyInfo(edwards.GeneratePublicKey()).GetDerEncoded());
        }

        using AsymmetricAlgorithm key = kind switch
        {
            "rsa" => RSA.Create(2048),
            "p256" => ECDsa.Create(ECCurve.NamedCurves.nistP256),
            "p384" => ECDsa.Create(ECCurve.NamedCurves.nistP384),
            _ => ECDsa.Create(ECCurve.NamedCurves.nistP521),
        };
        return (Credential(key.ExportPkcs8PrivateKey()), key.ExportSubjectPublicKeyInfo());
    }

    private static PrivateKeyCredential Credential(byte[] pkcs8) => new() { At = default, PrivateKey = new SecretKey(pkcs8) };

    private static AuthenticationPayload Sign(IkeCredential credential)
    {
        Assert.True(Signer.TryCreate(credential, out Signer? signer, out string? why), why);
        using (signer)
        {
            Assert.True(signer.TrySign(s_octets, s_prf, SignatureHashes.Ours, out AuthenticationPayload? proof, out why), why);
            return proof;
        }
    }

    private static PeerProof ProofOf(AuthenticationPayload proof, IkeIdentity claimed, CertificatePayload[] certificates) => new(claimed, proof, certificates, s_octets, s_prf, Authority.Now);

    private static void Good(IkePeer peer, AuthenticationPayload proof, params CertificatePayload[] certificates) => Good(peer, proof, s_gateway, certificates);

    private static void Good(IkePeer peer, AuthenticationPayload proof, IkeIdentity claimed, params CertificatePayload[] certificates)
    {
        PeerVerifier verifier = new(peer);
        for (int i = 0; i < 2; i++)
        {
            Assert.True(verifier.TryVerify(ProofOf(proof, claimed, certificates), out AuthFailure? failure), failure?.ToString());
        }
    }

    private static void Bad(AuthFailureKind kind, IkePeer peer, AuthenticationPayload proof, IkeIdentity? claimed = null, params CertificatePayload[] certificates)
    {
        Assert.False(new PeerVerifier(peer).TryVerify(ProofOf(proof, claimed ?? s_gateway, certificates), out AuthFailure? failure));
        Assert.True(kind == failure.Kind, failure.ToString());
        Assert.Equal("site", failure.Peer);
        Assert.NotEmpty(failure.Expected);
        Assert.NotEmpty(failure.Found);
    }

    private static void Refused(IkePeer peer, AuthenticationPayload proof) => Assert.False(new PeerVerifier(peer).TryVerify(ProofOf(proof, s_gateway, []), out _));

    private PrivateKeyCredential Ours() => Credential(_key.ExportPkcs8PrivateKey());

    private X509Certificate2 Leaf() => _root.Issue("CN=gw", _key, static n => n.AddDnsName("gw.example.com"));
}
