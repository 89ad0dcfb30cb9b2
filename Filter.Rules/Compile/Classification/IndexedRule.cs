using System.Collections.Immutable;
using Filter.Rules.Policy;

namespace Filter.Rules.Compile.Classification;

/// <summary>What the classifier looks at of a rule. What is null or empty matches everything, as in <see cref="Rule"/>.</summary>
/// <param name="Source">Source addresses.</param>
/// <param name="Destination">Destination addresses.</param>
/// <param name="Service">Protocols, destination ports, ICMP types and codes.</param>
/// <param name="SourcePorts">Source ports, of protocols that have them.</param>
/// <param name="From">Ingress ports, one bit each.</param>
/// <param name="To">Egress ports, one bit each.</param>
/// <param name="Families">Which families it speaks of.</param>
internal readonly record struct IndexedRule(
    AddressSet? Source, AddressSet? Destination, ServiceSet? Service, ImmutableArray<PortRange> SourcePorts,
    ushort From, ushort To, Families Families)
{
    /// <summary>What a rule says of these fields.</summary>
    public static IndexedRule Of(Rule rule) =>
        new(rule.Source, rule.Destination, rule.Service, rule.SourcePorts, rule.From, rule.To, rule.Families);
}
