namespace Filter.Ipsec.Ike.Payloads;

/// <summary>What can be wrong with a message.</summary>
public enum IkeFaultKind : byte
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>A length, type or value that cannot be: INVALID_SYNTAX, once the sender has proved himself (RFC 7296 §2.21).</summary>
    Malformed,

    /// <summary>Another version than 2: INVALID_MAJOR_VERSION where it is above (RFC 7296 §2.5).</summary>
    WrongVersion,

    /// <summary>A critical payload of a type that is not known: UNSUPPORTED_CRITICAL_PAYLOAD.</summary>
    UnsupportedCritical,

    /// <summary>More of something than anybody needs.</summary>
    TooMany,

    /// <summary>In the clear where it must be encrypted, or the other way round: dropped.</summary>
    WrongProtection,

    /// <summary>It is not of who has the keys, or was changed on its way: dropped.</summary>
    BadIcv,

    /// <summary>A fragment that does not go with the others: dropped (RFC 7383 §2.6).</summary>
    BadFragment,
}

/// <summary>Why a message was not read.</summary>
/// <param name="Kind">What is wrong; <see cref="IkeFaultKind.None"/> for nothing.</param>
/// <param name="Text">In words, for the log.</param>
/// <param name="Payload">The type of the payload that is at fault; 0 for none.</param>
public readonly record struct IkeFault(IkeFaultKind Kind, string Text, byte Payload = 0)
{
    /// <summary>Who has the keys said it: the message was opened before it turned out to be wrong.</summary>
    public bool IsProven { get; init; }

    /// <summary>Nothing is wrong.</summary>
    public static IkeFault None => new(IkeFaultKind.None, "");

    /// <inheritdoc/>
    public override string ToString() => Text;
}
