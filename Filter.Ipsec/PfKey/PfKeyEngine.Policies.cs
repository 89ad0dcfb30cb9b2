using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec.PfKey.Messages;
using Filter.Rules.Policy;

namespace Filter.Ipsec.PfKey;

/// <content>Policies, as KAME and Linux have them. They stand before the ruleset's, by priority and then by age.</content>
public sealed partial class PfKeyEngine
{
    private static readonly PortRange[] s_ikePorts = [new(500, 500), new(4500, 4500)];

    private uint _lastPolicy;

    /// <summary>
    /// Begins: what key managers say to each other from the gateway's own addresses is never protected, as kernels exempt their sockets.
    /// Where no ruleset speaks of IPsec there is nothing to exempt it from.
    /// </summary>
    public void Begin() => Change([]);

    private PfKeyFault SetPolicy(PfKeyMessage message, bool replaces, in PfKeyTime now)
    {
        PfKeyFault fault = TryRead(message, out AddressExtension source, out AddressExtension destination, out PolicyExtension said);
        if (!fault.IsFault)
        {
            fault = PolicyFault(source, destination, said);
        }

        if (fault.IsFault)
        {
            return fault;
        }

        PfKeyPolicy? there = _policies.FirstOrDefault(policy => policy.Selects(said.Direction, source, destination));
        if (there is not null && !replaces)
        {
            return new(PfKeyError.Exists, "there already is a policy with these selectors");
        }

        if (there is null && _policies.Count >= MostPolicies)
        {
            return new(PfKeyError.NoSpace, "there are too many policies");
        }

        uint id = there?.Id ?? ++_lastPolicy;
        PfKeyPolicy fresh = new()
        {
            Id = id, Source = source, Destination = destination, Said = said with { Id = id }, Added = now.Wall,
            Told = [.. message.Extensions.Where(static told => told.Type is PfKeyExtensionType.LifetimeHard or PfKeyExtensionType.LifetimeSoft or PfKeyExtensionType.SecurityContext)],
        };
        fault = Change([.. _policies.Where(policy => policy != there), fresh]);
        if (!fault.IsFault)
        {
            Tell(message.Header, Describe(fresh));
        }

        return fault;
    }

    private PfKeyFault DeletePolicy(PfKeyMessage message)
    {
        PfKeyFault fault = TryRead(message, out AddressExtension source, out AddressExtension destination, out PolicyExtension said);
        return fault.IsFault ? fault : Drop(message.Header, _policies.FirstOrDefault(policy => policy.Selects(said.Direction, source, destination)));
    }

    private PfKeyFault DeletePolicyById(PfKeyMessage message) =>
        message.Find<PolicyExtension>(PfKeyExtensionType.Policy) is { } said
            ? Drop(message.Header, _policies.FirstOrDefault(policy => policy.Id == said.Id))
            : new(PfKeyError.Invalid, "it names no policy");

    private PfKeyFault GetPolicy(PfKeyListener from, PfKeyMessage message)
    {
        if (message.Find<PolicyExtension>(PfKeyExtensionType.Policy) is not { } said)
        {
            return new(PfKeyError.Invalid, "it names no policy");
        }

        if (_policies.FirstOrDefault(policy => policy.Id == said.Id) is not { } there)
        {
            return new(PfKeyError.NoEntry, "there is no such policy");
        }

        from.Send(Bytes(message.Header, there));
        return default;
    }

    private PfKeyFault DumpPolicies(PfKeyListener from, PfKeyMessage message)
    {
        if (_policies.Count == 0)
        {
            return new(PfKeyError.NoEntry, "there are no policies");
        }

        PfKeyPolicy[] all = [.. _policies];
        bool begun = from.SendAll(all.Select((policy, i) => Bytes(message.Header with { Sequence = (uint)(all.Length - 1 - i) }, policy)));
        return begun ? default : new(PfKeyError.Busy, "a dump goes on already");
    }

    private PfKeyFault FlushPolicies(PfKeyMessage message)
    {
        PfKeyFault fault = _policies.Count == 0 ? default : Change([]);
        if (!fault.IsFault)
        {
            Tell(message.Header, []);
        }

        return fault;
    }

    private PfKeyFault Drop(in PfKeyHeader header, PfKeyPolicy? gone)
    {
        if (gone is null)
        {
            return new(PfKeyError.NoEntry, "there is no such policy");
        }

        PfKeyFault fault = Change([.. _policies.Where(policy => policy != gone)]);
        if (!fault.IsFault)
        {
            Tell(header, [gone.Said, gone.Source, gone.Destination]);
        }

        return fault;
    }

    /// <summary>Those whose life has ended go, and everybody hears of it.</summary>
    private void EndPolicies(PfKeyTime now)
    {
        PfKeyPolicy[] ended = [.. _policies.Where(policy => policy.Ends <= (ulong)now.Wall)];
        if (ended.Length == 0 || Change([.. _policies.Except(ended)]).IsFault)
        {
            return;
        }

        foreach (PfKeyPolicy policy in ended)
        {
            Tell(new PfKeyHeader(PfKeyType.PolicyExpire, PfKeyError.None, PfKeySaType.Unspecified, 0, 0), Describe(policy));
        }
    }

    /// <summary>Puts policies in force, and gives SAs to them; where that cannot be, all is as it was.</summary>
    private PfKeyFault Change(IEnumerable<PfKeyPolicy> next)
    {
        PfKeyPolicy[] before = [.. _policies];
        PfKeyPolicy[] ordered = [.. next.OrderBy(static policy => policy.Said.Priority).ThenBy(static policy => policy.Id)];
        _policies.Clear();
        _policies.AddRange(ordered);
        PfKeyError error = PfKeyError.Failed;
        try
        {
            error = _host.Adopt([Exemption(_host.Own), .. ordered.Select(static (policy, i) => policy.ToPolicy(i + 1))], Rebind);
        }
        finally
        {
            if (error != PfKeyError.None)
            {
                _policies.Clear();
                _policies.AddRange(before);
            }
        }

        return error == PfKeyError.None ? default : new(error, "the policies could not be put in force");
    }

    private static IpsecPolicy Exemption(AddressSet own) => new()
    {
        Name = "pfkey-ike",
        At = PfKeyPolicy.Place,
        Number = IpsecPolicy.FirstBrought,
        Action = IpsecAction.Bypass,
        Local = own,
        Service = ServiceSet.Of([new Service(IpProtocol.Udp, PortRange.All)]),
        LocalPorts = [.. s_ikePorts],
        Outbound = true,
        Inbound = true,
    };

    /// <summary>Each SA goes to the policies that it serves. While no worker uses the stage.</summary>
    private void Rebind(IpsecStage stage)
    {
        _bound = stage.Databases;
        foreach (PfKeySa sa in _sas.Values.Where(static sa => sa.Sa is { Number: > 0 }))
        {
            string[] names = PoliciesOf(sa, stage);
            if (!names.SequenceEqual(sa.Sa!.Policies.Select(static entry => entry.Name)))
            {
                stage.Assign(sa.Sa, names);
            }
        }
    }

    private static PfKeyFault TryRead(PfKeyMessage message, out AddressExtension source, out AddressExtension destination, out PolicyExtension said)
    {
        said = message.Find<PolicyExtension>(PfKeyExtensionType.Policy)!;
        if (!TryGetEnds(message, out source, out destination))
        {
            return NoEnds();
        }

        return said is null || said.Direction is not (PfKeyDirection.In or PfKeyDirection.Out or PfKeyDirection.Forward)
            ? new(PfKeyError.Invalid, "it says of no direction what becomes of it")
            : default;
    }

    private static PfKeyFault PolicyFault(AddressExtension source, AddressExtension destination, PolicyExtension said)
    {
        byte one = (byte)(source.Protocol % byte.MaxValue), other = (byte)(destination.Protocol % byte.MaxValue);
        if (said.Kind > PfKeyPolicyType.Ipsec || (one != other && one != 0 && other != 0))
        {
            return new(PfKeyError.Invalid, "it is for sockets alone, or of two protocols");
        }

        if (said.Kind != PfKeyPolicyType.Ipsec)
        {
            return default;
        }

        if (said.Requests.Length == 0)
        {
            return new(PfKeyError.Invalid, "it does not say what protects");
        }

        PfKeyRequest request = said.Requests[0];
        if (said.Requests.Length > 1 || request.Protocol is not (IpProtocol.Esp or IpProtocol.Ah))
        {
            return new(PfKeyError.NotSupported, "one of ESP and AH protects, and nothing besides");
        }

        return request.Mode > PfKeyMode.Tunnel || (request.Mode == PfKeyMode.Tunnel && request.Ends is null)
            ? new(PfKeyError.Invalid, "its tunnel has no ends, or its mode is none")
            : default;
    }

    private static IEnumerable<PfKeyExtension> Describe(PfKeyPolicy policy) =>
    [
        policy.Source, policy.Destination, .. policy.Told,
        new LifetimeExtension(PfKeyExtensionType.LifetimeCurrent, 0, 0, (ulong)policy.Added, 0), policy.Said,
    ];

    private static byte[] Bytes(PfKeyHeader header, PfKeyPolicy policy) =>
        PfKeyWriter.Write(new PfKeyMessage(header with { Error = PfKeyError.None }, [.. Describe(policy)]));
}
