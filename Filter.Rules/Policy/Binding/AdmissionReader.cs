using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>What ports, link and limits say together of who may say what by which port.</summary>
internal static class AdmissionReader
{
    /// <summary>What lives on every link, whatever wider prefix holds it.</summary>
    private static readonly AddressRange[] s_everywhere =
        [Prefix.Around(Address.Parse("fe80::"), 10).Range, Prefix.Around(Address.Parse("169.254.0.0"), 16).Range];

    /// <summary>Reads what stands apart, once the ports are known.</summary>
    public static Admission Read(ImmutableArray<PortConfig> ports, Fields? link, Admission limited, Diagnostics found)
    {
        bool verifies = link is not null && Values.Flag(link["verify-neighbours"], "'verify-neighbours'", found);
        if (verifies && ports.FirstOrDefault(static p => p.Prefixes.IsEmpty && p.Addresses.IsEmpty) is { } homeless)
        {
            found.Error(link!.KeyAt("verify-neighbours"), $"nobody lives behind the port {Wording.Quote(homeless.Name)}: no neighbour could speak there", "give every port its prefixes: [ … ]");
        }

        return limited with
        {
            Hosts = Mask(ports, static p => p.Role == PortRole.Hosts),
            Antispoof = Mask(ports, static p => p.Antispoof),
            VerifyNeighbours = verifies,
            PassTagged = link is null || (Values.Word(link["tagged"], "'tagged'", found, ("allow", true), ("drop", false)) ?? true),
            Homes = AddressMap.Of([.. s_everywhere.Select(static range => (range.First, range.Last, (byte)0)), .. ports.SelectMany(Homes)]),
            SaysWhoIsProtected = ports.Any(static p => p.Side == Side.Protected && !p.Prefixes.IsEmpty),
        };
    }

    /// <summary>A port's prefixes, and the gateway's own addresses, which nobody else has.</summary>
    private static IEnumerable<(Address First, Address Last, byte Value)> Homes(PortConfig port) => port.Prefixes
        .Select(static prefix => prefix.Range)
        .Concat(port.Addresses.Select(static own => new AddressRange(own.Address, own.Address)))
        .Select(range => (range.First, range.Last, (byte)(port.Number + 1)));

    private static ushort Mask(ImmutableArray<PortConfig> ports, Func<PortConfig, bool> which) =>
        (ushort)ports.Where(which).Aggregate(0, static (mask, port) => mask | (1 << port.Number));
}
