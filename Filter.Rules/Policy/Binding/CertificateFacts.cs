using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Filter.Rules.Policy.Binding;

/// <summary>What is asked of a certificate when a ruleset is read (RFC 5280, RFC 4945 §5).</summary>
/// <param name="Der">All of it.</param>
/// <param name="Subject">The subject's name, DER.</param>
/// <param name="PublicKey">SubjectPublicKeyInfo, DER.</param>
/// <param name="From">It holds from here.</param>
/// <param name="Until">It holds until here.</param>
/// <param name="IsAuthority">It may sign others.</param>
/// <param name="Names">The subject's alternative names, those that IKE knows.</param>
internal sealed record CertificateFacts(
    byte[] Der, byte[] Subject, byte[] PublicKey, DateTimeOffset From, DateTimeOffset Until, bool IsAuthority, IReadOnlyList<IkeIdentity> Names)
{
    private const string AlternativeNames = "2.5.29.17";
    private static readonly Asn1Tag s_mail = new(TagClass.ContextSpecific, 1), s_domain = new(TagClass.ContextSpecific, 2), s_address = new(TagClass.ContextSpecific, 7);

    /// <summary>Reads a certificate; null where the bytes are none.</summary>
    public static CertificateFacts? Read(byte[] der)
    {
        try
        {
            using X509Certificate2 certificate = X509CertificateLoader.LoadCertificate(der);
            bool authority = certificate.Extensions.OfType<X509BasicConstraintsExtension>().FirstOrDefault() is { CertificateAuthority: true };
            return new CertificateFacts(
                certificate.RawData, certificate.SubjectName.RawData, certificate.PublicKey.ExportSubjectPublicKeyInfo(),
                certificate.NotBefore.ToUniversalTime(), certificate.NotAfter.ToUniversalTime(), authority, NamesOf(certificate));
        }
        catch (Exception wrong) when (wrong is CryptographicException or AsnContentException or ArgumentException)
        {
            return null;
        }
    }

    /// <summary>Whether the certificate says that its subject is this one (RFC 4945 §3.1).</summary>
    public bool Carries(IkeIdentity identity) => identity.Kind switch
    {
        IkeIdentityKind.DistinguishedName => DistinguishedNames.Same(Subject, identity.Bytes.AsSpan()),
        IkeIdentityKind.DomainName or IkeIdentityKind.MailAddress => Names.Any(name => name.Kind == identity.Kind && string.Equals(name.Text, identity.Text, StringComparison.OrdinalIgnoreCase)),
        _ => Names.Contains(identity),
    };

    /// <summary>Its subject's name, to tell it from others.</summary>
    public string Name => DistinguishedNames.Text(Subject) is { Length: > 0 } name ? name : Described();

    /// <summary>All that it says of who its subject is.</summary>
    public string Described() =>
        string.Join(", ", Names.Select(static name => name.Text).Prepend(DistinguishedNames.Text(Subject)).Where(static text => !string.IsNullOrEmpty(text)));

    private static List<IkeIdentity> NamesOf(X509Certificate2 certificate)
    {
        List<IkeIdentity> names = [];
        if (certificate.Extensions[AlternativeNames] is not { } extension)
        {
            return names;
        }

        AsnReader all = new AsnReader(extension.RawData, AsnEncodingRules.DER).ReadSequence();
        while (all.HasData)
        {
            Asn1Tag tag = all.PeekTag();
            if (tag == s_mail || tag == s_domain)
            {
                string text = all.ReadCharacterString(UniversalTagNumber.IA5String, tag);
                names.Add(new(tag == s_mail ? IkeIdentityKind.MailAddress : IkeIdentityKind.DomainName, [.. Encoding.ASCII.GetBytes(text)], text));
            }
            else if (tag == s_address && all.ReadOctetString(s_address) is { Length: 4 or 16 } bytes)
            {
                names.Add(new(bytes.Length == 4 ? IkeIdentityKind.IPv4Address : IkeIdentityKind.IPv6Address, [.. bytes], new System.Net.IPAddress(bytes).ToString()));
            }
            else if (tag != s_address)
            {
                all.ReadEncodedValue();
            }
        }

        return names;
    }
}
