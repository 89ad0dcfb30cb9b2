using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads what certificates, CRLs and public keys files hold, PEM or DER, and looks whether it is of use now.</summary>
/// <param name="folders">Where relative names are looked for.</param>
/// <param name="found">Where findings go.</param>
/// <param name="now">The time on the wall.</param>
internal sealed class CertificateFiles(Folders folders, Diagnostics found, DateTimeOffset now)
{
    /// <summary>Certificates of one peer at most.</summary>
    private const int Most = 64;

    private const int MostBytes = 16 * 1024 * 1024;
    private const string Relative = "a relative name counts from the folder of the file that names it";

    /// <summary>The certificates of one file, or of several, in order; each with the file that has it.</summary>
    public List<(CertificateFacts Certificate, Located<string> File)> Certificates(Node? node, string what)
    {
        List<(CertificateFacts, Located<string>)> all = [];
        foreach (Node entry in Values.Each(node))
        {
            if (Values.Text(entry, what, found) is not { } file || Read(file) is not { } bytes)
            {
                continue;
            }

            (int before, bool whole) = (all.Count, true);
            foreach (byte[] der in Blocks(bytes, "CERTIFICATE"))
            {
                CertificateFacts? facts = CertificateFacts.Read(der);
                whole = facts is not null;
                if (facts is null)
                {
                    break;
                }

                CheckTime(facts, file);
                all.Add((facts, file));
            }

            Told(file, whole, all.Count > before, "certificate", "CERTIFICATE");
        }

        if (all.Count > Most)
        {
            found.Error(node!.At, $"{what} names more than {Most} certificates");
            all.RemoveRange(Most, all.Count - Most);
        }

        return all;
    }

    /// <summary>The CRLs of one file or of several.</summary>
    public List<byte[]> RevocationLists(Node? node)
    {
        List<byte[]> all = [];
        foreach (Node entry in Values.Each(node))
        {
            if (Values.Text(entry, "'crl'", found) is not { } file || Read(file) is not { } bytes)
            {
                continue;
            }

            (int before, bool whole) = (all.Count, true);
            foreach (byte[] der in Blocks(bytes, "X509 CRL"))
            {
                whole = TryNextUpdate(der, out DateTimeOffset? next);
                if (!whole)
                {
                    break;
                }

                if (next < now)
                {
                    found.Warn(file.At, $"the CRL {Wording.Quote(file.Value)} should have been replaced on {Day(next.Value)}", "put a fresh one there, and reload");
                }

                all.Add(der);
            }

            Told(file, whole, all.Count > before, "CRL", "X509 CRL");
        }

        return all;
    }

    /// <summary>The public key of a file; null after an error.</summary>
    public byte[]? PublicKey(Located<string> file)
    {
        if (Read(file) is not { } bytes)
        {
            return null;
        }

        foreach (byte[] der in Blocks(bytes, "PUBLIC KEY"))
        {
            try
            {
                System.Security.Cryptography.X509Certificates.PublicKey.CreateFromSubjectPublicKeyInfo(der, out int read);
                return der[..read];
            }
            catch (CryptographicException)
            {
                break;
            }
        }

        found.Error(file.At, $"{Wording.Quote(file.Value)} holds no public key", "it begins with -----BEGIN PUBLIC KEY-----: openssl pkey -in KEY -pubout");
        return null;
    }

    /// <summary>A file with nothing of use in it is an error, and so is one of which a part cannot be read: nothing is left out in silence.</summary>
    private void Told(Located<string> file, bool whole, bool any, string what, string label)
    {
        if (!any || !whole)
        {
            found.Error(file.At, any ? $"{Wording.Quote(file.Value)} holds a {what} that cannot be read" : $"{Wording.Quote(file.Value)} holds no {what}", $"it begins with -----BEGIN {label}-----, or is DER");
        }
    }

    private byte[]? Read(Located<string> file)
    {
        string? why = "a file name has no such characters";
        byte[]? bytes = file.Value.Contains('\0', StringComparison.Ordinal) ? null : OrdinaryFile.Read(Path.Combine(folders.Of(file.At), file.Value), MostBytes, out why);
        if (bytes is null)
        {
            found.Error(file.At, $"the file {Wording.Quote(file.Value)} is not read: {why}", Relative);
        }

        return bytes;
    }

    /// <summary>What stands between the lines of PEM under these labels; the bytes themselves where they are DER.</summary>
    private static IEnumerable<byte[]> Blocks(byte[] bytes, params string[] labels)
    {
        if (bytes is [0x30, ..])
        {
            yield return bytes;
            yield break;
        }

        string text = Encoding.Latin1.GetString(bytes);
        for (int at = 0; PemEncoding.TryFind(text.AsSpan(at), out PemFields block); at += block.Location.End.Value)
        {
            byte[] der = new byte[block.DecodedDataLength];
            if (labels.Contains(text[at..][block.Label]) && Convert.TryFromBase64String(text[at..][block.Base64Data], der, out int length))
            {
                yield return der[..length];
            }
        }
    }

    private void CheckTime(CertificateFacts facts, Located<string> file)
    {
        if (facts.Until < now)
        {
            found.Warn(file.At, $"the certificate {facts.Name} in {Wording.Quote(file.Value)} expired on {Day(facts.Until)}", "nobody accepts it: have it renewed");
        }
        else if (facts.From > now)
        {
            found.Warn(file.At, $"the certificate {facts.Name} in {Wording.Quote(file.Value)} is not valid before {Day(facts.From)}", "nobody accepts it until then; look at the clock, too");
        }
    }

    /// <summary>When a CRL is to be replaced (RFC 5280 §5.1); false where the bytes are no CRL.</summary>
    private static bool TryNextUpdate(byte[] der, out DateTimeOffset? next)
    {
        next = null;
        try
        {
            AsnReader list = new AsnReader(der, AsnEncodingRules.DER).ReadSequence().ReadSequence();
            if (list.PeekTag().HasSameClassAndValue(Asn1Tag.Integer))
            {
                list.ReadInteger();
            }

            list.ReadSequence();        // the signature's algorithm
            list.ReadSequence();        // the issuer
            Time(list);
            next = list.HasData && (list.PeekTag().HasSameClassAndValue(Asn1Tag.UtcTime) || list.PeekTag().HasSameClassAndValue(Asn1Tag.GeneralizedTime)) ? Time(list) : null;
            return true;
        }
        catch (AsnContentException)
        {
            return false;
        }
    }

    private static DateTimeOffset Time(AsnReader list) =>
        list.PeekTag().HasSameClassAndValue(Asn1Tag.UtcTime) ? list.ReadUtcTime() : list.ReadGeneralizedTime();

    private static string Day(DateTimeOffset time) => time.ToString("yyyy-MM-dd", System.Globalization.CultureInfo.InvariantCulture);
}
