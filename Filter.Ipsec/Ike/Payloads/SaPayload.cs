using System.Collections.Immutable;

namespace Filter.Ipsec.Ike.Payloads;

/// <summary>SA: proposals, of which one is chosen (RFC 7296 §3.3).</summary>
/// <param name="Proposals">Numbered from 1, best first; at least one.</param>
public sealed record SaPayload(ImmutableArray<Proposal> Proposals) : Payload
{
    /// <summary>Nobody needs more; a message of 64 KB could hold eight thousand.</summary>
    private const int MostProposals = 64;

    private const int MostTransforms = 1024;

    /// <inheritdoc/>
    public override PayloadType Type => PayloadType.Sa;

    internal override void Write(PayloadWriter to)
    {
        for (int i = 0; i < Proposals.Length; i++)
        {
            Proposals[i].Write(to, i == Proposals.Length - 1);
        }
    }

    internal static bool TryRead(ReadOnlyMemory<byte> body, out SaPayload? payload, out string? why)
    {
        payload = null;
        ImmutableArray<Proposal>.Builder proposals = ImmutableArray.CreateBuilder<Proposal>();
        int transforms = 0;
        for (bool more = true; more;)
        {
            if (!Proposal.TryRead(body, out Proposal? proposal, out int length, out more, out why))
            {
                return false;
            }

            proposals.Add(proposal!);
            transforms += proposal!.Transforms.Length;
            if (proposals.Count > MostProposals || transforms > MostTransforms)
            {
                why = $"more than {MostProposals} proposals, or {MostTransforms} transforms";
                return false;
            }

            body = body[length..];
        }

        why = body.IsEmpty ? null : "bytes behind the last proposal";
        payload = body.IsEmpty ? new SaPayload(proposals.ToImmutable()) : null;
        return body.IsEmpty;
    }
}
