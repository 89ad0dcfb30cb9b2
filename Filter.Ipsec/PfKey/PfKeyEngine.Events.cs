using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec.Databases;
using Filter.Ipsec.PfKey.Messages;
using Filter.Rules.Policy;

namespace Filter.Ipsec.PfKey;

/// <content>What nobody asked for: SAs are wanted, and limits are reached (RFC 2367 §3.1.6 to §3.1.8).</content>
public sealed partial class PfKeyEngine
{
    /// <summary>Wishes that are remembered, so that a flood of packets asks once.</summary>
    private const int MostWishes = 1024;

    private readonly Dictionary<SelectorsWanted, Wish> _wishes = [];

    /// <summary>Hears of what a stage tells.</summary>
    public void Hear(in IpsecEvent told, in PfKeyTime now)
    {
        if (told.Kind == IpsecEventKind.Acquire)
        {
            Want(told, now);
        }
        else if (told.Sa is { } reached && _known.TryGetValue(reached, out PfKeySa? sa))
        {
            bool hard = told.Kind == IpsecEventKind.HardExpired;
            TellExpired(sa, hard ? PfKeyExtensionType.LifetimeHard : PfKeyExtensionType.LifetimeSoft, now);
            if (hard)
            {
                Remove([sa]);
            }
        }
    }

    private PfKeyFault Register(PfKeyListener from, PfKeyMessage message)
    {
        if (TypeFault(message.Header.SaType) is { IsFault: true } wrong)
        {
            return wrong;
        }

        from.Registered |= BitOf(message.Header.SaType);
        Tell(RegisteredFor(message.Header.SaType), message.Header, PfKeyAlgorithms.Supported(message.Header.SaType, _legacy));
        return default;
    }

    /// <summary>A key manager could not make what was wanted, or somebody else wants something (§3.1.6).</summary>
    private PfKeyFault Acquire(PfKeyListener from, PfKeyMessage message)
    {
        if (message.Header.Error != PfKeyError.None)
        {
            uint sequence = message.Header.Sequence;
            foreach ((SelectorsWanted wish, _) in _wishes.Where(wish => wish.Value.Sequence == sequence).ToArray())
            {
                _wishes.Remove(wish);           // the next packet asks anew
            }

            return default;
        }

        if (TypeFault(message.Header.SaType) is { IsFault: true } wrong)
        {
            return wrong;
        }

        if (!TryGetEnds(message, out _, out _) || !message.Has(PfKeyExtensionType.Proposal))
        {
            return new(PfKeyError.Invalid, "it says neither between whom, nor what would do");
        }

        PfKeyListener[] registered = [.. RegisteredFor(message.Header.SaType)];
        if (registered.Length == 0)
        {
            return new(PfKeyError.NoSuch, "no key manager has registered");
        }

        Tell(registered.Append(from).Distinct(), message.Header, message.Extensions.Where(static extension => extension is not KeyExtension));
        return default;
    }

    /// <summary>A packet found no SA: whoever negotiates that type is told, once for each policy and pair of ends.</summary>
    private void Want(in IpsecEvent told, in PfKeyTime now)
    {
        if (_host.Stage?.Databases.Spd?.Entry(told.Policy) is not { Action: IpsecAction.Protect } entry || !IsOpen(entry))
        {
            return;             // an SA of the ruleset's, or of IKE's
        }

        PfKeyPolicy? brought = _policies.FirstOrDefault(policy => policy.Name == entry.Name);
        PfKeySaType type = brought?.Request?.Protocol == IpProtocol.Ah ? PfKeySaType.Ah : PfKeySaType.Esp;
        (Address source, Address destination) = brought?.Request?.Ends ?? (told.Packet.Local, told.Packet.Remote);
        SelectorsWanted wish = new(entry.Name, source, destination);
        PfKeyListener[] registered = [.. RegisteredFor(type)];
        if (registered.Length == 0 || _wishes.ContainsKey(wish) || _wishes.Count >= MostWishes)
        {
            return;
        }

        _sequence++;
        _wishes.Add(wish, new Wish(_sequence, now.Nanoseconds + LarvalLife));
        PfKeyHeader header = new(PfKeyType.Acquire, PfKeyError.None, type, _sequence, 0);
        Tell(registered, header,
        [
            new AddressExtension(PfKeyExtensionType.AddressSource, source),
            new AddressExtension(PfKeyExtensionType.AddressDestination, destination),
            new PolicyExtension(PfKeyPolicyType.Ipsec, PfKeyDirection.Out, brought?.Id ?? 0, brought?.Said.Priority ?? 0, []),
            PfKeyAlgorithms.Proposal(type, _legacy),
        ]);
    }

    private void TellExpired(PfKeySa sa, PfKeyExtensionType limit, in PfKeyTime now)
    {
        List<PfKeyExtension> said = [SaOf(sa), sa.Current(now.Wall, now.Nanoseconds), sa.Limit(limit) ?? new LifetimeExtension(limit, 0, 0, 0, 0), sa.Source, sa.Destination];
        if (sa.Find<Sa2Extension>(PfKeyExtensionType.Sa2) is { } sa2)
        {
            said.Add(sa2);
        }

        Tell(new PfKeyHeader(PfKeyType.Expire, PfKeyError.None, sa.Type, 0, 0), said);
    }

    private IEnumerable<PfKeyListener> RegisteredFor(PfKeySaType type) => _listeners.Where(listener => (listener.Registered & BitOf(type)) != 0);

    private static ushort BitOf(PfKeySaType type) => (ushort)(1 << (int)type);

    /// <summary>What was wanted: by which policy, between which ends.</summary>
    private readonly record struct SelectorsWanted(string Policy, Address Source, Address Destination);

    /// <summary>The number it was told with, and until when it is not told again.</summary>
    private readonly record struct Wish(uint Sequence, long Until);
}
