using System.Collections.Immutable;
using Filter.Ipsec.Ike.Payloads;

namespace Filter.Ipsec.Ike.Exchanges;

/// <summary>INFORMATIONAL that deletes a child (RFC 7296 §1.4.1): both directions go, once the peer has said the same.</summary>
internal sealed class DeleteChild : Exchange
{
    private readonly ChildSa? _child;
    private readonly IkeProtocol _protocol;
    private readonly uint _spi;

    /// <summary>Deletes a child that there is.</summary>
    internal DeleteChild(ChildSa child) => (_child, _protocol, _spi) = (child, child.Protocol, child.InboundSpi);

    /// <summary>Deletes what the peer made of a proposal, and we did not take.</summary>
    internal DeleteChild(IkeProtocol protocol, uint spi) => (_protocol, _spi) = (protocol, spi);

    /// <inheritdoc/>
    internal override ExchangeType Type => ExchangeType.Informational;

    /// <inheritdoc/>
    internal override IEnumerable<Payload>? Build(IkeSa sa, long now) =>
        _child is { State: ChildState.Gone } ? null : [new DeletePayload(_protocol, [_spi])];

    /// <inheritdoc/>
    internal override void Finish(IkeSa sa, IkeMessage answer, long now)
    {
        if (_child is not null)
        {
            sa.Engine.Children.Remove(sa, _child, "deleted by us", now);
            sa.With!.Lost(_child, now);
        }
    }

    /// <summary>The peer deletes children: each is answered with the other direction, but for those that we are deleting too (RFC 7296 §2.25.1).</summary>
    internal static IEnumerable<Payload> Answer(IkeSa sa, DeletePayload request, long now)
    {
        const int most = 64;
        ImmutableArray<uint>.Builder ours = ImmutableArray.CreateBuilder<uint>();
        foreach (uint spi in request.Spis)
        {
            if (sa.Children.Find(c => c.OutboundSpi == spi && c.Protocol == request.Protocol) is not { } child)
            {
                if (sa.Pending is CreateChild or RekeyChild && sa.DeletedEarly.Count < most)
                {
                    sa.DeletedEarly.Add(spi);
                }

                continue;
            }

            if (!(sa.Pending is DeleteChild pending && pending._child == child))
            {
                ours.Add(child.InboundSpi);
            }

            sa.Engine.Children.Remove(sa, child, "deleted by the peer", now);
            sa.With!.Lost(child, now);
        }

        return ours.Count == 0 ? [] : [new DeletePayload(request.Protocol, ours.ToImmutable())];
    }
}
