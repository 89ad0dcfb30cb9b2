using Filter.Engine.Packets;

namespace Filter.Ipsec.Databases;

/// <summary>
/// The inbound side of the security association database (RFC 4301 §4.4.2): by SPI, protocol and destination, or by SPI
/// and protocol alone for transport SAs that name no address. Immutable.
/// </summary>
public sealed class Sad
{
    private readonly Dictionary<SadKey, SaPair> _pairs = [];

    internal Sad(IEnumerable<SaPair> pairs)
    {
        foreach (SaPair pair in pairs)
        {
            // The rules refuse two SAs of one SPI and destination; the first would win here.
            _pairs.TryAdd(new SadKey(pair.Inbound.Identity.Spi, pair.Inbound.Identity.Protocol, pair.Local ?? default), pair);
        }
    }

    /// <summary>Every pair, in no order.</summary>
    public IReadOnlyCollection<SaPair> Pairs => _pairs.Values;

    /// <summary>The SA that a packet names; null where it names none.</summary>
    public SaPair? Find(uint spi, byte protocol, Address destination) =>
        _pairs.TryGetValue(new SadKey(spi, protocol, destination), out SaPair? pair)
        || _pairs.TryGetValue(new SadKey(spi, protocol, default), out pair)
            ? pair
            : null;

    private readonly record struct SadKey(uint Spi, byte Protocol, Address Destination);
}
