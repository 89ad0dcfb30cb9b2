using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Exchanges;

/// <summary>Addresses that one end gives the other within IKE_AUTH (RFC 7296 §2.19, §3.15).</summary>
internal static class Configuration
{
    private const int IPv6Value = 17;
    private const byte WholeAddress = 128;

    /// <summary>Asks for addresses; null where none is wanted.</summary>
    internal static ConfigurationPayload? Request(RequestedAddresses wanted)
    {
        ImmutableArray<ConfigurationAttribute>.Builder attributes = ImmutableArray.CreateBuilder<ConfigurationAttribute>();
        if ((wanted & RequestedAddresses.IPv4) != 0)
        {
            attributes.Add(new(ConfigurationAttribute.InternalIp4Address, default));
        }

        if ((wanted & RequestedAddresses.IPv6) != 0)
        {
            attributes.Add(new(ConfigurationAttribute.InternalIp6Address, default));
        }

        return attributes.Count == 0 ? null : new(ConfigurationKind.Request, attributes.ToImmutable());
    }

    /// <summary>Takes what we asked for; false where nothing of it came.</summary>
    internal static bool TryTake(IkeSa sa, IkeMessage answer, long now, out string? why)
    {
        RequestedAddresses wanted = sa.With!.Peer.Requests;
        ConfigurationPayload? reply = answer.First<ConfigurationPayload>();
        why = null;
        if (wanted == RequestedAddresses.None)
        {
            return true;
        }

        ImmutableArray<Address> given = reply is { Kind: ConfigurationKind.Reply } ? [.. reply.Attributes.Select(Read).OfType<Address>().Distinct()] : [];
        if (given.IsEmpty)
        {
            why = answer.Error is { } error ? $"the peer gives no address: {error.Notify}" : "the peer gives no address";
            return false;
        }

        sa.Given = given;
        sa.Engine.Tell(new(IkeEventKind.AddressesGiven, sa.With.Name, $"given {string.Join(", ", given)}", now) { Addresses = given });
        return true;
    }

    /// <summary>Gives what is asked for.</summary>
    /// <param name="sa">Of whom.</param>
    /// <param name="request">What he asks.</param>
    /// <param name="now">The clock.</param>
    /// <param name="refused">Why there is no child; null where there may be one.</param>
    /// <returns>The reply; null for none.</returns>
    internal static ConfigurationPayload? Answer(IkeSa sa, IkeMessage request, long now, out NotifyType? refused)
    {
        refused = null;
        Peering with = sa.With!;
        ConfigurationPayload? asked = request.All<ConfigurationPayload>().FirstOrDefault(static c => c.Kind == ConfigurationKind.Request);
        if (with.Peer.Pools.IsEmpty)
        {
            return null;
        }

        if (asked is null)
        {
            with.Fail(new(IkeFailureKind.Address, "the peer asks for no address, and may have no child without one", now), isSoft: false);
            refused = NotifyType.FailedCpRequired;
            return null;
        }

        ImmutableArray<ConfigurationAttribute>.Builder given = ImmutableArray.CreateBuilder<ConfigurationAttribute>();
        foreach (ConfigurationAttribute attribute in asked.Attributes)
        {
            bool four = attribute.Type == ConfigurationAttribute.InternalIp4Address;
            bool six = attribute.Type == ConfigurationAttribute.InternalIp6Address;
            if ((!four && !six) || given.Any(g => g.Type == attribute.Type))
            {
                continue;
            }

            if (sa.Engine.Leases.Take(with.Peer.Pools, four, sa.RemoteIdentity!, sa, Read(attribute)) is { } address)
            {
                sa.Leased = sa.Leased.Add(address);
                given.Add(new(attribute.Type, Value(address)));
            }
        }

        if (given.Count > 0)
        {
            return new(ConfigurationKind.Reply, given.ToImmutable());
        }

        with.Fail(new(IkeFailureKind.Address, "no address is left in the peer's pools", now), isSoft: false);
        refused = NotifyType.InternalAddressFailure;
        return null;
    }

    private static Address? Read(ConfigurationAttribute attribute) => (attribute.Type, attribute.Value.Length) switch
    {
        (ConfigurationAttribute.InternalIp4Address, 4) => Address.ReadIPv4(attribute.Value.Span),
        (ConfigurationAttribute.InternalIp6Address, IPv6Value) => Address.ReadIPv6(attribute.Value.Span) is { IsIPv4: false } six ? six : null,
        _ => null,
    };

    private static byte[] Value(Address address)
    {
        byte[] value = new byte[address.IsIPv4 ? address.WireLength : IPv6Value];
        address.Write(value);
        if (!address.IsIPv4)
        {
            value[^1] = WholeAddress;
        }

        return value;
    }
}
