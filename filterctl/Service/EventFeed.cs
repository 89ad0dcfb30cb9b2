using System.Threading.Channels;
using Filter.Ctl.Control;

namespace Filter.Ctl.Service;

/// <summary>
/// Spreads events to those who listen. Nobody is waited for: a listener that reads too slowly loses
/// events, and is told how many.
/// </summary>
internal sealed class EventFeed
{
    /// <summary>Events kept for a listener that is behind.</summary>
    public const int Backlog = 512;

    private readonly Lock _guard = new();
    private volatile Listener[] _listeners = [];

    /// <summary>Whether anyone listens.</summary>
    public bool Heard => _listeners.Length > 0;

    /// <summary>Begins to listen; dispose to end.</summary>
    public Listener Listen()
    {
        Listener listener = new(this);
        lock (_guard)
        {
            _listeners = [.. _listeners, listener];
        }

        return listener;
    }

    /// <summary>Gives the event to all who listen. Never blocks.</summary>
    public void Publish(PacketEvent packet)
    {
        foreach (Listener listener in _listeners)
        {
            listener.Offer(packet);
        }
    }

    /// <summary>Says that events were lost before they came here.</summary>
    public void Lose(long count)
    {
        foreach (Listener listener in _listeners)
        {
            listener.Miss(count);
        }
    }

    private void Leave(Listener listener)
    {
        lock (_guard)
        {
            _listeners = [.. _listeners.Where(other => other != listener)];
        }
    }

    /// <summary>One who listens.</summary>
    internal sealed class Listener : IDisposable
    {
        private readonly Channel<PacketEvent> _queue = Channel.CreateBounded<PacketEvent>(
            new BoundedChannelOptions(Backlog) { SingleReader = true, SingleWriter = true });

        private readonly EventFeed _feed;
        private long _lost;

        internal Listener(EventFeed feed) => _feed = feed;

        /// <summary>The events.</summary>
        public ChannelReader<PacketEvent> Events => _queue.Reader;

        /// <summary>How many were lost since this was last asked.</summary>
        public long TakeLost() => Interlocked.Exchange(ref _lost, 0);

        /// <inheritdoc/>
        public void Dispose() => _feed.Leave(this);

        internal void Offer(PacketEvent packet)
        {
            if (!_queue.Writer.TryWrite(packet))
            {
                Interlocked.Increment(ref _lost);
            }
        }

        internal void Miss(long count) => Interlocked.Add(ref _lost, count);
    }
}
