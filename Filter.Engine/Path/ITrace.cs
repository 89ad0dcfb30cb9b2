using Filter.Engine.Packets;

namespace Filter.Engine.Path;

/// <summary>
/// Listens to the walk. The walk is specialised by a struct of this kind, so that where
/// <see cref="On"/> is false nothing of it remains.
/// </summary>
public interface ITrace
{
    /// <summary>Whether anybody listens; a constant of the implementing struct.</summary>
    static abstract bool On { get; }

    /// <summary>One step of the walk, in people's words.</summary>
    /// <param name="packet">The packet as it stands after the step.</param>
    /// <param name="step">The step's name: parse, open, route, flow, rules, ipsec, track …</param>
    /// <param name="what">What was found or decided.</param>
    void Note(in Packet packet, string step, string what);

    /// <summary>The number by which people know a flow of this path: another one where it is a copy.</summary>
    int Known(int flow);
}

/// <summary>Nobody listens: the data path.</summary>
public readonly struct NoTrace : ITrace
{
    /// <inheritdoc/>
    public static bool On => false;

    /// <inheritdoc/>
    public void Note(in Packet packet, string step, string what)
    {
    }

    /// <inheritdoc/>
    public int Known(int flow) => flow;
}
