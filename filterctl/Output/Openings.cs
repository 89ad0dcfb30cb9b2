using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Ctl.Output;

/// <summary>A flow's opening as a packet line.</summary>
internal static class Openings
{
    /// <summary>The line, as `explain` takes it.</summary>
    /// <param name="opening">The facts of the first packet.</param>
    /// <param name="port">The port it came in by.</param>
    public static PacketLine Line(in OpeningFacts opening, string port)
    {
        FlowKey key = opening.Key;
        bool v4 = key.Source.IsIPv4, ports = IpProtocol.HasPorts(key.Protocol);
        bool icmp = key.Protocol is IpProtocol.Icmp or IpProtocol.IcmpV6;
        return new PacketLine
        {
            Port = port,
            Kind = LineKind.Ip,
            EtherType = v4 ? EtherTypes.IPv4 : EtherTypes.IPv6,
            Protocol = key.Protocol,
            Source = key.Source,
            Destination = key.Destination,
            SourcePort = ports ? key.SourcePort : (ushort)0,
            DestinationPort = ports ? key.DestinationPort : (ushort)0,
            Flags = opening.TcpFlags,
            IcmpType = opening.IcmpType,
            IcmpCode = opening.IcmpCode,
            Chunk = key.Protocol == IpProtocol.Sctp ? SctpChunk.Init : (byte)0,
            Length = key.Protocol == IpProtocol.Sctp ? SctpChunk.InitLength : 0,
            IcmpId = icmp ? key.SourcePort : (ushort)0,
            TrafficClass = opening.TrafficClass,
            Segment = key.Segment,
        };
    }
}
