using System.Security.Cryptography;

namespace Filter.Rules.Policy;

/// <summary>
/// Key bytes: pinned, so that wiping leaves no copy behind, and shown by nothing (no property, no text form holds them).
/// </summary>
public sealed class SecretKey : IEquatable<SecretKey>
{
    private readonly byte[] _bytes;

    /// <summary>Takes a copy; the caller wipes its own.</summary>
    public SecretKey(ReadOnlySpan<byte> bytes)
    {
        _bytes = GC.AllocateUninitializedArray<byte>(bytes.Length, pinned: true);
        bytes.CopyTo(_bytes);
    }

    /// <summary>How many bytes.</summary>
    public int Length => _bytes.Length;

    /// <summary>The bytes themselves; all zero once wiped. A method, so that no serializer finds it.</summary>
    public ReadOnlySpan<byte> Reveal() => _bytes;

    /// <summary>Overwrites the bytes with zeros.</summary>
    public void Wipe() => CryptographicOperations.ZeroMemory(_bytes);

    /// <summary>The same bytes, compared in a time that tells nothing about them.</summary>
    public bool Equals(SecretKey? other) => other is not null && CryptographicOperations.FixedTimeEquals(_bytes, other._bytes);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as SecretKey);

    /// <summary>The length: a hash of the bytes would tell about them.</summary>
    public override int GetHashCode() => _bytes.Length;

    /// <summary>Never the bytes.</summary>
    public override string ToString() => "(key)";
}
