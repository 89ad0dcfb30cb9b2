using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Filter.Engine.Packets;
using Filter.Ipsec.Ike.Crypto;
using Filter.Ipsec.Ike.Negotiation;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Exchanges;

/// <summary>A child that we propose, within IKE_AUTH or CREATE_CHILD_SA, until the peer has answered.</summary>
internal sealed class ChildOffer : IDisposable
{
    private readonly bool _isFirst;
    private readonly byte[] _spi = new byte[sizeof(uint)];
    private readonly SaPayload _offer;

    private ChildOffer(IkeSa sa, IpsecPolicy policy, ChildTemplate template, Traffic traffic, bool isFirst)
    {
        (Policy, Template, Traffic, _isFirst, Spi) = (policy, template, traffic, isFirst, sa.Engine.Host.NewSpi());
        BinaryPrimitives.WriteUInt32BigEndian(_spi, Spi);
        _offer = Proposals.Offer(template, _spi, withGroups: !isFirst);
        Nonce = isFirst ? [] : sa.Random.Nonce();
    }

    internal IpsecPolicy Policy { get; }

    internal ChildTemplate Template { get; }

    /// <summary>What it is to carry, as the peer is asked.</summary>
    internal Traffic Traffic { get; }

    internal uint Spi { get; }

    /// <summary>The wish that it fulfils; null for a re-key.</summary>
    internal Wish? Wish { get; private init; }

    /// <summary>Whose place it takes; null for a new child.</summary>
    internal ChildSa? Replaces { get; private init; }

    /// <summary>Ni; empty in IKE_AUTH, where it is the IKE SA's.</summary>
    internal byte[] Nonce { get; }

    /// <summary>Our half of a key exchange of its own; null without.</summary>
    internal KeyExchange? Exchange { get; private set; }

    internal bool IsTransport => Template.Settings.Mode == IpsecMode.Transport;

    /// <summary>An offer for a wish; null where it cannot be, which is told.</summary>
    internal static ChildOffer? TryOf(IkeSa sa, Wish wish, bool isFirst, long now)
    {
        Peering with = sa.With!;
        ChildTemplate template = with.TemplateOf(wish.Policy);
        Traffic traffic = Narrowing.Of(wish.Policy, sa.Path, template.Settings.Mode);
        if (wish.Packet is { } packet)
        {
            Traffic shown = Narrowing.Of(packet);
            if (wish.Policy.Populate != PopulatedSelectors.None)
            {
                traffic = Narrowing.Populate(traffic, wish.Policy.Populate, shown);
            }
            else if (Narrowing.IsWithin(shown, traffic) && traffic.Local.Length < byte.MaxValue && traffic.Remote.Length < byte.MaxValue)
            {
                traffic = new(traffic.Local.Insert(0, shown.Local[0]), traffic.Remote.Insert(0, shown.Remote[0]));
            }
        }

        string? why = traffic.IsEmpty ? "its selectors leave no traffic between these ends"
            : template.Suites[0].IsAh && (sa.IsLocalTranslated || sa.IsRemoteTranslated) ? "AH does not pass translators of addresses"
            : null;
        if (why is null)
        {
            ChildOffer offer = new(sa, wish.Policy, template, traffic, isFirst) { Wish = wish };
            offer.Begin(wish.Group);
            return offer;
        }

        with.Fail(new(IkeFailureKind.Here, $"policy {wish.Policy.Name}: {why}", now) { Policy = wish.Policy.Name }, isSoft: false);
        return null;
    }

    /// <summary>An offer that takes a child's place: the same traffic, and the group that the peer took before (RFC 7296 §2.8, §2.9.2).</summary>
    internal static ChildOffer Of(IkeSa sa, ChildSa child, ushort group)
    {
        Traffic traffic = new(child.Local, child.Remote);
        if (child.Settings.Encapsulation is { OriginalLocal: { } local, OriginalRemote: { } remote })
        {
            traffic = new(Narrowing.At(child.Local, local), Narrowing.At(child.Remote, remote));
        }

        ChildOffer offer = new(sa, child.Policy, sa.With!.TemplateOf(child.Policy), traffic, isFirst: false) { Replaces = child };
        offer.Begin(group);
        return offer;
    }

    /// <summary>SA, nonce, key exchange and selectors, in the order of RFC 7296 §1.3.1.</summary>
    internal IEnumerable<Payload> Payloads()
    {
        if (IsTransport)
        {
            yield return new NotifyPayload(NotifyType.UseTransportMode);
        }

        yield return _offer;
        if (!_isFirst)
        {
            yield return new NoncePayload(Nonce);
        }

        if (Exchange is not null)
        {
            yield return new KeyExchangePayload(Exchange.Group, Exchange.PublicValue);
        }

        yield return new TrafficSelectorPayload(true, Traffic.Local);
        yield return new TrafficSelectorPayload(false, Traffic.Remote);
    }

    /// <summary>The group that the peer asks for instead; 0 where it asks for none that we offer.</summary>
    internal ushort OtherGroup(NotifyPayload error)
    {
        ushort group = error.Data.Length == sizeof(ushort) ? BinaryPrimitives.ReadUInt16BigEndian(error.Data.Span) : (ushort)0;
        return Template.Groups.Any(g => g.Id == group) && group != Exchange?.Group ? group : (ushort)0;
    }

    /// <summary>What the peer made of it.</summary>
    /// <param name="sa">The IKE SA that it is a child of.</param>
    /// <param name="answer">The answer.</param>
    /// <param name="nonces">Ni and Nr.</param>
    /// <param name="now">The clock.</param>
    /// <param name="child">The child, in no SAD yet.</param>
    /// <param name="failure">Why there is none.</param>
    internal bool TryFinish(
        IkeSa sa, IkeMessage answer, (byte[] Initiator, byte[] Responder) nonces, long now, [NotNullWhen(true)] out ChildSa? child, [NotNullWhen(false)] out IkeFailure? failure)
    {
        (child, failure) = (null, null);
        if (answer.First<SaPayload>() is not { } sent || answer.Selectors(true) is not { } tsi || answer.Selectors(false) is not { } tsr)
        {
            failure = Refused(answer.Error, now);
            return false;
        }

        string? why = null;
        if (!Proposals.TryAccept(_offer, sent, out Proposal? chosen, out why) || Proposals.SuiteOf(chosen) is not { } suite)
        {
            failure = new(IkeFailureKind.NoProposal, $"policy {Policy.Name}: {why ?? "a pair of algorithms that is no suite"}", now)
            {
                Policy = Policy.Name, Mismatch = Proposals.Compare(_offer, sent),
            };
            return false;
        }

        Traffic agreed = new(tsi.Selectors, tsr.Selectors);
        if (agreed.IsEmpty || !Narrowing.IsWithin(agreed, Traffic))
        {
            IkeMismatch mismatch = new([.. Traffic.Words], [.. agreed.Words], "the peer's selectors are not within ours");
            failure = new(IkeFailureKind.Selectors, $"policy {Policy.Name}: the peer answers with selectors that were not proposed", now) { Policy = Policy.Name, Mismatch = mismatch };
            return false;
        }

        SecretKey? shared = null;
        uint spi = BinaryPrimitives.ReadUInt32BigEndian(chosen.Spi.Span);
        ushort group = Proposals.GroupOf(chosen);
        KeyExchangePayload? theirs = answer.First<KeyExchangePayload>();
        why = spi < 256 ? "an SPI that is reserved"
            : IsTransport != answer.Has(NotifyType.UseTransportMode) ? "the peer makes a tunnel of what is to be transport"
            : group != (Exchange?.Group ?? 0) || (group != 0 && theirs?.Group != group) ? $"the answer is of group {group}, not of the one that was sent"
            : Exchange is not null && !Exchange.TryAgree(theirs!.Data.Span, out shared, out string? problem) ? problem
            : null;
        if (why is not null)
        {
            failure = new(IkeFailureKind.Refused, $"policy {Policy.Name}: {why}", now) { Policy = Policy.Name };
            return false;
        }

        // The peer's side as it is seen from here, behind whatever translates (RFC 7296 §2.23.1).
        (Address, Address)? believed = null;
        if (IsTransport && Replaces?.Settings.Encapsulation is { OriginalLocal: { } local, OriginalRemote: { } remote })
        {
            believed = (local, remote);
            agreed = new(Narrowing.At(agreed.Local, sa.Path.Local), Narrowing.At(agreed.Remote, sa.Path.Remote));
        }

        bool padding = !answer.Has(NotifyType.EspTfcPaddingNotSupported);
        child = new(
            sa.Engine.Children.Name(Policy), Policy, ChildSettings.Of(sa, Template, chosen, suite, padding, believed), Spi, spi,
            sa.Keys!.DeriveChild(suite, nonces.Initiator, nonces.Responder, shared), weBegan: true)
        {
            Local = agreed.Local, Remote = agreed.Remote, Since = now, Peer = sa.With!.Name, Group = group,
            Selectors = Children.SelectorsOf(sa, Policy, Template, agreed),
        };
        shared?.Wipe();
        return true;
    }

    /// <inheritdoc/>
    public void Dispose() => Exchange?.Dispose();

    private IkeFailure Refused(NotifyPayload? error, long now)
    {
        string name = $"policy {Policy.Name}: ";
        return error?.Notify switch
        {
            NotifyType.NoProposalChosen => new(IkeFailureKind.NoProposal, $"{name}the peer takes none of {string.Join("; ", _offer.Proposals)}", now)
            {
                Policy = Policy.Name, Mismatch = Proposals.Compare(_offer, null),
            },
            NotifyType.TsUnacceptable or NotifyType.SinglePairRequired => new(IkeFailureKind.Selectors, $"{name}the peer takes none of {string.Join("; ", Traffic.Words)}", now)
            {
                Policy = Policy.Name, Mismatch = new([.. Traffic.Words], [], "the peer does not say what it would take"),
            },
            NotifyType.InternalAddressFailure or NotifyType.FailedCpRequired => new(IkeFailureKind.Address, $"{name}the peer says {error.Notify}", now) { Policy = Policy.Name },
            null => new(IkeFailureKind.Refused, $"{name}the peer answers without a child", now) { Policy = Policy.Name },
            _ => new(IkeFailureKind.Refused, $"{name}the peer says {error.Notify}", now) { Policy = Policy.Name },
        };
    }

    private void Begin(ushort group)
    {
        if (_isFirst || Template.Groups.IsEmpty)
        {
            return;
        }

        ushort chosen = group != 0 && Template.Groups.Any(g => g.Id == group) ? group : Template.Groups[0].Id;
        Exchange = KeyExchange.TryCreate(chosen, out KeyExchange? exchange) ? exchange : null;
    }
}
