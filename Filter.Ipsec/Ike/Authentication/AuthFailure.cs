namespace Filter.Ipsec.Ike.Authentication;

/// <summary>Why somebody is not who he says he is.</summary>
public enum AuthFailureKind : byte
{
    /// <summary>The identity is not the one that is configured.</summary>
    WrongIdentity,

    /// <summary>He proves himself in another way than is configured.</summary>
    WrongMethod,

    /// <summary>The proof is wrong: another key, or another conversation.</summary>
    WrongProof,

    /// <summary>No certificate came, or none that can be read.</summary>
    NoCertificate,

    /// <summary>No chain of certificates leads to an authority that is trusted.</summary>
    Untrusted,

    /// <summary>A certificate or an authority is not valid yet, or any more.</summary>
    Expired,

    /// <summary>A certificate was revoked.</summary>
    Revoked,

    /// <summary>A list of revocations is needed, and there is none that is valid.</summary>
    NoRevocationList,

    /// <summary>A certificate is for something else: its key usage, or the length of the path.</summary>
    WrongUsage,

    /// <summary>The certificate is somebody else's: neither a name in it nor its subject is the identity.</summary>
    NotInCertificate,
}

/// <summary>What was expected of whom, and what came instead. Tells the peer nothing (AUTHENTICATION_FAILED), and our log all.</summary>
/// <param name="Kind">What is wrong.</param>
/// <param name="Peer">Whom it was about, as the ruleset calls him.</param>
/// <param name="Expected">What was expected.</param>
/// <param name="Found">What came.</param>
public sealed record AuthFailure(AuthFailureKind Kind, string Peer, string Expected, string Found)
{
    /// <summary>One line.</summary>
    public override string ToString() => $"peer {Peer}: expected {Expected}; found {Found}";
}
