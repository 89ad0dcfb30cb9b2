using System.Security.Cryptography;
using System.Text.Json;
using Filter.Ipsec.Ike.Authentication;

namespace Filter.Tests.Ike;

/// <summary>Signatures are verified as published, forged and malformed ones among them.</summary>
public sealed class SignatureTests
{
    [Theory]
    [InlineData("wycheproof/ecdsa_secp256r1_sha256_test.json", "publicKeyDer", SignatureKind.Ecdsa, SignatureHash.Sha256)]
    [InlineData("wycheproof/ecdsa_secp384r1_sha384_test.json", "publicKeyDer", SignatureKind.Ecdsa, SignatureHash.Sha384)]
    [InlineData("wycheproof/ed25519_test.json", "publicKeyDer", SignatureKind.Ed25519, SignatureHash.Identity)]
    [InlineData("wycheproof/rsa_signature_2048_sha256_test.json", "publicKeyDer", SignatureKind.RsaPkcs1, SignatureHash.Sha256)]
    [InlineData("wycheproof/rsa_pss_2048_sha256_mgf1_32_test.json", "publicKeyDer", SignatureKind.RsaPss, SignatureHash.Sha256)]
    public void Signatures_are_right_or_wrong_as_published(string file, string keyName, object kind, SignatureHash hash)
    {
        SignatureScheme scheme = (SignatureKind)kind == SignatureKind.RsaPss ? SignatureScheme.Pss(hash) : new((SignatureKind)kind, hash);
        int right = 0, wrong = 0;
        foreach ((JsonElement one, JsonElement group) in Wycheproof.Cases(file))
        {
            byte[] encoded = Convert.FromHexString(group.GetProperty(keyName).GetString()!);
            Assert.True(VerifyingKey.TryRead(encoded, out VerifyingKey? key, out string? why), why);
            using (key)
            {
                bool good = key.Verify(scheme, Wycheproof.Hex(one, "msg"), Wycheproof.Hex(one, "sig"));
                string result = one.GetProperty("result").GetString()!;
                Assert.True(result == "acceptable" || good == (result == "valid"), Wycheproof.NameOf(file, one));
                _ = good ? right++ : wrong++;
            }
        }

        Assert.True(right > 0 && wrong > 0);
    }

    [Fact]
    public void A_scheme_is_written_as_RFC_7427_has_it_and_read_again()
    {
        (SignatureScheme, string)[] published =
        [
            (new(SignatureKind.RsaPkcs1, SignatureHash.Sha256), "300d06092a864886f70d01010b0500"),
            (new(SignatureKind.RsaPkcs1, SignatureHash.Sha384), "300d06092a864886f70d01010c0500"),
            (new(SignatureKind.RsaPkcs1, SignatureHash.Sha512), "300d06092a864886f70d01010d0500"),
            (new(SignatureKind.Ecdsa, SignatureHash.Sha256), "300a06082a8648ce3d040302"),
            (new(SignatureKind.Ecdsa, SignatureHash.Sha384), "300a06082a8648ce3d040303"),
            (new(SignatureKind.Ecdsa, SignatureHash.Sha512), "300a06082a8648ce3d040304"),
            (SignatureScheme.Pss(SignatureHash.Sha256), "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120"),
            (new(SignatureKind.Ed25519, SignatureHash.Identity), "300506032b6570"),
        ];
        foreach ((SignatureScheme scheme, string der) in published)
        {
            Assert.Equal(der, Convert.ToHexStringLower(scheme.Encode()));
            Assert.True(TryRead(der, out SignatureScheme read));
            Assert.Equal(scheme, read);
        }
    }

    /// <summary>RFC 8247 §3.2: SHA-1, and PSS whose parameters are empty or the defaults, which are SHA-1.</summary>
    [Theory]
    [InlineData("300d06092a864886f70d0101050500")]
    [InlineData("300906072a8648ce3d0401")]
    [InlineData("300d06092a864886f70d01010a3000")]
    [InlineData("300b06092a864886f70d01010a")]
    [InlineData("300d06092a864886f70d0101040500")]
    [InlineData("300b0609608648016503040201")]
    public void What_must_not_be_used_is_not_read(string der) => Assert.False(TryRead(der, out _));

    [Fact]
    public void Keys_that_are_too_short_or_on_other_curves_are_refused_with_a_reason()
    {
        using RSA small = RSA.Create(1024);
        using ECDsa brainpool = ECDsa.Create(ECCurve.NamedCurves.brainpoolP256r1);
        using ECDsa ownCurve = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        (byte[], string)[] keys =
        [
            (small.ExportSubjectPublicKeyInfo(), "1024"), (brainpool.ExportSubjectPublicKeyInfo(), "curve"), ([], "no DER"), ([0x30, 0], "cannot be read"),
            (ownCurve.ExportSubjectPublicKeyInfo()[..^1], "no DER"),
        ];
        foreach ((byte[] encoded, string reason) in keys)
        {
            Assert.False(VerifyingKey.TryRead(encoded, out _, out string? why));
            Assert.Contains(reason, why, StringComparison.Ordinal);
        }

        Assert.False(SigningKey.TryRead(small.ExportPkcs8PrivateKey(), out _, out string? problem));
        Assert.Contains("1024", problem, StringComparison.Ordinal);
        Assert.False(SigningKey.TryRead([1, 2, 3], out _, out problem));
        Assert.False(SigningKey.TryRead(brainpool.ExportPkcs8PrivateKey(), out SigningKey? key, out problem) && key is null);
    }

    [Fact]
    public void What_is_nested_too_deep_or_lies_about_lengths_is_no_DER()
    {
        Assert.True(Der.IsSound([0x30, 3, 2, 1, 5]));
        Assert.True(Der.IsSound([0x30, 0]));
        Assert.False(Der.IsSound([]));
        Assert.False(Der.IsSound([0x30, 4, 2, 1, 5]));
        Assert.False(Der.IsSound([0x30, 3, 2, 1, 5, 0]));
        Assert.False(Der.IsSound([0x30, 3, 2, 2, 5]));
        Assert.False(Der.IsSound([0x30, 0x80, 0, 0]));
        Assert.False(Der.IsSound([0x30, 0x84, 0xff, 0xff, 0xff, 0xff]));
        Assert.True(Der.IsSound(Nested(32)));
        Assert.False(Der.IsSound(Nested(33)));
        Assert.False(Der.IsSound(Nested(10_000)));
    }

    private static byte[] Nested(int depth)
    {
        List<byte> bytes = [5, 0];
        for (int i = 0; i < depth; i++)
        {
            int length = bytes.Count;
            bytes.InsertRange(0, length < 0x80 ? [0x30, (byte)length] : [0x30, 0x83, (byte)(length >> 16), (byte)(length >> 8), (byte)length]);
        }

        return [.. bytes];
    }

    private static bool TryRead(string der, out SignatureScheme scheme) => SignatureScheme.TryRead(
        Org.BouncyCastle.Asn1.X509.AlgorithmIdentifier.GetInstance(Org.BouncyCastle.Asn1.Asn1Object.FromByteArray(Convert.FromHexString(der))), out scheme);
}
