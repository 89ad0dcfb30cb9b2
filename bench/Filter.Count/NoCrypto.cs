using Filter.Ipsec.Crypto;
using Filter.Rules.Policy;

namespace Filter.Count;

/// <summary>Cryptography left out: what sealing and opening cost around it. Every ICV is right.</summary>
internal sealed class NoCrypto : CryptoBackend
{
    public override string Name => "none";

    public override bool Has(IpsecSuite suite) => true;

    internal override void SealReady(Span<CryptoJob> jobs)
    {
    }

    internal override void OpenReady(Span<CryptoJob> jobs)
    {
    }
}
