using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Policy;

namespace Filter.Ctl.Rehearsals;

/// <summary>Packet lines without a walk: what parsing finds in their packets.</summary>
internal static class LinePackets
{
    /// <summary>The line's packet, parsed; its bytes are gone.</summary>
    /// <exception cref="Refusal">The line can't be read, nothing says where it arrives, or it is no packet that policy speaks of.</exception>
    public static Packet Parse(Ruleset ruleset, string text)
    {
        if (!PacketLine.TryParse(text, out PacketLine? line, out string? error))
        {
            throw new Refusal($"'{text}': {error}");
        }

        Burst burst = new();
        if (!FrameBuilder.TryAppend(line, burst, PortOf(ruleset, line, text).Number, out int index))
        {
            throw new Refusal($"'{text}': too large");
        }

        ref Packet packet = ref burst.Packets[index];
        DropReason why = Parser.Parse(ref packet);
        return why == DropReason.None && packet.Kind != PacketKind.Link
            ? packet
            : throw new Refusal($"'{text}': policy is not asked{(why == DropReason.None ? ": it is no IP packet" : $": it is dropped before ({why.Name()})")}");
    }

    /// <summary>Where a line's packet arrives.</summary>
    /// <exception cref="Refusal">Nothing says so.</exception>
    public static PortConfig PortOf(Ruleset ruleset, PacketLine line, string text)
    {
        string known = string.Join(", ", ruleset.Ports.Select(static port => port.Name));
        if (line.Port is { } name)
        {
            return ruleset.FindPort(name)
                ?? throw new Refusal($"'{text}': {ruleset.File} has no port '{name}'; it has {known}");
        }

        return (line.Kind == LineKind.Ether ? null : ruleset.PortOf(line.Source))
            ?? throw new Refusal($"'{text}': it names no port, and no port's prefixes have its source: begin it with one of {known}, as '{ruleset.Ports[0].Name}: {text}'");
    }
}
