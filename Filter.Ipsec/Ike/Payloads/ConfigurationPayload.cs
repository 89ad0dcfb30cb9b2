using System.Buffers.Binary;
using System.Collections.Immutable;

namespace Filter.Ipsec.Ike.Payloads;

/// <summary>What a configuration payload does (RFC 7296 §3.15).</summary>
public enum ConfigurationKind : byte
{
    /// <summary>CFG_REQUEST.</summary>
    Request = 1,

    /// <summary>CFG_REPLY.</summary>
    Reply = 2,

    /// <summary>CFG_SET.</summary>
    Set = 3,

    /// <summary>CFG_ACK.</summary>
    Ack = 4,
}

/// <summary>One attribute of a configuration (RFC 7296 §3.15.1).</summary>
/// <param name="Type">IANA's number, below 32768; see the constants.</param>
/// <param name="Value">Empty where it is asked for.</param>
public sealed record ConfigurationAttribute(ushort Type, ReadOnlyMemory<byte> Value)
{
    /// <summary>INTERNAL_IP4_ADDRESS: 0 or 4 bytes.</summary>
    public const ushort InternalIp4Address = 1;

    /// <summary>INTERNAL_IP4_NETMASK: 0 or 4 bytes.</summary>
    public const ushort InternalIp4Netmask = 2;

    /// <summary>INTERNAL_IP4_DNS: 0 or 4 bytes.</summary>
    public const ushort InternalIp4Dns = 3;

    /// <summary>APPLICATION_VERSION: text.</summary>
    public const ushort ApplicationVersion = 7;

    /// <summary>INTERNAL_IP6_ADDRESS: 0 bytes, or 16 and the length of the prefix.</summary>
    public const ushort InternalIp6Address = 8;

    /// <summary>INTERNAL_IP6_DNS: 0 or 16 bytes.</summary>
    public const ushort InternalIp6Dns = 10;

    /// <summary>INTERNAL_IP4_SUBNET: 0 or 8 bytes.</summary>
    public const ushort InternalIp4Subnet = 13;

    /// <summary>SUPPORTED_ATTRIBUTES: two bytes each.</summary>
    public const ushort SupportedAttributes = 14;

    /// <summary>INTERNAL_IP6_SUBNET: 17 bytes.</summary>
    public const ushort InternalIp6Subnet = 15;
}

/// <summary>CP: addresses and the like, asked for and given (RFC 7296 §3.15).</summary>
/// <param name="Kind">What it does.</param>
/// <param name="Attributes">In the sender's order.</param>
public sealed record ConfigurationPayload(ConfigurationKind Kind, ImmutableArray<ConfigurationAttribute> Attributes) : Payload
{
    private const int FixedLength = 4;
    private const int AttributeHeader = 4;
    private const int MostAttributes = 256;

    /// <inheritdoc/>
    public override PayloadType Type => PayloadType.Configuration;

    internal override void Write(PayloadWriter to)
    {
        to.Byte((byte)Kind);
        to.Zeros(FixedLength - 1);
        foreach (ConfigurationAttribute attribute in Attributes)
        {
            to.UInt16(attribute.Type);
            to.UInt16(checked((ushort)attribute.Value.Length));
            to.Bytes(attribute.Value.Span);
        }
    }

    internal static bool TryRead(ReadOnlyMemory<byte> body, out ConfigurationPayload? payload, out string? why)
    {
        payload = null;
        if (body.Length < FixedLength)
        {
            why = "a configuration that is too short";
            return false;
        }

        var kind = (ConfigurationKind)body.Span[0];
        ImmutableArray<ConfigurationAttribute>.Builder attributes = ImmutableArray.CreateBuilder<ConfigurationAttribute>();
        for (ReadOnlyMemory<byte> left = body[FixedLength..]; left.Length > 0;)
        {
            int length = left.Length < AttributeHeader ? int.MaxValue : BinaryPrimitives.ReadUInt16BigEndian(left.Span[2..]);
            if (length > left.Length - AttributeHeader || attributes.Count == MostAttributes)
            {
                why = attributes.Count == MostAttributes ? $"more than {MostAttributes} attributes in a configuration" : "an attribute that ends behind its configuration";
                return false;
            }

            // The first bit is reserved, and ignored on receipt.
            attributes.Add(new((ushort)(BinaryPrimitives.ReadUInt16BigEndian(left.Span) & 0x7fff), left.Slice(AttributeHeader, length)));
            left = left[(AttributeHeader + length)..];
        }

        payload = new ConfigurationPayload(kind, attributes.ToImmutable());
        why = null;
        return true;
    }
}
