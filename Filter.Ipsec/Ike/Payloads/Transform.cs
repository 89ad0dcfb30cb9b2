using System.Buffers.Binary;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Payloads;

/// <summary>One algorithm of a proposal, as it stands on the wire (RFC 7296 §3.3.2).</summary>
/// <param name="Type">What it is for.</param>
/// <param name="Id">IANA's number within the type.</param>
/// <param name="KeyBits">The Key Length attribute; 0 for none.</param>
/// <param name="HasUnknownAttribute">There is another attribute, so that nobody may choose it (RFC 7296 §3.3.6).</param>
public readonly record struct Transform(IkeTransformType Type, ushort Id, ushort KeyBits = 0, bool HasUnknownAttribute = false)
{
    private const int FixedLength = 8;
    private const int AttributeLength = 4;
    private const ushort ShortAttribute = 0x8000;
    private const ushort KeyLength = 14;
    private const byte More = 3;

    /// <summary>What rulesets call so, on the wire.</summary>
    public static Transform Of(IkeTransform transform) => new(transform.Type, transform.Id, checked((ushort)transform.KeyBits));

    /// <summary>What Filter knows it as; null where it does not, or where it has an attribute that is not known.</summary>
    public IkeTransform? Known =>
        !HasUnknownAttribute && IkeTransforms.TryFind(Type, Id, KeyBits, out IkeTransform? known) ? known : null;

    /// <summary>As people call it.</summary>
    public override string ToString() => IkeTransforms.Describe(Type, Id, KeyBits) + (HasUnknownAttribute ? " with an unknown attribute" : "");

    internal void Write(PayloadWriter to, bool isLast)
    {
        to.Byte(isLast ? (byte)0 : More);
        to.Byte(0);
        to.UInt16((ushort)(FixedLength + (KeyBits == 0 ? 0 : AttributeLength)));
        to.Byte((byte)Type);
        to.Byte(0);
        to.UInt16(Id);
        if (KeyBits != 0)
        {
            to.UInt16(ShortAttribute | KeyLength);
            to.UInt16(KeyBits);
        }
    }

    /// <summary>Reads one, and says how long it is.</summary>
    internal static bool TryRead(ReadOnlySpan<byte> bytes, bool isLast, out Transform transform, out int length, out string? why)
    {
        transform = default;
        length = bytes.Length < FixedLength ? 0 : BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
        if (length < FixedLength || length > bytes.Length || bytes[0] != (isLast ? 0 : More))
        {
            why = "a transform that ends behind its proposal, or is not where it says";
            return false;
        }

        ushort keyBits = 0;
        bool unknown = false;
        for (ReadOnlySpan<byte> left = bytes[FixedLength..length]; !left.IsEmpty;)
        {
            if (left.Length < AttributeLength)
            {
                why = "an attribute that ends behind its transform";
                return false;
            }

            ushort type = BinaryPrimitives.ReadUInt16BigEndian(left), value = BinaryPrimitives.ReadUInt16BigEndian(left[2..]);
            bool isShort = (type & ShortAttribute) != 0;
            if (!isShort && value > left.Length - AttributeLength)
            {
                why = "an attribute that ends behind its transform";
                return false;
            }

            if (type == (ShortAttribute | KeyLength) && keyBits == 0 && value != 0)
            {
                keyBits = value;
            }
            else
            {
                unknown = true;
            }

            left = left[(AttributeLength + (isShort ? 0 : value))..];
        }

        transform = new((IkeTransformType)bytes[4], BinaryPrimitives.ReadUInt16BigEndian(bytes[6..]), keyBits, unknown);
        why = null;
        return true;
    }
}
