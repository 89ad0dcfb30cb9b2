using Filter.Ipsec.Ike.Payloads;

namespace Filter.Ipsec.Ike.Exchanges;

/// <summary>An empty INFORMATIONAL: whoever answers lives (RFC 7296 §1.4, §2.4). That nobody answers is noticed as with every request.</summary>
internal sealed class DeadPeer : Exchange
{
    /// <inheritdoc/>
    internal override ExchangeType Type => ExchangeType.Informational;

    /// <inheritdoc/>
    internal override IEnumerable<Payload>? Build(IkeSa sa, long now) => sa.State == IkeSaState.Up ? [] : null;

    /// <inheritdoc/>
    internal override void Finish(IkeSa sa, IkeMessage answer, long now)
    {
    }
}
