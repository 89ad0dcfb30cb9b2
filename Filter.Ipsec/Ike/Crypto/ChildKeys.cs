using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Crypto;

/// <summary>The keys of one SA of ESP or AH.</summary>
/// <param name="Encryption">The key, and the salt behind it; none for AH.</param>
/// <param name="Integrity">The integrity key; none where the cipher authenticates.</param>
public sealed record DirectionKeys(SecretKey Encryption, SecretKey Integrity);

/// <summary>The keys of a pair of SAs. Wiped by <see cref="Dispose"/>, once both SAs have their copies.</summary>
/// <param name="Suite">Of both.</param>
/// <param name="FromInitiator">Of what flows from who began the exchange.</param>
/// <param name="FromResponder">Of what flows to him.</param>
public sealed record ChildKeys(IpsecSuite Suite, DirectionKeys FromInitiator, DirectionKeys FromResponder) : IDisposable
{
    /// <summary>Of what we send.</summary>
    /// <param name="weBegan">We began the exchange that made them.</param>
    public DirectionKeys Outbound(bool weBegan) => weBegan ? FromInitiator : FromResponder;

    /// <summary>Of what the peer sends.</summary>
    /// <param name="weBegan">We began the exchange that made them.</param>
    public DirectionKeys Inbound(bool weBegan) => weBegan ? FromResponder : FromInitiator;

    /// <summary>Overwrites all keys with zeros.</summary>
    public void Dispose()
    {
        foreach (DirectionKeys keys in (DirectionKeys[])[FromInitiator, FromResponder])
        {
            keys.Encryption.Wipe();
            keys.Integrity.Wipe();
        }
    }
}
