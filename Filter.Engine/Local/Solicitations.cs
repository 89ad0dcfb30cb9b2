using Filter.Engine.Flows;
using Filter.Engine.Packets;
using Filter.Engine.Path;

namespace Filter.Engine.Local;

/// <summary>
/// Bounds what a scan of a network makes its router ask (RFC 6583): who asks for neighbours that have answered before is
/// never bound, nor is any answer; all others share a rate, port by port. Bounded; one worker.
/// </summary>
internal sealed class Solicitations
{
    private const int Entries = 4096;
    private const int Probes = 4;
    private const long Remembered = 3600L * 1_000_000_000;

    private readonly FlowHash _hash = FlowHash.Create();
    private readonly Neighbour[] _neighbours = new Neighbour[Entries];
    private readonly TokenBucket[] _buckets = new TokenBucket[16];
    private RateLimit _rate;

    public Solicitations(RateLimit rate) => Adopt(rate);

    /// <summary>Takes over a rate; buckets start full where it is another.</summary>
    public void Adopt(RateLimit rate)
    {
        if (rate != _rate)
        {
            _rate = rate;
            Array.Fill(_buckets, new TokenBucket(rate));
        }
    }

    /// <summary>A neighbour has answered by a port.</summary>
    public void Remember(Address neighbour, byte port, long now)
    {
        int home = Home(neighbour), oldest = home;
        for (int probe = 0; probe < Probes; probe++)
        {
            int at = (home + probe) & (Entries - 1);
            ref Neighbour entry = ref _neighbours[at];
            if (entry.Until != 0 && entry.Address == neighbour)
            {
                oldest = at;
                break;
            }

            oldest = entry.Until < _neighbours[oldest].Until ? at : oldest;
        }

        _neighbours[oldest] = new Neighbour { Address = neighbour, Until = now + Remembered, Port = port };
    }

    /// <summary>Whether somebody behind a port may ask for this neighbour now.</summary>
    public bool MayAsk(Address neighbour, byte port, long now) => Knows(neighbour, port, now) || _buckets[port].TryTake(now);

    /// <summary>Who asks can't make a neighbour known by answering himself.</summary>
    private bool Knows(Address neighbour, byte asker, long now)
    {
        int home = Home(neighbour);
        for (int probe = 0; probe < Probes; probe++)
        {
            ref Neighbour entry = ref _neighbours[(home + probe) & (Entries - 1)];
            if (entry.Address == neighbour && entry.Until > now)
            {
                return entry.Port != asker;
            }
        }

        return false;
    }

    private int Home(Address address) => (int)(_hash.Of(new FlowKey(address, default, 0, 0, 0, 0)) & (Entries - 1));

    private struct Neighbour
    {
        public Address Address;
        public long Until;
        public byte Port;
    }
}
