using System.Buffers.Binary;
using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Payloads;

/// <summary>One traffic selector (RFC 7296 §3.13.1).</summary>
/// <param name="Protocol">Of IP; 0 for any.</param>
/// <param name="Ports">
/// An inclusive run; of ICMP, type and code as one number; <see cref="AnyPort"/> for all, <see cref="OpaquePort"/> where there is none to see.
/// </param>
/// <param name="Addresses">An inclusive run of one family.</param>
public readonly record struct TrafficSelector(byte Protocol, PortRange Ports, AddressRange Addresses)
{
    private const byte IPv4Range = 7;
    private const byte IPv6Range = 8;
    private const int FixedLength = 8;

    /// <summary>Every port.</summary>
    public static PortRange AnyPort => PortRange.All;

    /// <summary>OPAQUE: 65535 to 0 (RFC 4301 §4.4.1.1).</summary>
    public static PortRange OpaquePort => new(ushort.MaxValue, 0);

    /// <summary>Of IPv4, else of IPv6: a run from :: up is IPv6's, though IPv4 stands in the midst of that.</summary>
    public bool IsIPv4 => Addresses.First.IsIPv4 && Addresses.Last.IsIPv4;

    /// <summary>Whether the ports are OPAQUE.</summary>
    public bool IsOpaque => Ports == OpaquePort;

    /// <summary>As people write it: <c>192.0.2.0/24 tcp 443</c>, the protocol as a number.</summary>
    public override string ToString()
    {
        string ports = IsOpaque ? " port opaque" : Ports == AnyPort ? "" : Ports.First == Ports.Last ? $" port {Ports.First}" : $" port {Ports.First}-{Ports.Last}";
        return $"{(Addresses == new AddressRange(default, new Address(ulong.MaxValue, ulong.MaxValue)) ? "::/0" : Addresses.ToString())}{(Protocol == 0 ? "" : $" protocol {Protocol}")}{ports}";
    }

    internal void Write(PayloadWriter to)
    {
        int size = IsIPv4 ? 4 : 16;
        Span<byte> ends = stackalloc byte[2 * 16];
        WriteAddress(Addresses.First, ends);
        WriteAddress(Addresses.Last, ends[size..]);
        to.Byte(IsIPv4 ? IPv4Range : IPv6Range);
        to.Byte(Protocol);
        to.UInt16((ushort)(FixedLength + (2 * size)));
        to.UInt16(Ports.First);
        to.UInt16(Ports.Last);
        to.Bytes(ends[..(2 * size)]);
    }

    /// <summary>Reads one, and says how long it is; no selector and no reason where its type is not known.</summary>
    internal static bool TryRead(ReadOnlySpan<byte> bytes, out TrafficSelector? selector, out int length, out string? why)
    {
        (selector, why) = (null, null);
        length = bytes.Length < FixedLength ? 0 : BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
        if (length < FixedLength || length > bytes.Length)
        {
            why = "a traffic selector that ends behind its payload";
            return false;
        }

        byte type = bytes[0];
        if (type is not (IPv4Range or IPv6Range))
        {
            return true;
        }

        int size = type == IPv4Range ? 4 : 16;
        if (length != FixedLength + (2 * size))
        {
            why = $"a traffic selector of type {type} with {length} bytes";
            return false;
        }

        ReadOnlySpan<byte> ends = bytes[FixedLength..length];
        AddressRange addresses = type == IPv4Range
            ? new(Address.ReadIPv4(ends), Address.ReadIPv4(ends[size..]))
            : new(Address.ReadIPv6(ends), Address.ReadIPv6(ends[size..]));
        PortRange ports = new(BinaryPrimitives.ReadUInt16BigEndian(bytes[4..]), BinaryPrimitives.ReadUInt16BigEndian(bytes[6..]));
        var read = new TrafficSelector(bytes[1], ports, addresses);
        why = addresses.First > addresses.Last ? "a traffic selector whose addresses end before they begin"
            : ports.First > ports.Last && ports != OpaquePort ? "a traffic selector whose ports end before they begin"
            : read.IsIPv4 != (type == IPv4Range) ? "a traffic selector of IPv4-mapped addresses"
            : null;
        selector = why is null ? read : null;
        return why is null;
    }

    private void WriteAddress(Address address, Span<byte> to)
    {
        if (IsIPv4)
        {
            address.Write(to);
            return;
        }

        BinaryPrimitives.WriteUInt64BigEndian(to, address.High);
        BinaryPrimitives.WriteUInt64BigEndian(to[8..], address.Low);
    }
}

/// <summary>TSi or TSr: what a child is for (RFC 7296 §3.13).</summary>
/// <param name="OfInitiator">TSi, else TSr.</param>
/// <param name="Selectors">In the sender's order; at most 255.</param>
public sealed record TrafficSelectorPayload(bool OfInitiator, ImmutableArray<TrafficSelector> Selectors) : Payload
{
    private const int FixedLength = 4;

    /// <inheritdoc/>
    public override PayloadType Type => OfInitiator ? PayloadType.TsInitiator : PayloadType.TsResponder;

    /// <summary>Selectors of types that are not known stood there too, and are left out: who needs one of them cannot be served.</summary>
    public bool HasUnknownTypes { get; init; }

    internal override void Write(PayloadWriter to)
    {
        to.Byte(checked((byte)Selectors.Length));
        to.Zeros(FixedLength - 1);
        foreach (TrafficSelector selector in Selectors)
        {
            selector.Write(to);
        }
    }

    internal static bool TryRead(bool ofInitiator, ReadOnlyMemory<byte> body, out TrafficSelectorPayload? payload, out string? why)
    {
        payload = null;
        ReadOnlySpan<byte> left = body.Span;
        if (left.Length < FixedLength || left[0] == 0)
        {
            why = "no traffic selector in a payload of them";
            return false;
        }

        int count = left[0];
        left = left[FixedLength..];
        ImmutableArray<TrafficSelector>.Builder selectors = ImmutableArray.CreateBuilder<TrafficSelector>(count);
        for (int i = 0; i < count; i++)
        {
            if (!TrafficSelector.TryRead(left, out TrafficSelector? selector, out int length, out why))
            {
                return false;
            }

            if (selector is { } known)
            {
                selectors.Add(known);
            }

            left = left[length..];
        }

        why = left.IsEmpty ? null : $"bytes behind the last of {count} traffic selectors";
        payload = left.IsEmpty ? new TrafficSelectorPayload(ofInitiator, selectors.ToImmutable()) { HasUnknownTypes = selectors.Count < count } : null;
        return left.IsEmpty;
    }
}
