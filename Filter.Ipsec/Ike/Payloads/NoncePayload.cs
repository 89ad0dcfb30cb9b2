namespace Filter.Ipsec.Ike.Payloads;

/// <summary>Ni or Nr: random bytes that make keys fresh (RFC 7296 §3.9).</summary>
/// <param name="Data">16 to 256 bytes.</param>
public sealed record NoncePayload(ReadOnlyMemory<byte> Data) : Payload
{
    /// <summary>Bytes at least.</summary>
    public const int Shortest = 16;

    /// <summary>Bytes at most.</summary>
    public const int Longest = 256;

    /// <inheritdoc/>
    public override PayloadType Type => PayloadType.Nonce;

    internal override void Write(PayloadWriter to) => to.Bytes(Data.Span);

    internal static bool TryRead(ReadOnlyMemory<byte> body, out NoncePayload? payload, out string? why)
    {
        bool good = body.Length is >= Shortest and <= Longest;
        payload = good ? new NoncePayload(body) : null;
        why = good ? null : $"a nonce of {body.Length} bytes, not of {Shortest} to {Longest}";
        return good;
    }
}
