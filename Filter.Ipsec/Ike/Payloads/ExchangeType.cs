namespace Filter.Ipsec.Ike.Payloads;

/// <summary>Exchange types, IANA's numbers (RFC 7296 §3.1).</summary>
public enum ExchangeType : byte
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>IKE_SA_INIT.</summary>
    IkeSaInit = 34,

    /// <summary>IKE_AUTH.</summary>
    IkeAuth = 35,

    /// <summary>CREATE_CHILD_SA.</summary>
    CreateChildSa = 36,

    /// <summary>INFORMATIONAL.</summary>
    Informational = 37,

    /// <summary>IKE_SESSION_RESUME (RFC 5723).</summary>
    IkeSessionResume = 38,

    /// <summary>IKE_INTERMEDIATE (RFC 9242).</summary>
    IkeIntermediate = 43,

    /// <summary>IKE_FOLLOWUP_KE (RFC 9370).</summary>
    IkeFollowupKe = 44,
}

/// <summary>Protocols that proposals, notifies and deletes speak of (RFC 7296 §3.3.1).</summary>
public enum IkeProtocol : byte
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>The IKE SA.</summary>
    Ike = 1,

    /// <summary>AH.</summary>
    Ah = 2,

    /// <summary>ESP.</summary>
    Esp = 3,
}
