using System.Globalization;
using System.Runtime.InteropServices;

namespace Filter.Engine.Packets;

/// <summary>
/// A flow's identity as one of its packets shows it, so dependent on direction. Family-neutral:
/// IPv4 addresses stand mapped (see <see cref="Address"/>). It never holds the port a packet came
/// in by: a flow may move.
/// </summary>
/// <param name="Source">The sender.</param>
/// <param name="Destination">The receiver.</param>
/// <param name="SourcePort">
/// Port (TCP, UDP, SCTP, …). Of an ICMP query the asker's is the identifier, the other's the type of the question, as of
/// its answer. Else 0.
/// </param>
/// <param name="DestinationPort">As <paramref name="SourcePort"/>.</param>
/// <param name="Protocol">IANA protocol number of the upper layer.</param>
/// <param name="Segment">VLAN stack: see <see cref="VlanStack"/>; 0 where the frame had no tag.</param>
[StructLayout(LayoutKind.Sequential)]       // both addresses first: they are compared as a whole
public readonly record struct FlowKey(
    Address Source, Address Destination, ushort SourcePort, ushort DestinationPort, byte Protocol, uint Segment)
{
    /// <summary>The key that the answer shows.</summary>
    public FlowKey Reverse =>
        new(Destination, Source, DestinationPort, SourcePort, Protocol, Segment);

    /// <summary>For people. The text a record makes by itself would hold <see cref="Reverse"/>, and so never end.</summary>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{Protocol}: {Source} {SourcePort} > {Destination} {DestinationPort}");
}

/// <summary>
/// A VLAN stack in 32 bits: outer identifier in bits 0..11, inner in 12..23, number of tags in
/// 24..25. A priority tag (identifier 0, IEEE 802.1Q §6.9.1) stands for no tag.
/// </summary>
public static class VlanStack
{
    /// <summary>Most tags that a frame may carry; one with more is dropped.</summary>
    public const int Most = 2;

    /// <summary>The stack with one more, inner, tag.</summary>
    public static uint Push(uint stack, int identifier)
    {
        if (identifier == 0)
        {
            return stack;
        }

        int depth = Depth(stack);
        return (stack & 0x00ff_ffff) | ((uint)identifier << (12 * depth)) | ((uint)(depth + 1) << 24);
    }

    /// <summary>How many tags.</summary>
    public static int Depth(uint stack) => (int)(stack >> 24);

    /// <summary>The identifiers alone: outer in bits 0..11, inner in 12..23, 0 where there is none.</summary>
    public static uint Identifiers(uint stack) => stack & 0x00ff_ffff;

    /// <summary>The outermost identifier; 0 without a tag.</summary>
    public static int Outer(uint stack) => (int)(stack & 0xfff);

    /// <summary>The second identifier; 0 where there is none.</summary>
    public static int Inner(uint stack) => (int)((stack >> 12) & 0xfff);
}
