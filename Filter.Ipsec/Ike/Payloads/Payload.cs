namespace Filter.Ipsec.Ike.Payloads;

/// <summary>One payload of a message (RFC 7296 §3.2). What is read was bounded and is well formed; what it means is the exchange's.</summary>
public abstract record Payload
{
    /// <summary>Length of the generic header in front of each payload, in bytes.</summary>
    internal const int HeaderLength = 4;

    /// <summary>What it is.</summary>
    public abstract PayloadType Type { get; }

    /// <summary>Who does not know the type must refuse the message. Never set by Filter: all know the types of RFC 7296 (§2.5).</summary>
    public bool IsCritical { get; init; }

    /// <summary>Writes what follows the generic header.</summary>
    internal abstract void Write(PayloadWriter to);

    /// <summary>Reads what follows the generic header.</summary>
    /// <param name="type">Which payload it is.</param>
    /// <param name="body">Without the generic header; what is read goes on pointing there.</param>
    /// <param name="payload">What it says; an <see cref="UnknownPayload"/> where the type is none that is known.</param>
    /// <param name="why">What is wrong.</param>
    internal static bool TryRead(PayloadType type, ReadOnlyMemory<byte> body, out Payload? payload, out string? why) => type switch
    {
        PayloadType.Sa => Is(SaPayload.TryRead(body, out SaPayload? read, out why), read, out payload),
        PayloadType.KeyExchange => Is(KeyExchangePayload.TryRead(body, out KeyExchangePayload? read, out why), read, out payload),
        PayloadType.IdInitiator or PayloadType.IdResponder =>
            Is(IdPayload.TryRead(type == PayloadType.IdInitiator, body, out IdPayload? read, out why), read, out payload),
        PayloadType.Certificate => Is(CertificatePayload.TryRead(body, out CertificatePayload? read, out why), read, out payload),
        PayloadType.CertificateRequest => Is(CertificateRequestPayload.TryRead(body, out CertificateRequestPayload? read, out why), read, out payload),
        PayloadType.Authentication => Is(AuthenticationPayload.TryRead(body, out AuthenticationPayload? read, out why), read, out payload),
        PayloadType.Nonce => Is(NoncePayload.TryRead(body, out NoncePayload? read, out why), read, out payload),
        PayloadType.Notify => Is(NotifyPayload.TryRead(body, out NotifyPayload? read, out why), read, out payload),
        PayloadType.Delete => Is(DeletePayload.TryRead(body, out DeletePayload? read, out why), read, out payload),
        PayloadType.VendorId => Good(new VendorIdPayload(body), out payload, out why),
        PayloadType.TsInitiator or PayloadType.TsResponder =>
            Is(TrafficSelectorPayload.TryRead(type == PayloadType.TsInitiator, body, out TrafficSelectorPayload? read, out why), read, out payload),
        PayloadType.Configuration => Is(ConfigurationPayload.TryRead(body, out ConfigurationPayload? read, out why), read, out payload),
        PayloadType.Eap => Good(new EapPayload(body), out payload, out why),
        _ => Good(new UnknownPayload((byte)type, body), out payload, out why),
    };

    private static bool Is(bool good, Payload? read, out Payload? payload)
    {
        payload = read;
        return good;
    }

    private static bool Good(Payload read, out Payload? payload, out string? why)
    {
        (payload, why) = (read, null);
        return true;
    }
}
