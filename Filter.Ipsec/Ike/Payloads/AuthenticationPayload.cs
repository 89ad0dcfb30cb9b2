namespace Filter.Ipsec.Ike.Payloads;

/// <summary>Ways to prove who one is, IANA's numbers (RFC 7296 §3.8).</summary>
public enum AuthenticationMethod : byte
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>RSA PKCS#1 v1.5, with SHA-1 as a rule (RFC 7296 §3.8).</summary>
    RsaSignature = 1,

    /// <summary>Shared Key Message Integrity Code.</summary>
    SharedKey = 2,

    /// <summary>DSS: not supported.</summary>
    DssSignature = 3,

    /// <summary>ECDSA with SHA-256 on P-256 (RFC 4754).</summary>
    EcdsaP256 = 9,

    /// <summary>ECDSA with SHA-384 on P-384 (RFC 4754).</summary>
    EcdsaP384 = 10,

    /// <summary>ECDSA with SHA-512 on P-521 (RFC 4754).</summary>
    EcdsaP521 = 11,

    /// <summary>NULL (RFC 7619): never accepted.</summary>
    Null = 13,

    /// <summary>Digital Signature: the data begins with the AlgorithmIdentifier (RFC 7427).</summary>
    DigitalSignature = 14,
}

/// <summary>AUTH (RFC 7296 §3.8).</summary>
/// <param name="Method">How.</param>
/// <param name="Data">The proof.</param>
public sealed record AuthenticationPayload(AuthenticationMethod Method, ReadOnlyMemory<byte> Data) : Payload
{
    private const int FixedLength = 4;

    /// <inheritdoc/>
    public override PayloadType Type => PayloadType.Authentication;

    internal override void Write(PayloadWriter to)
    {
        to.Byte((byte)Method);
        to.Zeros(FixedLength - 1);
        to.Bytes(Data.Span);
    }

    internal static bool TryRead(ReadOnlyMemory<byte> body, out AuthenticationPayload? payload, out string? why)
    {
        bool good = body.Length > FixedLength;
        payload = good ? new AuthenticationPayload((AuthenticationMethod)body.Span[0], body[FixedLength..]) : null;
        why = good ? null : "an authentication without a proof";
        return good;
    }
}
