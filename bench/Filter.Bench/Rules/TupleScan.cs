using Filter.Engine.Packets;
using Filter.Rules.Compile.Classification;
using Filter.Rules.Policy;

namespace Filter.Bench;

/// <summary>
/// Five-tuples tried one by one, as tightly as plain C# does it. It knows no sets, zones or types, and so is no rival but a
/// limit of what scanning could be.
/// </summary>
internal sealed class TupleScan
{
    private readonly record struct Range<T>(T First, T Width);

    private readonly record struct Tuple<T>(Range<T> Source, Range<T> Destination, Range<ushort> SourcePort, Range<ushort> Port, int Protocol);

    private readonly Tuple<uint>[] _v4 = [];
    private readonly Tuple<UInt128>[] _v6 = [];

    public TupleScan(IndexedRule[] rules, bool v6)
    {
        if (v6)
        {
            _v6 = [.. rules.Select(static rule => Flat(rule, Wide(rule.Source), Wide(rule.Destination)))];
        }
        else
        {
            _v4 = [.. rules.Select(static rule => Flat(rule, Short(rule.Source), Short(rule.Destination)))];
        }
    }

    public int First(in OpeningFacts facts) => _v6.Length > 0 ? FirstOfV6(facts.Key) : FirstOfV4(facts.Key);

    private static Tuple<T> Flat<T>(IndexedRule rule, Range<T> source, Range<T> destination)
    {
        PortRange from = rule.SourcePorts.IsEmpty ? PortRange.All : rule.SourcePorts[0];
        Service? service = rule.Service is { IsAny: false } set ? set.Services[0] : null;
        PortRange to = service?.Ports ?? PortRange.All;
        return new(source, destination, new(from.First, (ushort)(from.Last - from.First)), new(to.First, (ushort)(to.Last - to.First)), service?.Protocol ?? -1);
    }

    private static Range<uint> Short(AddressSet? set) =>
        set is null ? new(0, uint.MaxValue) : new(set.Ranges[0].First.IPv4, set.Ranges[0].Last.IPv4 - set.Ranges[0].First.IPv4);

    private static Range<UInt128> Wide(AddressSet? set) => set is null
        ? new(0, UInt128.MaxValue)
        : new(Number(set.Ranges[0].First), Number(set.Ranges[^1].Last) - Number(set.Ranges[0].First));

    private static UInt128 Number(Address address) => new(address.High, address.Low);

    private int FirstOfV4(in FlowKey key)
    {
        uint source = key.Source.IPv4, destination = key.Destination.IPv4;
        for (int i = 0; i < _v4.Length; i++)
        {
            ref readonly Tuple<uint> rule = ref _v4[i];
            if (source - rule.Source.First <= rule.Source.Width && destination - rule.Destination.First <= rule.Destination.Width
                && (rule.Protocol < 0 || rule.Protocol == key.Protocol)
                && (ushort)(key.DestinationPort - rule.Port.First) <= rule.Port.Width
                && (ushort)(key.SourcePort - rule.SourcePort.First) <= rule.SourcePort.Width)
            {
                return i;
            }
        }

        return -1;
    }

    private int FirstOfV6(in FlowKey key)
    {
        UInt128 source = Number(key.Source), destination = Number(key.Destination);
        for (int i = 0; i < _v6.Length; i++)
        {
            ref readonly Tuple<UInt128> rule = ref _v6[i];
            if (source - rule.Source.First <= rule.Source.Width && destination - rule.Destination.First <= rule.Destination.Width
                && (rule.Protocol < 0 || rule.Protocol == key.Protocol)
                && (ushort)(key.DestinationPort - rule.Port.First) <= rule.Port.Width
                && (ushort)(key.SourcePort - rule.SourcePort.First) <= rule.SourcePort.Width)
            {
                return i;
            }
        }

        return -1;
    }
}
