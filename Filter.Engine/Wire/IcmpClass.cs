namespace Filter.Engine.Wire;

/// <summary>What a firewall does with an ICMP message (RFC 4890 §4.3 and §4.4 for ICMPv6; RFC 1812, 6633, 6918 for ICMP).</summary>
public enum IcmpClass : byte
{
    /// <summary>Nothing is said for or against it: the rules decide.</summary>
    Rules,

    /// <summary>An error: passes with the flow it quotes, whatever the rules (§4.3.1, §4.4.1).</summary>
    Error,

    /// <summary>A question or its answer, tracked (§4.3.1).</summary>
    Query,

    /// <summary>Speaks to its own link: a bridge passes it by rule, once it is valid (§4.4.1); no router forwards it (§4.3.3).</summary>
    Link,

    /// <summary>Experimental, obsolete, or asking a node about itself: passes only by a rule that names the type (§4.3.5, §4.4.5).</summary>
    Named,
}

/// <summary>The classes of all types, as written rows.</summary>
public static class IcmpClasses
{
    private static readonly IcmpClass[] s_v4 = Rows(
        (0, 0, IcmpClass.Query),        // echo reply
        (3, 3, IcmpClass.Error),        // destination unreachable
        (4, 4, IcmpClass.Named),        // source quench: deprecated (RFC 6633); it ends in the parser, whatever a rule names
        (5, 5, IcmpClass.Link),         // redirect: a router's to its neighbour (RFC 1812 §5.2.7.2)
        (6, 6, IcmpClass.Named),        // alternate host address: deprecated (RFC 6918)
        (8, 8, IcmpClass.Query),        // echo
        (9, 10, IcmpClass.Link),        // router discovery (RFC 1256)
        (11, 12, IcmpClass.Error),      // time exceeded, parameter problem
        (13, 18, IcmpClass.Query),      // timestamp; information and address mask, which hosts may no longer need (RFC 6918)
        (30, 39, IcmpClass.Named),      // traceroute … SKIP: deprecated (RFC 6918)
        (253, 254, IcmpClass.Named),    // experiments (RFC 4727)
        (255, 255, IcmpClass.Named));   // reserved

    private static readonly IcmpClass[] s_v6 = Rows(
        (1, 4, IcmpClass.Error),        // destination unreachable, packet too big, time exceeded, parameter problem
        (100, 101, IcmpClass.Named),    // private experiments (RFC 4443)
        (127, 127, IcmpClass.Named),    // reserved for expansion
        (128, 129, IcmpClass.Query),    // echo
        (130, 132, IcmpClass.Link),     // multicast listeners (RFC 2710)
        (133, 137, IcmpClass.Link),     // discovery of routers and neighbours, redirect (RFC 4861)
        (138, 138, IcmpClass.Named),    // router renumbering (RFC 2894)
        (139, 140, IcmpClass.Named),    // node information (RFC 4620)
        (141, 142, IcmpClass.Link),     // inverse discovery (RFC 3122)
        (143, 143, IcmpClass.Link),     // multicast listeners, version 2 (RFC 9777)
        (148, 149, IcmpClass.Link),     // certification paths (RFC 3971)
        (151, 153, IcmpClass.Link),     // multicast routers (RFC 4286)
        (200, 201, IcmpClass.Named),    // private experiments (RFC 4443)
        (255, 255, IcmpClass.Named));   // reserved for expansion

    /// <summary>The class of a type of ICMP (1) or ICMPv6 (58).</summary>
    public static IcmpClass Of(byte protocol, byte type) => (protocol == IpProtocol.IcmpV6 ? s_v6 : s_v4)[type];

    /// <summary>Whether only routers send this type of ICMP: redirects and their own announcements.</summary>
    public static bool IsRouters(byte type) => type is 5 or 9;

    private static IcmpClass[] Rows(params (byte First, byte Last, IcmpClass Class)[] rows)
    {
        var classes = new IcmpClass[256];
        foreach ((byte first, byte last, IcmpClass one) in rows)
        {
            Array.Fill(classes, one, first, last - first + 1);
        }

        return classes;
    }
}
