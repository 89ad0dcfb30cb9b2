using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike;

/// <summary>
/// The IKE SAs that others have begun and not proved who they are: how many in all and of each source, found by what their first message
/// said, so that its repetition gets the same answer (RFC 7296 §2.1).
/// </summary>
internal sealed class HalfOpen
{
    private readonly Dictionary<(ulong Spi, IkePath Path), IkeSa> _beginnings = [];
    private readonly Dictionary<Address, int> _sources = [];

    /// <summary>How many there are.</summary>
    internal int Count => _beginnings.Count;

    /// <summary>The one that began so; null for none.</summary>
    internal IkeSa? Find(ulong initiatorSpi, in IkePath path) => _beginnings.GetValueOrDefault((initiatorSpi, path));

    /// <summary>Whether one more of a source may begin.</summary>
    internal bool HasRoom(IkeLimits limits, Address source) =>
        Count < limits.HalfOpen && _sources.GetValueOrDefault(Source(source)) < limits.HalfOpenPerSource;

    internal void Add(IkeSa sa)
    {
        _beginnings[(sa.InitiatorSpi, sa.BeganBy)] = sa;
        Address source = Source(sa.BeganBy.Remote);
        _sources[source] = _sources.GetValueOrDefault(source) + 1;
    }

    /// <summary>It has proved who it is, or is given up.</summary>
    internal void Remove(IkeSa sa)
    {
        if (_beginnings.GetValueOrDefault((sa.InitiatorSpi, sa.BeganBy)) != sa)
        {
            return;
        }

        _beginnings.Remove((sa.InitiatorSpi, sa.BeganBy));
        Address source = Source(sa.BeganBy.Remote);
        int left = _sources[source] - 1;
        if (left == 0)
        {
            _sources.Remove(source);
        }
        else
        {
            _sources[source] = left;
        }
    }

    /// <summary>Who has one address of IPv6 has a /64.</summary>
    private static Address Source(Address address) => address.IsIPv4 ? address : new Address(address.High, 0);
}
