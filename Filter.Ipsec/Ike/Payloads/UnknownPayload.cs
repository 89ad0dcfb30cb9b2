namespace Filter.Ipsec.Ike.Payloads;

/// <summary>A payload of a type that is not known: passed over, unless it is critical (RFC 7296 §2.5).</summary>
/// <param name="Number">Its type.</param>
/// <param name="Data">What it says.</param>
public sealed record UnknownPayload(byte Number, ReadOnlyMemory<byte> Data) : Payload
{
    /// <inheritdoc/>
    public override PayloadType Type => (PayloadType)Number;

    internal override void Write(PayloadWriter to) => to.Bytes(Data.Span);
}
