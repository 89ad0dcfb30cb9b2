using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Tests.Ike;

/// <summary>An authority that tests make up, and what it issues.</summary>
internal sealed class Authority : IDisposable
{
    internal static readonly DateTimeOffset Now = new(2026, 6, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private byte _serial = 1;

    internal Authority(string name, Authority? above = null, int? pathLength = null, X509KeyUsageFlags usage = X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, bool isAuthority = true)
    {
        CertificateRequest request = new(name, _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(isAuthority, pathLength is not null, pathLength ?? 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(usage, true));
        Certificate = above is null
            ? request.CreateSelfSigned(Now.AddYears(-1), Now.AddYears(5))
            : request.Create(above.Certificate.SubjectName, X509SignatureGenerator.CreateForECDsa(above._key), Now.AddYears(-1), Now.AddYears(5), [above._serial++]).CopyWithPrivateKey(_key);
    }

    internal X509Certificate2 Certificate { get; }

    internal CertificatePayload Payload => new(CertificateEncoding.X509Signature, Certificate.RawData);

    /// <summary>A certificate for a key, with a name.</summary>
    internal X509Certificate2 Issue(
        string subject, AsymmetricAlgorithm key, Action<SubjectAlternativeNameBuilder>? names = null, DateTimeOffset? until = null,
        X509KeyUsageFlags usage = X509KeyUsageFlags.DigitalSignature, params X509Extension[] more)
    {
        CertificateRequest request = key is RSA rsa
            ? new(subject, rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            : new(subject, (ECDsa)key, HashAlgorithmName.SHA256);
        SubjectAlternativeNameBuilder alternatives = new();
        names?.Invoke(alternatives);
        if (names is not null)
        {
            request.CertificateExtensions.Add(alternatives.Build());
        }

        request.CertificateExtensions.Add(new X509KeyUsageExtension(usage, true));
        foreach (X509Extension extension in more)
        {
            request.CertificateExtensions.Add(extension);
        }

        return request.Create(Certificate.SubjectName, X509SignatureGenerator.CreateForECDsa(_key), Now.AddMonths(-6), until ?? Now.AddYears(1), [_serial++]);
    }

    /// <summary>A list of what it revoked.</summary>
    internal byte[] Revoke(DateTimeOffset until, params X509Certificate2[] revoked)
    {
        CertificateRevocationListBuilder builder = new();
        foreach (X509Certificate2 one in revoked)
        {
            builder.AddEntry(one, Now.AddDays(-2));
        }

        return builder.Build(Certificate, 1, until, HashAlgorithmName.SHA256, thisUpdate: Now.AddDays(-10));
    }

    internal TrustCredential Trust(bool needsList = false, params byte[][] lists) => new()
    {
        At = default, Anchors = [[.. Certificate.RawData]], RevocationLists = [.. lists.Select(static l => (ImmutableArray<byte>)[.. l])], RequiresRevocationList = needsList,
    };

    public void Dispose()
    {
        Certificate.Dispose();
        _key.Dispose();
    }
}
