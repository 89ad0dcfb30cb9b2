using System.Collections.Immutable;
using System.Net.Mail;
using System.Text;
using Filter.Engine.Packets;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>
/// What a user may write for who somebody is (RFC 7296 §3.5): an address, a domain name, a mail address, a distinguished name, a
/// key id; and for who somebody may be also <c>*.example.com</c>, <c>*@example.com</c> and <c>any</c>.
/// </summary>
internal static class IdentityWords
{
    private const string KeyId = "keyid:";
    private const int Longest = 1024;
    private const string Forms = "write 192.0.2.1, gw.example.com, gw@example.com, \"CN=gw, O=Example\" or keyid:0x0102";

    /// <summary>An identity; null after an error.</summary>
    public static IkeIdentity? Read(Located<string> text, Diagnostics found)
    {
        if (text.Value.Contains('*', StringComparison.Ordinal))
        {
            found.Error(text.At, $"{Wording.Quote(text.Value)} names many, and here stands one", Forms);
            return null;
        }

        IkeIdentity? identity = text.Value.Length > Longest ? null : Parse(text.Value);
        if (identity is null)
        {
            found.Error(text.At, $"{Wording.Quote(text.Value)} is no identity", Forms);
        }

        return identity;
    }

    /// <summary>Who somebody may be; null after an error.</summary>
    public static IkeIdentityPattern? ReadPattern(Located<string> text, Diagnostics found)
    {
        string word = text.Value;
        if (word == "any")
        {
            return new IkeIdentityPattern(null, null);
        }

        if (word.StartsWith("*.", StringComparison.Ordinal) || word.StartsWith("*@", StringComparison.Ordinal))
        {
            if (IsDomain(word[2..]))
            {
                return new IkeIdentityPattern(null, word[1..].ToLowerInvariant());
            }

            found.Error(text.At, $"{Wording.Quote(word)} is no identity", "write *.example.com or *@example.com");
            return null;
        }

        return Read(text, found) is { } one ? new IkeIdentityPattern(one, null) : null;
    }

    /// <summary>The identity that an address is.</summary>
    public static IkeIdentity Of(Address address)
    {
        byte[] bytes = new byte[address.WireLength];
        address.Write(bytes);
        return new(address.IsIPv4 ? IkeIdentityKind.IPv4Address : IkeIdentityKind.IPv6Address, [.. bytes], address.ToString());
    }

    private static IkeIdentity? Parse(string word)
    {
        if (word.StartsWith(KeyId, StringComparison.Ordinal))
        {
            return ParseKeyId(word);
        }

        if (word.Contains('=', StringComparison.Ordinal))
        {
            return DistinguishedNames.TryParse(word, out byte[]? der) ? new(IkeIdentityKind.DistinguishedName, [.. der], word) : null;
        }

        if (AddressWords.LooksLikeOne(word))
        {
            return AddressWords.TryAddress(word, out Address address) ? Of(address) : null;
        }

        if (word.Contains('@', StringComparison.Ordinal))
        {
            bool good = Ascii.IsValid(word) && !word.Contains(' ', StringComparison.Ordinal) && MailAddress.TryCreate(word, out MailAddress? mail) && mail.Address == word;
            return good ? new(IkeIdentityKind.MailAddress, [.. Encoding.ASCII.GetBytes(word)], word) : null;
        }

        return IsDomain(word) ? new(IkeIdentityKind.DomainName, [.. Encoding.ASCII.GetBytes(word)], word) : null;
    }

    /// <summary><c>keyid:</c> and bytes in hex, or the text itself.</summary>
    private static IkeIdentity? ParseKeyId(string word)
    {
        string value = word[KeyId.Length..];
        if (!value.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
        {
            return value.Length == 0 ? null : new(IkeIdentityKind.KeyId, [.. Encoding.UTF8.GetBytes(value)], word);
        }

        byte[] bytes = new byte[(value.Length - 2) / 2];
        bool isHex = bytes.Length > 0 && value.Length % 2 == 0
            && Convert.FromHexString(value.AsSpan(2), bytes, out _, out int written) == System.Buffers.OperationStatus.Done && written == bytes.Length;
        return isHex ? new(IkeIdentityKind.KeyId, [.. bytes], word) : null;
    }

    private static bool IsDomain(string word) =>
        word.Length is > 0 and <= 253
        && word.Split('.').All(static label => label.Length is > 0 and <= 63 && label[0] != '-' && label.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'));
}
