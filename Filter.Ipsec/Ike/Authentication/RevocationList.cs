using System.Diagnostics.CodeAnalysis;
using Org.BouncyCastle.Asn1;
using Org.BouncyCastle.Asn1.X509;
using Org.BouncyCastle.Math;
using Org.BouncyCastle.X509;

namespace Filter.Ipsec.Ike.Authentication;

/// <summary>A CRL of one authority, of all its certificates (RFC 5280 §5). Partial, indirect and delta lists are not taken.</summary>
internal sealed class RevocationList
{
    private readonly HashSet<BigInteger> _revoked;
    private readonly byte[] _signedBytes;
    private readonly byte[] _signature;
    private readonly SignatureScheme? _scheme;
    private byte[]? _verifiedBy;

    private RevocationList(byte[] encoded)
    {
        X509Crl list = new(encoded);
        TbsCertificateList body = list.CertificateList.TbsCertList;
        X509Extensions? extensions = body.Extensions;
        if (extensions is not null && extensions.GetCriticalExtensionOids().Length > 0)
        {
            throw new ArgumentException("a critical extension");
        }

        Issuer = body.Issuer;
        ThisUpdate = list.ThisUpdate;
        NextUpdate = list.NextUpdate;
        _revoked = [.. body.GetRevokedCertificates().Select(static entry => entry.UserCertificate.Value)];
        _signedBytes = list.GetTbsCertList();
        _signature = list.GetSignature();
        _scheme = body.Signature.Equals(list.CertificateList.SignatureAlgorithm) && SignatureScheme.TryRead(body.Signature, out SignatureScheme scheme) ? scheme : null;
    }

    internal X509Name Issuer { get; }

    internal DateTime ThisUpdate { get; }

    /// <summary>When there is a newer one; null where it does not say.</summary>
    internal DateTime? NextUpdate { get; }

    internal static bool TryRead(ReadOnlySpan<byte> encoded, [NotNullWhen(true)] out RevocationList? list, bool isTrusted = false)
    {
        list = null;
        if (!isTrusted && !Der.IsSound(encoded))
        {
            return false;
        }

        try
        {
            list = new RevocationList(encoded.ToArray());
            return true;
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // BouncyCastle has no one exception for what is malformed.
            return false;
        }
    }

    /// <summary>Whether an authority issued it. A key that did is remembered: a list is long.</summary>
    internal bool IsIssuedBy(PeerCertificate authority)
    {
        if (_verifiedBy is not null && _verifiedBy.AsSpan().SequenceEqual(authority.PublicKey))
        {
            return true;
        }

        if (!authority.MayRevoke || !Issuer.Equivalent(authority.Subject, true) || _scheme is not { } scheme
            || !VerifyingKey.TryRead(authority.PublicKey, out VerifyingKey? key, out _))
        {
            return false;
        }

        using (key)
        {
            _verifiedBy = key.Verify(scheme, _signedBytes, _signature) ? authority.PublicKey : null;
            return _verifiedBy is not null;
        }
    }

    /// <summary>Whether it is the newest that there should be.</summary>
    internal bool IsCurrentAt(DateTime utc) => ThisUpdate <= utc && (NextUpdate is null || utc <= NextUpdate);

    internal bool Revokes(PeerCertificate certificate) => _revoked.Contains(certificate.Inner.SerialNumber);
}
