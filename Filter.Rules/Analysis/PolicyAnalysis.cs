using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;

namespace Filter.Rules.Analysis;

/// <summary>
/// What IPsec policies say, exactly: each less those before it (RFC 4301 §4.4.1, appendix B), and what they say without meaning it.
/// </summary>
public static class PolicyAnalysis
{
    /// <summary>Boxes compared at most: seconds of a core. Policies may be made so that each cuts all others.</summary>
    private const long MostSteps = 500_000_000;

    /// <summary>Boxes of one direction at most.</summary>
    private const int MostBoxes = 1 << 20;

    /// <summary>
    /// What each policy, in order, selects of the packets that go one way and that none before it selects: boxes of which no two
    /// overlap. A packet in none of them is dropped.
    /// </summary>
    /// <param name="policies">The policies in order.</param>
    /// <param name="direction">In or Out; a policy that does not speak of it has no box.</param>
    /// <returns>The boxes of each policy; null where there would be too many.</returns>
    public static ImmutableArray<ImmutableArray<PolicyBox>>? Decorrelate(ImmutableArray<IpsecPolicy> policies, Direction direction)
    {
        long steps = MostSteps;
        return Decorrelate(policies, direction, ref steps);
    }

    /// <summary>Policies that nothing can reach, tunnels that swallow their own ends, and overlaps where their order decides.</summary>
    /// <param name="config">A configuration that holds.</param>
    /// <param name="overlaps">Whether overlaps are wanted: most are meant.</param>
    public static ImmutableArray<Diagnostic> Of(IpsecConfig config, bool overlaps = false)
    {
        ImmutableArray<IpsecPolicy> policies = config.Policies;
        long steps = MostSteps;
        ImmutableArray<ImmutableArray<PolicyBox>>? outbound = Decorrelate(policies, Direction.Out, ref steps);
        ImmutableArray<ImmutableArray<PolicyBox>>? inbound = policies.All(static p => p.Outbound && p.Inbound) ? outbound : Decorrelate(policies, Direction.In, ref steps);
        if (outbound is not { } goes || inbound is not { } comes)
        {
            return policies.IsEmpty ? [] : [new Diagnostic(Severity.Warning, policies[0].At, "undecided: whether every policy is reached", null)];
        }

        List<Diagnostic> found = Contested(policies, ref steps);
        for (int i = 0; i < policies.Length; i++)
        {
            if (policies[i].Opaque)
            {
                continue;
            }

            if (goes[i].IsEmpty && comes[i].IsEmpty)
            {
                found.Add(Unreachable(policies, i));
                continue;
            }

            found.AddRange(policies[i].Sas.Where(sa => Swallows(goes[i], sa.Settings)).Take(1).Select(sa => new Diagnostic(
                Severity.Warning, policies[i].At,
                $"the policy {Wording.Quote(policies[i].Name)} covers the ends of its own tunnel {Wording.Quote(sa.Name)}: what the two gateways say to each other, IKE and errors too, goes into it",
                $"write a policy above it: - bypass: gateways, local: {sa.Settings.Local}, remote: {sa.Settings.Remote}")));
            if (overlaps)
            {
                found.AddRange(Overlaps(policies, i, ref steps));
            }
        }

        return [.. found.OrderBy(static d => d.At)];
    }

    private static ImmutableArray<ImmutableArray<PolicyBox>>? Decorrelate(ImmutableArray<IpsecPolicy> policies, Direction direction, ref long steps)
    {
        List<PolicyBox> before = [], left = [], next = [];
        var all = ImmutableArray.CreateBuilder<ImmutableArray<PolicyBox>>(policies.Length);
        int boxes = 0;
        foreach (IpsecPolicy policy in policies)
        {
            if (!Speaks(policy, direction))
            {
                all.Add([]);
                continue;
            }

            // Its own boxes may overlap as well: each is taken less those of it that went before.
            List<PolicyBox> own = PolicyBox.Of(policy);
            List<PolicyBox> kept = [];
            foreach (PolicyBox box in own)
            {
                left.Clear();
                left.Add(box);
                foreach (List<PolicyBox> others in (ReadOnlySpan<List<PolicyBox>>)[before, kept])
                {
                    for (int i = 0; i < others.Count && left.Count > 0; i++)
                    {
                        steps -= left.Count;
                        if (steps < 0 || boxes + left.Count > MostBoxes)
                        {
                            return null;
                        }

                        Subtract(ref left, others[i], ref next);
                    }
                }

                kept.AddRange(left);
            }

            boxes += kept.Count;
            before.AddRange(kept);
            all.Add([.. kept]);
        }

        return all.DrainToImmutable();
    }

    private static void Subtract(ref List<PolicyBox> left, in PolicyBox other, ref List<PolicyBox> next)
    {
        bool meets = false;
        foreach (PolicyBox box in left)
        {
            meets |= box.Meets(other);
        }

        if (!meets)
        {
            return;
        }

        next.Clear();
        foreach (PolicyBox box in left)
        {
            if (box.Meets(other))
            {
                box.Without(other, next);
            }
            else
            {
                next.Add(box);
            }
        }

        (left, next) = (next, left);
    }

    private static Diagnostic Unreachable(ImmutableArray<IpsecPolicy> policies, int number)
    {
        List<PolicyBox> own = PolicyBox.Of(policies[number]);
        string name = Wording.Quote(policies[number].Name);
        if (own.Count == 0)
        {
            return new Diagnostic(Severity.Warning, policies[number].At, $"the policy {name} selects no packet: 'local' and 'remote' have no family in common", null);
        }

        string[] by = [.. policies.Take(number)
            .Where(p => ((p.Outbound && policies[number].Outbound) || (p.Inbound && policies[number].Inbound)) && PolicyBox.Of(p).Exists(box => own.Exists(mine => mine.Meets(box))))
            .Select(static p => Wording.Quote(p.Name))];
        string blame = by.Length <= 3 ? Wording.OneOf(by).Replace(" or ", " and ", StringComparison.Ordinal) : $"{string.Join(", ", by.Take(3))} and {by.Length - 3} more";
        return new Diagnostic(Severity.Warning, policies[number].At, $"no packet reaches the policy {name}: {blame} {(by.Length == 1 ? "takes" : "take")} all that it selects", "put it above, or leave it out");
    }

    /// <summary>
    /// Policies of two peers that overlap: each peer is told that it may carry all that its policy names (RFC 7296 §2.9), and what
    /// the lower one sends of the upper one's is dropped.
    /// </summary>
    private static List<Diagnostic> Contested(ImmutableArray<IpsecPolicy> policies, ref long steps)
    {
        List<Diagnostic> found = [];
        List<(IpsecPolicy Policy, List<PolicyBox> Boxes)> above = [];
        foreach (IpsecPolicy policy in policies.Where(static p => p is { Peer: not null, Opaque: false }))
        {
            List<PolicyBox> own = PolicyBox.Of(policy);
            foreach ((IpsecPolicy other, List<PolicyBox> boxes) in above)
            {
                steps -= (long)own.Count * boxes.Count;
                if (steps < 0)
                {
                    return found;
                }

                if (other.Peer!.Name != policy.Peer!.Name && own.Exists(mine => boxes.Exists(box => box.Meets(mine))))
                {
                    found.Add(new Diagnostic(
                        Severity.Warning, policy.At,
                        $"the policies {Wording.Quote(other.Name)} and {Wording.Quote(policy.Name)} overlap, and their SAs are of two peers: what '{policy.Peer.Name}' sends that is '{other.Peer.Name}''s is dropped",
                        "take out of the one what is the other's"));
                    break;
                }
            }

            above.Add((policy, own));
        }

        return found;
    }

    /// <summary>Policies below that overlap, where neither is part of the other, and that do something else.</summary>
    private static List<Diagnostic> Overlaps(ImmutableArray<IpsecPolicy> policies, int number, ref long steps)
    {
        List<Diagnostic> found = [];
        IpsecPolicy one = policies[number];
        List<PolicyBox> own = PolicyBox.Of(one);
        for (int below = number + 1; below < policies.Length && steps > 0; below++)
        {
            IpsecPolicy other = policies[below];
            bool same = one.Action == other.Action && one.Sas.SequenceEqual(other.Sas) && one.Action != IpsecAction.Protect;
            if (same || !((one.Outbound && other.Outbound) || (one.Inbound && other.Inbound)))
            {
                continue;
            }

            List<PolicyBox> theirs = PolicyBox.Of(other);
            steps -= (long)own.Count * theirs.Count;
            if (steps > 0 && theirs.Exists(box => own.Exists(mine => mine.Meets(box))) && !IsPart(own, theirs, ref steps) && !IsPart(theirs, own, ref steps))
            {
                found.Add(new Diagnostic(Severity.Warning, other.At, $"the policies {Wording.Quote(one.Name)} and {Wording.Quote(other.Name)} overlap: their order decides", null));
            }
        }

        return found;
    }

    private static bool IsPart(List<PolicyBox> some, List<PolicyBox> of, ref long steps)
    {
        List<PolicyBox> left = [.. some], next = [];
        foreach (PolicyBox box in of)
        {
            steps -= left.Count;
            if (steps < 0)
            {
                return true;
            }

            Subtract(ref left, box, ref next);
        }

        return left.Count == 0;
    }

    /// <summary>Whether what one end of a tunnel sends to the other is among the boxes.</summary>
    private static bool Swallows(ImmutableArray<PolicyBox> boxes, SaSettings sa) =>
        sa is { Mode: IpsecMode.Tunnel, Local: { } local, Remote: { } remote }
        && boxes.Any(box => box.Contains(new FlowKey(local, remote, 500, 500, IpProtocol.Udp, 0), 0, 0));

    private static bool Speaks(IpsecPolicy policy, Direction direction) => direction == Direction.In ? policy.Inbound : policy.Outbound;
}
