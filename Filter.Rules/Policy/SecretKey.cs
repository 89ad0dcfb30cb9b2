using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Filter.Rules.Policy;

/// <summary>
/// Key bytes: pinned, so that wiping leaves no copy behind, and shown by nothing (no property, no text form holds them).
/// </summary>
[JsonConverter(typeof(Hidden))]
public sealed class SecretKey : IEquatable<SecretKey>
{
    private readonly byte[] _bytes;

    /// <summary>Takes a copy; the caller wipes its own.</summary>
    public SecretKey(ReadOnlySpan<byte> bytes)
    {
        _bytes = GC.AllocateUninitializedArray<byte>(bytes.Length, pinned: true);
        bytes.CopyTo(_bytes);
    }

    /// <summary>No bytes: the key of an algorithm that takes none.</summary>
    public static SecretKey None { get; } = new([]);

    /// <summary>How many bytes.</summary>
    public int Length => _bytes.Length;

    /// <summary>The bytes themselves; all zero once wiped. A method, so that nothing that lists properties finds it.</summary>
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

    /// <summary>What JSON shows of a key.</summary>
    internal sealed class Hidden : JsonConverter<SecretKey>
    {
        /// <summary>Keys come from rulesets alone.</summary>
        public override SecretKey Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            throw new JsonException("a key cannot be read from JSON");

        /// <summary>Never the bytes.</summary>
        public override void Write(Utf8JsonWriter writer, SecretKey value, JsonSerializerOptions options) =>
            writer.WriteStringValue(value.ToString());
    }
}
