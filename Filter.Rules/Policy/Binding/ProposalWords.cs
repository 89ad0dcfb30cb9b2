using System.Collections.Immutable;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads algorithms as IKE negotiates them: groups, and proposals for the IKE SA (RFC 7296 §3.3, RFC 8247).</summary>
/// <param name="found">Where findings go.</param>
internal sealed class ProposalWords(Diagnostics found)
{
    private const string Combined = "aes-gcm-16-256+aes-gcm-16-128+chacha20-poly1305";
    private const string Separate = "aes-cbc-256+aes-cbc-128+hmac-sha2-256-128+hmac-sha2-384-192+hmac-sha2-512-256";
    private const string Common = "+prf-hmac-sha2-256+prf-hmac-sha2-384+prf-hmac-sha2-512+x25519+ecp-256+modp-3072+modp-2048";
    private const string Example = "aes-gcm-16-256+prf-hmac-sha2-256+x25519";
    private const int MostProposals = 32;
    private const int MostWords = 64;

    /// <summary>What is proposed where nothing is said: modern ciphers that authenticate, then AES-CBC with HMAC-SHA2.</summary>
    public static ImmutableArray<IkeProposal> Default(SourceMark at) => [Known(at, Combined + Common), Known(at, Separate + Common)];

    /// <summary>The proposals of a list, or a single one, best first; those that hold.</summary>
    public ImmutableArray<IkeProposal> Read(Node node, bool legacy)
    {
        List<IkeProposal> proposals = [];
        IReadOnlyList<Node> entries = Values.Each(node);
        if (entries.Count is 0 or > MostProposals)
        {
            found.Error(node.At, entries.Count == 0 ? "'proposals' is an empty list" : $"there are more than {MostProposals} proposals", $"write proposals: [ {Example} ], or leave the key out");
        }

        foreach (Node entry in entries.Take(MostProposals))
        {
            if (Values.Text(entry, "a proposal", found) is { } text && One(text, legacy) is { } proposal)
            {
                if (proposals.Exists(p => p.Text == proposal.Text))
                {
                    found.Error(text.At, $"the proposal {Wording.Quote(text.Value)} is there already");
                }

                proposals.Add(proposal);
            }
        }

        return [.. proposals];
    }

    /// <summary>Groups, best first: those for fresh exchanges of children.</summary>
    public ImmutableArray<IkeTransform> Groups(Node? node, string what, bool legacy)
    {
        List<IkeTransform> groups = [];
        foreach (Node entry in Values.Each(node))
        {
            if (Values.Text(entry, $"an entry of {what}", found) is not { } text || Find(text.Value, text.At, IkeTransformType.KeyExchange) is not { } group)
            {
                continue;
            }

            if (group.Type != IkeTransformType.KeyExchange)
            {
                found.Error(text.At, $"{Wording.Quote(text.Value)} is no group", $"groups are {Wording.OneOf(Names(IkeTransformType.KeyExchange))}");
            }
            else if (groups.Contains(group))
            {
                found.Error(text.At, $"the group {group} is there already");
            }
            else
            {
                Judge(group, text.At, legacy);
                groups.Add(group);
            }
        }

        return [.. groups];
    }

    private static IkeProposal Known(SourceMark at, string text) => Of(at, text, [.. text.Split('+').Select(static word => IkeTransforms.TryFind(word, out IkeTransform? one) ? one : throw new InvalidOperationException(word))]);

    private static IkeProposal Of(SourceMark at, string text, List<IkeTransform> all)
    {
        ImmutableArray<IkeTransform> Those(IkeTransformType type) => [.. all.Where(t => t.Type == type)];
        return new IkeProposal(at, text, Those(IkeTransformType.Encryption), Those(IkeTransformType.Integrity), Those(IkeTransformType.Prf), Those(IkeTransformType.KeyExchange));
    }

    private IkeProposal? One(Located<string> text, bool legacy)
    {
        List<IkeTransform> all = [];
        bool good = true;
        string[] words = text.Value.Split('+', MostWords + 1, StringSplitOptions.TrimEntries);
        foreach (string word in words.Take(MostWords))
        {
            if (Find(word, text.At, null) is not { } transform)
            {
                good = false;
            }
            else if (all.Contains(transform))
            {
                found.Error(text.At, $"the proposal names {transform} twice");
            }
            else
            {
                Judge(transform, text.At, legacy);
                all.Add(transform);
            }
        }

        IkeProposal proposal = Of(text.At, string.Join('+', words), all);
        return good && IsWhole(proposal, text) ? proposal : null;
    }

    /// <summary>A cipher, what authenticates, a PRF and a group: an IKE SA needs each.</summary>
    private bool IsWhole(IkeProposal proposal, Located<string> text)
    {
        int errors = found.ErrorCount;
        bool Combines(IkeTransform cipher) => IkeTransforms.CipherOf(cipher) is { IsCombined: true };
        if (proposal.Ciphers.IsEmpty)
        {
            found.Error(text.At, $"the proposal {Wording.Quote(text.Value)} names no cipher", $"write {Example}");
        }
        else if (proposal.Ciphers.Any(Combines) && !proposal.Ciphers.All(Combines))
        {
            found.Error(text.At, "a proposal has ciphers that authenticate, or such that do not (RFC 7296 §3.3)", "write one proposal for aes-gcm and chacha20-poly1305, and another for aes-cbc");
        }
        else if (proposal.Ciphers.Any(Combines) && !proposal.Integrity.IsEmpty)
        {
            found.Error(text.At, $"'{proposal.Ciphers[0]}' authenticates what it encrypts, and takes no '{proposal.Integrity[0]}' besides", "leave it out; a PRF is prf-hmac-sha2-256");
        }
        else if (!proposal.Ciphers.Any(Combines) && proposal.Integrity.IsEmpty)
        {
            found.Error(text.At, $"'{proposal.Ciphers[0]}' encrypts without integrity", $"write {proposal.Ciphers[0]}+hmac-sha2-256-128+prf-hmac-sha2-256+x25519");
        }

        if (proposal.Prfs.IsEmpty)
        {
            found.Error(text.At, "the proposal names no PRF, which keys are made with", "add +prf-hmac-sha2-256");
        }

        if (proposal.Groups.IsEmpty)
        {
            found.Error(text.At, "the proposal names no group, by which both ends agree on a secret", "add +x25519");
        }

        return found.ErrorCount == errors;
    }

    private IkeTransform? Find(string word, SourceMark at, IkeTransformType? wanted)
    {
        if (IkeTransforms.TryFind(word, out IkeTransform? transform))
        {
            return transform;
        }

        found.Error(
            at,
            $"IKE knows no {(wanted is null ? "algorithm" : "group")} {Wording.Quote(word)}",
            Wording.Nearest(word, Names(wanted)) is { } near ? $"did you mean {Wording.Quote(near)}?"
                : wanted is null ? $"write {Example}" : $"groups are {Wording.OneOf(Names(wanted).Take(8))}");
        return null;
    }

    private static IEnumerable<string> Names(IkeTransformType? type) =>
        IkeTransforms.All.Where(t => type is null || t.Type == type).Select(static t => t.Name);

    /// <summary>RFC 8247 forbids some and advises against others: only for who asks for it.</summary>
    private void Judge(IkeTransform transform, SourceMark at, bool legacy)
    {
        string why = IkeTransforms.WhyForbidden(transform) ?? "is of the legacy tier";
        if (transform.IsLegacy && !legacy)
        {
            found.Error(at, $"'{transform}' {why}", "where the far end has nothing better: legacy: true");
        }
        else if (transform.IsLegacy)
        {
            found.Warn(at, $"'{transform}' {why}: it protects little", "leave it out as soon as the far end has something better");
        }
    }
}
