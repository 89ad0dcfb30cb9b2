using System.Diagnostics.CodeAnalysis;
using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Filter.Rules.Policy;

/// <summary>Distinguished names: text to DER and back, and whether two are the same (RFC 5280 §7.1).</summary>
public static class DistinguishedNames
{
    /// <summary>A name of more attributes is nobody's.</summary>
    private const int MostAttributes = 64;

    /// <summary>The DER of a name that is written as certificates show it, the most specific first: <c>CN=gw, O=Example</c>.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out byte[]? der)
    {
        try
        {
            der = new X500DistinguishedName(text, X500DistinguishedNameFlags.Reversed).RawData;
            return Attributes(der) is { Count: > 0 };
        }
        catch (CryptographicException)
        {
            der = null;
            return false;
        }
    }

    /// <summary>The name as people write it; null where the bytes are none.</summary>
    public static string? Text(ReadOnlySpan<byte> der)
    {
        try
        {
            return Attributes(der) is null ? null : new X500DistinguishedName(der).Name;
        }
        catch (CryptographicException)
        {
            return null;
        }
    }

    /// <summary>
    /// The same name: the same attributes in the same order, whatever string types they are written in, and without regard to case or
    /// to blanks that nobody sees. What cannot be read is the same as its very bytes only.
    /// </summary>
    public static bool Same(ReadOnlySpan<byte> one, ReadOnlySpan<byte> other) =>
        one.SequenceEqual(other)
        || (Attributes(one) is { } mine && Attributes(other) is { } its && mine.SequenceEqual(its));

    /// <summary>Type and value of each attribute; those of one RDN, a set, stand in the order of DER.</summary>
    private static List<(int Rdn, string Type, string Value)>? Attributes(ReadOnlySpan<byte> der)
    {
        try
        {
            List<(int, string, string)> all = [];
            AsnReader reader = new(der.ToArray(), AsnEncodingRules.DER);
            AsnReader names = reader.ReadSequence();
            reader.ThrowIfNotEmpty();
            for (int rdn = 0; names.HasData; rdn++)
            {
                AsnReader set = names.ReadSetOf();
                while (set.HasData)
                {
                    AsnReader one = set.ReadSequence();
                    string type = one.ReadObjectIdentifier();
                    all.Add((rdn, type, Value(one)));
                    if (all.Count > MostAttributes)
                    {
                        return null;
                    }
                }
            }

            return all;
        }
        catch (AsnContentException)
        {
            return null;
        }
    }

    private static string Value(AsnReader one)
    {
        Asn1Tag tag = one.PeekTag();
        UniversalTagNumber? kind = tag.TagClass == TagClass.Universal ? (UniversalTagNumber)tag.TagValue : null;
        return kind is UniversalTagNumber.UTF8String or UniversalTagNumber.PrintableString or UniversalTagNumber.IA5String or UniversalTagNumber.BMPString or UniversalTagNumber.T61String
            ? string.Join(' ', one.ReadCharacterString(kind.Value).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)).ToLowerInvariant()
            : Convert.ToHexString(one.ReadEncodedValue().Span);
    }
}
