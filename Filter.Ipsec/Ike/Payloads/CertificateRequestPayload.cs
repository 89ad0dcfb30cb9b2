namespace Filter.Ipsec.Ike.Payloads;

/// <summary>CERTREQ: whose certificates are wanted (RFC 7296 §3.7). A hint, not a demand.</summary>
/// <param name="Encoding">What kind of certificate.</param>
/// <param name="Hashes">
/// With <see cref="CertificateEncoding.X509Signature"/> the SHA-1 of each authority's SubjectPublicKeyInfo, 20 bytes each, one after
/// the other; none for whichever. Of other kinds whatever stands there.
/// </param>
public sealed record CertificateRequestPayload(CertificateEncoding Encoding, ReadOnlyMemory<byte> Hashes) : Payload
{
    /// <summary>Length of a hash, in bytes.</summary>
    public const int HashLength = 20;

    /// <inheritdoc/>
    public override PayloadType Type => PayloadType.CertificateRequest;

    internal override void Write(PayloadWriter to)
    {
        to.Byte((byte)Encoding);
        to.Bytes(Hashes.Span);
    }

    internal static bool TryRead(ReadOnlyMemory<byte> body, out CertificateRequestPayload? payload, out string? why)
    {
        payload = null;
        if (body.IsEmpty)
        {
            why = "a certificate request without an encoding";
            return false;
        }

        var encoding = (CertificateEncoding)body.Span[0];
        if (encoding == CertificateEncoding.X509Signature && (body.Length - 1) % HashLength != 0)
        {
            why = $"a certificate request whose {body.Length - 1} bytes are no hashes of {HashLength}";
            return false;
        }

        payload = new CertificateRequestPayload(encoding, body[1..]);
        why = null;
        return true;
    }
}
