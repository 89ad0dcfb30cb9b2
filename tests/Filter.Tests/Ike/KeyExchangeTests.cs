using System.Numerics;
using System.Text.Json;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Ike.Crypto;
using Filter.Rules.Policy;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.Crypto.Parameters;

namespace Filter.Tests.Ike;

/// <summary>Secrets are agreed on by either library with either, and not with who sends what is no public value (RFC 6989).</summary>
public sealed class KeyExchangeTests
{
    public static TheoryData<string> Groups => [.. IkeTransforms.All.Where(static t => t.Type == IkeTransformType.KeyExchange).Select(static t => t.Name)];

    [Theory]
    [MemberData(nameof(Groups))]
    public void Both_libraries_agree_on_the_same_secret(string name)
    {
        ExchangeGroup group = Group(name);
        Assert.True(KeyExchange.TryCreate(group.Id, out KeyExchange? ours));
        using KeyExchange theirs = new BouncyCastleKeyExchange(group);
        using (ours)
        {
            Assert.Equal(group.PublicLength, ours.PublicValue.Length);
            Assert.True(ours.TryAgree(theirs.PublicValue.Span, out SecretKey? one, out _));
            Assert.True(theirs.TryAgree(ours.PublicValue.Span, out SecretKey? other, out _));
            Assert.Equal(one.Reveal(), other.Reveal());
            Assert.Equal(group.SecretLength, one.Length);
        }
    }

    [Theory]
    [MemberData(nameof(Groups))]
    public void What_is_no_public_value_is_refused_with_a_reason(string name)
    {
        ExchangeGroup group = Group(name);
        foreach (KeyExchange exchange in Both(group))
        {
            using (exchange)
            {
                foreach (byte[] value in Unsound(group))
                {
                    Assert.False(exchange.TryAgree(value, out SecretKey? secret, out string? why), Convert.ToHexString(value));
                    Assert.Null(secret);
                    Assert.NotEmpty(why!);
                }
            }
        }
    }

    [Fact]
    public void A_group_that_is_not_known_has_no_exchange()
    {
        foreach (ushort id in (ushort[])[0, 3, 22, 23, 24, 25, 35, ushort.MaxValue])
        {
            Assert.False(KeyExchange.TryCreate(id, out _));
        }
    }

    [Fact]
    public void No_two_exchanges_have_the_same_value()
    {
        Assert.True(KeyExchange.TryCreate(31, out KeyExchange? one));
        Assert.True(KeyExchange.TryCreate(31, out KeyExchange? other));
        Assert.False(one.PublicValue.Span.SequenceEqual(other.PublicValue.Span));
        one.Dispose();
        other.Dispose();
    }

    [Theory]
    [InlineData("wycheproof/x25519_test.json", "x25519")]
    [InlineData("wycheproof/x448_test.json", "x448")]
    public void X25519_and_X448_answer_as_published(string file, string name)
    {
        ExchangeGroup group = Group(name);
        int said = 0, refused = 0;
        foreach ((JsonElement one, _) in Wycheproof.Cases(file))
        {
            byte[] value = Wycheproof.Hex(one, "public"), key = Wycheproof.Hex(one, "private"), shared = Wycheproof.Hex(one, "shared");
            if (value.Length != group.PublicLength)
            {
                continue;
            }

            // Acceptable ones have bits that are ignored, or lead to a secret of zeros; those of zeros must be refused (RFC 8031 §3).
            bool good = shared.AsSpan().ContainsAnyExcept((byte)0);
            AsymmetricKeyParameter ours = name == "x25519" ? new X25519PrivateKeyParameters(key) : new X448PrivateKeyParameters(key);
            using BouncyCastleKeyExchange managed = new(group, ours);
            Assert.True(managed.TryAgree(value, out SecretKey? secret, out _) == good, Wycheproof.NameOf(file, one));
            Assert.True(!good || secret!.Reveal().SequenceEqual(shared), Wycheproof.NameOf(file, one));

            using LibcryptoAgreement? native = LibcryptoAgreement.TryImport(group.NativeName!, key);
            byte[] made = new byte[shared.Length];
            Assert.True(native is null || native.TryAgree(value, made) == good, Wycheproof.NameOf(file, one));
            Assert.True(native is null || !good || made.AsSpan().SequenceEqual(shared), Wycheproof.NameOf(file, one));
            said++;
            refused += good ? 0 : 1;
        }

        Assert.True(said > 100 && refused > 0);
    }

    [Theory]
    [InlineData("wycheproof/ecdh_secp256r1_ecpoint_test.json", "ecp-256")]
    [InlineData("wycheproof/ecdh_secp384r1_ecpoint_test.json", "ecp-384")]
    [InlineData("wycheproof/ecdh_secp521r1_ecpoint_test.json", "ecp-521")]
    public void Curves_answer_as_published(string file, string name)
    {
        ExchangeGroup group = Group(name);
        int said = 0, refused = 0;
        foreach ((JsonElement one, _) in Wycheproof.Cases(file))
        {
            byte[] point = Wycheproof.Hex(one, "public"), key = Wycheproof.Hex(one, "private"), shared = Wycheproof.Hex(one, "shared");
            if (point.Length != 1 + group.PublicLength || point[0] != 4)
            {
                continue;
            }

            bool good = Wycheproof.IsValid(one);
            using BouncyCastleKeyExchange managed = new(group, new ECPrivateKeyParameters(new(1, key), BouncyCastleKeyExchange.DomainOf(group)));
            Assert.True(managed.TryAgree(point.AsSpan(1), out SecretKey? secret, out _) == good, Wycheproof.NameOf(file, one));
            Assert.True(!good || secret!.Reveal().SequenceEqual(shared), Wycheproof.NameOf(file, one));

            using LibcryptoAgreement? native = LibcryptoAgreement.TryImport(group.NativeName!, new BigInteger(key, isUnsigned: true, isBigEndian: true));
            byte[] made = new byte[group.SecretLength];
            Assert.Equal(Libcrypto.IsPresent, native is not null);
            Assert.True(native is null || native.TryAgree(point, made) == good, Wycheproof.NameOf(file, one));
            Assert.True(native is null || !good || made.AsSpan().SequenceEqual(shared), Wycheproof.NameOf(file, one));
            said++;
            refused += good ? 0 : 1;
        }

        Assert.True(said > 100 && refused > 0);
    }

    private static ExchangeGroup Group(string name)
    {
        Assert.True(IkeTransforms.TryFind(name, out IkeTransform? transform));
        Assert.True(ExchangeGroup.TryFind(transform.Id, out ExchangeGroup? group));
        Assert.Equal(name, group.Name);
        return group;
    }

    private static IEnumerable<KeyExchange> Both(ExchangeGroup group)
    {
        yield return new BouncyCastleKeyExchange(group);
        if (LibcryptoKeyExchange.TryCreate(group) is { } native)
        {
            yield return native;
        }
    }

    /// <summary>Too short, too long, 0, 1, p - 1, p, above; points off the curve, with coordinates above the field, and of the twist's small orders.</summary>
    private static IEnumerable<byte[]> Unsound(ExchangeGroup group)
    {
        byte[] zero = new byte[group.PublicLength], highest = [.. Enumerable.Repeat((byte)0xff, group.PublicLength)];
        byte[] one = [.. zero];
        one[group.Kind == ExchangeKind.Montgomery ? 0 : ^1] = 1;
        yield return [];
        yield return zero[1..];
        yield return [.. zero, 0];
        yield return zero;
        yield return one;
        if (group.Kind == ExchangeKind.Modp)
        {
            byte[] prime = group.Prime!.P.ToByteArrayUnsigned(), below = [.. prime];
            below[^1]--;
            yield return prime;
            yield return below;
        }

        if (group.Kind != ExchangeKind.Montgomery)
        {
            yield return highest;
        }
    }
}
