using System.Security.Cryptography;
using Filter.Engine.Ports;
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

    private (SecretKey? Encryption, SecretKey? Integrity) KeyFile(Located<string>? name, IpsecSuite? suite)
    {
        if (name is not { } text)
        {
            return default;
        }

        string shown = Wording.Quote(text.Value);
        if (text.Value.Contains('\0', StringComparison.Ordinal))
        {
            found.Error(text.At, $"{shown} is not the name of a file");
            return default;
        }

        byte[] bytes = GC.AllocateArray<byte>(LongestKeyFile + 1, pinned: true);
        try
        {
            string directory = folders.Of(text.At), path = Path.Combine(directory, text.Value);
            if (!File.Exists(path))
            {
                found.Error(text.At, $"there is no key file {shown}", "a relative name counts from the folder of the file that names it");
                return default;
            }

            // What is behind a name may change, so the open file is asked. A FIFO must not even be opened: it would block.
            FileInfo file = new(path);
            bool ordinary = FileFacts.At((file.ResolveLinkTarget(returnFinalTarget: true) ?? file).FullName)?.IsRegular == true;
            using FileStream? stream = ordinary ? new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0) : null;
            if (stream is null || FileFacts.Of(stream.SafeFileHandle) is not { IsRegular: true } facts || stream.Length is 0 or > LongestKeyFile)
            {
                found.Error(text.At, $"{shown} is not a key file", LinesHint(suite));
                return default;
            }

            if (!facts.IsForOwnerAlone)
            {
                found.Error(text.At, $"others than its owner may read or change the key file {shown}", $"chmod 600 {text.Value}");
                return default;
            }

            // Whoever has the ruleset's folder decides what is protected at all.
            if (!facts.IsOurs && FileFacts.At(Path.GetFullPath(directory.Length == 0 ? "." : directory))?.Owner != facts.Owner)
            {
                found.Error(text.At, $"the key file {shown} belongs to another user, who may read and change it", $"chown root {text.Value}");
                return default;
            }

            int length = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            return Lines(bytes.AsSpan(0, length), text.At, shown, suite);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or System.Security.SecurityException or ArgumentException or NotSupportedException)
        {
            found.Error(text.At, $"the key file {shown} cannot be read", "it must be readable by who runs Filter");
            return default;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
        }
    }

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
