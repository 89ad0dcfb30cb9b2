namespace Filter.Ipsec.Ike.Payloads;

/// <summary>V: which implementation the peer is (RFC 7296 §3.12). Nothing depends on it.</summary>
/// <param name="Data">Whatever the vendor chose.</param>
public sealed record VendorIdPayload(ReadOnlyMemory<byte> Data) : Payload
{
    /// <inheritdoc/>
    public override PayloadType Type => PayloadType.VendorId;

    internal override void Write(PayloadWriter to) => to.Bytes(Data.Span);
}
