using System.Collections.Frozen;
using Filter.Engine.Packets;
using Filter.Ipsec.Crypto;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Databases;

/// <summary>
/// SPD and manual SAs of one ruleset, together with the gateway's own addresses: what a worker adopts as one. They never
/// change; the SAs have state, which outlives a reload that leaves them as they are.
/// </summary>
public sealed class IpsecDatabases
{
    private IpsecDatabases(Spd? spd, IReadOnlyList<ManualSa> manual, FrozenSet<Address> own)
    {
        Spd = spd;
        Manual = manual;
        Own = own;
    }

    /// <summary>The policies; null where the ruleset says nothing of IPsec, so that everything bypasses.</summary>
    public Spd? Spd { get; }

    /// <summary>The gateway's own addresses and its tunnels' outer ones: ESP to them is meant for us.</summary>
    public IReadOnlySet<Address> Own { get; }

    /// <summary>The ruleset's SAs, each with the policies that name it.</summary>
    internal IReadOnlyList<ManualSa> Manual { get; }

    /// <summary>Makes the databases of a ruleset. Copies the keys it needs: the ruleset's own may be wiped afterwards.</summary>
    /// <param name="config">The ruleset's IPsec part; null for none.</param>
    /// <param name="own">The gateway's own addresses, of all its ports.</param>
    /// <param name="previous">What is in force: an SA that did not change keeps its counter, window and statistics.</param>
    /// <param name="reserve">Where counters of SAs with replay check are kept; null where nothing outlives the process (tests, replay).</param>
    /// <exception cref="IOException">The reserve could not be written.</exception>
    public static IpsecDatabases Build(
        IpsecConfig? config, IEnumerable<Address> own, IpsecDatabases? previous = null, SequenceReserve? reserve = null)
    {
        if (config is null)
        {
            return new IpsecDatabases(null, [], own.ToFrozenSet());
        }

        Dictionary<string, PolicyStatistics> counted = previous?.Spd?.Entries.ToDictionary(static e => e.Name, static e => e.Statistics) ?? [];
        var spd = new Spd(config.Policies, policy => counted.GetValueOrDefault(policy.Name) ?? new PolicyStatistics());
        ILookup<string, SpdEntry> usersOf = spd.Entries
            .SelectMany(static entry => entry.Policy.Sas.Select(sa => (sa.Name, Entry: entry)))
            .ToLookup(static use => use.Name, static use => use.Entry, StringComparer.Ordinal);

        Dictionary<uint, List<SecurityAssociation>> before = [];
        foreach (ManualSa earlier in previous?.Manual ?? [])
        {
            if (!before.TryAdd(earlier.Sa.Spi, [earlier.Sa]))
            {
                before[earlier.Sa.Spi].Add(earlier.Sa);
            }
        }

        List<ManualSa> manual = [];
        HashSet<Address> ours = [.. own];
        bool reserved = false;
        foreach (SaConfig sa in config.Sas)
        {
            SpdEntry[] users = [.. usersOf[sa.Name]];
            SaSettings settings = sa.Settings;
            if (Keep<OutboundSa>(before, settings, sa.Out) is not { } outbound)
            {
                (ulong Counted, ulong Limit) numbers = (0, ulong.MaxValue);
                if (reserve is not null && settings.ReplayWindow > 0)
                {
                    numbers = reserve.Begin(sa.Out.Spi, settings.Remote ?? default, settings.ExtendedSequence);
                    reserved = true;
                }

                outbound = new OutboundSa(sa.Name, settings, sa.Out.Spi, KeyOf(settings.Suite, sa.Out), null, numbers.Counted, numbers.Limit) { Origin = SaOrigin.Ruleset };
            }

            InboundSa inbound = Keep<InboundSa>(before, settings, sa.In)
                ?? new InboundSa(sa.Name, settings, sa.In.Spi, KeyOf(settings.Suite, sa.In)) { Origin = SaOrigin.Ruleset };
            manual.Add(new ManualSa(outbound, sa, users));
            manual.Add(new ManualSa(inbound, sa, users));
            if (settings is { Mode: IpsecMode.Tunnel, Local: { } local })
            {
                ours.Add(local);
            }
        }

        if (reserved)
        {
            reserve!.Save();
        }

        return new IpsecDatabases(spd, manual, ours.ToFrozenSet());
    }

    /// <summary>Makes the two SAs of a pair that is added by hand. Copies the keys: the pair's own may be wiped afterwards.</summary>
    public static (OutboundSa Outbound, InboundSa Inbound) MakePair(SaConfig sa)
    {
        SaSettings settings = sa.Settings;
        return (new OutboundSa(sa.Name, settings, sa.Out.Spi, KeyOf(settings.Suite, sa.Out)), new InboundSa(sa.Name, settings, sa.In.Spi, KeyOf(settings.Suite, sa.In)));
    }

    private static T? Keep<T>(Dictionary<uint, List<SecurityAssociation>> before, SaSettings settings, SaKeys keys)
        where T : SecurityAssociation
    {
        if (!before.TryGetValue(keys.Spi, out List<SecurityAssociation>? candidates))
        {
            return null;
        }

        using SaKey key = KeyOf(settings.Suite, keys);
        return candidates.OfType<T>().FirstOrDefault(sa => sa.SameAs(settings, keys.Spi, key));
    }

    private static SaKey KeyOf(IpsecSuite suite, SaKeys keys) =>
        new(suite, keys.EncryptionKey.Reveal(), keys.IntegrityKey.Reveal());

    /// <summary>An SA of a ruleset, what it says of it now, and the policies that name it now.</summary>
    internal sealed record ManualSa(SecurityAssociation Sa, SaConfig Config, SpdEntry[] Users);
}
