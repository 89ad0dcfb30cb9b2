using Filter.Ipsec.Ike.Payloads;

namespace Filter.Ipsec.Ike.Exchanges;

/// <summary>INFORMATIONAL that deletes the IKE SA, and all its children without a word (RFC 7296 §1.4.1).</summary>
internal sealed class DeleteIke : Exchange
{
    /// <inheritdoc/>
    internal override ExchangeType Type => ExchangeType.Informational;

    /// <inheritdoc/>
    internal override IEnumerable<Payload>? Build(IkeSa sa, long now)
    {
        sa.Closing();
        return [new DeletePayload(IkeProtocol.Ike, [])];
    }

    /// <inheritdoc/>
    internal override void Finish(IkeSa sa, IkeMessage answer, long now) => sa.End(now);
}
