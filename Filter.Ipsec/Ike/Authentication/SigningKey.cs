using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Filter.Ipsec.Ike.Payloads;
using Org.BouncyCastle.Asn1;
using Org.BouncyCastle.Asn1.EdEC;
using Org.BouncyCastle.Asn1.Pkcs;
using Org.BouncyCastle.Asn1.X509;
using Org.BouncyCastle.Asn1.X9;
using Org.BouncyCastle.Crypto.Parameters;
using Org.BouncyCastle.Math.EC.Rfc8032;

namespace Filter.Ipsec.Ike.Authentication;

/// <summary>A private key that signatures are made with: RSA of 2048 bits and more, ECDSA over P-256, P-384 and P-521, Ed25519.</summary>
internal sealed class SigningKey : IDisposable
{
    private const int ShortestRsa = 2048;

    private readonly RSA? _rsa;
    private readonly ECDsa? _curve;
    private readonly Ed25519PrivateKeyParameters? _edwards;

    private SigningKey(RSA? rsa, ECDsa? curve, Ed25519PrivateKeyParameters? edwards)
    {
        (_rsa, _curve, _edwards) = (rsa, curve, edwards);
        PublicKey = rsa?.ExportSubjectPublicKeyInfo() ?? curve?.ExportSubjectPublicKeyInfo()
            ?? new SubjectPublicKeyInfo(new AlgorithmIdentifier(EdECObjectIdentifiers.id_Ed25519), edwards!.GeneratePublicKey().GetEncoded()).GetDerEncoded();
    }

    /// <summary>SubjectPublicKeyInfo, DER.</summary>
    internal byte[] PublicKey { get; }

    /// <summary>What it makes, given the choice.</summary>
    internal SignatureKind Kind => _rsa is not null ? SignatureKind.RsaPss : _curve is not null ? SignatureKind.Ecdsa : SignatureKind.Ed25519;

    /// <summary>The hash that is as strong as the key.</summary>
    internal SignatureHash OwnHash => _curve?.KeySize switch
    {
        384 => SignatureHash.Sha384,
        521 => SignatureHash.Sha512,
        _ => SignatureHash.Sha256,
    };

    /// <summary>What there was before RFC 7427.</summary>
    internal (AuthenticationMethod Method, SignatureScheme Scheme) Older => _curve?.KeySize switch
    {
        256 => (AuthenticationMethod.EcdsaP256, new(SignatureKind.EcdsaPlain, SignatureHash.Sha256)),
        384 => (AuthenticationMethod.EcdsaP384, new(SignatureKind.EcdsaPlain, SignatureHash.Sha384)),
        521 => (AuthenticationMethod.EcdsaP521, new(SignatureKind.EcdsaPlain, SignatureHash.Sha512)),
        _ => _rsa is not null ? (AuthenticationMethod.RsaSignature, new(SignatureKind.RsaPkcs1, SignatureHash.Sha1)) : default,
    };

    /// <summary>Reads PKCS#8.</summary>
    /// <param name="encoded">DER, not encrypted.</param>
    /// <param name="key">The key.</param>
    /// <param name="why">What is wrong.</param>
    internal static bool TryRead(ReadOnlySpan<byte> encoded, [NotNullWhen(true)] out SigningKey? key, out string? why)
    {
        key = null;
        byte[] copy = encoded.ToArray();
        try
        {
            DerObjectIdentifier algorithm = PrivateKeyInfo.GetInstance(Asn1Object.FromByteArray(copy)).PrivateKeyAlgorithm.Algorithm;
            (key, why) = algorithm.Equals(EdECObjectIdentifiers.id_Ed25519) ? (ReadEdwards(copy), null)
                : algorithm.Equals(X9ObjectIdentifiers.IdECPublicKey) ? ReadCurve(encoded)
                : algorithm.Equals(PkcsObjectIdentifiers.RsaEncryption) ? ReadRsa(encoded)
                : (null, $"a private key of {algorithm}, which is neither RSA, ECDSA nor Ed25519");
            return key is not null;
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException or IOException or InvalidOperationException)
        {
            why = "a private key that cannot be read: PKCS#8 is expected, not encrypted";
            return false;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(copy);
        }
    }

    /// <summary>Signs by a scheme of this kind of key.</summary>
    internal byte[] Sign(SignatureScheme scheme, ReadOnlySpan<byte> data)
    {
        HashAlgorithmName hash = SignatureHashes.NameOf(scheme.Hash);
        switch (scheme.Kind)
        {
            case SignatureKind.RsaPkcs1:
                return _rsa!.SignData(data, hash, RSASignaturePadding.Pkcs1);
            case SignatureKind.RsaPss:
                return _rsa!.SignData(data, hash, RSASignaturePadding.Pss);
            case SignatureKind.Ecdsa:
                return _curve!.SignData(data, hash, DSASignatureFormat.Rfc3279DerSequence);
            case SignatureKind.EcdsaPlain:
                return _curve!.SignData(data, hash, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
            default:
                byte[] signature = new byte[Ed25519.SignatureSize];
                _edwards!.Sign(Ed25519.Algorithm.Ed25519, null, data.ToArray(), 0, data.Length, signature, 0);
                return signature;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _rsa?.Dispose();
        _curve?.Dispose();
    }

    private static SigningKey ReadEdwards(byte[] encoded)
    {
        // CurvePrivateKey, an octet string within the octet string (RFC 8410 §7).
        byte[] seed = Asn1OctetString.GetInstance(PrivateKeyInfo.GetInstance(Asn1Object.FromByteArray(encoded)).ParsePrivateKey()).GetOctets();
        SigningKey key = new(null, null, new Ed25519PrivateKeyParameters(seed));
        CryptographicOperations.ZeroMemory(seed);
        return key;
    }

    private static (SigningKey? Key, string? Why) ReadCurve(ReadOnlySpan<byte> encoded)
    {
        ECDsa curve = ECDsa.Create();
        curve.ImportPkcs8PrivateKey(encoded, out _);
        return curve.KeySize is 256 or 384 or 521
            ? (new SigningKey(null, curve, null), null)
            : (null, $"a key of ECDSA of {curve.KeySize} bits, when P-256, P-384 and P-521 are taken");
    }

    private static (SigningKey? Key, string? Why) ReadRsa(ReadOnlySpan<byte> encoded)
    {
        RSA rsa = RSA.Create();
        rsa.ImportPkcs8PrivateKey(encoded, out _);
        return rsa.KeySize >= ShortestRsa ? (new SigningKey(rsa, null, null), null) : (null, $"RSA of {rsa.KeySize} bits, when {ShortestRsa} are needed");
    }
}
