using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Filter.Engine.Packets;
using Filter.Ipsec.Ike.Payloads;

namespace Filter.Ipsec.Ike.Negotiation;

/// <summary>Whether somebody between the ends translates addresses (RFC 7296 §2.23).</summary>
internal static class NatDetection
{
    /// <summary>The two notifies of a message of ours.</summary>
    /// <param name="initiatorSpi">SPIi.</param>
    /// <param name="responderSpi">SPIr; 0 in the first message.</param>
    /// <param name="path">Where it goes.</param>
    /// <param name="force">Say another source than the true one: the peer takes us for translated, and puts ESP in UDP.</param>
    internal static IEnumerable<Payload> Notifies(ulong initiatorSpi, ulong responderSpi, in IkePath path, bool force) =>
    [
        new NotifyPayload(NotifyType.NatDetectionSourceIp, Hash(initiatorSpi, responderSpi, path.Local, force ? (ushort)0 : path.LocalPort)),
        new NotifyPayload(NotifyType.NatDetectionDestinationIp, Hash(initiatorSpi, responderSpi, path.Remote, path.RemotePort)),
    ];

    /// <summary>What the peer's notifies say, once they are held against where its message came from; neither where it sends none.</summary>
    internal static (bool Local, bool Remote) Read(IkeMessage message, in IkePath path)
    {
        if (!message.Has(NotifyType.NatDetectionSourceIp) || !message.Has(NotifyType.NatDetectionDestinationIp))
        {
            return (false, false);
        }

        byte[] source = Hash(message.Header.InitiatorSpi, message.Header.ResponderSpi, path.Remote, path.RemotePort);
        byte[] destination = Hash(message.Header.InitiatorSpi, message.Header.ResponderSpi, path.Local, path.LocalPort);
        return (!Any(message, NotifyType.NatDetectionDestinationIp, destination), !Any(message, NotifyType.NatDetectionSourceIp, source));
    }

    /// <summary>A sender that does not know by which of its addresses it goes may send several.</summary>
    private static bool Any(IkeMessage message, NotifyType type, byte[] hash) =>
        message.All<NotifyPayload>().Any(n => n.Notify == type && n.Data.Span.SequenceEqual(hash));

    [SuppressMessage("Security", "CA5350:Do Not Use Weak Cryptographic Algorithms", Justification = "RFC 7296 §2.23 says SHA-1; nothing is kept secret by it.")]
    private static byte[] Hash(ulong initiatorSpi, ulong responderSpi, Address address, ushort port)
    {
        Span<byte> data = stackalloc byte[(2 * sizeof(ulong)) + 16 + sizeof(ushort)];
        BinaryPrimitives.WriteUInt64BigEndian(data, initiatorSpi);
        BinaryPrimitives.WriteUInt64BigEndian(data[8..], responderSpi);
        address.Write(data[16..]);
        int length = 16 + address.WireLength;
        BinaryPrimitives.WriteUInt16BigEndian(data[length..], port);
        return SHA1.HashData(data[..(length + sizeof(ushort))]);
    }
}
