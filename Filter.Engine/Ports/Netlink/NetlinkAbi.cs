namespace Filter.Engine.Ports.Netlink;

/// <summary>Numbers of rtnetlink (linux/netlink.h, rtnetlink.h, if_link.h, if_addr.h; rtnetlink(7)).</summary>
internal static class NetlinkAbi
{
    public const int ProtocolRoute = 0;

    public const int HeaderLength = 16;
    public const int LinkHeaderLength = 16;
    public const int AddressHeaderLength = 8;
    public const int RouteHeaderLength = 12;
    public const int AttributeHeaderLength = 4;

    public const ushort MessageError = 2;
    public const ushort MessageDone = 3;
    public const ushort NewLink = 16;
    public const ushort GetLink = 18;
    public const ushort NewAddress = 20;
    public const ushort DeleteAddress = 21;
    public const ushort GetAddress = 22;
    public const ushort NewRoute = 24;
    public const ushort GetRoute = 26;

    public const ushort FlagRequest = 0x1;
    public const ushort FlagAck = 0x4;
    public const ushort FlagDump = 0x300;
    public const ushort FlagExclusive = 0x200;
    public const ushort FlagCreate = 0x400;

    /// <summary>NLA_TYPE_MASK: the two high bits of an attribute's type are flags.</summary>
    public const int AttributeTypeMask = 0x3fff;

    /// <summary>ARPHRD_ETHER.</summary>
    public const ushort HardwareEthernet = 1;

    public const ushort LinkAddress = 1;
    public const ushort LinkName = 3;
    public const ushort LinkMtu = 4;
    public const ushort LinkQueueLength = 13;

    public const uint LinkUp = 0x1;
    public const uint LinkRunning = 0x40;
    public const uint LinkNoArp = 0x80;

    public const ushort AddressAddress = 1;
    public const ushort AddressLocal = 2;
    public const ushort AddressBroadcast = 4;
    public const ushort AddressFlags = 8;

    public const uint AddressTemporary = 0x01;
    public const uint AddressNoDad = 0x02;

    public const ushort RouteDestination = 1;
    public const ushort RouteOutInterface = 4;
    public const ushort RouteGateway = 5;
    public const ushort RouteMultipath = 9;

    public const byte TableMain = 254;
    public const byte ProtocolKernel = 2;
    public const byte ProtocolStatic = 4;
    public const byte ProtocolRouterAdvertisement = 9;
    public const byte ScopeUniverse = 0;
    public const byte ScopeLink = 253;
    public const byte TypeUnicast = 1;
}
