using System.Buffers.Binary;
using System.Globalization;
using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>Link addresses: 48 bits in numeric order, in the low bits of a <see cref="ulong"/>.</summary>
public static class LinkAddress
{
    /// <summary>ff:ff:ff:ff:ff:ff.</summary>
    public const ulong Broadcast = 0xffff_ffff_ffff;

    private const int Octets = 6;
    private const ulong IPv4Stations = 0x0200_0000_0000;
    private const ulong IPv6Stations = 0x0600_0000_0000;

    /// <summary>Reads six bytes in wire order.</summary>
    public static ulong Read(ReadOnlySpan<byte> bytes) =>
        ((ulong)BinaryPrimitives.ReadUInt16BigEndian(bytes) << 32) | BinaryPrimitives.ReadUInt32BigEndian(bytes[2..]);

    /// <summary>Writes six bytes in wire order.</summary>
    public static void Write(ulong address, Span<byte> to)
    {
        BinaryPrimitives.WriteUInt16BigEndian(to, (ushort)(address >> 32));
        BinaryPrimitives.WriteUInt32BigEndian(to[2..], (uint)address);
    }

    /// <summary>
    /// The link address at which packets to an IP address arrive: the group's (RFC 1112 §6.4, RFC
    /// 2464 §7), broadcast, or for one host a locally administered one made of the address.
    /// </summary>
    public static ulong Of(Address address)
    {
        if (address.IsIPv4)
        {
            return address.IsLimitedBroadcast ? Broadcast
                : address.IsMulticast ? 0x0100_5e00_0000 | (address.IPv4 & 0x7f_ffffUL)
                : IPv4Stations | address.IPv4;
        }

        return address.IsMulticast
            ? 0x3333_0000_0000 | (address.Low & 0xffff_ffff)
            : IPv6Stations | ((address.Low ^ (address.High << 8)) & 0xff_ffff_ffff);
    }

    /// <summary>Reads six pairs of hex digits between colons.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out ulong address)
    {
        address = 0;
        if (text.Length != (3 * Octets) - 1)
        {
            return false;
        }

        for (int i = 0; i < Octets; i++)
        {
            if ((i > 0 && text[(3 * i) - 1] != ':')
                || !byte.TryParse(text.Slice(3 * i, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte octet))
            {
                return false;
            }

            address = (address << 8) | octet;
        }

        return true;
    }

    /// <summary>Six pairs of hex digits between colons.</summary>
    public static string Format(ulong address) => string.Create(
        CultureInfo.InvariantCulture,
        $"{(byte)(address >> 40):x2}:{(byte)(address >> 32):x2}:{(byte)(address >> 24):x2}:{(byte)(address >> 16):x2}:{(byte)(address >> 8):x2}:{(byte)address:x2}");
}
