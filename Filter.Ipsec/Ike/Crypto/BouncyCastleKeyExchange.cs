using Org.BouncyCastle.Asn1.X9;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.Crypto.Agreement;
using Org.BouncyCastle.Crypto.EC;
using Org.BouncyCastle.Crypto.Generators;
using Org.BouncyCastle.Crypto.Parameters;
using Org.BouncyCastle.Math;
using Org.BouncyCastle.Math.EC;
using Org.BouncyCastle.Security;

namespace Filter.Ipsec.Ike.Crypto;

/// <summary>A key exchange in managed code: for machines without libcrypto, and for groups that it has not.</summary>
internal sealed class BouncyCastleKeyExchange : KeyExchange
{
    private readonly AsymmetricKeyParameter _private;

    internal BouncyCastleKeyExchange(ExchangeGroup group)
        : this(group, Generate(group))
    {
    }

    /// <param name="group">Of which group it is.</param>
    /// <param name="ofGroup">The private half: for known answers.</param>
    internal BouncyCastleKeyExchange(ExchangeGroup group, AsymmetricKeyParameter ofGroup)
        : base(group)
    {
        _private = ofGroup;
        PublicValue = ofGroup switch
        {
            DHPrivateKeyParameters modp => Padded(modp.Parameters.G.ModPow(modp.X, modp.Parameters.P), group.PublicLength),
            ECPrivateKeyParameters curve => curve.Parameters.G.Multiply(curve.D).Normalize().GetEncoded(false).AsMemory(1),
            X25519PrivateKeyParameters x => x.GeneratePublicKey().GetEncoded(),
            _ => ((X448PrivateKeyParameters)ofGroup).GeneratePublicKey().GetEncoded(),
        };
    }

    /// <inheritdoc/>
    public override ReadOnlyMemory<byte> PublicValue { get; }

    private protected override bool Agree(ReadOnlySpan<byte> peersPublic, Span<byte> secret)
    {
        byte[] value = peersPublic.ToArray();
        switch (_private)
        {
            case DHPrivateKeyParameters modp:
                Padded(new BigInteger(1, value).ModPow(modp.X, Parameters.Prime!.P), secret.Length).CopyTo(secret);
                return true;
            case ECPrivateKeyParameters curve:
                return AgreeOnCurve(curve, value, secret);
            case X25519PrivateKeyParameters x:
                return AgreeBy(new X25519Agreement(), x, new X25519PublicKeyParameters(value), secret);
            default:
                return AgreeBy(new X448Agreement(), _private, new X448PublicKeyParameters(value), secret);
        }
    }

    /// <summary>Nothing: managed integers cannot be wiped, which is one more reason for libcrypto.</summary>
    private protected override void Dispose(bool disposing)
    {
    }

    private static AsymmetricKeyParameter Generate(ExchangeGroup group)
    {
        SecureRandom random = new();
        (IAsymmetricCipherKeyPairGenerator maker, KeyGenerationParameters parameters) = group.Kind switch
        {
            ExchangeKind.Modp => (new DHKeyPairGenerator(), new DHKeyGenerationParameters(random, group.Prime)),
            ExchangeKind.Curve => ((IAsymmetricCipherKeyPairGenerator)new ECKeyPairGenerator(), (KeyGenerationParameters)new ECKeyGenerationParameters(DomainOf(group), random)),
            _ when IsX25519(group) => (new X25519KeyPairGenerator(), new X25519KeyGenerationParameters(random)),
            _ => (new X448KeyPairGenerator(), new X448KeyGenerationParameters(random)),
        };
        maker.Init(parameters);
        return maker.GenerateKeyPair().Private;
    }

    private static bool IsX25519(ExchangeGroup group) => group.NativeName == "X25519";

    internal static ECDomainParameters DomainOf(ExchangeGroup group)
    {
        X9ECParameters curve = CustomNamedCurves.GetByName(group.NativeName);
        return new ECDomainParameters(curve.Curve, curve.G, curve.N, curve.H);
    }

    private static byte[] Padded(BigInteger number, int length)
    {
        byte[] bytes = number.ToByteArrayUnsigned(), padded = new byte[length];
        bytes.CopyTo(padded, length - bytes.Length);
        return padded;
    }

    private static bool AgreeOnCurve(ECPrivateKeyParameters key, byte[] value, Span<byte> secret)
    {
        ECCurve curve = key.Parameters.Curve;
        int size = value.Length / 2;
        BigInteger x = new(1, value, 0, size), y = new(1, value, size, size);
        if (!curve.IsValidFieldElement(x) || !curve.IsValidFieldElement(y))
        {
            return false;
        }

        ECPoint point = curve.CreatePoint(x, y);
        if (!point.IsValid() || point.IsInfinity)
        {
            return false;
        }

        Padded(point.Multiply(key.D).Normalize().AffineXCoord.ToBigInteger(), secret.Length).CopyTo(secret);
        return true;
    }

    private static bool AgreeBy(IRawAgreement agreement, AsymmetricKeyParameter ours, AsymmetricKeyParameter peers, Span<byte> secret)
    {
        agreement.Init(ours);
        try
        {
            agreement.CalculateAgreement(peers, secret);
            return true;
        }
        catch (InvalidOperationException)
        {
            // A secret of zeros.
            return false;
        }
    }
}
