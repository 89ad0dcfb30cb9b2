using Filter.Engine.Algs;
using Filter.Engine.Path;
using Filter.Engine.Wire;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <content>What a rule says of pinholes and helpers, and for which protocols it can be had.</content>
internal sealed partial class RulesReader
{
    private PinholeKind Pinhole(Node? node) => Values.Word(
        node,
        "'pinhole'",
        found,
        ("flow", PinholeKind.Flow),
        ("one-answer", PinholeKind.OneAnswer),
        ("address-dependent", PinholeKind.AddressDependent),
        ("endpoint-independent", PinholeKind.EndpointIndependent)) ?? PinholeKind.Flow;

    private HelperKind Helper(Node? node) => Values.Word(
        node, "'helper'", found, ("ftp", HelperKind.Ftp), ("tftp", HelperKind.Tftp), ("sip", HelperKind.Sip)) ?? HelperKind.None;

    private void CheckPinhole(Fields fields, Rule rule, string? action)
    {
        if (!fields.Has("pinhole"))
        {
            return;
        }

        SourceMark at = fields["pinhole"]?.At ?? fields.KeyAt("pinhole");
        if (action is "drop" or "reject" or "count")
        {
            found.Error(fields.KeyAt("pinhole"), $"a rule that {action}s opens no pinhole", "leave 'pinhole' out");
        }
        else if (rule.Pinhole == PinholeKind.OneAnswer && (rule.Service is null || rule.Service.Names(IpProtocol.Tcp)))
        {
            found.Error(at, "'one-answer' cannot be promised for TCP", rule.Service is null
                ? "the rule covers every protocol: name its services, without TCP"
                : "take TCP out of 'service', or give it a rule of its own");
        }
        else if (rule.Pinhole == PinholeKind.OneAnswer && rule.Service!.Names(IpProtocol.Sctp))
        {
            found.Error(at, "'one-answer' cannot be promised for SCTP", "take SCTP out of 'service', or give it a rule of its own");
        }
        else if (rule.Pinhole >= PinholeKind.AddressDependent)
        {
            CheckOpenPinhole(rule, at);
        }
    }

    /// <summary>A pinhole for others is an address and a port inside.</summary>
    private void CheckOpenPinhole(Rule rule, SourceMark at)
    {
        string word = $"'{rule.Pinhole.Word()}'";
        if (rule.Service is null or { IsAny: true })
        {
            found.Error(at, $"{word} is for protocols that have ports", "the rule covers every protocol: name its services, as service: [ udp, tcp ]");
        }
        else if (Portless(rule.Service) is { } portless)
        {
            found.Error(at, $"{word} is for protocols that have ports; {ServiceSet.NameOf(portless)} has none", "give it a rule of its own");
        }
        else if ((rule.From & protectedPorts) == 0)
        {
            found.Error(at, $"{word} opens the way to who speaks first from inside; this rule's flows come from outside", "leave 'pinhole' out, or name a protected port in 'from'");
        }
    }

    private void CheckHelper(Fields fields, Rule rule, string? action)
    {
        if (!fields.Has("helper") || rule.Helper == HelperKind.None)
        {
            return;
        }

        SourceMark at = fields["helper"]?.At ?? fields.KeyAt("helper");
        string word = $"'{rule.Helper.Word()}'", speaks = rule.Helper switch
        {
            HelperKind.Ftp => "tcp",
            HelperKind.Tftp => "udp",
            _ => "udp and tcp",
        };
        if (action is "drop" or "reject" or "count")
        {
            found.Error(fields.KeyAt("helper"), $"a rule that {action}s has nothing to help", "leave 'helper' out");
        }
        else if (rule.Service is null or { IsAny: true })
        {
            found.Error(at, $"{word} must know where it is spoken: the rule covers every protocol", $"name its service, as service: {Example(rule.Helper)}");
        }
        else if (rule.Service.Services.Any(service => !Speaks(rule.Helper, service.Protocol)))
        {
            byte other = rule.Service.Services.First(service => !Speaks(rule.Helper, service.Protocol)).Protocol;
            found.Error(at, $"{word} is spoken over {speaks}, not over {ServiceSet.NameOf(other)}", $"write service: {Example(rule.Helper)}");
        }
    }

    private static byte? Portless(ServiceSet services)
    {
        foreach (Service service in services.Services)
        {
            if (!IpProtocol.HasPorts(service.Protocol))
            {
                return service.Protocol;
            }
        }

        return null;
    }

    private static bool Speaks(HelperKind helper, byte protocol) => helper switch
    {
        HelperKind.Ftp => protocol == IpProtocol.Tcp,
        HelperKind.Tftp => protocol == IpProtocol.Udp,
        _ => protocol is IpProtocol.Udp or IpProtocol.Tcp,
    };

    private static string Example(HelperKind helper) => helper switch
    {
        HelperKind.Ftp => "tcp/21",
        HelperKind.Tftp => "udp/69",
        _ => "[ udp/5060, tcp/5060 ]",
    };
}
