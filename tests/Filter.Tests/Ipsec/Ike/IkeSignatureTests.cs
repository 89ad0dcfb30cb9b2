using System.Collections.Immutable;
using System.Security.Cryptography;
using Filter.Ipsec.Ike;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;
using static Filter.Tests.Ipsec.Ike.IkeSettings;

namespace Filter.Tests.Ipsec.Ike;

/// <summary>Two ends that prove who they are by signatures (RFC 7427), with bare public keys (RFC 7670).</summary>
public sealed class IkeSignatureTests
{
    public static TheoryData<string> Kinds => ["rsa", "p-256", "p-384", "p-521"];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Ends_prove_themselves_by_signatures_of_each_kind(string kind)
    {
        using IkeNet net = new();
        (PrivateKeyCredential ours, PublicKeyCredential ofEast) = Pair(kind);
        (PrivateKeyCredential theirs, PublicKeyCredential ofWest) = Pair(kind);
        (IkeNode east, IkeNode west) = net.Sites(p => p with { LocalCredential = ours, RemoteCredential = ofWest }, p => p with { LocalCredential = theirs, RemoteCredential = ofEast });
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        Assert.True(east.IsUp && west.IsUp);
        Assert.Equal(east.Child.InboundSpi, west.Child.OutboundSpi);
    }

    [Fact]
    public void Who_names_hashes_gets_signatures_of_RFC_7427()
    {
        using IkeNet net = new();
        (IkeNode east, IkeNode west) = net.Sites();
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        Assert.All(net.Sent.Take(2), static s =>
        {
            Assert.True(IkeCodec.TryRead(s.Message, out IkeMessage? first, out _));
            Assert.True(first.Has(NotifyType.SignatureHashAlgorithms));
        });
        Assert.Equal(east.Inner.PeersHashes.AsEnumerable(), west.Inner.PeersHashes);
    }

    [Fact]
    public void Another_key_is_not_the_one_that_is_configured()
    {
        using IkeNet net = new();
        (PrivateKeyCredential ours, _) = Pair("p-256");
        (PrivateKeyCredential theirs, PublicKeyCredential ofWest) = Pair("p-256");
        (_, PublicKeyCredential somebodys) = Pair("p-256");
        (IkeNode east, IkeNode west) = net.Sites(p => p with { LocalCredential = ours, RemoteCredential = ofWest }, p => p with { LocalCredential = theirs, RemoteCredential = somebodys });
        east.Acquire("office", "10.1.0.5", "10.2.0.9");
        net.Run(1);
        Assert.False(east.IsUp || west.IsUp);
        Assert.Equal(IkeFailureKind.Authentication, west.Failure.Kind);
        Assert.Contains("configured", west.Failure.Expected, StringComparison.Ordinal);
    }

    private static (PrivateKeyCredential Private, PublicKeyCredential Public) Pair(string kind)
    {
        using AsymmetricAlgorithm key = kind switch
        {
            "rsa" => RSA.Create(2048),
            "p-256" => ECDsa.Create(ECCurve.NamedCurves.nistP256),
            "p-384" => ECDsa.Create(ECCurve.NamedCurves.nistP384),
            _ => ECDsa.Create(ECCurve.NamedCurves.nistP521),
        };
        return (
            new() { At = At, PrivateKey = new SecretKey(key.ExportPkcs8PrivateKey()) },
            new() { At = At, PublicKey = [.. key.ExportSubjectPublicKeyInfo()] });
    }
}
