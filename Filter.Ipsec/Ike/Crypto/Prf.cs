using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Filter.Ipsec.Crypto;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Crypto;

/// <summary>A pseudorandom function: what keys are made with (RFC 7296 §2.13).</summary>
public sealed class Prf
{
    private static readonly Prf[] s_all =
    [
        new(1, 16, isFixed: false, static (key, data, to) => CryptographicOperations.HmacData(HashAlgorithmName.MD5, key, data, to)),
        new(2, 20, isFixed: false, static (key, data, to) => CryptographicOperations.HmacData(HashAlgorithmName.SHA1, key, data, to)),
        new(4, 16, isFixed: true, static (key, data, to) => Block(IntegrityKind.AesXcbc, key, data, to)),
        new(5, 32, isFixed: false, static (key, data, to) => CryptographicOperations.HmacData(HashAlgorithmName.SHA256, key, data, to)),
        new(6, 48, isFixed: false, static (key, data, to) => CryptographicOperations.HmacData(HashAlgorithmName.SHA384, key, data, to)),
        new(7, 64, isFixed: false, static (key, data, to) => CryptographicOperations.HmacData(HashAlgorithmName.SHA512, key, data, to)),
        new(8, 16, isFixed: true, static (key, data, to) => Block(IntegrityKind.AesCmac, key, data, to)),
    ];

    private readonly ushort _id;
    private readonly Function _compute;

    private Prf(ushort id, int length, bool isFixed, Function compute)
    {
        (_id, Length, IsFixed, _compute) = (id, length, isFixed, compute);
    }

    private delegate void Function(ReadOnlySpan<byte> key, ReadOnlySpan<byte> data, Span<byte> to);

    /// <summary>Bytes that it gives, and that its keys have as a rule (the preferred key length).</summary>
    public int Length { get; }

    /// <summary>Of the nonces only eight bytes each become the key of SKEYSEED (RFC 7296 §2.14): AES-XCBC and AES-CMAC.</summary>
    public bool IsFixed { get; }

    /// <summary>The function with IANA's number.</summary>
    public static bool TryOf(ushort id, [NotNullWhen(true)] out Prf? prf)
    {
        prf = Array.Find(s_all, p => p._id == id);
        return prf is not null;
    }

    /// <summary>prf(key, data).</summary>
    /// <param name="key">Of any length.</param>
    /// <param name="data">Of any length.</param>
    /// <param name="to"><see cref="Length"/> bytes.</param>
    public void Compute(ReadOnlySpan<byte> key, ReadOnlySpan<byte> data, Span<byte> to) => _compute(key, data, to[..Length]);

    /// <summary>prf(key, data), as an array that the caller wipes where it is secret.</summary>
    public byte[] Compute(ReadOnlySpan<byte> key, ReadOnlySpan<byte> data)
    {
        byte[] made = new byte[Length];
        _compute(key, data, made);
        return made;
    }

    /// <summary>prf+(key, seed): T1 = prf(K, S | 1), T2 = prf(K, T1 | S | 2) and so on (RFC 7296 §2.13).</summary>
    /// <param name="key">The key.</param>
    /// <param name="seed">The seed.</param>
    /// <param name="to">Filled; at most 255 times <see cref="Length"/>.</param>
    public void Expand(ReadOnlySpan<byte> key, ReadOnlySpan<byte> seed, Span<byte> to)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(to.Length, byte.MaxValue * Length, nameof(to));
        byte[] data = GC.AllocateArray<byte>(Length + seed.Length + 1, pinned: true);
        Span<byte> made = stackalloc byte[Length];
        seed.CopyTo(data.AsSpan(Length));
        for (int round = 1; to.Length > 0; round++)
        {
            data[^1] = (byte)round;
            _compute(key, data.AsSpan(round == 1 ? Length : 0), made);
            made.CopyTo(data);
            int taken = Math.Min(Length, to.Length);
            made[..taken].CopyTo(to);
            to = to[taken..];
        }

        CryptographicOperations.ZeroMemory(made);
        CryptographicOperations.ZeroMemory(data);
    }

    /// <summary>
    /// Of a block cipher: keys of 16 bytes are taken as they are, longer ones become a MAC of themselves under zero, shorter ones are filled
    /// up with zeros, by XCBC (RFC 4434 §2), or become a MAC too, by CMAC (RFC 4615 §3).
    /// </summary>
    private static void Block(IntegrityKind kind, ReadOnlySpan<byte> key, ReadOnlySpan<byte> data, Span<byte> to)
    {
        const int keyLength = 16;
        Span<byte> right = stackalloc byte[keyLength];
        right.Clear();
        if (key.Length == keyLength || (key.Length < keyLength && kind == IntegrityKind.AesXcbc))
        {
            key.CopyTo(right);
        }
        else
        {
            BouncyCastleMac.Compute(kind, new byte[keyLength], key, right);
        }

        BouncyCastleMac.Compute(kind, right, data, to);
        CryptographicOperations.ZeroMemory(right);
    }
}
