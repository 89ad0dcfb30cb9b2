using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Security.Cryptography;
using Filter.Ipsec.Ike.Payloads;

namespace Filter.Ipsec.Ike.Authentication;

/// <summary>Hashes that signatures may be made of, IANA's numbers (RFC 7427 §7, RFC 8420 §3).</summary>
public enum SignatureHash : ushort
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>SHA-1: MUST NOT be used (RFC 8247 §3.2).</summary>
    Sha1 = 1,

    /// <summary>SHA2-256.</summary>
    Sha256 = 2,

    /// <summary>SHA2-384.</summary>
    Sha384 = 3,

    /// <summary>SHA2-512.</summary>
    Sha512 = 4,

    /// <summary>Identity: the algorithm hashes by itself, as Ed25519 does (RFC 8420).</summary>
    Identity = 5,
}

/// <summary>SIGNATURE_HASH_ALGORITHMS (RFC 7427 §4).</summary>
public static class SignatureHashes
{
    /// <summary>More nobody has.</summary>
    private const int Most = 16;

    /// <summary>What Filter verifies.</summary>
    public static ImmutableArray<SignatureHash> Ours { get; } = [SignatureHash.Sha256, SignatureHash.Sha384, SignatureHash.Sha512, SignatureHash.Identity];

    /// <summary>The notify that says what Filter verifies; for IKE_SA_INIT.</summary>
    public static NotifyPayload Notify()
    {
        byte[] data = new byte[Ours.Length * sizeof(ushort)];
        for (int i = 0; i < Ours.Length; i++)
        {
            BinaryPrimitives.WriteUInt16BigEndian(data.AsSpan(i * sizeof(ushort)), (ushort)Ours[i]);
        }

        return new NotifyPayload(NotifyType.SignatureHashAlgorithms, data);
    }

    /// <summary>What the peer verifies; empty where it did not say so, and knows nothing of RFC 7427.</summary>
    public static ImmutableArray<SignatureHash> Read(NotifyPayload? notify)
    {
        ReadOnlySpan<byte> data = notify is null ? default : notify.Data.Span;
        ImmutableArray<SignatureHash>.Builder hashes = ImmutableArray.CreateBuilder<SignatureHash>();
        for (int at = 0; at + sizeof(ushort) <= data.Length && hashes.Count < Most; at += sizeof(ushort))
        {
            hashes.Add((SignatureHash)BinaryPrimitives.ReadUInt16BigEndian(data[at..]));
        }

        return hashes.ToImmutable();
    }

    internal static HashAlgorithmName NameOf(SignatureHash hash) => hash switch
    {
        SignatureHash.Sha1 => HashAlgorithmName.SHA1,
        SignatureHash.Sha384 => HashAlgorithmName.SHA384,
        SignatureHash.Sha512 => HashAlgorithmName.SHA512,
        _ => HashAlgorithmName.SHA256,
    };
}
