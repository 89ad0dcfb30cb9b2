namespace Filter.Ipsec.Crypto;

/// <summary>
/// Chooses by the length of the burst: the multi-buffer library fills all its lanes whether they hold work or not, so
/// one or two packets are cheaper done one by one.
/// </summary>
internal sealed class BurstBackend(CryptoBackend batched, CryptoBackend single) : CryptoBackend
{
    /// <summary>The shortest burst that is cheaper batched when sealing: CBC encrypts serially within a packet.</summary>
    internal const int ShortestSealed = 3;

    /// <summary>The same when opening, where libcrypto decrypts blocks side by side and only the MAC is serial.</summary>
    internal const int ShortestOpened = 5;

    /// <inheritdoc/>
    public override string Name => $"{batched.Name} + {single.Name}";

    /// <inheritdoc/>
    public override void Open(Span<CryptoJob> jobs) => (jobs.Length < ShortestOpened ? single : batched).Open(jobs);

    internal override void SealWithIvs(Span<CryptoJob> jobs) =>
        (jobs.Length < ShortestSealed ? single : batched).SealWithIvs(jobs);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            batched.Dispose();
            single.Dispose();
        }

        base.Dispose(disposing);
    }
}
