using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Crypto;

/// <summary>
/// Our half of a key exchange: a fresh key pair of one group (RFC 7296 §2.12: never used twice). Disposing wipes the private half.
/// </summary>
public abstract class KeyExchange : IDisposable
{
    private readonly int _publicLength;

    /// <param name="group">Of which group it is.</param>
    private protected KeyExchange(ExchangeGroup group)
    {
        Parameters = group;
        Group = group.Id;
        SecretLength = group.SecretLength;
        _publicLength = group.PublicLength;
    }

    /// <summary>IANA's number of the group.</summary>
    public ushort Group { get; }

    /// <summary>Our public value, as the KE payload has it.</summary>
    public abstract ReadOnlyMemory<byte> PublicValue { get; }

    /// <summary>Bytes of the shared secret.</summary>
    internal int SecretLength { get; }

    private protected ExchangeGroup Parameters { get; }

    /// <summary>Generates a key pair; false where the group is not known.</summary>
    public static bool TryCreate(ushort group, [NotNullWhen(true)] out KeyExchange? exchange)
    {
        exchange = ExchangeGroup.TryFind(group, out ExchangeGroup? found)
            ? (KeyExchange?)LibcryptoKeyExchange.TryCreate(found) ?? new BouncyCastleKeyExchange(found)
            : null;
        return exchange is not null;
    }

    /// <summary>
    /// Agrees on g^ir with the peer's public value, which is held against RFC 6989 first: its length, that it lies in the group, that it is none
    /// of those that give the secret away.
    /// </summary>
    /// <param name="peersPublic">As the KE payload has it.</param>
    /// <param name="shared">g^ir, as long as the group says; the caller wipes it.</param>
    /// <param name="why">What is wrong with the value.</param>
    public bool TryAgree(ReadOnlySpan<byte> peersPublic, [NotNullWhen(true)] out SecretKey? shared, out string? why)
    {
        shared = null;
        why = peersPublic.Length != _publicLength ? $"a public value of {peersPublic.Length} bytes, not {_publicLength}" : Parameters.WhyNot(peersPublic);
        if (why is not null)
        {
            return false;
        }

        byte[] secret = GC.AllocateArray<byte>(SecretLength, pinned: true);
        // On curves like X25519 zeros are what points of small order lead to (RFC 7748 §6); on the others zero is an abscissa like any.
        bool agreed = Agree(peersPublic, secret) && (Parameters.Kind != ExchangeKind.Montgomery || secret.AsSpan().ContainsAnyExcept((byte)0));
        shared = agreed ? new SecretKey(secret) : null;
        why = agreed ? null : "a public value that is not of the group, or leads to a secret that everybody knows (RFC 6989)";
        CryptographicOperations.ZeroMemory(secret);
        return agreed;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Computes the secret; false where the value is not of the group.</summary>
    private protected abstract bool Agree(ReadOnlySpan<byte> peersPublic, Span<byte> secret);

    /// <summary>Wipes what is private.</summary>
    private protected abstract void Dispose(bool disposing);
}
