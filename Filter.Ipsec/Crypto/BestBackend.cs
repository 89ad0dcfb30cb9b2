using System.Numerics;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Crypto;

/// <summary>
/// Gives each packet to the library that does it best. The multi-buffer library fills all its lanes whether they hold
/// work or not, so one or two packets of a mode that needs lanes are cheaper done one by one; combined modes with parallel
/// ciphers need none.
/// </summary>
internal sealed class BestBackend : CryptoBackend
{
    /// <summary>The shortest burst that is cheaper batched when sealing: CBC encrypts serially within a packet.</summary>
    internal const int ShortestSealed = 3;

    /// <summary>The same when opening, where libcrypto decrypts blocks side by side and only the MAC is serial.</summary>
    internal const int ShortestOpened = 5;

    private const int MostAtOnce = 64;

    private readonly CryptoBackend?[] _backends;
    private readonly Route[] _routes = new Route[IpsecSuite.All.Count];
    private readonly CryptoJob[] _some = new CryptoJob[MostAtOnce];
    private readonly int[] _places = new int[MostAtOnce];

    internal BestBackend(CryptoBackend? batched, CryptoBackend? single, CryptoBackend managed)
    {
        _backends = [batched, single, managed];
        foreach (IpsecSuite suite in IpsecSuite.All)
        {
            bool one = single?.Has(suite) == true;
            _routes[suite.Number] = batched?.Has(suite) == true
                ? one && NeedsLanes(suite) ? Route.Lanes : Route.Batched
                : one ? Route.Single : Route.Managed;
        }
    }

    [Flags]
    private enum Route : byte
    {
        Batched = 1,
        Single = 2,
        Managed = 4,

        /// <summary>Batched where enough of them come together.</summary>
        Lanes = 8,
    }

    /// <inheritdoc/>
    public override string Name => string.Join(" + ", _backends.OfType<CryptoBackend>().Select(static b => b.Name));

    /// <inheritdoc/>
    public override bool Has(IpsecSuite suite) => _backends.Any(b => b?.Has(suite) == true);

    /// <inheritdoc/>
    public override void Forget(SaKey key)
    {
        foreach (CryptoBackend? backend in _backends)
        {
            backend?.Forget(key);
        }
    }

    internal override void SealReady(Span<CryptoJob> jobs) => Distribute(jobs, seal: true);

    internal override void OpenReady(Span<CryptoJob> jobs) => Distribute(jobs, seal: false);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            foreach (CryptoBackend? backend in _backends)
            {
                backend?.Dispose();
            }
        }

        base.Dispose(disposing);
    }

    private static bool NeedsLanes(IpsecSuite suite) =>
        !suite.IsCombined && suite.Integrity is not { Kind: IntegrityKind.AesGmac } || suite.Cipher is { Kind: CipherKind.AesCcm };

    private void Distribute(Span<CryptoJob> jobs, bool seal)
    {
        Route all = 0;
        int lanes = 0;
        foreach (ref readonly CryptoJob job in jobs)
        {
            if (job.Good)
            {
                Route route = _routes[job.Key.Suite.Number];
                all |= route;
                lanes += route == Route.Lanes ? 1 : 0;
            }
        }

        Route forLanes = lanes < (seal ? ShortestSealed : ShortestOpened) ? Route.Single : Route.Batched;
        all = (all & Route.Lanes) != 0 ? (all & ~Route.Lanes) | forLanes : all;
        if (BitOperations.IsPow2((int)all))
        {
            Run(all, jobs, seal);
            return;
        }

        for (Route route = Route.Batched; route <= Route.Managed; route = (Route)((int)route << 1))
        {
            for (int next = 0; (all & route) != 0 && next < jobs.Length;)
            {
                next = RunSome(jobs, next, route, forLanes, seal);
            }
        }

        Array.Clear(_some);
    }

    /// <summary>Collects up to as many packets of a route as there is room for, and returns how far it came.</summary>
    private int RunSome(Span<CryptoJob> jobs, int next, Route route, Route forLanes, bool seal)
    {
        int count = 0;
        for (; next < jobs.Length && count < MostAtOnce; next++)
        {
            if (jobs[next].Good && RouteOf(jobs[next], forLanes) == route)
            {
                _places[count] = next;
                _some[count++] = jobs[next];
            }
        }

        Run(route, _some.AsSpan(0, count), seal);
        for (int k = 0; k < count; k++)
        {
            jobs[_places[k]].Good = _some[k].Good;
        }

        return next;
    }

    private Route RouteOf(in CryptoJob job, Route forLanes)
    {
        Route route = _routes[job.Key.Suite.Number];
        return route == Route.Lanes ? forLanes : route;
    }

    private void Run(Route route, Span<CryptoJob> jobs, bool seal)
    {
        CryptoBackend backend = _backends[BitOperations.TrailingZeroCount((int)route)]!;
        if (seal)
        {
            backend.SealReady(jobs);
        }
        else
        {
            backend.OpenReady(jobs);
        }
    }
}
