using System.Formats.Asn1;
using System.Security.Cryptography;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>A private key as it was read.</summary>
/// <param name="Key">PKCS#8, DER.</param>
/// <param name="PublicKey">SubjectPublicKeyInfo of the same pair; null of Ed25519, where the file does not say it.</param>
internal sealed record PrivateKeyFacts(SecretKey Key, byte[]? PublicKey);

/// <summary>Reads a file with a private key: PEM or DER, PKCS#8 or what OpenSSL wrote before, never encrypted.</summary>
/// <param name="folders">Where a relative name is looked for.</param>
/// <param name="found">Where findings go. They never quote a key.</param>
internal sealed class PrivateKeyFile(Folders folders, Diagnostics found)
{
    private const int Longest = 65536;
    private const int FewestRsaBits = 2048;
    private const string Rsa = "1.2.840.113549.1.1.1", Ecdsa = "1.2.840.10045.2.1", Ed25519 = "1.3.101.112";
    private const string Hint = "it begins with -----BEGIN PRIVATE KEY-----: RSA, ECDSA with P-256, P-384 or P-521, or Ed25519";

    private static readonly string[] s_curves = ["1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"];

    /// <summary>The key; null after an error.</summary>
    public PrivateKeyFacts? Read(Located<string> file) =>
        new SecretFile(folders, found).Read(file, "key file", Longest, Hint, bytes => bytes is [0x30, ..] ? Take("PRIVATE KEY", bytes, file) : Pem(bytes, file));

    private PrivateKeyFacts? Pem(ReadOnlySpan<byte> bytes, Located<string> file)
    {
        char[] text = GC.AllocateArray<char>(bytes.Length, pinned: true);
        byte[] der = GC.AllocateArray<byte>(bytes.Length, pinned: true);
        try
        {
            for (int i = 0; i < bytes.Length; i++)
            {
                text[i] = (char)bytes[i];
            }

            ReadOnlySpan<char> rest = text;
            while (PemEncoding.TryFind(rest, out PemFields block))
            {
                string label = rest[block.Label].ToString();
                if (label.EndsWith("PRIVATE KEY", StringComparison.Ordinal) && Convert.TryFromBase64Chars(rest[block.Base64Data], der, out int length))
                {
                    return Take(label, der.AsSpan(0, length), file);
                }

                rest = rest[block.Location.End..];
            }

            found.Error(file.At, text.AsSpan().Contains("ENCRYPTED", StringComparison.Ordinal) ? Encrypted(file) : $"{Wording.Quote(file.Value)} holds no private key", Hint);
            return null;
        }
        finally
        {
            Array.Clear(text);
            CryptographicOperations.ZeroMemory(der);
        }
    }

    private PrivateKeyFacts? Take(string label, ReadOnlySpan<byte> der, Located<string> file)
    {
        try
        {
            switch (label)
            {
                case "ENCRYPTED PRIVATE KEY":
                    found.Error(file.At, Encrypted(file), "nobody is there to type its password: openssl pkey -in KEY -out PLAIN, and chmod 600");
                    return null;
                case "RSA PRIVATE KEY":
                    using (RSA rsa = RSA.Create())
                    {
                        rsa.ImportRSAPrivateKey(der, out _);
                        return Taken(rsa, file);
                    }

                case "EC PRIVATE KEY":
                    using (ECDsa ecdsa = ECDsa.Create())
                    {
                        ecdsa.ImportECPrivateKey(der, out _);
                        return Taken(ecdsa, file);
                    }

                default:
                    return Pkcs8(der, file);
            }
        }
        catch (Exception wrong) when (wrong is CryptographicException or AsnContentException or PlatformNotSupportedException)
        {
            found.Error(file.At, $"{Wording.Quote(file.Value)} holds no private key that can be read", Hint);
            return null;
        }
    }

    private PrivateKeyFacts? Pkcs8(ReadOnlySpan<byte> der, Located<string> file)
    {
        switch (AlgorithmOf(der))
        {
            case Rsa:
                using (RSA rsa = RSA.Create())
                {
                    rsa.ImportPkcs8PrivateKey(der, out _);
                    return Taken(rsa, file);
                }

            case Ecdsa:
                using (ECDsa ecdsa = ECDsa.Create())
                {
                    ecdsa.ImportPkcs8PrivateKey(der, out _);
                    return Taken(ecdsa, file);
                }

            case Ed25519:
                return new PrivateKeyFacts(new SecretKey(der), null);
            default:
                found.Error(file.At, $"the key in {Wording.Quote(file.Value)} is of a kind that IKE does not sign with here", Hint);
                return null;
        }
    }

    /// <summary>PKCS#8: version, algorithm, key (RFC 5958 §2).</summary>
    private static string AlgorithmOf(ReadOnlySpan<byte> der)
    {
        // The places alone are looked at: nothing of the key is copied.
        AsnDecoder.ReadSequence(der, AsnEncodingRules.BER, out int start, out int length, out _);
        ReadOnlySpan<byte> within = der.Slice(start, length);
        AsnDecoder.ReadIntegerBytes(within, AsnEncodingRules.BER, out int version);
        AsnDecoder.ReadSequence(within[version..], AsnEncodingRules.BER, out int inner, out int innerLength, out _);
        return AsnDecoder.ReadObjectIdentifier(within.Slice(version + inner, innerLength), AsnEncodingRules.BER, out _);
    }

    private PrivateKeyFacts? Taken(AsymmetricAlgorithm pair, Located<string> file)
    {
        if (pair is RSA { KeySize: < FewestRsaBits })
        {
            found.Error(file.At, $"the RSA key in {Wording.Quote(file.Value)} has {pair.KeySize} bits, which are too few (RFC 8247 §4)", "make one of 3072 bits, or take ECDSA P-256");
            return null;
        }

        if (pair is ECDsa curve && !s_curves.Contains(curve.ExportParameters(includePrivateParameters: false).Curve.Oid.Value))
        {
            found.Error(file.At, $"the key in {Wording.Quote(file.Value)} is of a curve that IKE does not sign with", Hint);
            return null;
        }

        byte[] pkcs8 = GC.AllocateArray<byte>(Longest, pinned: true);
        try
        {
            return pair.TryExportPkcs8PrivateKey(pkcs8, out int length) ? new PrivateKeyFacts(new SecretKey(pkcs8.AsSpan(0, length)), pair.ExportSubjectPublicKeyInfo()) : null;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(pkcs8);
        }
    }

    private static string Encrypted(Located<string> file) => $"the private key in {Wording.Quote(file.Value)} is encrypted";
}
