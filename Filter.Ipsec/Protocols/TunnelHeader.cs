using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Ipsec.Protocols;

/// <summary>The outer IP header of tunnel mode (RFC 4301 §5.1.2), of either family around either.</summary>
internal static class TunnelHeader
{
    private const byte TimeToLive = 64;
    private const int NotCapable = 0;
    private const int Capable1 = 1;
    private const int Capable0 = 2;
    private const int Experienced = 3;

    /// <summary>Length of the header towards an address.</summary>
    internal static int LengthFor(Address remote) => remote.IsIPv4 ? IpHeader.IPv4Length : IpHeader.IPv6Length;

    /// <summary>
    /// Writes the outer header for the inner packet. DSCP and ECN are copied (RFC 4301 §5.1.2, RFC 6040 §4.1 normal
    /// mode), so is IPv4's DF, and IPv6's flow label. An IPv6 packet in IPv4 goes without DF: nothing learns the path's
    /// MTU yet, and no size shall vanish.
    /// </summary>
    internal static void Write(
        Span<byte> outer, ReadOnlySpan<byte> inner, Address local, Address remote, byte protocol, ushort identification)
    {
        byte trafficClass = IpHeader.TrafficClass(inner);
        if (remote.IsIPv4)
        {
            bool dontFragment = IpHeader.IsIPv4(inner) && (inner[6] & 0x40) != 0;
            outer[..IpHeader.IPv4Length].Clear();
            outer[0] = 0x45;
            outer[1] = trafficClass;
            BinaryPrimitives.WriteUInt16BigEndian(outer[4..], identification);
            outer[6] = (byte)(dontFragment ? 0x40 : 0);
            outer[8] = TimeToLive;
            outer[9] = protocol;
            local.Write(outer[12..]);
            remote.Write(outer[16..]);
        }
        else
        {
            uint label = IpHeader.IsIPv4(inner) ? 0 : BinaryPrimitives.ReadUInt32BigEndian(inner) & 0xf_ffff;
            BinaryPrimitives.WriteUInt32BigEndian(outer, (6u << 28) | ((uint)trafficClass << 20) | label);
            outer[6] = protocol;
            outer[7] = TimeToLive;
            local.Write(outer[8..]);
            remote.Write(outer[24..]);
        }

        IpHeader.SetLength(outer);
    }

    /// <summary>Carries congestion marks of the way into the inner header (RFC 6040 §4.2, figure 4).</summary>
    /// <returns>False for a packet that says it can't be marked and was: it must be dropped.</returns>
    internal static bool TryCombineEcn(byte outerTrafficClass, Span<byte> inner)
    {
        int before = IpHeader.TrafficClass(inner) & 3;
        int after = (before, outerTrafficClass & 3) switch
        {
            (NotCapable, Experienced) => -1,
            (NotCapable, _) => NotCapable,
            (_, Experienced) => Experienced,
            (Capable0, Capable1) => Capable1,
            _ => before,
        };
        if (after < 0)
        {
            return false;
        }

        if (after != before)
        {
            IpHeader.SetEcn(inner, after);
        }

        return true;
    }
}
