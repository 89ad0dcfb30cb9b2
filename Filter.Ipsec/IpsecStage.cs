using System.Numerics;
using Filter.Engine.Local;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Ipsec.Protocols;
using Filter.Rules.Policy;

namespace Filter.Ipsec;

/// <summary>
/// IPsec on the walk (RFC 4301 §5): opens what came protected, says what policy wants, seals what leaves. One a worker,
/// which alone calls it, but for what says that others may look.
/// </summary>
/// <remarks>
/// SAs come with a ruleset (<see cref="Adopt"/>) or one by one from who manages keys (<see cref="Add"/>, <see cref="Remove"/>); the
/// stage owns their keys from then on, and wipes them when they go.
/// </remarks>
public sealed partial class IpsecStage : IIpsecStage, IDisposable
{
    /// <summary>Most tunnels inside each other.</summary>
    public const int DeepestNesting = 3;

    private const int RoomForEvents = 1024;

    private readonly IReadOnlyList<Port> _ports;
    private readonly CryptoBackend _crypto;
    private readonly CryptoJob[] _jobs = new CryptoJob[Burst.Capacity];
    private readonly int[] _packets = new int[Burst.Capacity];
    private readonly bool[] _ordinary = new bool[Burst.Capacity];
    private readonly uint[] _spis = new uint[Burst.Capacity];
    private readonly SecurityAssociation[] _associations = new SecurityAssociation[Burst.Capacity];
    private readonly SavedHeaders _aside = new(Burst.Capacity);
    private readonly ushort _protectedMask;
    private readonly ulong _hostMac;
    private readonly Port? _self;
    private IpsecDatabases _databases;
    private TokenBucket _answers = new(new RateLimit(1_000_000_000 / 200, 200));     // RFC 4443 §2.4 (f)
    private int _count;
    private uint _warmed;
    private long _now;

    /// <summary>A stage for the ports of one path.</summary>
    /// <param name="ports">By number: their sides and MTUs count.</param>
    /// <param name="crypto">Its own from now on.</param>
    /// <param name="databases">What is in force.</param>
    /// <param name="host">
    /// The port behind which stands the box's own stack and nobody else; null in a bridge. Whatever address that stack
    /// has given itself, ESP to its link address is meant for us.
    /// </param>
    /// <param name="self">The port behind which stands the box's own stack, alone or beside a bridge; null for <paramref name="host"/>.</param>
    public IpsecStage(IReadOnlyList<Port> ports, CryptoBackend crypto, IpsecDatabases databases, Port? host = null, Port? self = null)
    {
        _ports = ports;
        _hostMac = host?.Mac ?? 0;
        _self = self ?? host;
        _crypto = crypto;
        _databases = databases;
        foreach (Port port in ports)
        {
            _protectedMask |= port.Side == Side.Protected ? port.Mask : (ushort)0;
        }

        _identification = (ushort)Random.Shared.Next();
        _fragmentIdentification = (uint)Random.Shared.NextInt64();
        Take(databases);
    }

    /// <inheritdoc/>
    public int Generation { get; private set; } = 1;

    /// <summary>What is in force. Its statistics may be read by any thread.</summary>
    public IpsecDatabases Databases => Volatile.Read(ref _databases);

    /// <summary>Every SA. May be listed by any thread.</summary>
    public Sad Sad { get; } = new();

    /// <summary>What a key manager has to know; it alone reads.</summary>
    public Ring<IpsecEvent> Events { get; } = new(RoomForEvents);

    /// <summary>The library that does the cryptography, for `status`.</summary>
    public string Backend => _crypto.Name;

    /// <summary>
    /// Puts new databases in force, and wipes the keys of SAs that are not in them. SAs that a key manager has brought stay
    /// where their policies do, by name. Called by the worker between bursts.
    /// </summary>
    public void Adopt(IpsecDatabases next)
    {
        HashSet<SecurityAssociation> kept = [.. next.Manual.Select(static manual => manual.Sa)];
        List<(SecurityAssociation Sa, string[] Policies)> brought = [];
        foreach (SecurityAssociation sa in Sad.All)
        {
            if (sa.IsOfRuleset && !kept.Contains(sa))
            {
                Sad.Remove(sa);
                Wipe(sa);
            }
            else if (!sa.IsOfRuleset)
            {
                brought.Add((sa, [.. sa.Users.Select(static entry => entry.Name)]));
            }
        }

        Volatile.Write(ref _databases, next);
        Take(next);
        foreach ((SecurityAssociation sa, string[] names) in brought)
        {
            SpdEntry[] users = [.. names.Select(name => next.Spd?.Entry(name)).OfType<SpdEntry>().Where(static e => e.Action == IpsecAction.Protect)];
            if (users.Length == 0)
            {
                Sad.Remove(sa);
                Wipe(sa);
            }
            else
            {
                Bind(sa, users);
            }
        }

        // Flows ask again what policy wants; nothing of the last burst keeps an SA that is gone.
        Generation++;
        Array.Clear(_jobs);
        Array.Clear(_associations);
    }

    /// <summary>
    /// Adds an SA for policies in force; the keys are the stage's own from then on. For the worker, between bursts.
    /// </summary>
    /// <param name="sa">New, in no stage.</param>
    /// <param name="policies">The names of the policies that use it: protecting ones, all in force.</param>
    /// <returns>Null, or why it was not taken; it is the caller's to dispose then.</returns>
    public string? Add(SecurityAssociation sa, params ReadOnlySpan<string> policies)
    {
        var users = new SpdEntry[policies.Length];
        for (int i = 0; i < policies.Length; i++)
        {
            if (_databases.Spd?.Entry(policies[i]) is not { Action: IpsecAction.Protect } entry)
            {
                return $"no policy \"{policies[i]}\" protects anything";
            }

            users[i] = entry;
        }

        if (users.Length == 0)
        {
            return "an SA belongs to a policy";
        }

        if (sa is InboundSa inbound && Sad.Clashes(inbound))
        {
            return $"there already is an SA that receives with the SPI 0x{sa.Spi:x8}";
        }

        Sad.Add(sa);
        Bind(sa, users);
        return null;
    }

    /// <summary>Takes an SA out and wipes its keys. For the worker, between bursts. False where it is not there.</summary>
    public bool Remove(SecurityAssociation sa)
    {
        if (Sad[sa.Number] != sa || sa.Number == 0)
        {
            return false;
        }

        if (sa is OutboundSa outbound)
        {
            foreach (SpdEntry entry in sa.Users)
            {
                entry.Remove(outbound);
            }
        }

        Sad.Remove(sa);
        Wipe(sa);
        return true;
    }

    /// <inheritdoc/>
    public IpsecDecision Decide(in OpeningFacts facts)
    {
        if (_databases.Spd is not { } spd)
        {
            return new IpsecDecision(IpsecAction.Bypass, 0);
        }

        if (spd.Find(facts) is not { } entry)
        {
            return new IpsecDecision(IpsecAction.Drop, 0);
        }

        entry.Statistics.Decisions++;
        return new IpsecDecision(entry.Action, entry.Number);
    }

    /// <inheritdoc/>
    public bool CameBy(in Packet packet, ushort policy)
    {
        if (Sad[packet.Sa] is { } sa)
        {
            foreach (SpdEntry entry in sa.Users)
            {
                if (entry.Number == policy)
                {
                    return true;
                }
            }
        }

        return false;
    }

    /// <inheritdoc/>
    public bool SealsFragments(ushort policy) => _databases.Spd?.Entry(policy) is { Usual.Mode: IpsecMode.Tunnel };

    /// <summary>Gives the cryptography back and wipes all keys. The worker has stopped.</summary>
    public void Dispose()
    {
        foreach (SecurityAssociation association in Sad.All)
        {
            association.Dispose();
        }

        _crypto.Dispose();
    }

    /// <summary>The library keeps what it made of a key no longer than the key lives.</summary>
    private void Wipe(SecurityAssociation sa)
    {
        _crypto.Forget(sa.Key);
        sa.Dispose();
    }

    private void Take(IpsecDatabases databases)
    {
        OutboundSa? outbound = null;
        foreach (IpsecDatabases.ManualSa manual in databases.Manual)
        {
            SecurityAssociation sa = manual.Sa;
            outbound = sa as OutboundSa ?? outbound;        // each stands before its other half
            if (sa is InboundSa inbound)
            {
                inbound.Answer = outbound;
            }

            sa.Name = manual.Config.Name;
            sa.Adopt(manual.Config.Settings);
            if (sa.Number == 0)
            {
                Sad.Add(sa);
            }

            Bind(sa, manual.Users);
        }
    }

    private void Bind(SecurityAssociation sa, SpdEntry[] users)
    {
        sa.Users = users;
        sa.Begin(Events);
        if (sa is OutboundSa outbound)
        {
            foreach (SpdEntry entry in users)
            {
                entry.Add(outbound);
            }
        }
    }

    /// <summary>The smallest of the ports that the packet leaves by.</summary>
    private int MtuOf(ushort egress)
    {
        if (BitOperations.IsPow2(egress))
        {
            return _ports[BitOperations.TrailingZeroCount(egress)].Mtu;
        }

        int mtu = int.MaxValue;
        for (int ports = egress; ports != 0; ports &= ports - 1)
        {
            mtu = Math.Min(mtu, _ports[BitOperations.TrailingZeroCount(ports)].Mtu);
        }

        return mtu;
    }
}
