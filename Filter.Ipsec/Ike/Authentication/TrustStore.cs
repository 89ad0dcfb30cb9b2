using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Authentication;

/// <summary>
/// The authorities that a peer's certificate has to lead to, and what they revoked. A chain that was found sound is remembered; its dates, its
/// revocation and the identity are looked at each time.
/// </summary>
internal sealed class TrustStore
{
    private const int MostCertificates = 16;
    private const int MostLists = 4;
    private const int MostKnown = 256;

    private readonly PeerCertificate[] _anchors;
    private readonly RevocationList[] _lists;
    private readonly bool _requiresList;
    private readonly Dictionary<string, PeerCertificate[]> _known = new(StringComparer.Ordinal);

    internal TrustStore(TrustCredential credential)
    {
        _anchors = [.. credential.Anchors.Select(static a => PeerCertificate.TryRead(a.AsSpan(), out PeerCertificate? read) ? read : null).OfType<PeerCertificate>()];
        _lists = [.. credential.RevocationLists.Select(static l => RevocationList.TryRead(l.AsSpan(), out RevocationList? read, isTrusted: true) ? read : null).OfType<RevocationList>()];
        _requiresList = credential.RequiresRevocationList;
        AuthorityHashes = _anchors.SelectMany(static a => HashOf(a.PublicKey)).ToArray();
    }

    /// <summary>SHA-1 of each authority's public key, as a certificate request has them (RFC 7296 §3.7).</summary>
    internal ReadOnlyMemory<byte> AuthorityHashes { get; }

    /// <summary>The certificate whose key has to have signed AUTH: the first that the peer sent, once it is the peer's, trusted and not revoked.</summary>
    internal bool TryFind(PeerProof proof, [NotNullWhen(true)] out PeerCertificate? certificate, out (AuthFailureKind Kind, string Expected, string Found) why)
    {
        certificate = null;
        CertificatePayload[] sent = [.. proof.Certificates.Where(static c => c.Encoding == CertificateEncoding.X509Signature).Take(MostCertificates)];
        PeerCertificate[] read = [.. sent.Select(static c => PeerCertificate.TryRead(c.Data.Span, out PeerCertificate? one) ? one : null).OfType<PeerCertificate>()];
        if (read.Length == 0 || !sent[0].Data.Span.SequenceEqual(read[0].Encoded))
        {
            why = (AuthFailureKind.NoCertificate, $"a certificate of {proof.Claimed}", proof.Certificates.Count == 0 ? "none" : "none that can be read");
            return false;
        }

        DateTime now = proof.Now.UtcDateTime;
        PeerCertificate[]? chain = ChainOf(read, now, out why);
        if (chain is null || !AreValid(chain, now, out why) || !AreNotRevoked(chain, proof, now, out why))
        {
            return false;
        }

        if (!chain[0].IsOf(proof.Claimed))
        {
            why = (AuthFailureKind.NotInCertificate, $"a certificate of {proof.Claimed}", $"one of {chain[0].DescribeNames()}");
            return false;
        }

        certificate = chain[0];
        return true;
    }

    private PeerCertificate[]? ChainOf(PeerCertificate[] read, DateTime now, out (AuthFailureKind Kind, string Expected, string Found) why)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Array.ForEach(read, c => hash.AppendData(c.Encoded));
        string name = Convert.ToHexString(hash.GetHashAndReset());
        if (_known.TryGetValue(name, out PeerCertificate[]? chain))
        {
            why = default;
            return chain;
        }

        chain = CertificatePath.Find(read, _anchors);
        why = chain is null
            ? (AuthFailureKind.Untrusted, $"a chain to {DescribeAnchors()}", $"{read[0].Subject}, issued by {read[0].Issuer}")
            : CertificatePath.WhyNot(chain, now);
        if (chain is null || why.Expected is not null)
        {
            return null;
        }

        if (_known.Count == MostKnown)
        {
            _known.Clear();
        }

        _known[name] = chain;
        return chain;
    }

    private static bool AreValid(PeerCertificate[] chain, DateTime now, out (AuthFailureKind Kind, string Expected, string Found) why)
    {
        why = CertificatePath.WhyExpired(chain, now);
        return why.Expected is null;
    }

    private bool AreNotRevoked(PeerCertificate[] chain, PeerProof proof, DateTime now, out (AuthFailureKind Kind, string Expected, string Found) why)
    {
        RevocationList[] lists =
        [
            .. _lists,
            .. proof.Certificates.Where(static c => c.Encoding == CertificateEncoding.RevocationList).Take(MostLists)
                .Select(static c => RevocationList.TryRead(c.Data.Span, out RevocationList? read) ? read : null).OfType<RevocationList>(),
        ];
        for (int i = 0; i + 1 < chain.Length; i++)
        {
            RevocationList[] ofIssuer = Array.FindAll(lists, l => l.IsIssuedBy(chain[i + 1]));

            // What an old list revokes stays so; what it does not revoke may be by now.
            if (Array.Exists(ofIssuer, l => l.Revokes(chain[i])))
            {
                why = (AuthFailureKind.Revoked, $"a certificate that {chain[i].Issuer} has not revoked", $"number {chain[i].Inner.SerialNumber.ToString(16)}, {chain[i].Subject}");
                return false;
            }

            if (_requiresList && !Array.Exists(ofIssuer, l => l.IsCurrentAt(now)))
            {
                why = (AuthFailureKind.NoRevocationList, $"a current revocation list of {chain[i].Issuer}", ofIssuer.Length == 0 ? "none" : "an old one");
                return false;
            }
        }

        why = default;
        return true;
    }

    private string DescribeAnchors() => _anchors.Length == 0 ? "an authority, and none is configured" : string.Join(" or ", _anchors.Select(static a => a.Subject.ToString()));

    /// <summary>RFC 7296 §3.7 names SHA-1; nothing depends on its strength.</summary>
    private static byte[] HashOf(byte[] publicKey) => CryptographicOperations.HashData(HashAlgorithmName.SHA1, publicKey);
}
