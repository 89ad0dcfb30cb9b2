using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <content>What does not go together in a rule, and what nobody means.</content>
internal sealed partial class RulesReader
{
    /// <summary>Flags of segments that belong to a connection which is there.</summary>
    private const TcpFlags NoOpening = TcpFlags.Ack | TcpFlags.Fin | TcpFlags.Rst;

    private void CheckMidstream(Fields fields, Rule rule, string? action)
    {
        if (!fields.Has("midstream"))
        {
            return;
        }

        if (action is "drop" or "reject" or "count")
        {
            found.Error(fields.KeyAt("midstream"), $"a rule that {action}s picks up no connection", "leave 'midstream' out");
        }
        else if (rule.Service is { IsAny: false } service && !service.Names(IpProtocol.Tcp))
        {
            found.Error(fields.KeyAt("midstream"), "'midstream' is for TCP, which 'service' does not name", "add TCP to 'service', or leave 'midstream' out");
        }
    }

    private void CheckManagement(Fields fields, string? action)
    {
        if (fields.Has("management") && action is "drop" or "reject" or "count")
        {
            found.Error(fields.KeyAt("management"), $"a rule that {action}s opens no flow", "leave 'management' out");
        }
    }

    private void CheckSourcePorts(Fields fields, Rule rule)
    {
        if (!fields.Has("source-port") || rule.Service is null)
        {
            return;
        }

        foreach (Service service in rule.Service.Services)
        {
            if (!IpProtocol.HasPorts(service.Protocol))
            {
                found.Error(fields.KeyAt("source-port"), $"{ServiceSet.NameOf(service.Protocol)} has no source ports", "name only services that have ports, such as tcp and udp");
                return;
            }
        }
    }

    private void CheckCount(Fields fields, string? action)
    {
        if (action == "count" && fields.Has("limit"))
        {
            found.Error(fields.KeyAt("limit"), "a rule that counts lets nothing through that could be limited", "leave 'limit' out, or put it at the rule that decides");
        }
    }

    private void CheckTcpFlags(Fields fields, Rule rule)
    {
        if (rule.Conditions is not { TcpFlags.IsEmpty: false } conditions || !fields.Has("tcp-flags"))
        {
            return;
        }

        if (rule.Service is { IsAny: false } service && !service.Names(IpProtocol.Tcp))
        {
            found.Error(fields.KeyAt("tcp-flags"), "'tcp-flags' is for TCP, which 'service' does not name", "add TCP to 'service', or leave 'tcp-flags' out");
        }
        else if (!rule.Midstream && !rule.EachPacket && !conditions.TcpFlags.Any(static match => (match.Set & NoOpening) == 0 && (match.Set & TcpFlags.Syn) == (match.Of & TcpFlags.Syn)))
        {
            found.Warn(fields.KeyAt("tcp-flags"), $"the rule {Wording.Quote(rule.Name)} matches no packet that opens a connection", "a connection opens with 'syn'; ack, fin and rst belong to one that is there: each-packet: true looks at its packets too");
        }
    }

    /// <summary>A rule whose matches exclude each other is no error, but nobody means it.</summary>
    private void WarnIfEmpty(Rule rule)
    {
        if (rule.From == 0)
        {
            return;                                         // what excludes what in its groups was said already
        }

        Families headers = rule.Conditions is { ExtensionHeaders.IsEmpty: false } conditions && conditions.ExtensionHeaders.All(static match => match.There != ExtensionHeaders.None)
            ? Families.IPv6
            : Families.Both;
        Families families = FamiliesOf(rule.Source) & FamiliesOf(rule.Destination) & FamiliesOf(rule.Service) & rule.Families;
        string? why = (families & headers) == Families.None
            ? families == Families.None ? "its family, source, destination and service leave neither IPv4 nor IPv6" : "IPv4 has no extension headers"
            : rule.Conditions is { TcpFlags.IsEmpty: false } && rule.Service is { IsAny: false } service && !service.Names(IpProtocol.Tcp)
                ? "'tcp-flags' is for TCP, which its service does not name"
            : rule.Conditions is { Schedule.IsEmpty: true } ? "its times leave no minute of the week"
            : !rule.SourcePorts.IsEmpty && rule.Service is { IsAny: false } portless && !portless.Services.Any(static s => IpProtocol.HasPorts(s.Protocol))
                ? "'source-port' is for protocols that have ports, and its service names none"
            : rule.From == rule.To && System.Numerics.BitOperations.IsPow2(rule.From) ? "a packet never leaves by the port it came in by"
            : null;
        if (why is not null)
        {
            WarnOfNothing(rule, why);
        }
    }

    private void WarnOfNothing(Rule rule, string why) => found.Warn(rule.At, $"the rule {Wording.Quote(rule.Name)} matches no packet", why);
}
