using System.Collections.Immutable;
using Filter.Ipsec.PfKey.Messages;
using Filter.Rules.Policy;

namespace Filter.Ipsec.PfKey;

/// <summary>What PF_KEY asks of the one that carries packets: the daemon, or a test.</summary>
public interface IPfKeyHost
{
    /// <summary>SAs and policies in force; null where the ruleset says nothing of IPsec, so that there is no place for either.</summary>
    IpsecStage? Stage { get; }

    /// <summary>The gateway's own addresses, as they are now.</summary>
    AddressSet Own { get; }

    /// <summary>Has something done while no worker uses the stage.</summary>
    T Hold<T>(Func<IpsecStage, T> change);

    /// <summary>Puts policies in force, before those of the ruleset and in the place of those that were brought before.</summary>
    /// <param name="policies">In order, numbered from <see cref="IpsecPolicy.FirstBrought"/>.</param>
    /// <param name="then">Done with them in force, before packets go on.</param>
    /// <returns>None, or why all is as it was.</returns>
    PfKeyError Adopt(ImmutableArray<IpsecPolicy> policies, Action<IpsecStage> then);

    /// <summary>A message was refused.</summary>
    void Refused(PfKeyHeader header, PfKeyError error, string why);
}

/// <summary>Somebody with a PF_KEY socket.</summary>
public abstract class PfKeyListener
{
    /// <summary>The types of SAs that it negotiates (SADB_REGISTER), a bit each.</summary>
    internal ushort Registered { get; set; }

    /// <summary>Sends a message, or loses it where the listener is slow; what is lost is told.</summary>
    public abstract void Send(byte[] message);

    /// <summary>Sends many, one after the other as the listener takes them; false while it is sent others so.</summary>
    public abstract bool SendAll(IEnumerable<byte[]> messages);
}

/// <summary>When something happens.</summary>
/// <param name="Nanoseconds">Of a clock that only ever goes on.</param>
/// <param name="Wall">Seconds since 1970.</param>
public readonly record struct PfKeyTime(long Nanoseconds, long Wall);
