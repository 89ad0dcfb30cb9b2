using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Payloads;

/// <summary>IDi or IDr: who somebody says he is (RFC 7296 §3.5).</summary>
/// <param name="OfInitiator">IDi, else IDr.</param>
/// <param name="Identity">Who.</param>
public sealed record IdPayload(bool OfInitiator, IkeIdentity Identity) : Payload
{
    private const int FixedLength = 4;

    /// <summary>Nobody's name is longer; the longest distinguished names have some hundred bytes.</summary>
    private const int Longest = 2048;

    /// <inheritdoc/>
    public override PayloadType Type => OfInitiator ? PayloadType.IdInitiator : PayloadType.IdResponder;

    /// <summary>What follows the generic header: what AUTH signs as the identity (RFC 7296 §2.15).</summary>
    public static byte[] Body(IkeIdentity identity) => [(byte)identity.Kind, 0, 0, 0, .. identity.Bytes];

    internal override void Write(PayloadWriter to) => to.Bytes(Body(Identity));

    internal static bool TryRead(bool ofInitiator, ReadOnlyMemory<byte> body, out IdPayload? payload, out string? why)
    {
        payload = null;
        if (body.Length is < FixedLength or > Longest)
        {
            why = $"an identity of {body.Length} bytes";
            return false;
        }

        var kind = (IkeIdentityKind)body.Span[0];
        ReadOnlySpan<byte> bytes = body.Span[FixedLength..];
        if (TextOf(kind, bytes) is not { } text)
        {
            why = $"an identity of kind {(byte)kind} that is none";
            return false;
        }

        payload = new IdPayload(ofInitiator, new IkeIdentity(kind, [.. bytes], text));
        why = null;
        return true;
    }

    /// <summary>As people write it; null where the bytes are nothing of the kind.</summary>
    private static string? TextOf(IkeIdentityKind kind, ReadOnlySpan<byte> bytes) => kind switch
    {
        IkeIdentityKind.IPv4Address => bytes.Length == 4 ? Address.ReadIPv4(bytes).ToString() : null,
        IkeIdentityKind.IPv6Address => bytes.Length == 16 ? Address.ReadIPv6(bytes).ToString() : null,
        IkeIdentityKind.DomainName or IkeIdentityKind.MailAddress => bytes.IsEmpty ? null : Printable(bytes),
        IkeIdentityKind.DistinguishedName => DistinguishedNameOf(bytes),
        IkeIdentityKind.GeneralName => $"gn:0x{Convert.ToHexStringLower(bytes)}",
        IkeIdentityKind.KeyId => bytes.IsEmpty ? null : $"keyid:0x{Convert.ToHexStringLower(bytes)}",
        IkeIdentityKind.None => bytes.IsEmpty ? "(nobody)" : null,
        _ => $"identity {(byte)kind}:0x{Convert.ToHexStringLower(bytes)}",
    };

    /// <summary>A name goes into logs and onto terminals: what is no printable ASCII becomes a question mark there.</summary>
    private static string Printable(ReadOnlySpan<byte> bytes)
    {
        StringBuilder text = new(bytes.Length);
        foreach (byte one in bytes)
        {
            text.Append(one is > 0x20 and < 0x7f ? (char)one : '?');
        }

        return text.ToString();
    }

    private static string? DistinguishedNameOf(ReadOnlySpan<byte> der)
    {
        try
        {
            string name = new X500DistinguishedName(der).Name;
            return name.Length == 0 ? null : string.Concat(name.Select(static c => char.IsControl(c) ? '?' : c));
        }
        catch (CryptographicException)
        {
            return null;
        }
    }
}
