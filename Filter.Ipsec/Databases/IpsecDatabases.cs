using System.Collections.Frozen;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec.Crypto;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Databases;

/// <summary>
/// SPD and SAD of one ruleset, together with the gateway's own addresses: what a worker adopts as one. The
/// databases never change; the SAs in them have state, which outlives a reload that leaves them as they are.
/// </summary>
public sealed class IpsecDatabases
{
    private IpsecDatabases(Spd? spd, Sad sad, FrozenSet<Address> own)
    {
        Spd = spd;
        Sad = sad;
        Own = own;
    }

    /// <summary>The policies; null where the ruleset says nothing of IPsec, so that everything bypasses.</summary>
    public Spd? Spd { get; }

    /// <summary>The SAs by what packets say.</summary>
    public Sad Sad { get; }

    /// <summary>The gateway's own addresses and its tunnels' outer ones: ESP to them is meant for us.</summary>
    public IReadOnlySet<Address> Own { get; }

    /// <summary>Makes the databases of a ruleset. Copies the keys it needs: the ruleset's own may be wiped afterwards.</summary>
    /// <param name="config">The ruleset's IPsec part; null for none.</param>
    /// <param name="own">The gateway's own addresses, of all its ports.</param>
    /// <param name="previous">What is in force: an SA that did not change keeps its counter, window and statistics.</param>
    /// <param name="reserve">Where counters of SAs with replay check are kept; null where nothing outlives the process (tests, replay).</param>
    /// <exception cref="IOException">The reserve could not be written.</exception>
    public static IpsecDatabases Build(
        IpsecConfig? config, IEnumerable<Address> own, IpsecDatabases? previous = null, SequenceReserve? reserve = null)
    {
        Dictionary<string, SaPair> pairs = [];
        HashSet<Address> ours = [.. own];
        bool reserved = false;
        foreach (SaConfig sa in config?.Sas ?? [])
        {
            IpsecSuite suite = sa.Suite;
            var outward = new SaIdentity(sa.Out.Spi, IpProtocol.Esp, sa.Mode, sa.Local, sa.Remote, suite, sa.ReplayWindow);
            SaIdentity inward = outward with { Spi = sa.In.Spi };
            OutboundSa? outbound = Keep(previous?.Sad.Pairs.Select(static p => p.Outbound), outward, sa.Out);
            InboundSa? inbound = Keep(previous?.Sad.Pairs.Select(static p => p.Inbound), inward, sa.In);
            if (outbound is null)
            {
                ulong counted = 0, limit = uint.MaxValue;
                if (reserve is not null && sa.ReplayWindow > 0)
                {
                    (counted, limit) = reserve.Begin(outward);
                    reserved = true;
                }

                outbound = new OutboundSa(outward, KeyOf(suite, sa.Out), counted, limit);
            }

            inbound ??= new InboundSa(inward, KeyOf(suite, sa.In));
            pairs.Add(sa.Name, new SaPair(sa, outbound, inbound));
            if (sa is { Mode: IpsecMode.Tunnel, Local: { } local })
            {
                ours.Add(local);
            }
        }

        if (reserved)
        {
            reserve!.Save();
        }

        Spd? spd = config is null
            ? null
            : new Spd(config.Policies.Select(p => new SpdEntry(p, p.Sa is null ? null : pairs[p.Sa.Name])));
        return new IpsecDatabases(spd, new Sad(pairs.Values), ours.ToFrozenSet());
    }

    /// <summary>Every SA in them, both directions.</summary>
    internal IEnumerable<SecurityAssociation> Associations =>
        Sad.Pairs.SelectMany(static p => new SecurityAssociation[] { p.Outbound, p.Inbound });

    private static T? Keep<T>(IEnumerable<T>? earlier, SaIdentity identity, SaKeys keys)
        where T : SecurityAssociation
    {
        T? same = earlier?.FirstOrDefault(sa => sa.Identity == identity);
        if (same is null)
        {
            return null;
        }

        using SaKey key = KeyOf(identity.Suite, keys);
        return same.SameAs(identity, key) ? same : null;
    }

    private static SaKey KeyOf(IpsecSuite suite, SaKeys keys) =>
        new(suite, keys.EncryptionKey.Reveal(), keys.IntegrityKey.Reveal());
}
