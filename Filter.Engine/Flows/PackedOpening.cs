using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Filter.Engine.Packets;

namespace Filter.Engine.Flows;

/// <summary>The <see cref="OpeningFacts"/> of a flow in the 64 bytes of one cache line: one look tells whether a packet is its.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly struct PackedOpening
{
    private readonly Address _source, _destination;
    private readonly uint _ports;               // the opener's in the upper half
    private readonly uint _segment;
    private readonly uint _sourceMacLow, _destinationMacLow;
    private readonly ushort _sourceMacHigh, _destinationMacHigh;
    private readonly ushort _arrivedBy;
    private readonly ushort _packetLength;
    private readonly byte _protocol;
    private readonly byte _ways;                // ingress in the upper half, egress in the lower
    private readonly byte _crossing;            // the direction; Fragments, where it came in such
    private readonly TcpFlags _tcpFlags;
    private readonly byte _icmpType, _icmpCode;
    private readonly byte _trafficClass;
    private readonly ExtensionHeaders _extensions;

    private const byte Fragments = 0x80;

    /// <summary>Packs what a first packet was.</summary>
    public PackedOpening(in OpeningFacts opening)
    {
        _source = opening.Key.Source;
        _destination = opening.Key.Destination;
        _ports = ((uint)opening.Key.SourcePort << 16) | opening.Key.DestinationPort;
        _segment = opening.Key.Segment;
        _protocol = opening.Key.Protocol;
        (_sourceMacHigh, _sourceMacLow) = ((ushort)(opening.SourceMac >> 32), (uint)opening.SourceMac);
        (_destinationMacHigh, _destinationMacLow) = ((ushort)(opening.DestinationMac >> 32), (uint)opening.DestinationMac);
        _arrivedBy = opening.ArrivedBy;
        _packetLength = opening.PacketLength;
        _ways = (byte)((opening.Ingress << 4) | opening.Egress);
        _crossing = (byte)((byte)opening.Direction | (opening.Fragmented ? Fragments : 0));
        _tcpFlags = opening.TcpFlags;
        _icmpType = opening.IcmpType;
        _icmpCode = opening.IcmpCode;
        _trafficClass = opening.TrafficClass;
        _extensions = opening.Extensions;
    }

    /// <summary>The key that it showed.</summary>
    public FlowKey Key => new(_source, _destination, (ushort)(_ports >> 16), (ushort)_ports, _protocol, _segment);

    /// <summary>The port it came in by.</summary>
    public byte Ingress => (byte)(_ways >> 4);

    /// <summary>Which way it crossed the boundary.</summary>
    public Direction Direction => (Direction)(_crossing & ~Fragments);

    /// <summary>Its TCP flags.</summary>
    public TcpFlags TcpFlags => _tcpFlags;

    /// <summary>Its ICMP code.</summary>
    public byte IcmpCode => _icmpCode;

    /// <summary>All of it.</summary>
    public OpeningFacts Unpack() => new(
        Key, Ingress, (byte)(_ways & 15), Direction, _tcpFlags, _icmpType, _icmpCode, _trafficClass, _arrivedBy)
    {
        SourceMac = ((ulong)_sourceMacHigh << 32) | _sourceMacLow,
        DestinationMac = ((ulong)_destinationMacHigh << 32) | _destinationMacLow,
        PacketLength = _packetLength,
        Extensions = _extensions,
        Fragmented = (_crossing & Fragments) != 0,
    };

    /// <summary>Whether a packet with this key is of the flow; both ways are looked at without a branch, for either is as likely.</summary>
    /// <param name="key">The packet's key.</param>
    /// <param name="reply">It travels against the opening. False where both ends are one.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Shows(in FlowKey key, out bool reply)
    {
        ref Vector128<ulong> ends = ref Unsafe.As<Address, Vector128<ulong>>(ref Unsafe.AsRef(in _source));
        ref Vector128<ulong> keys = ref Unsafe.As<FlowKey, Vector128<ulong>>(ref Unsafe.AsRef(in key));
        Vector128<ulong> from = keys, to = Unsafe.Add(ref keys, 1), opener = ends, answerer = Unsafe.Add(ref ends, 1);
        uint there = ((uint)key.SourcePort << 16) | key.DestinationPort;
        uint rest = (uint)(_protocol ^ key.Protocol) | (_segment ^ key.Segment);
        Vector128<ulong> forward = (from ^ opener) | (to ^ answerer) | Vector128.CreateScalar((_ports ^ there) | rest).AsUInt64();
        Vector128<ulong> reverse = (from ^ answerer) | (to ^ opener) | Vector128.CreateScalar((_ports ^ BitOperations.RotateLeft(there, 16)) | rest).AsUInt64();
        bool isForward = forward == Vector128<ulong>.Zero;
        reply = !isForward;
        return isForward | (reverse == Vector128<ulong>.Zero);
    }
}
