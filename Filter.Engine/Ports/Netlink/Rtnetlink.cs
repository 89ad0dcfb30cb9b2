using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Ports.Native;

namespace Filter.Engine.Ports.Netlink;

/// <summary>
/// A conversation with the kernel about links, addresses and routes (rtnetlink(7)), in the namespace of the thread that
/// opened it. For set-up only: it allocates and throws <see cref="PortException"/>.
/// </summary>
internal sealed unsafe class Rtnetlink : IDisposable
{
    private const int ReceiveBytes = 256 * 1024;

    private const int EthernetAddressLength = 6;

    /// <summary>NLM_F_MULTI: more parts follow, up to NLMSG_DONE.</summary>
    private const ushort MultiPart = 0x2;

    private readonly FileDescriptor _socket = FileDescriptor.Socket(
        SocketAbi.FamilyNetlink, SocketAbi.TypeRaw, NetlinkAbi.ProtocolRoute, "cannot talk to the kernel about interfaces");
    private readonly byte[] _received = new byte[ReceiveBytes];
    private uint _sequence;

    /// <summary>The state of an interface; null where there is none of this name.</summary>
    public LinkState? FindLink(string name)
    {
        var message = new NetlinkMessage(NetlinkAbi.GetLink, 0);
        message.Reserve(NetlinkAbi.LinkHeaderLength);
        message.Add(NetlinkAbi.LinkName, name);
        LinkState? found = null;
        int error = Exchange(message, (type, body) =>
        {
            if (type == NetlinkAbi.NewLink && body.Length >= NetlinkAbi.LinkHeaderLength)
            {
                ReadOnlySpan<byte> attributes = body[NetlinkAbi.LinkHeaderLength..];
                NetlinkMessage.TryFind(attributes, NetlinkAbi.LinkMtu, out uint mtu);
                NetlinkMessage.TryFind(attributes, NetlinkAbi.LinkAddress, out ReadOnlySpan<byte> mac);
                found = new LinkState(
                    BitConverter.ToInt32(body[4..]),
                    BitConverter.ToUInt16(body[2..]),
                    BitConverter.ToUInt32(body[8..]),
                    (int)mtu,
                    Number(mac));
            }
        });
        return error is 0 or Errno.NoDevice
            ? found
            : throw PortException.FromErrno($"cannot read the state of {name}", error);
    }

    /// <summary>The state of an interface that must be there and speak Ethernet.</summary>
    public LinkState RequireEthernet(string name)
    {
        LinkState link = FindLink(name) ?? throw new PortException($"there is no network device named '{name}'");
        return link.Type is NetlinkAbi.HardwareEthernet
            ? link
            : throw new PortException($"{name} is not an Ethernet device");
    }

    /// <summary>Sets and clears IFF_ flags of an interface, and its MTU and MAC where given.</summary>
    public void SetLink(string name, int index, uint flags, uint mask, int? mtu = null, ulong? mac = null, uint? queueLength = null)
    {
        var message = new NetlinkMessage(NetlinkAbi.NewLink, NetlinkAbi.FlagAck);
        Span<byte> header = message.Reserve(NetlinkAbi.LinkHeaderLength);
        BitConverter.TryWriteBytes(header[4..], index);
        BitConverter.TryWriteBytes(header[8..], flags);
        BitConverter.TryWriteBytes(header[12..], mask);
        if (mtu is { } bytes)
        {
            message.Add(NetlinkAbi.LinkMtu, (uint)bytes);
        }

        if (mac is { } number)
        {
            Span<byte> wire = stackalloc byte[sizeof(ulong)];
            BinaryPrimitives.WriteUInt64BigEndian(wire, number);
            message.Add(NetlinkAbi.LinkAddress, wire[^EthernetAddressLength..]);
        }

        if (queueLength is { } frames)
        {
            message.Add(NetlinkAbi.LinkQueueLength, frames);
        }

        Demand(Exchange(message), $"cannot set up {name}");
    }

    /// <summary>Gives an interface an address; an IPv6 address is usable at once (no duplicate address detection).</summary>
    public void AddAddress(string name, int index, Address address, int prefixLength)
    {
        var message = new NetlinkMessage(NetlinkAbi.NewAddress, NetlinkAbi.FlagAck | NetlinkAbi.FlagCreate | NetlinkAbi.FlagExclusive);
        WriteAddress(message, index, address, prefixLength);
        message.Add(NetlinkAbi.AddressFlags, NetlinkAbi.AddressNoDad);
        if (address.IsIPv4 && prefixLength < 31)
        {
            message.Add(NetlinkAbi.AddressBroadcast, Address.FromIPv4(address.IPv4 | (uint.MaxValue >> prefixLength)));
        }

        Demand(Exchange(message), $"cannot give {name} the address {address}/{prefixLength}");
    }

    /// <summary>Adds a route through an interface; without <paramref name="via"/> the destination is on the link.</summary>
    public void AddRoute(string name, int index, Address to, int prefixLength, Address? via)
    {
        var message = new NetlinkMessage(NetlinkAbi.NewRoute, NetlinkAbi.FlagAck | NetlinkAbi.FlagCreate | NetlinkAbi.FlagExclusive);
        Span<byte> header = message.Reserve(NetlinkAbi.RouteHeaderLength);
        header[0] = Family(to);
        header[1] = (byte)prefixLength;
        header[4] = NetlinkAbi.TableMain;
        header[5] = NetlinkAbi.ProtocolStatic;
        header[6] = via is null && to.IsIPv4 ? NetlinkAbi.ScopeLink : NetlinkAbi.ScopeUniverse;
        header[7] = NetlinkAbi.TypeUnicast;
        if (prefixLength > 0)
        {
            message.Add(NetlinkAbi.RouteDestination, to);
        }

        message.Add(NetlinkAbi.RouteOutInterface, (uint)index);
        if (via is { } gateway)
        {
            message.Add(NetlinkAbi.RouteGateway, gateway);
        }

        string way = via is null ? "" : $" via {via}";
        Demand(Exchange(message), $"cannot route {to}/{prefixLength}{way} through {name}");
    }

    /// <summary>The addresses of an interface, each as the payload of the RTM_NEWADDR that would make it.</summary>
    public List<byte[]> Addresses(int index)
    {
        var found = new List<byte[]>();
        var message = new NetlinkMessage(NetlinkAbi.GetAddress, NetlinkAbi.FlagDump);
        message.Reserve(NetlinkAbi.AddressHeaderLength);
        int error = Exchange(message, (type, body) =>
        {
            if (type == NetlinkAbi.NewAddress && body.Length >= NetlinkAbi.AddressHeaderLength
                && BitConverter.ToInt32(body[4..]) == index
                && (body[0] == SocketAbi.FamilyInet || (body[2] & NetlinkAbi.AddressTemporary) == 0))
            {
                found.Add(body.ToArray());
            }
        });
        Demand(error, "cannot read addresses");
        return found;
    }

    /// <summary>
    /// The routes out of an interface that somebody set (not those the kernel makes of addresses or learns from routers),
    /// each as the payload of the RTM_NEWROUTE that would make it.
    /// </summary>
    public List<byte[]> Routes(int index)
    {
        var found = new List<byte[]>();
        var message = new NetlinkMessage(NetlinkAbi.GetRoute, NetlinkAbi.FlagDump);
        message.Reserve(NetlinkAbi.RouteHeaderLength);
        int error = Exchange(message, (type, body) =>
        {
            if (type == NetlinkAbi.NewRoute && body.Length >= NetlinkAbi.RouteHeaderLength
                && body[0] is SocketAbi.FamilyInet or SocketAbi.FamilyInet6
                && body[5] is not (NetlinkAbi.ProtocolKernel or NetlinkAbi.ProtocolRouterAdvertisement) && body[7] == NetlinkAbi.TypeUnicast
                && LeavesBy(body[NetlinkAbi.RouteHeaderLength..], index))
            {
                found.Add(body.ToArray());
            }
        });
        Demand(error, "cannot read routes");
        return found;
    }

    /// <summary>Takes an address away, given as <see cref="Addresses"/> gave it; one that is gone already is no error.</summary>
    public void RemoveAddress(ReadOnlySpan<byte> payload)
    {
        int error = Replay(NetlinkAbi.DeleteAddress, 0, payload);
        Demand(error == Errno.AddressNotAvailable ? 0 : error, "cannot take an address away");
    }

    /// <summary>Gives an address back, as <see cref="Addresses"/> gave it; one that is there already is no error.</summary>
    public int RestoreAddress(byte[] payload)
        => Replay(NetlinkAbi.NewAddress, NetlinkAbi.FlagCreate | NetlinkAbi.FlagExclusive, payload);

    /// <summary>Gives a route back, as <see cref="Routes"/> gave it; 0, or an error number.</summary>
    public int RestoreRoute(byte[] payload)
    {
        if (payload.Length < NetlinkAbi.RouteHeaderLength)
        {
            return Errno.Invalid;
        }

        byte[] copy = [.. payload];
        copy.AsSpan(8, sizeof(uint)).Clear();       // rtm_flags: dead, linkdown and the like are not for setting
        return Replay(NetlinkAbi.NewRoute, NetlinkAbi.FlagCreate | NetlinkAbi.FlagExclusive, copy);
    }

    /// <summary>ADDRESS/LENGTH of a payload of <see cref="Addresses"/>.</summary>
    public static string AddressText(ReadOnlySpan<byte> payload)
    {
        ReadOnlySpan<byte> attributes = payload[NetlinkAbi.AddressHeaderLength..];
        return Prefix(attributes, payload[1], NetlinkAbi.AddressLocal) ?? Prefix(attributes, payload[1], NetlinkAbi.AddressAddress) ?? "an address";
    }

    /// <summary>"the route to NETWORK" of a payload of <see cref="Routes"/>.</summary>
    public static string RouteText(ReadOnlySpan<byte> payload)
        => "the route to " + (Prefix(payload[NetlinkAbi.RouteHeaderLength..], payload[1], NetlinkAbi.RouteDestination) ?? "everywhere");

    /// <summary>A number that no other namespace has until the box starts again; 0 where the kernel gives none.</summary>
    public ulong NamespaceCookie()
    {
        ulong cookie = 0;
        int length = sizeof(ulong);
        return Libc.GetSocketOption(_socket, SocketAbi.LevelSocket, SocketAbi.OptionNamespaceCookie, &cookie, &length) == 0 ? cookie : 0;
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    /// <summary>Six bytes as a number; 0 for an address of another length.</summary>
    private static ulong Number(ReadOnlySpan<byte> mac)
        => mac.Length == EthernetAddressLength
            ? ((ulong)BinaryPrimitives.ReadUInt16BigEndian(mac) << 32) | BinaryPrimitives.ReadUInt32BigEndian(mac[2..])
            : 0;

    private static byte Family(Address address)
        => address.IsIPv4 ? (byte)SocketAbi.FamilyInet : (byte)SocketAbi.FamilyInet6;

    private static string? Prefix(ReadOnlySpan<byte> attributes, byte length, ushort type)
        => NetlinkMessage.TryFind(attributes, type, out ReadOnlySpan<byte> wire) && wire.Length is 4 or 16
            ? $"{(wire.Length == 4 ? Address.ReadIPv4(wire) : Address.ReadIPv6(wire))}/{length}"
            : null;

    private static void WriteAddress(NetlinkMessage message, int index, Address address, int prefixLength)
    {
        Span<byte> header = message.Reserve(NetlinkAbi.AddressHeaderLength);
        header[0] = Family(address);
        header[1] = (byte)prefixLength;
        BitConverter.TryWriteBytes(header[4..], index);
        message.Add(NetlinkAbi.AddressLocal, address);
        message.Add(NetlinkAbi.AddressAddress, address);
    }

    private static bool LeavesBy(ReadOnlySpan<byte> attributes, int index)
    {
        if (NetlinkMessage.TryFind(attributes, NetlinkAbi.RouteOutInterface, out uint only))
        {
            return only == index;
        }

        // RTA_MULTIPATH: a row of struct rtnexthop { len, flags, hops, ifindex }, each with its own attributes.
        NetlinkMessage.TryFind(attributes, NetlinkAbi.RouteMultipath, out ReadOnlySpan<byte> hops);
        while (hops.Length >= 8)
        {
            if (BitConverter.ToInt32(hops[4..]) == index)
            {
                return true;
            }

            int length = BitConverter.ToUInt16(hops);
            if (length < 8)
            {
                break;
            }

            hops = hops[Math.Min((length + 3) & ~3, hops.Length)..];
        }

        return false;
    }

    private static void Demand(int error, string purpose)
    {
        if (error != 0)
        {
            throw PortException.FromErrno(purpose, error);
        }
    }

    private int Replay(ushort type, int flags, ReadOnlySpan<byte> payload)
    {
        var message = new NetlinkMessage(type, (ushort)(flags | NetlinkAbi.FlagAck));
        payload.CopyTo(message.Reserve(payload.Length));
        return Exchange(message);
    }

    /// <summary>Sends a request and reads its answer to the end; returns 0 or the kernel's error number.</summary>
    private int Exchange(NetlinkMessage message, MessageSink? sink = null)
    {
        uint sequence = ++_sequence;
        Span<byte> request = message.Finish(sequence);
        fixed (byte* bytes = request)
        {
            if (Libc.Send(_socket, bytes, request.Length, 0) < 0)
            {
                return Errno.Last;
            }
        }

        while (true)
        {
            nint length;
            fixed (byte* bytes = _received)
            {
                length = Libc.Receive(_socket, bytes, _received.Length, 0);
            }

            if (length < 0)
            {
                if (Errno.Last == Errno.Interrupted)
                {
                    continue;
                }

                return Errno.Last;
            }

            if (Read(_received.AsSpan(0, (int)length), sequence, sink, out int error))
            {
                return error;
            }
        }
    }

    /// <summary>True when the answer is complete.</summary>
    private static bool Read(ReadOnlySpan<byte> datagram, uint sequence, MessageSink? sink, out int error)
    {
        error = 0;
        while (datagram.Length >= NetlinkAbi.HeaderLength)
        {
            int length = BitConverter.ToInt32(datagram);
            if (length < NetlinkAbi.HeaderLength || length > datagram.Length)
            {
                break;
            }

            ushort type = BitConverter.ToUInt16(datagram[4..]);
            ushort flags = BitConverter.ToUInt16(datagram[6..]);
            ReadOnlySpan<byte> body = datagram[NetlinkAbi.HeaderLength..length];
            if (BitConverter.ToUInt32(datagram[8..]) == sequence)
            {
                switch (type)
                {
                    case NetlinkAbi.MessageError:
                        error = body.Length >= sizeof(int) ? -BitConverter.ToInt32(body) : Errno.InputOutput;
                        return true;
                    case NetlinkAbi.MessageDone:
                        return true;
                    default:
                        sink?.Invoke(type, body);
                        if ((flags & MultiPart) == 0)
                        {
                            return true;
                        }

                        break;
                }
            }

            datagram = datagram[Math.Min((length + 3) & ~3, datagram.Length)..];
        }

        return false;
    }

    private delegate void MessageSink(ushort type, ReadOnlySpan<byte> body);
}
