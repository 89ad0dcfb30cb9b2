using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Ipsec.Databases;
using Filter.Ipsec.PfKey.Messages;

namespace Filter.Ipsec.PfKey;

/// <summary>
/// PF_KEYv2 (RFC 2367) with the policies of KAME and Linux: answers messages of key managers, tells them what happens, and keeps
/// what they said of SAs and policies. Not for several threads at a time.
/// </summary>
/// <remarks>
/// SAs and policies stay where key managers go: they end by their lifetimes, by a message, or with the daemon. SAs of a ruleset, of
/// IKE and of `filterctl` are listed, without their keys, and changed by none of this.
/// </remarks>
public sealed partial class PfKeyEngine
{
    /// <summary>SAs of key managers at most, larval ones included.</summary>
    public const int MostSas = 1 << 17;

    /// <summary>Policies of key managers at most.</summary>
    public const int MostPolicies = 4096;

    /// <summary>Nanoseconds after which a larval SA is gone, and a wish may be told again.</summary>
    public const long LarvalLife = 165 * PfKeySa.Second;

    private readonly IPfKeyHost _host;
    private readonly bool _legacy;
    private readonly List<PfKeyListener> _listeners = [];
    private readonly Dictionary<(PfKeySaType Type, uint Spi, Address Destination), PfKeySa> _sas = [];
    private readonly Dictionary<SecurityAssociation, PfKeySa> _known = [];
    private readonly List<PfKeyPolicy> _policies = [];
    private IpsecDatabases? _bound;
    private uint _sequence;

    /// <summary>An engine that nobody listens to yet.</summary>
    /// <param name="host">What carries packets.</param>
    /// <param name="legacy">Whether algorithms of the legacy tier may be had.</param>
    public PfKeyEngine(IPfKeyHost host, bool legacy)
    {
        _host = host;
        _legacy = legacy;
    }

    /// <summary>Somebody opened a socket.</summary>
    public void Join(PfKeyListener listener) => _listeners.Add(listener);

    /// <summary>Its socket is closed.</summary>
    public void Leave(PfKeyListener listener) => _listeners.Remove(listener);

    /// <summary>Does what a message asks, and answers.</summary>
    /// <param name="from">Whose it is.</param>
    /// <param name="bytes">One message as it came; the caller wipes it.</param>
    /// <param name="now">When.</param>
    public void Receive(PfKeyListener from, ReadOnlySpan<byte> bytes, in PfKeyTime now)
    {
        if (!PfKeyReader.TryReadHeader(bytes, out PfKeyHeader header))
        {
            return;             // nothing to answer with
        }

        if (!PfKeyReader.TryRead(bytes, out PfKeyMessage? message, out PfKeyFault fault))
        {
            Refuse(from, header, fault);
            return;
        }

        using (message)
        {
            try
            {
                fault = Do(from, message, now);
            }
            catch (Exception failure) when (failure is TimeoutException or IOException)
            {
                fault = new(PfKeyError.Failed, failure.Message);        // the workers do not answer, or the disk is full
            }

            if (fault.IsFault)
            {
                Refuse(from, header, fault);
            }
        }
    }

    /// <summary>Ends what has waited too long, and finds the policies of SAs anew where other ones are in force.</summary>
    public void Tick(in PfKeyTime now)
    {
        long moment = now.Nanoseconds;
        foreach (PfKeySa late in _sas.Values.Where(sa => sa.Sa is null && sa.LarvalUntil <= moment).ToArray())
        {
            _sas.Remove(KeyOf(late));
            TellExpired(late, PfKeyExtensionType.LifetimeHard, now);
        }

        foreach (PfKeySa gone in _sas.Values.Where(static sa => sa.Sa is { Number: 0 }).ToArray())
        {
            // A person has deleted it.
            _sas.Remove(KeyOf(gone));
            _known.Remove(gone.Sa!);
            TellExpired(gone, PfKeyExtensionType.LifetimeHard, now);
        }

        foreach ((SelectorsWanted wish, _) in _wishes.Where(wish => wish.Value.Until <= moment).ToArray())
        {
            _wishes.Remove(wish);
        }

        EndPolicies(now);
        if (_host.Stage is { } stage && stage.Databases != _bound)
        {
            _host.Hold(held =>
            {
                Rebind(held);
                return true;
            });
        }
    }

    private PfKeyFault Do(PfKeyListener from, PfKeyMessage message, in PfKeyTime now) => message.Header.Type switch
    {
        PfKeyType.GetSpi => GetSpi(message, now),
        PfKeyType.Add => Add(message, now),
        PfKeyType.Update => Update(message, now),
        PfKeyType.Delete => Delete(message),
        PfKeyType.Get => Get(from, message, now),
        PfKeyType.Dump => Dump(from, message, now),
        PfKeyType.Flush => Flush(message),
        PfKeyType.Register => Register(from, message),
        PfKeyType.Acquire => Acquire(from, message),
        PfKeyType.PolicyAdd or PfKeyType.PolicySetIndex => SetPolicy(message, replaces: false, now),
        PfKeyType.PolicyUpdate => SetPolicy(message, replaces: true, now),
        PfKeyType.PolicyDelete => DeletePolicy(message),
        PfKeyType.PolicyDeleteById => DeletePolicyById(message),
        PfKeyType.PolicyGet => GetPolicy(from, message),
        PfKeyType.PolicyDump => DumpPolicies(from, message),
        PfKeyType.PolicyFlush => FlushPolicies(message),
        PfKeyType.Migrate => Migrate(message),
        _ => new(PfKeyError.NotDone, "nobody does that here"),
    };

    /// <summary>An error goes to who made it alone (RFC 2367 §2.1): the base header, and nothing else.</summary>
    private void Refuse(PfKeyListener from, in PfKeyHeader header, PfKeyFault fault)
    {
        _host.Refused(header, fault.Error, fault.Why);           // first: who hears the error finds its reason in the log
        from.Send(PfKeyWriter.Write(new PfKeyMessage(header with { Error = fault.Error }, [])));
    }

    /// <summary>Tells everybody who has a socket (RFC 2367 §1.4). None of this holds keys.</summary>
    private void Tell(PfKeyHeader header, IEnumerable<PfKeyExtension> extensions) => Tell(_listeners, header, extensions);

    private static void Tell(IEnumerable<PfKeyListener> listeners, PfKeyHeader header, IEnumerable<PfKeyExtension> extensions)
    {
        PfKeyMessage message = new(header with { Error = PfKeyError.None }, [.. extensions]);
        foreach (PfKeyListener listener in listeners)
        {
            listener.Send(PfKeyWriter.Write(message));
        }
    }

    private static (PfKeySaType Type, uint Spi, Address Destination) KeyOf(PfKeySa sa) => (sa.Type, sa.Spi, sa.Destination.Address);

    /// <summary>The ends of what a message speaks of: both, and of one family.</summary>
    private static bool TryGetEnds(PfKeyMessage message, out AddressExtension source, out AddressExtension destination)
    {
        source = message.Find<AddressExtension>(PfKeyExtensionType.AddressSource)!;
        destination = message.Find<AddressExtension>(PfKeyExtensionType.AddressDestination)!;
        return source is not null && destination is not null && source.Address.IsIPv4 == destination.Address.IsIPv4;
    }

    private static PfKeyFault NoEnds() => new(PfKeyError.Invalid, "it names no source and destination of one family");

    private static PfKeyFault NoIpsec() => new(PfKeyError.NotDone, "the ruleset in force says nothing of IPsec");
}
