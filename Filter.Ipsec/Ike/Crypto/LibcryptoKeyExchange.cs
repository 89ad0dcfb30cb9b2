using Filter.Ipsec.Crypto;

namespace Filter.Ipsec.Ike.Crypto;

/// <summary>A key exchange by libcrypto: ten times as fast as in managed code.</summary>
internal sealed class LibcryptoKeyExchange : KeyExchange
{
    /// <summary>What stands before both coordinates of a point in other protocols (SEC 1 §2.3.3); IKE has the coordinates alone.</summary>
    private const byte Uncompressed = 4;

    private readonly LibcryptoAgreement _pair;

    private LibcryptoKeyExchange(ExchangeGroup group, LibcryptoAgreement pair)
        : base(group)
    {
        _pair = pair;
        byte[] value = pair.PublicValue();
        PublicValue = group.Kind == ExchangeKind.Curve ? value.AsMemory(1) : value;
    }

    /// <inheritdoc/>
    public override ReadOnlyMemory<byte> PublicValue { get; }

    /// <summary>Null where the library has not the group.</summary>
    internal static LibcryptoKeyExchange? TryCreate(ExchangeGroup group)
    {
        LibcryptoAgreement? pair = group switch
        {
            { NativeName: null } => null,
            { Kind: ExchangeKind.Montgomery } => LibcryptoAgreement.TryGenerate(group.NativeName, null),
            _ => LibcryptoAgreement.TryGenerate(group.Kind == ExchangeKind.Curve ? "EC" : "DH", group.NativeName),
        };
        return pair is null ? null : new LibcryptoKeyExchange(group, pair);
    }

    private protected override bool Agree(ReadOnlySpan<byte> peersPublic, Span<byte> secret) =>
        _pair.TryAgree(Parameters.Kind == ExchangeKind.Curve ? [Uncompressed, .. peersPublic] : peersPublic, secret);

    private protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _pair.Dispose();
        }
    }
}
