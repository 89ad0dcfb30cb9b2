using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Ipsec;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Ipsec.Ike;
using Filter.Ipsec.Ike.Crypto;
using Filter.Rules.Policy;

namespace Filter.Ctl.Service;

/// <summary>
/// The world around the IKE engine: messages go by the gateway's own sockets, and children become SAs of the stage, put there while all
/// workers stand still between two bursts. Called on the engine's thread alone, but for <see cref="ChildOf"/>.
/// </summary>
internal sealed class IkeHost(Gateway gateway, Workforce workers, Func<IkeSockets?> sockets, Action<IkeEvent> tell) : IIkeHost
{
    /// <summary>SPIs below are reserved (RFC 4303 §2.1).</summary>
    private const uint LeastSpi = 256;

    private static readonly TimeSpan s_workerPatience = TimeSpan.FromSeconds(10);

    private readonly Dictionary<ChildSa, Pair> _pairs = [];
    private readonly Dictionary<SecurityAssociation, ChildSa> _children = [];
    private readonly Lock _guard = new();

    /// <inheritdoc/>
    public DateTimeOffset WallTime => DateTimeOffset.UtcNow;

    /// <summary>The child that an SA belongs to; null where it is nobody's. For any thread.</summary>
    public ChildSa? ChildOf(SecurityAssociation sa)
    {
        lock (_guard)
        {
            return _children.GetValueOrDefault(sa);
        }
    }

    /// <inheritdoc/>
    public void Send(in IkePath path, ReadOnlyMemory<byte> message) =>
        sockets()?.Send(path.Local, path.LocalPort, path.Remote, path.RemotePort, message.Span);

    /// <inheritdoc/>
    public Address? LocalFor(Address remote)
    {
        if (sockets() is not { } open)
        {
            return null;
        }

        Address[] own = [.. open.Addresses.Where(address => address.IsIPv4 == remote.IsIPv4)];
        Address? chosen = open.SourceTowards(remote);
        return chosen is { } address && own.Contains(address) ? address : own.Length > 0 ? own[0] : null;
    }

    /// <inheritdoc/>
    public uint NewSpi()
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        while (true)
        {
            RandomNumberGenerator.Fill(bytes);
            uint spi = BitConverter.ToUInt32(bytes);
            lock (_guard)
            {
                // Others of the stage are asked when it is added; that one of four thousand million is met is of no account.
                if (spi >= LeastSpi && !_pairs.Keys.Any(child => child.InboundSpi == spi))
                {
                    return spi;
                }
            }
        }
    }

    /// <inheritdoc/>
    public string? Install(ChildSa child, ChildDirections which)
    {
        if (gateway.Ipsec is null)
        {
            return "the ruleset in force says nothing of IPsec";
        }

        InboundSa? inbound = null;
        OutboundSa? outbound = null;
        string? wrong;
        try
        {
            if ((which & ChildDirections.Inbound) != 0)
            {
                inbound = new InboundSa(child.Name, child.Settings, child.InboundSpi, KeyOf(child.Settings.Suite, child.InboundKeys), child.Selectors) { Origin = SaOrigin.Ike };
            }

            if ((which & ChildDirections.Outbound) != 0)
            {
                outbound = new OutboundSa(child.Name, child.Settings, child.OutboundSpi, KeyOf(child.Settings.Suite, child.OutboundKeys), child.Selectors) { Origin = SaOrigin.Ike };
            }

            wrong = Ask(stage => Add(stage, child, inbound, outbound));
        }
        catch (Exception failure) when (failure is CryptographicException or NotSupportedException or ArgumentException or TimeoutException)
        {
            wrong = failure.Message;
        }

        if (wrong is not null)
        {
            inbound?.Dispose();
            outbound?.Dispose();
            return wrong;
        }

        lock (_guard)
        {
            Pair pair = _pairs.GetValueOrDefault(child);
            pair = new Pair(inbound ?? pair.Inbound, outbound ?? pair.Outbound);
            _pairs[child] = pair;
            foreach (SecurityAssociation sa in pair.All)
            {
                _children[sa] = child;
            }

            if (pair.Inbound is { } opens)
            {
                opens.Answer = pair.Outbound;
            }
        }

        return null;
    }

    /// <inheritdoc/>
    public void Remove(ChildSa child, ChildDirections which)
    {
        List<SecurityAssociation> gone = [];
        lock (_guard)
        {
            if (!_pairs.TryGetValue(child, out Pair pair))
            {
                return;
            }

            Pair left = new(
                (which & ChildDirections.Inbound) != 0 ? null : pair.Inbound,
                (which & ChildDirections.Outbound) != 0 ? null : pair.Outbound);
            gone.AddRange(pair.All.Except(left.All));
            gone.ForEach(sa => _children.Remove(sa));
            if (left.All.Any())
            {
                _pairs[child] = left;
            }
            else
            {
                _pairs.Remove(child);
            }
        }

        try
        {
            Ask(stage => gone.Count(stage.Remove));
        }
        catch (TimeoutException)
        {
            tell(new IkeEvent(IkeEventKind.Failed, child.Peer, $"the workers do not answer: {child.Name} could not be taken away", 0));
        }
    }

    /// <inheritdoc/>
    public long Opened(ChildSa child)
    {
        lock (_guard)
        {
            return _pairs.GetValueOrDefault(child).Inbound is { } inbound ? Volatile.Read(ref inbound.Statistics.Packets) : 0;
        }
    }

    /// <inheritdoc/>
    public void Tell(IkeEvent told) => tell(told);

    private static string? Add(IpsecStage stage, ChildSa child, InboundSa? inbound, OutboundSa? outbound)
    {
        // What comes first: the peer may send as soon as it knows.
        if (inbound is not null && stage.Add(inbound, child.Policy.Name) is { } why)
        {
            return why;
        }

        if (outbound is not null && stage.Add(outbound, child.Policy.Name) is { } wrong)
        {
            if (inbound is not null)
            {
                stage.Remove(inbound);
            }

            return wrong;
        }

        return null;
    }

    private static SaKey KeyOf(IpsecSuite suite, DirectionKeys keys) => new(suite, keys.Encryption.Reveal(), keys.Integrity.Reveal());

    private T Ask<T>(Func<IpsecStage, T> what) => workers.HoldAsync(() => what(gateway.Ipsec!), s_workerPatience).GetAwaiter().GetResult();

    private readonly record struct Pair(InboundSa? Inbound, OutboundSa? Outbound)
    {
        public IEnumerable<SecurityAssociation> All
        {
            get
            {
                if (Inbound is not null)
                {
                    yield return Inbound;
                }

                if (Outbound is not null)
                {
                    yield return Outbound;
                }
            }
        }
    }
}
