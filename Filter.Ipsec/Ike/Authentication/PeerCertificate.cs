using System.Diagnostics.CodeAnalysis;
using Filter.Rules.Policy;
using Org.BouncyCastle.Asn1;
using Org.BouncyCastle.Asn1.X509;
using Org.BouncyCastle.X509;

namespace Filter.Ipsec.Ike.Authentication;

/// <summary>A certificate, with all that is asked of it read at once: whatever is wrong with it shows while reading.</summary>
internal sealed class PeerCertificate
{
    /// <summary>Bits of a key usage (RFC 5280 §4.2.1.3).</summary>
    private const int DigitalSignature = 0;
    private const int NonRepudiation = 1;
    private const int KeyCertSign = 5;
    private const int CrlSign = 6;

    private static readonly DerObjectIdentifier s_anyPurpose = new("2.5.29.37.0");
    private static readonly DerObjectIdentifier s_ipsecIke = new("1.3.6.1.5.5.7.3.17");

    private PeerCertificate(byte[] encoded)
    {
        Encoded = encoded;
        Inner = new X509Certificate(encoded);
        if (!Inner.CertificateStructure.GetDerEncoded().AsSpan().SequenceEqual(encoded))
        {
            // What is signed is encoded anew before it is verified: only what is as DER has it stays what was sent.
            throw new ArgumentException("not as DER has it");
        }

        TbsCertificateStructure body = Inner.TbsCertificate;
        Subject = body.Subject;
        Issuer = body.Issuer;
        PublicKey = body.SubjectPublicKeyInfo.GetDerEncoded();
        SignedBytes = Inner.GetTbsCertificate();
        Signature = Inner.GetSignature();
        NotBefore = Inner.NotBefore;
        NotAfter = Inner.NotAfter;
        X509Extensions? extensions = body.Extensions;
        if (extensions is not null && extensions.GetExtensionOids().Any(id => !Der.IsSound(extensions.GetExtension(id).Value.GetOctets())))
        {
            throw new ArgumentException("an extension that is no DER");
        }

        IsAuthority = BasicConstraints.FromExtensions(extensions) is { } basic && basic.IsCA();
        PathLength = Inner.GetBasicConstraints();
        bool[]? usage = Inner.GetKeyUsage();
        MaySign = usage is null || usage[DigitalSignature] || usage[NonRepudiation];
        MayCertify = usage is null || usage[KeyCertSign];
        MayRevoke = usage is null || usage[CrlSign];

        // An extended key usage that is critical has to name IKE, or any (RFC 4945 §5.1.3.12).
        X509Extension? extended = extensions?.GetExtension(X509Extensions.ExtendedKeyUsage);
        IsForIke = extended is not { IsCritical: true }
            || ExtendedKeyUsage.GetInstance(extended.GetParsedValue()).GetAllUsages().Any(static p => p.Equals(s_anyPurpose) || p.Equals(s_ipsecIke));
        Names = GeneralNames.FromExtensions(extensions, X509Extensions.SubjectAlternativeName)?.GetNames() ?? [];
        Scheme = body.Signature.Equals(Inner.CertificateStructure.SignatureAlgorithm) && SignatureScheme.TryRead(body.Signature, out SignatureScheme scheme)
            ? scheme
            : null;
    }

    /// <summary>DER.</summary>
    internal byte[] Encoded { get; }

    /// <summary>As BouncyCastle has it.</summary>
    internal X509Certificate Inner { get; }

    internal X509Name Subject { get; }

    internal X509Name Issuer { get; }

    /// <summary>SubjectPublicKeyInfo, DER.</summary>
    internal byte[] PublicKey { get; }

    internal DateTime NotBefore { get; }

    internal DateTime NotAfter { get; }

    /// <summary>A CA's (RFC 5280 §4.2.1.9).</summary>
    internal bool IsAuthority { get; }

    /// <summary>How many authorities may stand between it and whom it is for; <see cref="int.MaxValue"/> for any number.</summary>
    internal int PathLength { get; }

    /// <summary>Its key may sign AUTH (RFC 4945 §5.1.3.2).</summary>
    internal bool MaySign { get; }

    /// <summary>Its key may sign certificates.</summary>
    internal bool MayCertify { get; }

    /// <summary>Its key may sign revocation lists.</summary>
    internal bool MayRevoke { get; }

    /// <summary>Nothing in it says that it is for something else than IKE.</summary>
    internal bool IsForIke { get; }

    /// <summary>How it is signed; null for a way that is not taken.</summary>
    internal SignatureScheme? Scheme { get; }

    private byte[] SignedBytes { get; }

    private byte[] Signature { get; }

    private GeneralName[] Names { get; }

    /// <summary>Reads one that came from wherever.</summary>
    internal static bool TryRead(ReadOnlySpan<byte> encoded, [NotNullWhen(true)] out PeerCertificate? certificate)
    {
        certificate = null;
        if (!Der.IsSound(encoded))
        {
            return false;
        }

        try
        {
            certificate = new PeerCertificate(encoded.ToArray());
            return true;
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // BouncyCastle has no one exception for what is malformed.
            return false;
        }
    }

    /// <summary>Whether it is valid at a time, both ends included.</summary>
    internal bool IsValidAt(DateTime utc) => NotBefore <= utc && utc <= NotAfter;

    /// <summary>Whether another's name and key issued it.</summary>
    internal bool IsIssuedBy(PeerCertificate authority) =>
        Issuer.Equivalent(authority.Subject, true)
        && Scheme is { } scheme
        && VerifyingKey.TryRead(authority.PublicKey, out VerifyingKey? key, out _)
        && VerifyAndDispose(key, scheme);

    /// <summary>Whether it is somebody's: one of its names is the identity, or its subject is (RFC 7296 §4, RFC 4945 §3.1). No name stands for several.</summary>
    internal bool IsOf(IkeIdentity identity) => identity.Kind switch
    {
        IkeIdentityKind.DistinguishedName => IdentityMatch.NameOf(identity) is { } name && name.Equivalent(Subject, true),
        IkeIdentityKind.DomainName => Has(GeneralName.DnsName, identity),
        IkeIdentityKind.MailAddress => Has(GeneralName.Rfc822Name, identity),
        IkeIdentityKind.IPv4Address or IkeIdentityKind.IPv6Address => Array.Exists(
            Names, n => n.TagNo == GeneralName.IPAddress && Asn1OctetString.GetInstance(n.Name).GetOctets().AsSpan().SequenceEqual(identity.Bytes.AsSpan())),
        _ => false,
    };

    /// <summary>Its names, as a log says them.</summary>
    internal string DescribeNames() => string.Join(", ", (string[])[Subject.ToString(), .. Names.Take(8).Select(static n => n.Name.ToString() ?? "")]);

    private bool Has(int tag, IkeIdentity identity) => IdentityMatch.AsciiOf(identity) is { } text
        && Array.Exists(Names, n => n.TagNo == tag && string.Equals(((IAsn1String)n.Name).GetString(), text, StringComparison.OrdinalIgnoreCase));

    private bool VerifyAndDispose(VerifyingKey key, SignatureScheme scheme)
    {
        using (key)
        {
            return key.Verify(scheme, SignedBytes, Signature);
        }
    }
}
