namespace Filter.Ipsec.Crypto;

/// <summary>
/// Chooses by the length of the burst: the multi-buffer library fills all its lanes whether they hold work or not, so
/// one or two packets are cheaper done one by one.
/// </summary>
internal sealed class BurstBackend(CryptoBackend batched, CryptoBackend single) : CryptoBackend
{
    /// <summary>The shortest burst that is cheaper batched.</summary>
    internal const int ShortestBatch = 3;

    /// <inheritdoc/>
    public override string Name => $"{batched.Name} + {single.Name}";

    /// <inheritdoc/>
    public override void Open(Span<CryptoJob> jobs) => For(jobs).Open(jobs);

    internal override void SealWithIvs(Span<CryptoJob> jobs) => For(jobs).SealWithIvs(jobs);

    private CryptoBackend For(Span<CryptoJob> jobs) => jobs.Length < ShortestBatch ? single : batched;

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
