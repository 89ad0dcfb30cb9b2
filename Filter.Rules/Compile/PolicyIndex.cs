using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Filter.Engine.Packets;
using Filter.Rules.Compile.Classification;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;

namespace Filter.Rules.Compile;

/// <summary>
/// Finds the first IPsec policy that selects a packet (RFC 4301 §4.4.1), by the tables that rules have: a lookup hardly depends on
/// how many policies there are. Immutable; a lookup never allocates.
/// </summary>
public sealed class PolicyIndex
{
    private const byte Out = 0;
    private const byte In = 1;

    /// <summary>Policies are compiled when they are read, to see that they fit, and again when they are put in force.</summary>
    private static readonly ConditionalWeakTable<IpsecPolicy[], PolicyIndex> s_known = [];

    private readonly Classifier _classifier;
    private readonly Classifier? _opaque;

    private PolicyIndex(Classifier classifier, Classifier? opaque) => (_classifier, _opaque) = (classifier, opaque);

    /// <summary>Bytes that the tables take.</summary>
    public long Size => _classifier.Size + (_opaque?.Size ?? 0);

    /// <summary>Compiles policies; null where their tables would need more memory than they may.</summary>
    public static PolicyIndex? Of(ImmutableArray<IpsecPolicy> policies) => Of(policies, out _);

    /// <summary>The place of the first policy that selects a packet; -1 where none does.</summary>
    /// <param name="way">The packet's key, turned so that its source is on the protected side.</param>
    /// <param name="inbound">Whether the packet comes in.</param>
    /// <param name="type">Its type, of ICMP that of the query it belongs to.</param>
    /// <param name="code">Its ICMP code.</param>
    public int Find(in FlowKey way, bool inbound, byte type, byte code) => Find(_classifier, way, inbound, type, code);

    /// <summary>The place of the first policy that selects what shows no ports; -1 where none does.</summary>
    /// <param name="way">The packet's key, turned so that its source is on the protected side; its ports do not count.</param>
    /// <param name="inbound">Whether the packet comes in.</param>
    public int FindOpaque(in FlowKey way, bool inbound) => _opaque is null ? -1 : Find(_opaque, way, inbound, 0, 0);

    /// <summary>Whether policies can be compiled; asked when they are read.</summary>
    internal static bool Fits(ImmutableArray<IpsecPolicy> policies, Diagnostics found)
    {
        if (Of(policies, out Oversize? oversize) is not null)
        {
            return true;
        }

        SourceMark at = policies[oversize!.Widest.Count > 0 ? oversize.Widest[0] : 0].At;
        found.Error(at, $"the policies need more than {Classifier.MostBytes / 1_000_000} MB of memory: their {oversize.What} overlap in {oversize.Classes:N0} ways", "let fewer of them overlap: give what is treated alike one set, and let a few policies name it");
        return false;
    }

    private static PolicyIndex? Of(ImmutableArray<IpsecPolicy> policies, out Oversize? oversize)
    {
        oversize = null;
        IpsecPolicy[] all = ImmutableCollectionsMarshal.AsArray(policies) ?? [];
        if (s_known.TryGetValue(all, out PolicyIndex? index))
        {
            return index;
        }

        Classifier? classifier = Classifier.Build([.. policies.Select(static p => Indexed(p, opaque: false))], out oversize), opaque = null;
        if (classifier is not null && policies.Any(static p => p.Opaque))
        {
            opaque = Classifier.Build([.. policies.Select(static p => Indexed(p, opaque: true))], out oversize);
        }

        if (classifier is not null && oversize is null)
        {
            s_known.AddOrUpdate(all, index = new PolicyIndex(classifier, opaque));
        }

        return index;
    }

    private static int Find(Classifier classifier, in FlowKey way, bool inbound, byte type, byte code)
    {
        OpeningFacts facts = new(way, inbound ? In : Out, 0, Direction.Out, TcpFlags.None, type, code, 0, 0);
        classifier.Find(facts, out Candidates found);
        return Classifier.Next(ref found);
    }

    /// <summary>Each keeps its place; those of the other kind match nothing.</summary>
    private static IndexedRule Indexed(IpsecPolicy policy, bool opaque)
    {
        if (policy.Opaque != opaque)
        {
            return new IndexedRule(null, null, null, [], 0, 0, Families.Both);
        }

        int ways = (policy.Outbound ? 1 << Out : 0) | (policy.Inbound ? 1 << In : 0);
        return new IndexedRule(
            policy.Local, policy.Remote, policy.Service, policy.LocalPorts,
            ways == 3 ? Rule.AnyPort : (ushort)ways, Rule.AnyPort, Families.Both);
    }
}
