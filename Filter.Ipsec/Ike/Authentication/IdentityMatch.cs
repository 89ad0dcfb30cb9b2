using Filter.Rules.Policy;
using Org.BouncyCastle.Asn1;
using Org.BouncyCastle.Asn1.X509;

namespace Filter.Ipsec.Ike.Authentication;

/// <summary>Whether an identity is the one that is meant (RFC 4301 §4.4.3.1, RFC 4945 §3.1).</summary>
public static class IdentityMatch
{
    /// <summary>Whether a pattern means an identity. ID_NULL is meant by none.</summary>
    public static bool Means(IkeIdentityPattern pattern, IkeIdentity identity)
    {
        if (identity.Kind == IkeIdentityKind.None)
        {
            return false;
        }

        if (pattern.Exactly is { } exactly)
        {
            return AreSame(exactly, identity);
        }

        if (pattern.Suffix is not { } suffix)
        {
            return true;
        }

        IkeIdentityKind kind = suffix.StartsWith('@') ? IkeIdentityKind.MailAddress : IkeIdentityKind.DomainName;
        string? text = AsciiOf(identity);
        return identity.Kind == kind && text is not null && text.Length > suffix.Length && text.EndsWith(suffix, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>Names of domains and mail addresses in whatever case, distinguished names as RFC 5280 §7.1 has them, all else byte by byte.</summary>
    public static bool AreSame(IkeIdentity one, IkeIdentity other) => one.Kind == other.Kind && (one.Equals(other) || one.Kind switch
    {
        IkeIdentityKind.DomainName or IkeIdentityKind.MailAddress =>
            AsciiOf(one) is { } text && string.Equals(text, AsciiOf(other), StringComparison.OrdinalIgnoreCase),
        IkeIdentityKind.DistinguishedName => NameOf(one) is { } name && NameOf(other) is { } another && name.Equivalent(another, true),
        _ => false,
    });

    /// <summary>The bytes as text; null where they are none, as with a NUL that hides what follows.</summary>
    internal static string? AsciiOf(IkeIdentity identity)
    {
        ReadOnlySpan<byte> bytes = identity.Bytes.AsSpan();
        return bytes.ContainsAnyExceptInRange((byte)0x21, (byte)0x7e) ? null : System.Text.Encoding.ASCII.GetString(bytes);
    }

    /// <summary>The distinguished name; null where the bytes are none.</summary>
    internal static X509Name? NameOf(IkeIdentity identity)
    {
        byte[] bytes = [.. identity.Bytes];
        if (identity.Kind != IkeIdentityKind.DistinguishedName || !Der.IsSound(bytes))
        {
            return null;
        }

        try
        {
            return X509Name.GetInstance(Asn1Object.FromByteArray(bytes));
        }
        catch (Exception e) when (e is ArgumentException or IOException or InvalidOperationException)
        {
            return null;
        }
    }
}
