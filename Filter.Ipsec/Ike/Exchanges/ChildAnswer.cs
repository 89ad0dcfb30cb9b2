using System.Buffers.Binary;
using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Ipsec.Ike.Crypto;
using Filter.Ipsec.Ike.Negotiation;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Exchanges;

/// <summary>What we make of a child that the peer proposes: a policy, its traffic, its algorithms; or why there is none.</summary>
internal sealed class ChildAnswer
{
    private readonly byte[] _spi = new byte[sizeof(uint)];
    private KeyExchange? _exchange;
    private KeyExchangePayload? _sent;
    private Traffic _asked;
    private Traffic _agreed;
    private bool _padding;
    private (Address, Address)? _believed;

    private ChildAnswer()
    {
    }

    /// <summary>The error to answer with; null where there is a child.</summary>
    internal NotifyPayload? Error { get; private set; }

    /// <summary>Why, for us.</summary>
    internal IkeFailure? Failure { get; private set; }

    internal IpsecPolicy? Policy { get; private set; }

    internal ChildTemplate? Template { get; private set; }

    internal Proposal? Chosen { get; private set; }

    internal uint Spi { get; private set; }

    /// <summary>Nr, of CREATE_CHILD_SA.</summary>
    internal byte[] Nonce { get; private set; } = [];

    /// <summary>The answer.</summary>
    internal IEnumerable<Payload> Payloads
    {
        get
        {
            if (Template!.Settings.Mode == IpsecMode.Transport)
            {
                yield return new NotifyPayload(NotifyType.UseTransportMode);
            }

            yield return new SaPayload([Chosen!]);
            if (Nonce.Length > 0)
            {
                yield return new NoncePayload(Nonce);
            }

            if (_exchange is not null)
            {
                yield return new KeyExchangePayload(_exchange.Group, _exchange.PublicValue);
            }

            // As the peer knows the ends, whatever translates between.
            yield return new TrafficSelectorPayload(true, _believed is (_, Address remote) ? Narrowing.At(_agreed.Remote, remote) : _agreed.Remote);
            yield return new TrafficSelectorPayload(false, _believed is (Address local, _) ? Narrowing.At(_agreed.Local, local) : _agreed.Local);
        }
    }

    /// <summary>Holds a proposal against the policies that name the peer.</summary>
    /// <param name="sa">Who proposes.</param>
    /// <param name="request">What.</param>
    /// <param name="isFirst">Within IKE_AUTH.</param>
    /// <param name="replaced">Whose place it takes; null for a new child.</param>
    /// <param name="now">The clock.</param>
    internal static ChildAnswer Of(IkeSa sa, IkeMessage request, bool isFirst, ChildSa? replaced, long now)
    {
        ChildAnswer answer = new();
        if (request.First<SaPayload>() is not { } offer || request.Selectors(true) is not { } tsi || request.Selectors(false) is not { } tsr
            || (!isFirst && request.First<NoncePayload>() is null))
        {
            answer.Refuse(NotifyType.InvalidSyntax, new(IkeFailureKind.Refused, "the peer proposes a child without all that makes one", now));
            return answer;
        }

        bool transport = request.Has(NotifyType.UseTransportMode);
        answer._sent = isFirst ? null : request.First<KeyExchangePayload>();
        answer._padding = !request.Has(NotifyType.EspTfcPaddingNotSupported);
        answer._asked = answer.Seen(sa, new(tsr.Selectors, tsi.Selectors), transport);
        if (!answer.TryFindPolicy(sa, replaced, out bool needsPair))
        {
            answer.RefuseTraffic(sa, replaced, needsPair, now);
        }
        else if (answer.Template!.Settings.Mode == IpsecMode.Transport && !transport)
        {
            answer.Refuse(NotifyType.NoProposalChosen, new(IkeFailureKind.NoProposal, $"policy {answer.Policy!.Name} is for transport, and the peer proposes a tunnel", now) { Policy = answer.Policy.Name });
        }
        else
        {
            answer._believed = answer.Template.Settings.Mode == IpsecMode.Transport ? answer._believed : null;
            answer.Choose(sa, isFirst ? Proposals.WithoutGroups(offer) : offer, isFirst, now);
        }

        return answer;
    }

    /// <summary>The child, in no SAD yet; null where the peer's public value is none.</summary>
    internal ChildSa? Make(IkeSa sa, byte[] ni, byte[] nr, long now)
    {
        SecretKey? shared = null;
        if (_exchange is not null && !_exchange.TryAgree(_sent!.Data.Span, out shared, out _))
        {
            return null;
        }

        IpsecSuite suite = Proposals.SuiteOf(Chosen!)!;
        ChildSa child = new(
            sa.Engine.Children.Name(Policy!), Policy!, ChildSettings.Of(sa, Template!, Chosen!, suite, _padding, _believed), Spi, PeersSpi,
            sa.Keys!.DeriveChild(suite, ni, nr, shared), weBegan: false)
        {
            Local = _agreed.Local, Remote = _agreed.Remote, Since = now, Peer = sa.With!.Name, Group = Proposals.GroupOf(Chosen!),
            Selectors = Children.SelectorsOf(sa, Policy!, Template!, _agreed),
        };
        shared?.Wipe();
        _exchange?.Dispose();
        return child;
    }

    private uint PeersSpi { get; set; }

    /// <summary>What is asked for, with the addresses as they are seen here: behind a translator the peer knows other ones (RFC 7296 §2.23.1).</summary>
    private Traffic Seen(IkeSa sa, Traffic asked, bool transport)
    {
        if (!transport || (!sa.IsLocalTranslated && !sa.IsRemoteTranslated) || asked.IsEmpty)
        {
            return asked;
        }

        _believed = (asked.Local[0].Addresses.First, asked.Remote[0].Addresses.First);
        return new(Narrowing.At(asked.Local, sa.Path.Local), Narrowing.At(asked.Remote, sa.Path.Remote));
    }

    /// <summary>The first policy that has something of it; before it one that has what the packet showed, which stands first (RFC 7296 §2.9).</summary>
    private bool TryFindPolicy(IkeSa sa, ChildSa? replaced, out bool needsPair)
    {
        needsPair = false;
        if (_asked.IsEmpty)
        {
            return false;
        }

        Traffic first = new([_asked.Local[0]], [_asked.Remote[0]]);
        foreach (IpsecPolicy policy in sa.With!.Policies.Where(p => replaced is null || p.Name == replaced.Policy.Name))
        {
            ChildTemplate template = sa.With.TemplateOf(policy);
            Traffic ours = Allowed(sa, policy, template);
            Traffic agreed = Narrowing.Narrow(_asked, ours);
            if (agreed.IsEmpty)
            {
                continue;
            }

            if (policy.Populate != PopulatedSelectors.None)
            {
                bool shows = ((policy.Populate & PopulatedSelectors.Local) == 0 || Narrowing.IsOne(_asked.Local)) && ((policy.Populate & PopulatedSelectors.Remote) == 0 || Narrowing.IsOne(_asked.Remote));
                agreed = shows ? Narrowing.Populate(ours, policy.Populate, first) : default;
                needsPair |= !shows;
                if (!shows || agreed.IsEmpty)
                {
                    continue;
                }

                agreed = Narrowing.Narrow(_asked, agreed);
            }

            bool hasFirst = !Narrowing.Narrow(first, ours).IsEmpty;
            if (Policy is null || hasFirst)
            {
                (Policy, Template, _agreed) = (policy, template, agreed);
            }

            if (hasFirst)
            {
                return true;
            }
        }

        return Policy is not null;
    }

    /// <summary>What a policy lets the peer have: of addresses that we gave it, its own ones alone.</summary>
    private static Traffic Allowed(IkeSa sa, IpsecPolicy policy, ChildTemplate template)
    {
        Traffic ours = Narrowing.Of(policy, sa.Path, template.Settings.Mode);
        if (sa.Leased.IsEmpty)
        {
            return ours;
        }

        ImmutableArray<TrafficSelector> given = [.. sa.Leased.Select(static a => new TrafficSelector(0, TrafficSelector.AnyPort, new(a, a)))];
        return Narrowing.Narrow(new(ours.Local, given), ours);
    }

    private void Choose(IkeSa sa, SaPayload offer, bool isFirst, long now)
    {
        Spi = sa.Engine.Host.NewSpi();
        BinaryPrimitives.WriteUInt32BigEndian(_spi, Spi);
        SaPayload ours = Proposals.Offer(Template!, _spi, withGroups: !isFirst);
        bool translated = sa.IsLocalTranslated || sa.IsRemoteTranslated;
        if (!Proposals.TryChoose(ours, offer, _sent?.Group ?? 0, _spi, out Proposal? chosen) || Proposals.SuiteOf(chosen) is null || (translated && chosen.Protocol == IkeProtocol.Ah))
        {
            IkeMismatch mismatch = Proposals.Compare(ours, offer);
            Refuse(NotifyType.NoProposalChosen, new(IkeFailureKind.NoProposal, $"policy {Policy!.Name}: nothing suits: {mismatch.Differs}", now) { Policy = Policy.Name, Mismatch = mismatch });
            return;
        }

        Chosen = chosen;
        ReadOnlySpan<byte> theirs = offer.Proposals.First(p => p.Number == chosen.Number && p.Protocol == chosen.Protocol).Spi.Span;
        PeersSpi = BinaryPrimitives.ReadUInt32BigEndian(theirs);
        ushort group = Proposals.GroupOf(chosen);
        if (PeersSpi < 256)
        {
            Refuse(NotifyType.InvalidSyntax, new(IkeFailureKind.Refused, "the peer proposes an SPI that is reserved", now));
        }
        else if (group != 0 && _sent?.Group != group)
        {
            byte[] wanted = new byte[sizeof(ushort)];
            BinaryPrimitives.WriteUInt16BigEndian(wanted, group);
            Error = new NotifyPayload(NotifyType.InvalidKePayload, wanted);
        }
        else
        {
            _exchange = group != 0 && KeyExchange.TryCreate(group, out KeyExchange? exchange) ? exchange : null;
            Nonce = isFirst ? [] : sa.Random.Nonce();
        }
    }

    private void RefuseTraffic(IkeSa sa, ChildSa? replaced, bool needsPair, long now)
    {
        string[] ours = [.. sa.With!.Policies.Where(p => replaced is null || p.Name == replaced.Policy.Name).SelectMany(p => Allowed(sa, p, sa.With.TemplateOf(p)).Words.Select(w => $"{p.Name}: {w}"))];
        IkeMismatch mismatch = new([.. ours], [.. _asked.Words], needsPair ? "each child is for one pair of addresses, and the peer names none" : "no policy for this peer has anything in common with them");
        string text = $"the peer asks for {string.Join("; ", mismatch.Theirs)}; {(ours.Length == 0 ? "no policy names it" : $"it may have {string.Join("; ", ours)}")}";
        Refuse(needsPair ? NotifyType.SinglePairRequired : NotifyType.TsUnacceptable, new(IkeFailureKind.Selectors, text, now) { Mismatch = mismatch, Policy = replaced?.Policy.Name });
    }

    private void Refuse(NotifyType notify, IkeFailure failure) => (Error, Failure) = (new NotifyPayload(notify), failure);
}
