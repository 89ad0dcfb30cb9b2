using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Filter.Rules;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;

namespace Filter.Ipsec.Ike.Authentication;

/// <summary>
/// Whether the keys of a ruleset can do what they are there for. Reading a ruleset finds all but this, since it knows no cryptography:
/// of an Ed25519 key the public half, and what signatures are made and verified with.
/// </summary>
public static class CredentialCheck
{
    /// <summary>The reading, with what is wrong with keys; without the ruleset where something is.</summary>
    public static RulesetReading Of(RulesetReading reading)
    {
        List<Diagnostic> wrong = [];
        foreach (IkePeer peer in reading.Ruleset?.Ipsec?.Ike?.Peers ?? [])
        {
            foreach ((IkeCredential credential, string? why) in new[] { (peer.LocalCredential, WhyNot(peer.LocalCredential)), (peer.RemoteCredential, WhyNot(peer.RemoteCredential)) })
            {
                if (why is not null)
                {
                    wrong.Add(new Diagnostic(Severity.Error, credential.At, $"the peer '{peer.Name}': {why}", "name another key"));
                }
            }
        }

        if (wrong.Count == 0)
        {
            return reading;
        }

        reading.Ruleset!.WipeKeys();
        return new RulesetReading(null, [.. reading.Diagnostics.Concat(wrong).OrderBy(static found => found.At)]);
    }

    private static string? WhyNot(IkeCredential credential) => credential switch
    {
        PrivateKeyCredential own => WhyNot(own),
        PublicKeyCredential known => VerifyingKey.TryRead(known.PublicKey.AsSpan(), out VerifyingKey? key, out string? why) ? Done(key) : $"its public key is of no use: {why}",
        _ => null,
    };

    private static string? WhyNot(PrivateKeyCredential own)
    {
        if (!SigningKey.TryRead(own.PrivateKey.Reveal(), out SigningKey? key, out string? why))
        {
            return $"our private key is of no use: {why}";
        }

        using (key)
        {
            return own.Certificates.IsEmpty || PublicKeyOf([.. own.Certificates[0]]) is not { } certified || certified.AsSpan().SequenceEqual(key.PublicKey)
                ? null
                : "our private key does not belong to our certificate";
        }
    }

    private static byte[]? PublicKeyOf(byte[] certificate)
    {
        try
        {
            using X509Certificate2 read = X509CertificateLoader.LoadCertificate(certificate);
            return read.PublicKey.ExportSubjectPublicKeyInfo();
        }
        catch (CryptographicException)
        {
            return null;
        }
    }

    private static string? Done(VerifyingKey key)
    {
        key.Dispose();
        return null;
    }
}
