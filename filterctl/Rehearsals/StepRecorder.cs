using Filter.Engine.Packets;
using Filter.Engine.Path;

namespace Filter.Ctl.Rehearsals;

/// <summary>A step of the walk, in people's words.</summary>
/// <param name="Step">Its name.</param>
/// <param name="What">What was found or decided.</param>
internal sealed record WalkStep(string Step, string What);

/// <summary>Listens to the walk and keeps what it hears of packets that came in; what Filter makes itself has no number.</summary>
/// <param name="steps">Where to.</param>
/// <param name="known">Numbers of flows that are copies, and those of the flows they are copies of; null where none is.</param>
internal readonly struct StepRecorder(List<WalkStep> steps, IDictionary<int, int>? known = null) : ITrace
{
    /// <inheritdoc/>
    public static bool On => true;

    /// <inheritdoc/>
    public void Note(in Packet packet, string step, string what)
    {
        if (packet.Number != 0)
        {
            steps.Add(new WalkStep(step, what));
        }
    }

    /// <inheritdoc/>
    public int Known(int flow) => known is not null && known.TryGetValue(flow, out int number) ? number : flow;
}
