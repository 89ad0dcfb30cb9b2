using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>
/// The policies that a packet may have come by, known before the section is read: rules stand above it. Numbers are those that
/// <see cref="IpsecReader"/> gives where the section has no mistake.
/// </summary>
internal sealed class IpsecNames
{
    private readonly Dictionary<string, ushort> _protecting = new(StringComparer.Ordinal);
    private readonly HashSet<string> _others = new(StringComparer.Ordinal);

    public IpsecNames(Node? ipsec)
    {
        MapNode? map = ipsec as MapNode;
        IReadOnlyList<Node> policies = map?.Find("policies") is ListNode list ? list.Items : [];
        int first = map?.Find("ike") is null ? 1 : 2;          // after the one that leaves IKE in the clear
        for (int i = 0; i < Math.Min(policies.Count, ushort.MaxValue); i++)
        {
            if ((policies[i] as MapNode)?.Find("protect") is ScalarNode name)
            {
                _protecting.TryAdd(name.Text, (ushort)(i + first));
            }
            else if (policies[i] is MapNode other && (other.Find("bypass") ?? other.Find("drop")) is ScalarNode without)
            {
                _others.Add(without.Text);
            }
        }
    }

    /// <summary>The numbers of all policies that protect.</summary>
    public IEnumerable<ushort> Protecting => _protecting.Values;

    /// <summary>The number of a policy that protects; 0, with an error, where the name is none.</summary>
    public ushort Find(Located<string> name, Diagnostics found)
    {
        if (_protecting.TryGetValue(name.Value, out ushort number))
        {
            return number;
        }

        if (_others.Contains(name.Value))
        {
            found.Error(name.At, $"nothing comes by the policy {Wording.Quote(name.Value)}: it seals nothing", "name a policy that says 'protect', or write clear");
        }
        else
        {
            found.Error(name.At, $"there is no IPsec policy {Wording.Quote(name.Value)}", Wording.DidYouMean(name.Value, [.. _protecting.Keys]) ?? "policies are named under 'ipsec: policies'");
        }

        return 0;
    }
}
