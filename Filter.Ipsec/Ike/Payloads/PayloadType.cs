namespace Filter.Ipsec.Ike.Payloads;

/// <summary>Payload types, IANA's numbers (RFC 7296 §3.2).</summary>
public enum PayloadType : byte
{
    /// <summary>No next payload.</summary>
    None = 0,

    /// <summary>SA: proposals.</summary>
    Sa = 33,

    /// <summary>KE: a public value.</summary>
    KeyExchange = 34,

    /// <summary>IDi.</summary>
    IdInitiator = 35,

    /// <summary>IDr.</summary>
    IdResponder = 36,

    /// <summary>CERT.</summary>
    Certificate = 37,

    /// <summary>CERTREQ.</summary>
    CertificateRequest = 38,

    /// <summary>AUTH.</summary>
    Authentication = 39,

    /// <summary>Ni, Nr.</summary>
    Nonce = 40,

    /// <summary>N.</summary>
    Notify = 41,

    /// <summary>D.</summary>
    Delete = 42,

    /// <summary>V.</summary>
    VendorId = 43,

    /// <summary>TSi.</summary>
    TsInitiator = 44,

    /// <summary>TSr.</summary>
    TsResponder = 45,

    /// <summary>SK: the payloads that are encrypted.</summary>
    Encrypted = 46,

    /// <summary>CP.</summary>
    Configuration = 47,

    /// <summary>EAP.</summary>
    Eap = 48,

    /// <summary>SKF: a piece of encrypted payloads (RFC 7383 §2.5).</summary>
    EncryptedFragment = 53,
}
