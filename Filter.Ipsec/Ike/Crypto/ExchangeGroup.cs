using System.Diagnostics.CodeAnalysis;
using Org.BouncyCastle.Crypto.Agreement;
using Org.BouncyCastle.Crypto.Parameters;

namespace Filter.Ipsec.Ike.Crypto;

/// <summary>What kind of mathematics a group is.</summary>
internal enum ExchangeKind : byte
{
    /// <summary>Powers modulo a safe prime (RFC 2409, 3526).</summary>
    Modp,

    /// <summary>A curve over a prime field; the secret is the abscissa (RFC 5903).</summary>
    Curve,

    /// <summary>X25519 or X448 (RFC 8031).</summary>
    Montgomery,
}

/// <summary>A group that secrets are agreed in.</summary>
internal sealed class ExchangeGroup
{
    private static readonly ExchangeGroup[] s_all =
    [
        new(1, "modp-768", null, DHStandardGroups.rfc2409_768), new(2, "modp-1024", null, DHStandardGroups.rfc2409_1024),
        new(5, "modp-1536", "modp_1536", DHStandardGroups.rfc3526_1536), new(14, "modp-2048", "modp_2048", DHStandardGroups.rfc3526_2048),
        new(15, "modp-3072", "modp_3072", DHStandardGroups.rfc3526_3072), new(16, "modp-4096", "modp_4096", DHStandardGroups.rfc3526_4096),
        new(17, "modp-6144", "modp_6144", DHStandardGroups.rfc3526_6144), new(18, "modp-8192", "modp_8192", DHStandardGroups.rfc3526_8192),
        new(19, "ecp-256", "P-256", ExchangeKind.Curve, 32), new(20, "ecp-384", "P-384", ExchangeKind.Curve, 48), new(21, "ecp-521", "P-521", ExchangeKind.Curve, 66),
        new(31, "x25519", "X25519", ExchangeKind.Montgomery, 32), new(32, "x448", "X448", ExchangeKind.Montgomery, 56),
    ];

    private readonly byte[] _largest = [];

    private ExchangeGroup(ushort id, string name, string? nativeName, DHParameters prime)
        : this(id, name, nativeName, ExchangeKind.Modp, prime.P.BitLength / 8)
    {
        Prime = prime;

        // p - 1 is the largest that must not be; a prime is odd, so only its last byte changes.
        _largest = prime.P.ToByteArrayUnsigned();
        _largest[^1]--;
    }

    private ExchangeGroup(ushort id, string name, string? nativeName, ExchangeKind kind, int size)
    {
        (Id, Name, NativeName, Kind, SecretLength) = (id, name, nativeName, kind, size);
        PublicLength = kind == ExchangeKind.Curve ? 2 * size : size;
    }

    /// <summary>IANA's number.</summary>
    internal ushort Id { get; }

    /// <summary>As rulesets call it.</summary>
    internal string Name { get; }

    /// <summary>As libcrypto calls it; null where it has not the group.</summary>
    internal string? NativeName { get; }

    internal ExchangeKind Kind { get; }

    /// <summary>Bytes of a public value: of a curve both coordinates.</summary>
    internal int PublicLength { get; }

    /// <summary>Bytes of a secret, zeros in front kept (RFC 7296 §2.14).</summary>
    internal int SecretLength { get; }

    /// <summary>The prime and its generator; null for curves.</summary>
    internal DHParameters? Prime { get; }

    internal static bool TryFind(ushort id, [NotNullWhen(true)] out ExchangeGroup? group)
    {
        group = Array.Find(s_all, g => g.Id == id);
        return group is not null;
    }

    /// <summary>What is wrong with a public value of the right length, as far as one can see without computing: 0, 1, p - 1 and above (RFC 6989 §2.1).</summary>
    internal string? WhyNot(ReadOnlySpan<byte> value)
    {
        if (Kind != ExchangeKind.Modp)
        {
            return null;
        }

        bool small = !value[..^1].ContainsAnyExcept((byte)0) && value[^1] <= 1;
        return small ? "a public value of 0 or 1 (RFC 6989 §2.1)"
            : value.SequenceCompareTo(_largest) >= 0 ? "a public value that is not below p - 1 (RFC 6989 §2.1)"
            : null;
    }

    /// <inheritdoc/>
    public override string ToString() => Name;
}
