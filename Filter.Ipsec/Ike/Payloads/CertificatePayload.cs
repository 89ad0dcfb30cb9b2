namespace Filter.Ipsec.Ike.Payloads;

/// <summary>What a certificate payload holds, IANA's numbers (RFC 7296 §3.6). Others are passed over.</summary>
public enum CertificateEncoding : byte
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>X.509 Certificate - Signature: one certificate, DER.</summary>
    X509Signature = 4,

    /// <summary>Certificate Revocation List, DER.</summary>
    RevocationList = 7,

    /// <summary>Hash and URL of X.509 certificate: never fetched.</summary>
    HashAndUrlOfX509 = 12,

    /// <summary>Raw Public Key: SubjectPublicKeyInfo, DER (RFC 7670).</summary>
    RawPublicKey = 15,
}

/// <summary>CERT (RFC 7296 §3.6).</summary>
/// <param name="Encoding">What the data is.</param>
/// <param name="Data">One certificate, list or key.</param>
public sealed record CertificatePayload(CertificateEncoding Encoding, ReadOnlyMemory<byte> Data) : Payload
{
    /// <inheritdoc/>
    public override PayloadType Type => PayloadType.Certificate;

    internal override void Write(PayloadWriter to)
    {
        to.Byte((byte)Encoding);
        to.Bytes(Data.Span);
    }

    internal static bool TryRead(ReadOnlyMemory<byte> body, out CertificatePayload? payload, out string? why)
    {
        bool good = body.Length > 1;
        payload = good ? new CertificatePayload((CertificateEncoding)body.Span[0], body[1..]) : null;
        why = good ? null : "a certificate payload without a certificate";
        return good;
    }
}
