using System.Runtime.CompilerServices;

namespace Filter.Engine.Algs;

/// <summary>
/// The sender of a packet awaits something at its own address, from the host that it spoke to. An announcement holds no
/// address: whatever a text said, nobody opens a way to somebody else (RFC 2577 §3, the bounce attack).
/// </summary>
/// <param name="Protocol">IANA protocol number of what will come.</param>
/// <param name="Port">The port it will come to.</param>
/// <param name="Once">One flow is awaited; else any number.</param>
/// <param name="Call">Which call it belongs to, so that its end can be told; 0 where there are no calls.</param>
public readonly record struct Announcement(byte Protocol, ushort Port, bool Once, uint Call);

/// <summary>What one packet told a helper.</summary>
public struct Announcements
{
    /// <summary>Ports below belong to services, and are awaited by nobody (RFC 2577 §3).</summary>
    public const int FirstPort = 1024;

    /// <summary>Most announcements of one packet.</summary>
    public const int Most = 8;

    private Items _items;

    /// <summary>How many there are.</summary>
    public int Count { get; private set; }

    /// <summary>Announcements that were not believed: of another's address, of a port below 1024, or too many.</summary>
    public int Refused { get; private set; }

    /// <summary>The call that ended; 0 for none.</summary>
    public uint Ended { get; set; }

    /// <summary>The helper understands this flow no more, or it never spoke the helper's protocol: it stops reading.</summary>
    public bool Silent { get; set; }

    /// <summary>One of them, from 0.</summary>
    public readonly Announcement this[int index] => _items[index];

    /// <summary>Adds one; refuses it where its port is a service's, or there are too many.</summary>
    public void Add(byte protocol, int port, bool once, uint call = 0)
    {
        if (port is < FirstPort or > ushort.MaxValue || Count == Most)
        {
            Refused++;
            return;
        }

        _items[Count++] = new Announcement(protocol, (ushort)port, once, call);
    }

    /// <summary>Counts one that is not believed.</summary>
    public void Refuse() => Refused++;

    [InlineArray(Most)]
    private struct Items
    {
        private Announcement _item;
    }
}
