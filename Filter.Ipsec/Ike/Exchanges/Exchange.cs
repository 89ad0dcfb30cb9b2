using Filter.Ipsec.Ike.Payloads;

namespace Filter.Ipsec.Ike.Exchanges;

/// <summary>A request of ours and its answer. Its turn comes when the peer has answered the one before: the window is one (RFC 7296 §2.3).</summary>
internal abstract class Exchange
{
    /// <summary>Its type.</summary>
    internal abstract ExchangeType Type { get; }

    /// <summary>What is asked; null where it is not needed any more.</summary>
    internal abstract IEnumerable<Payload>? Build(IkeSa sa, long now);

    /// <summary>The peer has answered; he has the keys.</summary>
    internal abstract void Finish(IkeSa sa, IkeMessage answer, long now);

    /// <summary>There will be no answer, or it will not even be asked: the IKE SA is gone.</summary>
    internal virtual void Abandon(IkeSa sa, long now)
    {
    }
}
