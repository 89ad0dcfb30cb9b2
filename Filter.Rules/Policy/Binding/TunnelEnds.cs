using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads the ends of SAs, and whether Filter answers for ours: an address of a TAP.</summary>
internal sealed class TunnelEnds(ImmutableArray<PortConfig> ports, Diagnostics found)
{
    private readonly ImmutableArray<PortConfig> _taps = [.. ports.Where(static p => p.Kind == PortKind.Tap)];

    /// <summary>An end; null where there is none, or after an error.</summary>
    /// <param name="node">Where it is written.</param>
    /// <param name="key">Its key.</param>
    /// <param name="who">Whom it connects, for who writes something else: "manual SAs connect".</param>
    public Address? Read(Node? node, string key, string who = "manual SAs connect")
    {
        if (Values.Text(node, $"'{key}'", found) is not { } text || AddressWords.ReadAddress(text, found) is not { } address)
        {
            return null;
        }

        if (address.IsMulticast || address.IsUnspecified || address.IsLoopback || address.IsLimitedBroadcast)
        {
            found.Error(text.At, $"{address} cannot be an end of an SA", $"{who} two unicast addresses");
        }

        return address;
    }

    /// <summary>Both ends are of one family, and two.</summary>
    public void CheckPair(Address? local, Address? remote, SourceMark at)
    {
        if (local is not { } l || remote is not { } r)
        {
            return;
        }

        if (l.IsIPv4 != r.IsIPv4)
        {
            found.Error(at, $"'local' is {Family(l)} and 'remote' is {Family(r)}", "both ends of an SA are of one family; what it carries may be of both");
        }
        else if (l == r)
        {
            found.Error(at, "'local' and 'remote' are the same address");
        }
    }

    /// <summary>A tunnel ends, and IKE speaks, at an address that Filter answers for: one of a TAP.</summary>
    public void CheckOwn(Address outer, SourceMark at)
    {
        if (_taps.IsEmpty)
        {
            CheckThereIsOne(at, $"no port can hold the tunnel's own address {outer}");
        }
        else if (!_taps.Any(p => p.Addresses.IsEmpty || p.Addresses.Any(a => a.Address == outer)))
        {
            found.Error(at, $"{outer} is no address of the port {Wording.Quote(_taps[0].Name)}", $"its addresses are {Wording.OneOf(_taps[0].Addresses.Select(static a => a.Address.ToString()))}");
        }
    }

    /// <summary>Without a TAP Filter has no address.</summary>
    public void CheckThereIsOne(SourceMark at, string problem)
    {
        if (_taps.IsEmpty && ports.Length > 0)
        {
            found.Error(at, problem, "give the bridge a third port: self: { tap: filter0, side: protected, addresses: [ ... ] }");
        }
    }

    /// <summary>Where no end of ours is named, one of the far end's family must be there to speak from.</summary>
    public void CheckFamily(Address remote, SourceMark at)
    {
        if (!_taps.IsEmpty && _taps.All(p => !p.Addresses.IsEmpty && p.Addresses.All(own => own.Address.IsIPv4 != remote.IsIPv4)))
        {
            found.Error(at, $"the port {Wording.Quote(_taps[0].Name)} has no {Family(remote)} address to reach {remote} from", $"its addresses are {Wording.OneOf(_taps[0].Addresses.Select(static a => a.Address.ToString()))}");
        }
    }

    private static string Family(Address address) => address.IsIPv4 ? "IPv4" : "IPv6";
}
