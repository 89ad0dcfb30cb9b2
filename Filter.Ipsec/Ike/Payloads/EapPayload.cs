namespace Filter.Ipsec.Ike.Payloads;

/// <summary>EAP: a message of that protocol as it is (RFC 7296 §3.16).</summary>
/// <param name="Message">The message.</param>
public sealed record EapPayload(ReadOnlyMemory<byte> Message) : Payload
{
    /// <inheritdoc/>
    public override PayloadType Type => PayloadType.Eap;

    internal override void Write(PayloadWriter to) => to.Bytes(Message.Span);
}
