using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;

namespace Filter.Engine.Packets;

/// <summary>
/// An IP address of either family, in numeric order: <paramref name="High"/> holds the first eight
/// bytes of the wire, <paramref name="Low"/> the last eight. IPv4 stands as ::ffff:a.b.c.d
/// (RFC 4291 §2.5.5.2), which is why an IPv6 packet that carries such an address is dropped.
/// </summary>
public readonly record struct Address(ulong High, ulong Low) : IComparable<Address>
{
    private const ulong MappedPrefix = 0xffffUL << 32;
    private static readonly SearchValues<char> s_dottedQuad = SearchValues.Create("0123456789.");

    /// <summary>The IPv4 address with the given 32 bits, in numeric order.</summary>
    public static Address FromIPv4(uint value) => new(0, MappedPrefix | value);

    /// <summary>Reads four bytes in wire order.</summary>
    public static Address ReadIPv4(ReadOnlySpan<byte> bytes) => FromIPv4(BinaryPrimitives.ReadUInt32BigEndian(bytes));

    /// <summary>Reads sixteen bytes in wire order.</summary>
    public static Address ReadIPv6(ReadOnlySpan<byte> bytes) =>
        new(BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]));

    /// <summary>The first and last IPv4 address, as they stand in the common space.</summary>
    public static Address FirstIPv4 => FromIPv4(0);

    /// <inheritdoc cref="FirstIPv4"/>
    public static Address LastIPv4 => FromIPv4(uint.MaxValue);

    /// <summary>Whether this is an IPv4 address (or, on an IPv6 wire, an IPv4-mapped one).</summary>
    public bool IsIPv4 => High == 0 && (Low & ~0xffff_ffffUL) == MappedPrefix;

    /// <summary>The 32 bits of an IPv4 address; meaningless for IPv6.</summary>
    public uint IPv4 => (uint)Low;

    /// <summary>0.0.0.0 or ::.</summary>
    public bool IsUnspecified => IsIPv4 ? IPv4 == 0 : (High | Low) == 0;

    /// <summary>127.0.0.0/8 or ::1.</summary>
    public bool IsLoopback => IsIPv4 ? IPv4 >> 24 == 127 : High == 0 && Low == 1;

    /// <summary>224.0.0.0/4 or ff00::/8.</summary>
    public bool IsMulticast => IsIPv4 ? IPv4 >> 28 == 0xe : High >> 56 == 0xff;

    /// <summary>255.255.255.255, the limited broadcast (RFC 919 §7).</summary>
    public bool IsLimitedBroadcast => IsIPv4 && IPv4 == uint.MaxValue;

    /// <summary>169.254.0.0/16 or fe80::/10.</summary>
    public bool IsLinkLocal => IsIPv4 ? IPv4 >> 16 == 0xa9fe : High >> 54 == 0xfe80 >> 6;

    /// <summary>4 or 16: the address's length on the wire, in bytes.</summary>
    public int WireLength => IsIPv4 ? 4 : 16;

    /// <summary>Writes <see cref="WireLength"/> bytes in wire order.</summary>
    public void Write(Span<byte> to)
    {
        if (IsIPv4)
        {
            BinaryPrimitives.WriteUInt32BigEndian(to, IPv4);
        }
        else
        {
            BinaryPrimitives.WriteUInt64BigEndian(to, High);
            BinaryPrimitives.WriteUInt64BigEndian(to[8..], Low);
        }
    }

    /// <summary>The next address in numeric order; wraps from the last to the first.</summary>
    public Address Next() => new(Low == ulong.MaxValue ? High + 1 : High, Low + 1);

    /// <summary>The previous address in numeric order; wraps from the first to the last.</summary>
    public Address Previous() => new(Low == 0 ? High - 1 : High, Low - 1);

    /// <inheritdoc/>
    public int CompareTo(Address other) =>
        High != other.High ? High.CompareTo(other.High) : Low.CompareTo(other.Low);

    /// <summary>Numeric order.</summary>
    public static bool operator <(Address left, Address right) => left.CompareTo(right) < 0;

    /// <inheritdoc cref="op_LessThan"/>
    public static bool operator >(Address left, Address right) => left.CompareTo(right) > 0;

    /// <inheritdoc cref="op_LessThan"/>
    public static bool operator <=(Address left, Address right) => left.CompareTo(right) <= 0;

    /// <inheritdoc cref="op_LessThan"/>
    public static bool operator >=(Address left, Address right) => left.CompareTo(right) >= 0;

    /// <summary>
    /// Reads dotted quad or IPv6 text. Four full octets are required of IPv4 and no zone is
    /// taken; an IPv4-mapped IPv6 text reads as the IPv4 address.
    /// </summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out Address address)
    {
        address = default;
        if (text is null || text.Contains('%', StringComparison.Ordinal) || !IPAddress.TryParse(text, out IPAddress? ip))
        {
            return false;
        }

        Span<byte> bytes = stackalloc byte[16];
        if (ip.AddressFamily == AddressFamily.InterNetwork)
        {
            // IPAddress takes "10.1" and "0x0a.1"; nobody who writes a ruleset means them.
            if (text.Split('.').Length != 4 || text.AsSpan().ContainsAnyExcept(s_dottedQuad))
            {
                return false;
            }

            ip.TryWriteBytes(bytes, out _);
            address = ReadIPv4(bytes);
            return true;
        }

        ip.TryWriteBytes(bytes, out _);
        address = ReadIPv6(bytes);
        return true;
    }

    /// <summary>Reads as <see cref="TryParse"/> does; throws <see cref="FormatException"/> on what is no address.</summary>
    public static Address Parse(string text) =>
        TryParse(text, out Address address) ? address : throw new FormatException($"'{text}' is not an address");

    /// <summary>Dotted quad, or IPv6 text by RFC 5952.</summary>
    public override string ToString()
    {
        Span<byte> bytes = stackalloc byte[16];
        Write(bytes);
        return new IPAddress(bytes[..WireLength]).ToString();
    }
}
