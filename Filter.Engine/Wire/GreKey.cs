using System.Buffers.Binary;
using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>
/// The key that tells tunnels between the same two hosts apart (RFC 2890 §2). Both ends use the same; two that use a key for each
/// direction are two flows. Version 1, PPTP, has a call number in its place that each end chooses for itself (RFC 2637 §4.1): without
/// its control connection nobody knows which belong together, so its flows are known by their addresses.
/// </summary>
public static class GreKey
{
    /// <summary>Header with a key and nothing else optional.</summary>
    internal const int KeyedLength = 8;

    private const int Version = 7;
    private const int HasKey = 0x2000;
    private const int HasChecksumOrRouting = 0xc000;

    /// <summary>Reads the key, null where there is none.</summary>
    /// <param name="gre">GRE's header and what follows it.</param>
    /// <param name="key">The key.</param>
    /// <returns>False where the header is cut before the key.</returns>
    public static bool TryRead(ReadOnlySpan<byte> gre, out uint? key)
    {
        key = null;
        if (gre.Length < 4)
        {
            return false;
        }

        int flags = BinaryPrimitives.ReadUInt16BigEndian(gre);
        if ((flags & (HasKey | Version)) != HasKey)
        {
            return true;
        }

        int at = (flags & HasChecksumOrRouting) != 0 ? 8 : 4;
        if (gre.Length < at + sizeof(uint))
        {
            return false;
        }

        key = BinaryPrimitives.ReadUInt32BigEndian(gre[at..]);
        return true;
    }

    /// <summary>The flow's key: the halves stand as ports, in an order that is the reverse in the other direction.</summary>
    public static FlowKey Of(in FlowKey addresses, uint key)
    {
        ushort upper = (ushort)(key >> 16), lower = (ushort)key;
        bool ascends = (addresses.Source.High, addresses.Source.Low).CompareTo((addresses.Destination.High, addresses.Destination.Low)) < 0;
        return addresses with { SourcePort = ascends ? upper : lower, DestinationPort = ascends ? lower : upper };
    }

    /// <summary>Writes a header with a key, of IPv4 inside.</summary>
    internal static void Write(Span<byte> gre, uint key)
    {
        BinaryPrimitives.WriteUInt16BigEndian(gre, HasKey);
        BinaryPrimitives.WriteUInt16BigEndian(gre[2..], EtherTypes.IPv4);
        BinaryPrimitives.WriteUInt32BigEndian(gre[4..], key);
    }
}
