using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Negotiation;

/// <summary>What two sides propose, and what of it suits both (RFC 7296 §2.7, §3.3.6).</summary>
internal static class Proposals
{
    /// <summary>NONE, of integrity and of key exchange.</summary>
    private const ushort None = 0;

    /// <summary>The IKE SA's proposals on the wire, numbered from 1.</summary>
    internal static SaPayload Offer(ImmutableArray<IkeProposal> ours, ReadOnlyMemory<byte> spi = default) => new(
    [
        .. ours.Select((p, i) => new Proposal(
            (byte)(i + 1), IkeProtocol.Ike, spi, [.. p.Ciphers.Concat(p.Integrity).Concat(p.Prfs).Concat(p.Groups).Select(Transform.Of)])),
    ]);

    /// <summary>A child's proposals on the wire: one for each suite.</summary>
    /// <param name="template">What children are like.</param>
    /// <param name="spi">Ours, four bytes.</param>
    /// <param name="withGroups">Not in IKE_AUTH, where the first child has its keys from the IKE SA's exchange (RFC 7296 §1.2).</param>
    internal static SaPayload Offer(ChildTemplate template, ReadOnlyMemory<byte> spi, bool withGroups)
    {
        IkeTransform[] sequences = template.ExtendedSequence switch
        {
            null => [IkeTransforms.ExtendedSequence, IkeTransforms.ShortSequence],
            true => [IkeTransforms.ExtendedSequence],
            false => [IkeTransforms.ShortSequence],
        };
        ImmutableArray<Proposal>.Builder proposals = ImmutableArray.CreateBuilder<Proposal>();
        foreach (IpsecSuite suite in template.Suites)
        {
            if (IkeTransforms.TryTransforms(suite, out IkeTransform? encryption, out IkeTransform? integrity))
            {
                IEnumerable<IkeTransform> all = new[] { encryption, integrity }.OfType<IkeTransform>().Concat(withGroups ? template.Groups : []).Concat(sequences);
                proposals.Add(new((byte)(proposals.Count + 1), suite.IsAh ? IkeProtocol.Ah : IkeProtocol.Esp, spi, [.. all.Select(Transform.Of)]));
            }
        }

        return new(proposals.ToImmutable());
    }

    /// <summary>The first of ours that one of theirs suits, with one transform of each type.</summary>
    /// <param name="ours">Best first: our order decides.</param>
    /// <param name="theirs">What was proposed.</param>
    /// <param name="sentGroup">The group of the public value that came with it, taken where it suits: it spares a round trip. 0 for none.</param>
    /// <param name="spi">Ours.</param>
    /// <param name="chosen">What to answer: it bears the number of theirs.</param>
    internal static bool TryChoose(
        SaPayload ours, SaPayload theirs, ushort sentGroup, ReadOnlyMemory<byte> spi, [NotNullWhen(true)] out Proposal? chosen)
    {
        foreach (Proposal mine in ours.Proposals)
        {
            foreach (Proposal his in theirs.Proposals)
            {
                if (TryMatch(mine, his, sentGroup, out ImmutableArray<Transform> transforms, out _, out _))
                {
                    chosen = new(his.Number, his.Protocol, spi, transforms);
                    return true;
                }
            }
        }

        chosen = null;
        return false;
    }

    /// <summary>Whether an answer is one of what we offered, with one transform of each type (RFC 7296 §2.7).</summary>
    internal static bool TryAccept(SaPayload offered, SaPayload answer, [NotNullWhen(true)] out Proposal? accepted, [NotNullWhen(false)] out string? why)
    {
        accepted = answer.Proposals is [var only] ? only : null;
        Proposal? mine = accepted is null ? null : offered.Proposals.FirstOrDefault(p => p.Number == answer.Proposals[0].Number);
        bool single = accepted?.Transforms.GroupBy(static t => t.Type).All(static type => type.Count() == 1) == true;
        IkeTransformType differs = default;
        why = accepted is null ? $"the answer has {answer.Proposals.Length} proposals, not one"
            : mine is null ? $"the answer is to proposal {accepted.Number}, which there is not"
            : !single ? "the answer has several transforms of one type"
            : !TryMatch(mine, accepted, 0, out _, out differs, out _) ? $"the answer {accepted} is not among what was proposed: {NameOf(differs)}"
            : null;
        accepted = why is null ? accepted : null;
        return why is null;
    }

    /// <summary>A proposal without its groups: in IKE_AUTH they say nothing.</summary>
    internal static SaPayload WithoutGroups(SaPayload payload) => new(
        [.. payload.Proposals.Select(static p => p with { Transforms = p.Transforms.RemoveAll(static t => t.Type == IkeTransformType.KeyExchange) })]);

    /// <summary>The group that was chosen; 0 for none.</summary>
    internal static ushort GroupOf(Proposal chosen) => chosen.Of(IkeTransformType.KeyExchange).FirstOrDefault().Id;

    /// <summary>The suite of ESP or AH that was chosen; null where Filter has not that pair.</summary>
    internal static IpsecSuite? SuiteOf(Proposal chosen)
    {
        IkeTransform? encryption = chosen.Of(IkeTransformType.Encryption).Select(static t => t.Known).FirstOrDefault();
        IkeTransform? integrity = chosen.Of(IkeTransformType.Integrity).Where(static t => t.Id != None).Select(static t => t.Known).FirstOrDefault();
        return IkeTransforms.TrySuite(encryption, integrity, out IpsecSuite? suite) && suite.IsAh == (chosen.Protocol == IkeProtocol.Ah) ? suite : null;
    }

    /// <summary>Whether extended sequence numbers were chosen.</summary>
    internal static bool IsExtended(Proposal chosen) => chosen.Of(IkeTransformType.SequenceNumbers).Any(static t => t.Id == IkeTransforms.ExtendedSequence.Id);

    /// <summary>Both sides, and where the two that are closest part.</summary>
    /// <param name="ours">What we have.</param>
    /// <param name="theirs">What the peer has; null where it does not say.</param>
    internal static IkeMismatch Compare(SaPayload ours, SaPayload? theirs)
    {
        string differs = "the peer does not say what it would take";
        int closest = -1;
        foreach (Proposal mine in ours.Proposals)
        {
            foreach (Proposal his in theirs?.Proposals ?? [])
            {
                if (!TryMatch(mine, his, 0, out _, out IkeTransformType type, out int agreed) && agreed > closest)
                {
                    closest = agreed;
                    differs = type == default
                        ? $"protocol: ours {mine.Protocol}, theirs {his.Protocol}"
                        : $"{NameOf(type)}: ours {List(mine, type)}, theirs {List(his, type)}";
                }
            }
        }

        return new([.. ours.Proposals.Select(static p => p.ToString())], [.. theirs?.Proposals.Select(static p => p.ToString()) ?? []], differs);
    }

    /// <summary>
    /// One transform of each type that either side names: of ours the first that the other has too. What only one side names must allow NONE;
    /// who says nothing of sequence numbers means the short ones.
    /// </summary>
    private static bool TryMatch(
        Proposal ours, Proposal theirs, ushort sentGroup, out ImmutableArray<Transform> chosen, out IkeTransformType differs, out int agreed)
    {
        (chosen, differs, agreed) = ([], default, 0);
        if (ours.Protocol != theirs.Protocol)
        {
            return false;
        }

        ImmutableArray<Transform>.Builder made = ImmutableArray.CreateBuilder<Transform>();
        foreach (IkeTransformType type in ours.Transforms.Concat(theirs.Transforms).Select(static t => t.Type).Distinct())
        {
            Transform[] mine = [.. ours.Of(type)], his = [.. theirs.Of(type)];
            Transform? found = mine.Length == 0 ? NoneOf(type, his)
                : his.Length == 0 ? NoneOf(type, mine)
                : Common(mine, his, type == IkeTransformType.KeyExchange ? sentGroup : (ushort)0);
            if (found is null)
            {
                differs = type;
                return false;
            }

            agreed++;
            if (his.Length > 0)
            {
                made.Add(found.Value);
            }
        }

        chosen = made.ToImmutable();
        return true;
    }

    private static Transform? NoneOf(IkeTransformType type, Transform[] only) =>
        type is IkeTransformType.Integrity or IkeTransformType.KeyExchange or IkeTransformType.SequenceNumbers
        && Array.Exists(only, static t => t is { Id: None, KeyBits: 0, HasUnknownAttribute: false })
            ? new Transform(type, None)
            : null;

    private static Transform? Common(Transform[] mine, Transform[] his, ushort preferred)
    {
        Transform[] both = [.. mine.Where(his.Contains)];
        return both.Length == 0 ? null : Array.Find(both, t => preferred != 0 && t.Id == preferred) is { Id: not 0 } sent ? sent : both[0];
    }

    private static string List(Proposal proposal, IkeTransformType type) =>
        string.Join(" or ", proposal.Of(type)) is { Length: > 0 } some ? some : "none";

    private static string NameOf(IkeTransformType type) => type switch
    {
        IkeTransformType.Encryption => "encryption",
        IkeTransformType.Prf => "prf",
        IkeTransformType.Integrity => "integrity",
        IkeTransformType.KeyExchange => "group",
        IkeTransformType.SequenceNumbers => "sequence numbers",
        _ => $"transform type {(byte)type}",
    };
}
