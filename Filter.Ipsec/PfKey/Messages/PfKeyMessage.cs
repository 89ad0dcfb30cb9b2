using System.Collections.Immutable;

namespace Filter.Ipsec.PfKey.Messages;

/// <summary>The base header, struct sadb_msg: 16 bytes (RFC 2367 §2.1). Numbers are the machine's own byte order.</summary>
/// <param name="Type">What it is about.</param>
/// <param name="Error">What went wrong, in an answer.</param>
/// <param name="SaType">Whose SA.</param>
/// <param name="Sequence">Chosen by who begins; an answer has it too.</param>
/// <param name="Process">Of who begins; an answer has it too; 0 of what nobody asked for.</param>
public readonly record struct PfKeyHeader(PfKeyType Type, PfKeyError Error, PfKeySaType SaType, uint Sequence, uint Process)
{
    /// <summary>PF_KEY_V2.</summary>
    public const byte Version = 2;

    /// <summary>Its length in bytes.</summary>
    public const int Length = 16;
}

/// <summary>A message: the header, and extensions of which each type stands at most once (RFC 2367 §2.3).</summary>
/// <param name="Header">The base header.</param>
/// <param name="Extensions">In the order they came, or are to go.</param>
public sealed record PfKeyMessage(PfKeyHeader Header, ImmutableArray<PfKeyExtension> Extensions) : IDisposable
{
    /// <summary>Bytes of a message at most, ours and others'.</summary>
    public const int Longest = 64 * 1024;

    /// <summary>The extension of a type; null where it has none.</summary>
    public T? Find<T>(PfKeyExtensionType type)
        where T : PfKeyExtension
    {
        foreach (PfKeyExtension extension in Extensions)
        {
            if (extension.Type == type)
            {
                return extension as T;
            }
        }

        return null;
    }

    /// <summary>Whether it has an extension of that type.</summary>
    public bool Has(PfKeyExtensionType type) => Find<PfKeyExtension>(type) is not null;

    /// <summary>Wipes the keys in it.</summary>
    public void Dispose()
    {
        foreach (PfKeyExtension extension in Extensions)
        {
            (extension as KeyExtension)?.Key.Wipe();
        }
    }
}
