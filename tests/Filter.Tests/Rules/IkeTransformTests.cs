using Filter.Rules.Policy;

namespace Filter.Tests.Rules;

/// <summary>Names and numbers of what IKEv2 negotiates.</summary>
public sealed class IkeTransformTests
{
    [Theory]
    [InlineData("aes-cbc-256", IkeTransformType.Encryption, 12, 256)]
    [InlineData("aes-gcm-16-128", IkeTransformType.Encryption, 20, 128)]
    [InlineData("aes-gcm-8-192", IkeTransformType.Encryption, 18, 192)]
    [InlineData("aes-ccm-12-128", IkeTransformType.Encryption, 15, 128)]
    [InlineData("aes-ctr-192", IkeTransformType.Encryption, 13, 192)]
    [InlineData("camellia-cbc-128", IkeTransformType.Encryption, 23, 128)]
    [InlineData("chacha20-poly1305", IkeTransformType.Encryption, 28, 0)]
    [InlineData("3des-cbc", IkeTransformType.Encryption, 3, 0)]
    [InlineData("hmac-sha2-256-128", IkeTransformType.Integrity, 12, 0)]
    [InlineData("hmac-sha2-384-192", IkeTransformType.Integrity, 13, 0)]
    [InlineData("hmac-sha2-512-256", IkeTransformType.Integrity, 14, 0)]
    [InlineData("hmac-sha1-96", IkeTransformType.Integrity, 2, 0)]
    [InlineData("aes-xcbc-96", IkeTransformType.Integrity, 5, 0)]
    [InlineData("aes-cmac-96", IkeTransformType.Integrity, 8, 0)]
    [InlineData("hmac-md5-96", IkeTransformType.Integrity, 1, 0)]
    [InlineData("prf-hmac-sha2-256", IkeTransformType.Prf, 5, 0)]
    [InlineData("prf-hmac-sha2-512", IkeTransformType.Prf, 7, 0)]
    [InlineData("prf-hmac-sha1", IkeTransformType.Prf, 2, 0)]
    [InlineData("prf-aes-xcbc", IkeTransformType.Prf, 4, 0)]
    [InlineData("prf-aes-cmac", IkeTransformType.Prf, 8, 0)]
    [InlineData("prf-hmac-md5", IkeTransformType.Prf, 1, 0)]
    [InlineData("modp-2048", IkeTransformType.KeyExchange, 14, 0)]
    [InlineData("modp-8192", IkeTransformType.KeyExchange, 18, 0)]
    [InlineData("modp-1024", IkeTransformType.KeyExchange, 2, 0)]
    [InlineData("ecp-521", IkeTransformType.KeyExchange, 21, 0)]
    [InlineData("x25519", IkeTransformType.KeyExchange, 31, 0)]
    [InlineData("x448", IkeTransformType.KeyExchange, 32, 0)]
    public void A_name_has_the_number_that_IANA_gave_it(string name, IkeTransformType type, int id, int bits)
    {
        Assert.True(IkeTransforms.TryFind(name, out IkeTransform? transform));
        Assert.Equal((type, (ushort)id, bits), (transform.Type, transform.Id, transform.KeyBits));
        Assert.True(IkeTransforms.TryFind(type, (ushort)id, bits, out IkeTransform? again));
        Assert.Equal(transform, again);
        Assert.Equal(name, IkeTransforms.Describe(type, (ushort)id, bits));
    }

    [Fact]
    public void Each_suite_that_has_numbers_comes_back_from_them()
    {
        string[] without = [.. IpsecSuite.All.Where(static s => !IkeTransforms.TryTransforms(s, out _, out _)).Select(static s => s.Name).Where(static n => !n.Contains("ripemd", StringComparison.Ordinal))];
        Assert.Empty(without);
        foreach (IpsecSuite suite in IpsecSuite.All.Where(static s => IkeTransforms.TryTransforms(s, out _, out _)))
        {
            IkeTransforms.TryTransforms(suite, out IkeTransform? encryption, out IkeTransform? integrity);
            Assert.True(IkeTransforms.TrySuite(encryption, integrity, out IpsecSuite? again), suite.Name);
            Assert.Same(suite, again);
            Assert.Equal(suite.Cipher, encryption is null ? null : IkeTransforms.CipherOf(encryption));
            Assert.Equal(suite.Integrity, integrity is null ? null : IkeTransforms.IntegrityOf(integrity));
        }
    }

    [Fact]
    public void What_RFC_8247_forbids_is_said_and_is_of_the_legacy_tier()
    {
        string[] forbidden = [.. IkeTransforms.All.Where(static t => IkeTransforms.WhyForbidden(t) is not null).Select(static t => t.Name)];
        Assert.Equal(["hmac-md5-96", "prf-hmac-md5", "modp-1536", "modp-1024", "modp-768"], forbidden);
        Assert.Equal([.. forbidden.Append("3des-cbc").Order()], IkeTransforms.All.Where(static t => t.IsLegacy).Select(static t => t.Name).Order());
    }

    [Fact]
    public void What_is_not_known_is_described_by_its_numbers()
    {
        Assert.Equal("group 99", IkeTransforms.Describe(IkeTransformType.KeyExchange, 99, 0));
        Assert.Equal("encryption 12 of 512 bits", IkeTransforms.Describe(IkeTransformType.Encryption, 12, 512));
        Assert.Equal("transform type 77 3", IkeTransforms.Describe((IkeTransformType)77, 3, 0));
        Assert.False(IkeTransforms.TryFind("null", out _));
        Assert.False(IkeTransforms.TryFind("aes-gmac-128", out _));
    }
}
