using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>
/// Reads how a peer and we prove who we are: a PSK for both, or each end by a private key, with certificates or the bare public key.
/// One end may do it the one way and the other the other (RFC 7296 §2.15).
/// </summary>
/// <param name="folders">Where relative names are looked for.</param>
/// <param name="found">Where findings go. They never quote a secret.</param>
internal sealed class CredentialReader(Folders folders, Diagnostics found)
{
    private const int LongestPsk = 4096;
    private const int FewestPskBytes = 20;
    private const string HexHint = "after 0x, hex with two digits a byte; or text in quotes";

    private readonly CertificateFiles _files = new(folders, found, DateTimeOffset.UtcNow);

    /// <summary>The keys.</summary>
    public static string[] Keys { get; } = ["psk", "psk-file", "certificate", "key-file", "trust", "crl", "require-crl", "peer-key"];

    /// <summary>Both credentials; those with an error are null. The certificate that says who we are, where there is one.</summary>
    public (IkeCredential? Local, IkeCredential? Remote, CertificateFacts? Certificate) Read(Fields fields)
    {
        PskCredential? psk = Psk(fields);
        bool hasPsk = fields.Has("psk") || fields.Has("psk-file"), hasKey = fields.Has("key-file"), hasRemote = fields.Has("trust") || fields.Has("peer-key");
        (PrivateKeyCredential? key, CertificateFacts? certificate) = PrivateKey(fields);
        IkeCredential? remote = Remote(fields);
        if (hasPsk && hasKey && hasRemote)
        {
            found.Error(fields.KeyAt(fields.Has("psk") ? "psk" : "psk-file"), "the PSK proves nothing: 'key-file' is for us, and 'trust' or 'peer-key' for the peer", "leave it out");
            psk?.Wipe();
        }
        else if (!hasPsk && !hasKey)
        {
            found.Error(fields.At, "the peer says not how we prove who we are", "write psk-file: branch.psk, or certificate and key-file");
        }
        else if (!hasPsk && !hasRemote)
        {
            found.Error(fields.At, "the peer says not how it proves who it is", "write trust: ca.pem, or peer-key: branch.pub");
        }

        return (hasKey ? key : psk, hasRemote ? remote : psk, certificate);
    }

    private PskCredential? Psk(Fields fields)
    {
        if (fields.Has("psk") && fields.Has("psk-file"))
        {
            found.Error(fields.KeyAt("psk-file"), "'psk-file' stands beside 'psk'", "leave out the one or the other");
        }

        if (fields.Has("psk-file"))
        {
            return Values.Text(fields["psk-file"], "'psk-file'", found) is { } file
                && new SecretFile(folders, found).Read(file, "PSK file", LongestPsk, "it has one line: the PSK", bytes => Line(bytes, file)) is { } read ? Psk(read, file.At) : null;
        }

        if (fields["psk"] is not { } node)
        {
            return null;
        }

        if (node is not ScalarNode { Text.Length: > 0 } scalar)
        {
            found.Error(node.At, "'psk' is a single value that is not empty", HexHint);
            return null;
        }

        return Psk(Decode(scalar.Text, node.At), node.At);
    }

    private PskCredential? Psk(SecretKey? key, SourceMark at)
    {
        if (key is null)
        {
            return null;
        }

        if (key.Length < FewestPskBytes)
        {
            found.Warn(at, string.Create(CultureInfo.InvariantCulture, $"the PSK has {key.Length} bytes: whoever hears one exchange can guess it at leisure (RFC 7296 §2.15)"), "draw one at random: openssl rand -base64 32");
        }

        return new PskCredential { At = at, Key = key };
    }

    /// <summary>The one line of a file.</summary>
    private SecretKey? Line(ReadOnlySpan<byte> bytes, Located<string> file)
    {
        ReadOnlySpan<byte> line = bytes.TrimEnd("\r\n"u8);
        if (line.IsEmpty || line.Contains((byte)'\n'))
        {
            found.Error(file.At, $"the PSK file {Wording.Quote(file.Value)} has not one line", "it has one line: the PSK");
            return null;
        }

        char[] text = GC.AllocateArray<char>(line.Length, pinned: true);
        try
        {
            for (int i = 0; i < line.Length; i++)
            {
                text[i] = (char)line[i];
            }

            return line is [(byte)'0', (byte)'x' or (byte)'X', ..] ? Decode(text, file.At) : new SecretKey(line);
        }
        finally
        {
            Array.Clear(text);
        }
    }

    /// <summary>Hex behind 0x, or the text itself.</summary>
    private SecretKey? Decode(ReadOnlySpan<char> text, SourceMark at)
    {
        byte[] bytes = GC.AllocateArray<byte>(Encoding.UTF8.GetByteCount(text), pinned: true);
        try
        {
            if (!text.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
            {
                return new SecretKey(bytes.AsSpan(0, Encoding.UTF8.GetBytes(text, bytes)));
            }

            if (text.Length > 2 && text.Length % 2 == 0 && Convert.FromHexString(text[2..], bytes, out _, out int written) == System.Buffers.OperationStatus.Done && written * 2 == text.Length - 2)
            {
                return new SecretKey(bytes.AsSpan(0, written));
            }

            found.Error(at, "the PSK begins with 0x and is not hex", HexHint);
            return null;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
        }
    }

    private (PrivateKeyCredential? Key, CertificateFacts? Certificate) PrivateKey(Fields fields)
    {
        List<(CertificateFacts Certificate, Located<string> File)> chain = _files.Certificates(fields["certificate"], "'certificate'");
        CertificateFacts? own = chain.Count > 0 ? chain[0].Certificate : null;
        if (Values.Text(fields["key-file"], "'key-file'", found) is not { } file)
        {
            fields.Refuse("says who we are, and nothing proves it", "name its private key: key-file: gw.key", "certificate");
            return (null, own);
        }

        if (new PrivateKeyFile(folders, found).Read(file) is not { } key)
        {
            return (null, own);
        }

        if (own is not null && key.PublicKey is { } half && !own.PublicKey.AsSpan().SequenceEqual(half))
        {
            found.Error(file.At, $"the private key in {Wording.Quote(file.Value)} does not belong to the certificate {own.Name} in {Wording.Quote(chain[0].File.Value)}", "name the key that the certificate was made for, and our own certificate first");
        }

        return (new PrivateKeyCredential { At = file.At, PrivateKey = key.Key, Certificates = [.. chain.Select(static c => c.Certificate.Der.ToImmutableArray())] }, own);
    }

    private IkeCredential? Remote(Fields fields)
    {
        if (fields.Has("peer-key"))
        {
            fields.Refuse("stands beside 'peer-key'", "the key itself is trusted, or whoever signs it: leave out the one or the other", "trust");
            fields.Refuse("is for certificates that 'trust' leads to", "leave it out", "crl", "require-crl");
            return Values.Text(fields["peer-key"], "'peer-key'", found) is { } file && _files.PublicKey(file) is { } key
                ? new PublicKeyCredential { At = file.At, PublicKey = [.. key] }
                : null;
        }

        if (!fields.Has("trust"))
        {
            fields.Refuse("is for certificates that 'trust' leads to", "name whom to trust, or leave it out", "crl", "require-crl");
            return null;
        }

        List<(CertificateFacts Certificate, Located<string> File)> anchors = _files.Certificates(fields["trust"], "'trust'");
        foreach ((CertificateFacts one, Located<string> file) in anchors.Where(static a => !a.Certificate.IsAuthority))
        {
            found.Warn(file.At, $"the certificate {one.Name} in {Wording.Quote(file.Value)} is of no authority: it signs no others", "name the certificate of who signs the peer's; a single key is peer-key");
        }

        List<byte[]> lists = _files.RevocationLists(fields["crl"]);
        bool required = Values.Flag(fields["require-crl"], "'require-crl'", found);
        if (required && !fields.Has("crl"))
        {
            found.Error(fields.KeyAt("require-crl"), "'require-crl' without a CRL refuses everybody", "name one: crl: ca.crl");
        }

        return anchors.Count == 0 ? null : new TrustCredential
        {
            At = fields["trust"]!.At,
            Anchors = [.. anchors.Select(static a => a.Certificate.Der.ToImmutableArray())],
            RevocationLists = [.. lists.Select(static l => l.ToImmutableArray())],
            RequiresRevocationList = required,
        };
    }
}
