using System.Text;
using Filter.Engine.Packets;

namespace Filter.Engine.Ports.Netlink;

/// <summary>Writes one rtnetlink request: header, family header, attributes, each padded to four bytes.</summary>
internal sealed class NetlinkMessage
{
    private byte[] _bytes = new byte[256];
    private int _length = NetlinkAbi.HeaderLength;

    public NetlinkMessage(ushort type, ushort flags)
    {
        BitConverter.TryWriteBytes(_bytes.AsSpan(4), type);
        BitConverter.TryWriteBytes(_bytes.AsSpan(6), (ushort)(flags | NetlinkAbi.FlagRequest));
    }

    /// <summary>The whole message; its length field is filled in here.</summary>
    public Span<byte> Finish(uint sequence)
    {
        BitConverter.TryWriteBytes(_bytes.AsSpan(0), (uint)_length);
        BitConverter.TryWriteBytes(_bytes.AsSpan(8), sequence);
        return _bytes.AsSpan(0, _length);
    }

    /// <summary>The next <paramref name="length"/> bytes, zeroed, for a fixed header.</summary>
    public Span<byte> Reserve(int length)
    {
        int padded = (length + 3) & ~3;
        if (_length + padded > _bytes.Length)
        {
            Array.Resize(ref _bytes, Math.Max(_bytes.Length * 2, _length + padded));
        }

        Span<byte> room = _bytes.AsSpan(_length, length);
        _length += padded;
        return room;
    }

    /// <summary>An attribute with these bytes.</summary>
    public void Add(ushort type, ReadOnlySpan<byte> value)
    {
        Span<byte> room = Reserve(NetlinkAbi.AttributeHeaderLength + value.Length);
        BitConverter.TryWriteBytes(room, (ushort)room.Length);
        BitConverter.TryWriteBytes(room[2..], type);
        value.CopyTo(room[NetlinkAbi.AttributeHeaderLength..]);
    }

    /// <summary>An attribute with one number in host order.</summary>
    public void Add(ushort type, uint value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        BitConverter.TryWriteBytes(bytes, value);
        Add(type, bytes);
    }

    /// <summary>An attribute with an address in network order, 4 or 16 bytes.</summary>
    public void Add(ushort type, Address address)
    {
        Span<byte> wire = stackalloc byte[16];
        wire = wire[..address.WireLength];
        address.Write(wire);
        Add(type, wire);
    }

    /// <summary>An attribute with a name, ended by a zero byte.</summary>
    public void Add(ushort type, string name) => Add(type, Encoding.UTF8.GetBytes(name + "\0"));

    /// <summary>
    /// Finds an attribute in a message's attribute area; false where it is absent or the area is malformed.
    /// </summary>
    public static bool TryFind(ReadOnlySpan<byte> attributes, ushort type, out ReadOnlySpan<byte> value)
    {
        while (attributes.Length >= NetlinkAbi.AttributeHeaderLength)
        {
            int length = BitConverter.ToUInt16(attributes);
            if (length < NetlinkAbi.AttributeHeaderLength || length > attributes.Length)
            {
                break;
            }

            if ((BitConverter.ToUInt16(attributes[2..]) & NetlinkAbi.AttributeTypeMask) == type)
            {
                value = attributes[NetlinkAbi.AttributeHeaderLength..length];
                return true;
            }

            attributes = attributes[Math.Min((length + 3) & ~3, attributes.Length)..];
        }

        value = default;
        return false;
    }

    /// <summary>Finds an attribute that is one number in host order.</summary>
    public static bool TryFind(ReadOnlySpan<byte> attributes, ushort type, out uint value)
    {
        bool found = TryFind(attributes, type, out ReadOnlySpan<byte> bytes) && bytes.Length >= sizeof(uint);
        value = found ? BitConverter.ToUInt32(bytes) : 0;
        return found;
    }
}
