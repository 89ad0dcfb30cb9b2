using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using DnsClient;
using DnsClient.Protocol;
using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Ctl.Service;

/// <summary>
/// Keeps sets of names at what the DNS says, both families, as long as its TTL says so. Nothing waits for it: until an answer comes a set is
/// empty, and while answers fail it keeps what it had, for a day at most. What an answer may put into a set is bounded.
/// </summary>
internal sealed class NameResolver : IDisposable
{
    /// <summary>Most addresses of one name that are believed.</summary>
    public const int MostAddresses = 64;

    private const int AtOnce = 8;
    private static readonly TimeSpan s_shortest = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_longest = TimeSpan.FromDays(1);
    private static readonly TimeSpan s_longestRetry = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(3);

    private readonly ConcurrentDictionary<string, Known> _names = new(StringComparer.Ordinal);
    private readonly ServiceLog _log;
    private readonly CancellationTokenSource _end = new();
    private Ruleset? _seen;
    private LookupClient? _client;

    /// <summary>A resolver that tells the log of what fails.</summary>
    public NameResolver(ServiceLog log) => _log = log;

    /// <summary>Asks what is due, and puts into sets what has come. Never waits.</summary>
    public void Look(Ruleset ruleset)
    {
        LiveSet[] sets = [.. ruleset.LiveSets.Where(static set => set.Source == LiveSource.Names)];
        if (sets.Length == 0)
        {
            _names.Clear();
            return;
        }

        long now = Environment.TickCount64;
        HashSet<string> wanted = [.. sets.SelectMany(static set => set.Names)];
        foreach (string gone in _names.Keys.Where(name => !wanted.Contains(name)))
        {
            _names.TryRemove(gone, out _);
        }

        int running = _names.Values.Count(static known => known.Running);
        bool news = !ReferenceEquals(_seen, ruleset);
        _seen = ruleset;
        foreach (string name in wanted)
        {
            Known known = _names.GetOrAdd(name, static _ => new Known());
            if (!known.Running && now >= known.Due && running < AtOnce)
            {
                running++;
                known.Running = true;
                _ = Task.Run(() => AskAsync(name, known));
            }

            // While it is asked, its task writes; and the answer may be there in a moment.
            if (!known.Running && known.Since != 0 && now - known.Since > s_longest.TotalMilliseconds && known.Addresses.Length > 0)
            {
                known.Addresses = [];
                known.News = true;
                _log.Line($"nothing is known of {name} for a day: its addresses are given up");
            }

            if (known.News)
            {
                // Taken back before the addresses are read: what comes from here on is news again.
                known.News = false;
                news = true;
            }
        }

        if (!news)
        {
            return;
        }

        foreach (LiveSet set in sets)
        {
            set.Contents.Replace(set.Names.SelectMany(name => _names.TryGetValue(name, out Known? known) ? known.Addresses : []).Take(set.Size).Select(static address => new AddressRange(address, address)));
        }
    }

    /// <summary>What is wrong with a set's names, in one line; null where nothing is.</summary>
    public string? TroubleOf(LiveSet set)
    {
        string[] trouble = [.. set.Names.Select(name => (Name: name, Why: _names.GetValueOrDefault(name)?.Failure)).Where(static one => one.Why is not null).Select(static one => $"{one.Name}: {one.Why}")];
        return trouble.Length == 0 ? null : string.Join("; ", trouble);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _end.Cancel();
        _end.Dispose();
    }

    private async Task AskAsync(string name, Known known)
    {
        try
        {
            _client ??= new LookupClient(new LookupClientOptions { UseCache = false, Timeout = s_patience, Retries = 1, ThrowDnsErrors = false });
            IDnsQueryResponse[] answers = await Task.WhenAll(
                _client.QueryAsync(name, QueryType.A, cancellationToken: _end.Token), _client.QueryAsync(name, QueryType.AAAA, cancellationToken: _end.Token)).ConfigureAwait(false);
            if (answers.FirstOrDefault(static a => a.HasError && a.Header.ResponseCode != DnsHeaderResponseCode.NotExistentDomain) is { } failed)
            {
                Fail(name, known, failed.ErrorMessage);
                return;
            }

            DnsResourceRecord[] records = [.. answers.SelectMany(static a => a.Answers)];
            Address[] addresses = [.. records.OfType<AddressRecord>().Select(static r => Read(r.Address)).OfType<Address>().Distinct().Order().Take(MostAddresses)];
            TimeSpan ttl = TimeSpan.FromSeconds(records.Length == 0 ? 60 : records.Min(static r => r.InitialTimeToLive));
            bool news = !addresses.SequenceEqual(known.Addresses);
            known.Addresses = addresses;
            known.Retry = TimeSpan.Zero;
            known.Failure = addresses.Length == 0 ? "the DNS knows no address of it" : null;
            known.Due = known.Since = Environment.TickCount64 + (long)Clamp(ttl).TotalMilliseconds;
            if (news)
            {
                known.News = true;      // last, so that whoever sees it sees the addresses
            }
        }
        catch (Exception failure) when (failure is DnsResponseException or DnsXidMismatchException or IOException or InvalidOperationException or ArgumentException or System.Net.Sockets.SocketException or OperationCanceledException)
        {
            Fail(name, known, failure.InnerException?.Message ?? failure.Message);
        }
        finally
        {
            known.Running = false;
        }
    }

    private void Fail(string name, Known known, string why)
    {
        why = why.ReplaceLineEndings(" ");
        if (known.Failure is null)
        {
            _log.Line(string.Create(CultureInfo.InvariantCulture, $"no answer for {name}: {why}; {known.Addresses.Length} addresses are kept"));
        }

        known.Failure = why;
        known.Since = known.Since == 0 ? Environment.TickCount64 : known.Since;
        known.Retry = known.Retry == TimeSpan.Zero ? s_shortest : TimeSpan.FromTicks(Math.Min(known.Retry.Ticks * 2, s_longestRetry.Ticks));
        known.Due = Environment.TickCount64 + (long)known.Retry.TotalMilliseconds;
    }

    private static TimeSpan Clamp(TimeSpan ttl) => ttl < s_shortest ? s_shortest : ttl > s_longest ? s_longest : ttl;

    /// <summary>An address that a host may have elsewhere; null for any other, which no name has honestly.</summary>
    private static Address? Read(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6 || !Address.TryParse(address.ToString(), out Address read))
        {
            return null;
        }

        return read.IsUnspecified || read.IsLoopback || read.IsMulticast || read.IsLimitedBroadcast || read.IsLinkLocal ? null : read;
    }

    /// <summary>What is known of a name. Its task writes, the looking thread reads; neither waits for the other.</summary>
    private sealed class Known
    {
        public volatile bool Running;
        public volatile bool News;
        public volatile Address[] Addresses = [];
        public volatile string? Failure;

        /// <summary>When it is asked for again: a moment of <see cref="Environment.TickCount64"/>.</summary>
        public long Due { get => Volatile.Read(ref _due); set => Volatile.Write(ref _due, value); }

        /// <summary>Since when nothing is known of it: when its last answer runs out, or when it was first asked in vain.</summary>
        public long Since { get => Volatile.Read(ref _since); set => Volatile.Write(ref _since, value); }

        public TimeSpan Retry { get; set; }

        private long _due;
        private long _since;
    }
}
