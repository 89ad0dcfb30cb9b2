using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Protocols;

/// <summary>The outer IP header of tunnel mode (RFC 4301 §5.1.2), of either family around either.</summary>
internal static class TunnelHeader
{
    private const int NotCapable = 0;
    private const int Capable1 = 1;
    private const int Capable0 = 2;
    private const int Experienced = 3;

    /// <summary>Length of the header towards an address.</summary>
    internal static int LengthFor(Address remote) => remote.IsIPv4 ? IpHeader.IPv4Length : IpHeader.IPv6Length;

    /// <summary>
    /// Writes the outer header for the inner packet (RFC 4301 §5.1.2): DSCP, ECN and DF as the SA says, IPv6's flow label as inside.
    /// What is IPv6 inside is never cut on its way by others, so in IPv4 it goes with DF, and the path's MTU is learnt.
    /// </summary>
    /// <param name="outer">From the outer header's first byte to the packet's end.</param>
    /// <param name="inner">The inner packet.</param>
    /// <param name="sa">The tunnel.</param>
    /// <param name="protocol">What follows the outer header.</param>
    /// <param name="identification">Of this packet, should it be cut.</param>
    internal static void Write(Span<byte> outer, ReadOnlySpan<byte> inner, OutboundSa sa, byte protocol, ushort identification)
    {
        ref readonly OuterHeader made = ref sa.Plan.Made;
        byte within = IpHeader.TrafficClass(inner);
        int dscp = made.Dscp is { } said ? said << 2 : within & 0xfc;
        byte trafficClass = (byte)(dscp | (made.CopyEcn ? within & 3 : NotCapable));        // RFC 6040 §4.1
        if (sa.Remote.IsIPv4)
        {
            bool dontFragment = made.DontFragment switch
            {
                DontFragmentBit.Set => true,
                DontFragmentBit.Clear => false,
                _ => !IpHeader.IsIPv4(inner) || (inner[6] & 0x40) != 0,
            };
            WriteIPv4(outer, trafficClass, identification, dontFragment, made.HopLimit, protocol, sa);
        }
        else
        {
            uint label = IpHeader.IsIPv4(inner) ? 0 : BinaryPrimitives.ReadUInt32BigEndian(inner) & 0xf_ffff;
            BinaryPrimitives.WriteUInt32BigEndian(outer, (6u << 28) | ((uint)trafficClass << 20) | label);
            outer[6] = protocol;
            outer[7] = made.HopLimit;
            sa.Local.Write(outer[8..]);
            sa.Remote.Write(outer[24..]);
            IpHeader.SetLength(outer);
        }
    }

    /// <summary>
    /// All of it made in registers, its checksum too: what was just written in pieces must not be read back in larger ones, which
    /// stalls a processor longer than all else here takes.
    /// </summary>
    private static void WriteIPv4(
        Span<byte> outer, byte trafficClass, ushort identification, bool dontFragment, byte hopLimit, byte protocol, OutboundSa sa)
    {
        uint first = 0x4500_0000u | ((uint)trafficClass << 16) | (ushort)outer.Length;
        uint second = ((uint)identification << 16) | (dontFragment ? 0x4000u : 0);
        uint third = ((uint)hopLimit << 24) | ((uint)protocol << 16);
        uint source = sa.Local.IPv4, destination = sa.Remote.IPv4;

        // Words of 32 bits add up to the same as their halves do (RFC 1071 §2 (B), (C)).
        third |= Checksum.Finish((ulong)first + second + third + source + destination);
        BinaryPrimitives.WriteUInt64BigEndian(outer, ((ulong)first << 32) | second);
        BinaryPrimitives.WriteUInt64BigEndian(outer[8..], ((ulong)third << 32) | source);
        BinaryPrimitives.WriteUInt32BigEndian(outer[16..], destination);
    }

    /// <summary>Writes the header of a packet that carries nothing of anybody else's, between the ends of an SA.</summary>
    internal static void WriteOwn(Span<byte> outer, OutboundSa sa, byte protocol, ushort identification)
    {
        if (sa.Remote.IsIPv4)
        {
            outer[..IpHeader.IPv4Length].Clear();
            outer[0] = 0x45;
            BinaryPrimitives.WriteUInt16BigEndian(outer[4..], identification);
            outer[8] = sa.Settings.Outer.HopLimit;
            outer[9] = protocol;
            sa.Local.Write(outer[12..]);
            sa.Remote.Write(outer[16..]);
        }
        else
        {
            outer[..IpHeader.IPv6Length].Clear();
            outer[0] = 0x60;
            outer[6] = protocol;
            outer[7] = sa.Settings.Outer.HopLimit;
            sa.Local.Write(outer[8..]);
            sa.Remote.Write(outer[24..]);
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
