using System.Security.Cryptography;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads one direction of an SA: its SPI and its keys, from the ruleset or from a file of their own.</summary>
/// <param name="folders">Where a relative key file is looked for.</param>
/// <param name="found">Where findings go. They never quote a key.</param>
internal sealed class KeyReader(Folders folders, Diagnostics found)
{
    private const string HexHint = "keys are hex, with or without 0x, two digits a byte";

    /// <summary>Far more than two keys need.</summary>
    private const int LongestKeyFile = 4096;

    private static readonly string[] s_keys = ["spi", "encryption-key", "integrity-key", "key-file"];

    /// <summary>SPI and keys; null after an error.</summary>
    public SaKeys? Read(Node? node, string what, IpsecSuite? suite, out SourceMark spiAt)
    {
        spiAt = node?.At ?? default;
        if (node is null || Fields.Of(node, what, found, s_keys) is not { } fields)
        {
            return null;
        }

        long? spi = Values.Number(fields.Required("spi"), "an SPI (RFC 4303 §2.1 keeps 0 to 255)", 256, uint.MaxValue, found);
        spiAt = fields["spi"]?.At ?? fields.At;
        bool encrypts = suite is not { KeyMaterialLength: 0 }, authenticates = suite is not { IntegrityKeyLength: 0 };
        SecretKey? encryption = SecretKey.None, integrity = SecretKey.None;
        if (fields.Has("key-file"))
        {
            fields.Refuse("stands beside 'key-file'", "take the keys from one place: leave out the one or the other", "encryption-key", "integrity-key");
            (encryption, integrity) = KeyFile(Values.Text(fields["key-file"], "'key-file'", found), suite);
        }
        else
        {
            if (encrypts)
            {
                encryption = Key(fields.Required("encryption-key", "or name a 'key-file'"), "encryption key", suite?.KeyMaterialLength, suite?.Cipher);
            }
            else
            {
                fields.Refuse("is of no use: the suite encrypts nothing", "leave it out", "encryption-key");
            }

            if (authenticates)
            {
                integrity = Key(fields.Required("integrity-key", "or name a 'key-file'"), "integrity key", suite?.IntegrityKeyLength, null);
            }
            else
            {
                fields.Refuse("is of no use: the cipher authenticates too", "leave it out", "integrity-key");
            }
        }

        if (spi is null || encryption is null || integrity is null)
        {
            encryption?.Wipe();
            integrity?.Wipe();
            return null;
        }

        return new SaKeys { Spi = (uint)spi.Value, EncryptionKey = encryption, IntegrityKey = integrity };
    }

    private SecretKey? Key(Node? node, string what, int? length, CipherAlgorithm? cipher)
    {
        if (node is null)
        {
            return null;
        }

        if (node is not ScalarNode scalar)
        {
            found.Error(node.At, $"the {what} is not a single value", HexHint);
            return null;
        }

        return Decode(scalar.Text, node.At, what, length, cipher);
    }

    private SecretKey? Decode(ReadOnlySpan<char> hex, SourceMark at, string what, int? length, CipherAlgorithm? cipher)
    {
        if (hex.StartsWith("0x") || hex.StartsWith("0X"))
        {
            hex = hex[2..];
        }

        byte[] bytes = GC.AllocateArray<byte>(Math.Min(hex.Length, LongestKeyFile) / 2, pinned: true);
        try
        {
            bool isHex = hex.Length is > 0 and <= LongestKeyFile && hex.Length % 2 == 0
                && Convert.FromHexString(hex, bytes, out _, out int written) == System.Buffers.OperationStatus.Done && written == bytes.Length;
            if (!isHex)
            {
                found.Error(at, $"the {what} is not hex", HexHint);
                return null;
            }

            if (length is { } wanted && bytes.Length != wanted)
            {
                found.Error(at, $"the {what} has {bytes.Length} bytes; the suite needs {wanted}", $"write {wanted * 2} hex digits");
                return null;
            }

            if (DesKeys.WhyNot(cipher, bytes) is { } why)
            {
                found.Error(at, $"the {what} {why}", "take another, drawn at random");
                return null;
            }

            return new SecretKey(bytes);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
        }
    }

    private (SecretKey? Encryption, SecretKey? Integrity) KeyFile(Located<string>? name, IpsecSuite? suite) =>
        name is not { } text ? default
        : new SecretFile(folders, found).Read(text, "key file", LongestKeyFile, LinesHint(suite), bytes => Lines(bytes, text.At, Wording.Quote(text.Value), suite));

    private (SecretKey? Encryption, SecretKey? Integrity) Lines(ReadOnlySpan<byte> bytes, SourceMark at, string shown, IpsecSuite? suite)
    {
        Span<char> characters = stackalloc char[LongestKeyFile + 1];
        try
        {
            for (int i = 0; i < bytes.Length; i++)
            {
                characters[i] = (char)bytes[i];
            }

            ReadOnlySpan<char> text = ((ReadOnlySpan<char>)characters[..bytes.Length]).Trim();
            bool encrypts = suite is not { KeyMaterialLength: 0 }, authenticates = suite is not { IntegrityKeyLength: 0 };
            int wanted = (encrypts ? 1 : 0) + (authenticates ? 1 : 0), end = text.IndexOf('\n');
            if (wanted == 2 ? end < 0 || text[(end + 1)..].Contains('\n') : end >= 0)
            {
                found.Error(at, $"the key file {shown} has not {(wanted == 2 ? "two lines" : "one line")}", LinesHint(suite));
                return default;
            }

            ReadOnlySpan<char> first = wanted == 2 ? text[..end].Trim() : text, last = wanted == 2 ? text[(end + 1)..].Trim() : text;
            return (
                encrypts ? Decode(first, at, "encryption key in the key file", suite?.KeyMaterialLength, suite?.Cipher) : SecretKey.None,
                authenticates ? Decode(last, at, "integrity key in the key file", suite?.IntegrityKeyLength, null) : SecretKey.None);
        }
        finally
        {
            characters.Clear();
        }
    }

    private static string LinesHint(IpsecSuite? suite) => suite switch
    {
        { KeyMaterialLength: 0 } => "it has one line of hex: the integrity key",
        { IntegrityKeyLength: 0 } => "it has one line of hex: the encryption key",
        _ => "it has two lines of hex: the encryption key, the integrity key",
    };
}
