using Org.BouncyCastle.Pkix;
using Org.BouncyCastle.X509;

namespace Filter.Ipsec.Ike.Authentication;

/// <summary>
/// Chains of certificates (RFC 5280 §6). Who issued whom, usages and lengths are looked at here, so that a failure has a reason; the rest (names
/// that are constrained, policies, critical extensions) is BouncyCastle's.
/// </summary>
internal static class CertificatePath
{
    private const int Longest = 8;

    /// <summary>Signatures at most that strangers can have verified: names may be made alike to make many.</summary>
    private const int MostVerified = 24;

    /// <summary>The chain from the first of what was sent to an anchor; null for none.</summary>
    internal static PeerCertificate[]? Find(PeerCertificate[] sent, PeerCertificate[] anchors)
    {
        int verified = 0;
        List<PeerCertificate> chain = [sent[0]];
        return Search() ? [.. chain] : null;

        bool Search()
        {
            PeerCertificate last = chain[^1];
            if (Array.Exists(anchors, a => a.Encoded.AsSpan().SequenceEqual(last.Encoded)))
            {
                return true;
            }

            foreach (PeerCertificate issuer in anchors.Concat(sent))
            {
                bool isAnchor = Array.IndexOf(anchors, issuer) >= 0;
                if (chain.Count == Longest || chain.Contains(issuer) || !last.Issuer.Equivalent(issuer.Subject, true) || ++verified > MostVerified || !last.IsIssuedBy(issuer))
                {
                    continue;
                }

                chain.Add(issuer);
                if (isAnchor || Search())
                {
                    return true;
                }

                chain.RemoveAt(chain.Count - 1);
            }

            return false;
        }
    }

    /// <summary>Which of a chain is not valid at a time; nothing expected where all are.</summary>
    internal static (AuthFailureKind Kind, string Expected, string Found) WhyExpired(PeerCertificate[] chain, DateTime now)
    {
        PeerCertificate? one = Array.Find(chain, c => !c.IsValidAt(now));
        return one is null ? default : (AuthFailureKind.Expired, $"certificates that are valid on {now:yyyy-MM-dd}", $"{one.Subject}, valid from {one.NotBefore:yyyy-MM-dd} to {one.NotAfter:yyyy-MM-dd}");
    }

    /// <summary>What is wrong with a chain whose signatures are right; nothing expected where nothing is.</summary>
    internal static (AuthFailureKind Kind, string Expected, string Found) WhyNot(PeerCertificate[] chain, DateTime now)
    {
        if (WhyExpired(chain, now) is { Expected: not null } expired)
        {
            return expired;
        }

        if (!chain[0].MaySign || !chain[0].IsForIke)
        {
            return (AuthFailureKind.WrongUsage, "a certificate whose key may sign for IKE", $"{chain[0].Subject}, which is for something else");
        }

        int between = 0;
        for (int i = 1; i < chain.Length; i++)
        {
            PeerCertificate issuer = chain[i];
            if (!issuer.IsAuthority || !issuer.MayCertify)
            {
                return (AuthFailureKind.WrongUsage, "certificates that authorities issued", $"{chain[i - 1].Subject}, issued by {issuer.Subject}, which is none");
            }

            if (between > issuer.PathLength)
            {
                return (AuthFailureKind.WrongUsage, $"at most {issuer.PathLength} authorities below {issuer.Subject}", $"{between}");
            }

            between += issuer.Subject.Equivalent(issuer.Issuer, true) ? 0 : 1;
        }

        return chain.Length == 1 || IsSoundTo(chain, now, out string? why) ? default : (AuthFailureKind.WrongUsage, "a chain as RFC 5280 §6 has it", why!);
    }

    private static bool IsSoundTo(PeerCertificate[] chain, DateTime now, out string? why)
    {
        try
        {
            HashSet<TrustAnchor> anchor = [new TrustAnchor(chain[^1].Inner, null)];
            PkixParameters parameters = new(anchor) { IsRevocationEnabled = false, Date = now };
            new PkixCertPathValidator().Validate(new PkixCertPath(new List<X509Certificate>(chain[..^1].Select(static c => c.Inner))), parameters);
            why = null;
            return true;
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // Of what strangers send, BouncyCastle refuses by exceptions of many kinds.
            why = e.Message;
            return false;
        }
    }
}
