using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;

namespace Filter.Ipsec.Ike.Payloads;

/// <summary>A message: its header and its payloads, those that were encrypted among them.</summary>
/// <param name="Header">The header.</param>
/// <param name="Payloads">In order.</param>
public sealed record IkeMessage(IkeHeader Header, ImmutableArray<Payload> Payloads)
{
    /// <summary>The first payload of a kind; null for none.</summary>
    public T? First<T>()
        where T : Payload => Payloads.OfType<T>().FirstOrDefault();

    /// <summary>The first payload of a kind.</summary>
    public bool TryFirst<T>([NotNullWhen(true)] out T? payload)
        where T : Payload => (payload = First<T>()) is not null;

    /// <summary>All payloads of a kind, in order.</summary>
    public IEnumerable<T> All<T>()
        where T : Payload => Payloads.OfType<T>();

    /// <summary>The identity of either end; null where it is not said.</summary>
    public IdPayload? Identity(bool ofInitiator) => All<IdPayload>().FirstOrDefault(id => id.OfInitiator == ofInitiator);

    /// <summary>The selectors of either end; null where they are not said.</summary>
    public TrafficSelectorPayload? Selectors(bool ofInitiator) => All<TrafficSelectorPayload>().FirstOrDefault(ts => ts.OfInitiator == ofInitiator);

    /// <summary>The first notify of a type; null for none.</summary>
    public NotifyPayload? Notify(NotifyType type) => All<NotifyPayload>().FirstOrDefault(n => n.Notify == type);

    /// <summary>Whether there is a notify of a type.</summary>
    public bool Has(NotifyType type) => Notify(type) is not null;

    /// <summary>The first notify that is an error; null for none.</summary>
    public NotifyPayload? Error => All<NotifyPayload>().FirstOrDefault(static n => n.IsError);
}
