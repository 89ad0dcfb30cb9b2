using Filter.Engine.Packets;

namespace Filter.Ipsec.Ike;

/// <summary>What the engine asks of the world around it: the daemon, or a test. Called on the thread that calls the engine.</summary>
public interface IIkeHost
{
    /// <summary>The time on the wall, by which certificates are valid or not.</summary>
    DateTimeOffset WallTime { get; }

    /// <summary>Sends a message, or drops it; nobody waits.</summary>
    void Send(in IkePath path, ReadOnlyMemory<byte> message);

    /// <summary>Our address towards a peer whose entry names none; null where there is none, and nothing can be begun.</summary>
    Address? LocalFor(Address remote);

    /// <summary>An SPI for what we are to receive, which no SA of ours has.</summary>
    uint NewSpi();

    /// <summary>
    /// Makes SAs of a child's settings and keys, one direction or both. The keys are copied: the engine wipes its own once both directions
    /// are in place. What goes out goes by the newest SA of its policy.
    /// </summary>
    /// <returns>Null, or why not; nothing is in place then.</returns>
    string? Install(ChildSa child, ChildDirections which);

    /// <summary>Takes SAs of a child away; not being there is no error.</summary>
    void Remove(ChildSa child, ChildDirections which);

    /// <summary>How many packets a child has opened so far: a sign that the peer lives, and that it sends by this child.</summary>
    long Opened(ChildSa child);

    /// <summary>Something worth knowing happened.</summary>
    void Tell(IkeEvent told);
}

/// <summary>Which of the two SAs of a child.</summary>
[Flags]
public enum ChildDirections : byte
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>What the peer sends.</summary>
    Inbound = 1,

    /// <summary>What we send.</summary>
    Outbound = 2,

    /// <summary>Both.</summary>
    Both = 3,
}
