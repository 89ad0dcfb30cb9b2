using System.Buffers.Binary;
using Filter.Ipsec.Ike.Crypto;
using Filter.Rules.Policy;
using Filter.Tests.Worlds;

namespace Filter.Tests.Ike;

/// <summary>Keys come out as published (RFC 7296 §2.13 to §2.18).</summary>
public sealed class KeyDerivationTests
{
    private static readonly IkeSuite s_suite = Suite("aes-cbc-128", "hmac-sha2-256-128", "prf-hmac-sha2-256");

    private static readonly Dictionary<string, byte[]> s_case = File.ReadLines(Path.Combine(Repository.Root, "tests/Filter.Tests/Ike/ikev2kdf-sha256.txt"))
        .Where(static line => line.Contains(" = ", StringComparison.Ordinal))
        .ToDictionary(static line => line.Split(" = ")[0], static line => Convert.FromHexString(line.Split(" = ")[1]));

    [Fact]
    public void SKEYSEED_and_what_comes_of_it_are_as_published()
    {
        byte[] nonces = [.. s_case["ni"], .. s_case["nr"]];
        byte[] seed = s_suite.Prf.Compute(nonces, s_case["g_ir"]);
        Assert.Equal(s_case["skeyseed"], seed);

        byte[] keys = new byte[s_case["dkm"].Length];
        s_suite.Prf.Expand(seed, [.. nonces, .. s_case["spii"], .. s_case["spir"]], keys);
        Assert.Equal(s_case["dkm"], keys);
    }

    [Fact]
    public void An_IKE_SA_and_its_child_get_the_published_keys_in_their_order()
    {
        using IkeKeys keys = Derive();
        byte[] made = s_case["dkm"];
        Assert.Equal(made.AsSpan(..32), keys.SkD.Reveal());

        (string encryption, string integrity) = keys.Outgoing.Reveal();
        Assert.Equal(Convert.ToHexStringLower(made.AsSpan(32, 32)), integrity);
        Assert.Equal(Convert.ToHexStringLower(made.AsSpan(96, 16)), encryption);
        (encryption, integrity) = keys.Incoming.Reveal();
        Assert.Equal(Convert.ToHexStringLower(made.AsSpan(64, 32)), integrity);
        Assert.Equal(Convert.ToHexStringLower(made.AsSpan(112, 16)), encryption);
        Assert.Equal(made.AsSpan(128..160), keys.SkPi.Reveal());
        Assert.Equal(made.AsSpan(160..192), keys.SkPr.Reveal());
        Assert.Same(keys.SkPi, keys.OurSkP);

        using ChildKeys child = keys.DeriveChild(IpsecSuite.AesCbc128HmacSha256, s_case["ni"], s_case["nr"]);
        Assert.Equal(s_case["dkm_child"].AsSpan(..16), child.Outbound(weBegan: true).Encryption.Reveal());
        Assert.Equal(s_case["dkm_child"].AsSpan(16..48), child.Outbound(weBegan: true).Integrity.Reveal());
        Assert.Equal(s_case["dkm_child"].AsSpan(48..64), child.Inbound(weBegan: true).Encryption.Reveal());
        Assert.Equal(s_case["dkm_child"].AsSpan(64..96), child.Outbound(weBegan: false).Integrity.Reveal());

        using ChildKeys fresh = keys.DeriveChild(IpsecSuite.AesCbc128HmacSha256, s_case["ni"], s_case["nr"], new SecretKey(s_case["g_ir_new"]));
        Assert.Equal(s_case["dkm_child_dh"].AsSpan(..16), fresh.FromInitiator.Encryption.Reveal());
    }

    [Fact]
    public void An_IKE_SA_that_takes_anothers_place_gets_its_keys_from_that()
    {
        using IkeKeys old = Derive();
        byte[] fresh = [.. s_case["g_ir_new"], .. s_case["ni"], .. s_case["nr"]];
        byte[] seed = s_suite.Prf.Compute(old.SkD.Reveal(), fresh);
        Assert.Equal(s_case["skeyseed_rekey"], seed);

        IkeSuite another = Suite("aes-gcm-16-256", null, "prf-hmac-sha2-512");
        using IkeKeys next = IkeKeys.DeriveRekeyed(old, another, true, new SecretKey(s_case["g_ir_new"]), s_case["ni"], s_case["nr"], 7, 9);
        byte[] expected = new byte[64];
        another.Prf.Expand(seed, [.. s_case["ni"], .. s_case["nr"], 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9], expected);
        Assert.Equal(expected, next.SkD.Reveal());
    }

    [Fact]
    public void Both_ends_have_the_same_keys_the_other_way_round()
    {
        foreach (IkeTransform prf in IkeTransforms.All.Where(static t => t.Type == IkeTransformType.Prf))
        {
            IkeSuite suite = Suite("aes-ctr-256", "hmac-sha1-96", prf.Name);
            byte[] ni = [.. Enumerable.Range(0, 32).Select(static i => (byte)i)], nr = [.. Enumerable.Range(100, 32).Select(static i => (byte)i)];
            using IkeKeys ours = IkeKeys.Derive(suite, true, new SecretKey(s_case["g_ir"]), ni, nr, 1, 2);
            using IkeKeys theirs = IkeKeys.Derive(suite, false, new SecretKey(s_case["g_ir"]), ni, nr, 1, 2);
            Assert.Equal(ours.Outgoing.Reveal(), theirs.Incoming.Reveal());
            Assert.Equal(ours.Incoming.Reveal(), theirs.Outgoing.Reveal());
            Assert.NotEqual(ours.Incoming.Reveal(), ours.Outgoing.Reveal());
            Assert.Equal(suite.Prf.Length, ours.SkD.Length);
        }
    }

    /// <summary>RFC 4434 §4, all that have a key of other than 16 bytes; RFC 4615 §4; RFC 4231 §4.3 and RFC 2202 stand for HMAC.</summary>
    [Theory]
    [InlineData(4, "00010203040506070809", "000102030405060708090a0b0c0d0e0f10111213", "0fa087af7d866e7653434e602fdde835")]
    [InlineData(4, "000102030405060708090a0b0c0d0e0fedcb", "000102030405060708090a0b0c0d0e0f10111213", "8cd3c93ae598a9803006ffb67c40e9e4")]
    [InlineData(4, "000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0f10111213", "47f51b4564966215b8985c63055ed308")]
    [InlineData(8, "000102030405060708090a0b0c0d0e0fedcb", "000102030405060708090a0b0c0d0e0f10111213", "84a348a4a45d235babfffc0d2b4da09a")]
    [InlineData(8, "000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0f10111213", "980ae87b5f4c9c5214f5b6a8455e4c2d")]
    [InlineData(8, "00010203040506070809", "000102030405060708090a0b0c0d0e0f10111213", "290d9e112edb09ee141fcf64c0b72f3d")]
    [InlineData(5, "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")]
    [InlineData(2, "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")]
    [InlineData(1, "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f", "750c783e6ab0b503eaa86e310a5db738")]
    public void Functions_answer_as_published(ushort id, string key, string data, string made)
    {
        Assert.True(Prf.TryOf(id, out Prf? prf));
        Assert.Equal(made, Convert.ToHexStringLower(prf.Compute(Convert.FromHexString(key), Convert.FromHexString(data))));
    }

    [Fact]
    public void Of_fixed_functions_eight_bytes_of_each_nonce_are_the_key()
    {
        IkeSuite suite = Suite("aes-cbc-128", "aes-xcbc-96", "prf-aes-xcbc");
        byte[] ni = new byte[32], nr = new byte[32];
        (ni[7], ni[8], nr[0]) = (1, 2, 3);
        byte[] seed = suite.Prf.Compute([.. ni[..8], .. nr[..8]], s_case["g_ir"]);
        byte[] expected = new byte[16];
        suite.Prf.Expand(seed, [.. ni, .. nr, .. new byte[16]], expected);
        using IkeKeys keys = IkeKeys.Derive(suite, true, new SecretKey(s_case["g_ir"]), ni, nr, 0, 0);
        Assert.Equal(expected, keys.SkD.Reveal());
    }

    [Fact]
    public void Keys_are_gone_once_they_are_wiped()
    {
        IkeKeys keys = Derive();
        SecretKey d = keys.SkD;
        keys.Dispose();
        Assert.Equal(new byte[32], d.Reveal());
    }

    internal static IkeSuite Suite(string encryption, string? integrity, string prf, string group = "x25519")
    {
        IkeTransform Find(string name) => IkeTransforms.TryFind(name, out IkeTransform? found) ? found : throw new ArgumentException(name);
        return new IkeSuite(Find(encryption), integrity is null ? null : Find(integrity), Find(prf), Find(group));
    }

    private static IkeKeys Derive() => IkeKeys.Derive(
        s_suite, true, new SecretKey(s_case["g_ir"]), s_case["ni"], s_case["nr"],
        BinaryPrimitives.ReadUInt64BigEndian(s_case["spii"]), BinaryPrimitives.ReadUInt64BigEndian(s_case["spir"]));
}
