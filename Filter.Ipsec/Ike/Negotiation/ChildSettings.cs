using Filter.Engine.Packets;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Negotiation;

/// <summary>What a template becomes once it is negotiated.</summary>
internal static class ChildSettings
{
    private const long KeepAlive = 20_000_000_000;

    /// <summary>Percent of a soft lifetime by which it may be shorter, so that neither two tunnels nor two ends renew at the same instant.</summary>
    private const int Jitter = 10;

    /// <summary>Percent of a hard lifetime that are left to who renews, where no soft one is said.</summary>
    private const int Reserve = 20;

    /// <summary>The settings of a child.</summary>
    /// <param name="sa">Whose ends it has.</param>
    /// <param name="template">What is configured.</param>
    /// <param name="chosen">What was negotiated: suite and sequence numbers.</param>
    /// <param name="suite">The suite of it.</param>
    /// <param name="padding">The peer takes traffic flow padding.</param>
    /// <param name="believed">Transport behind a translator: the two addresses that the peer believes in; null where they are not known.</param>
    internal static SaSettings Of(IkeSa sa, ChildTemplate template, Proposal chosen, IpsecSuite suite, bool padding, (Address Local, Address Remote)? believed)
    {
        SaSettings settings = template.Settings;
        UdpEncapsulation? udp = !sa.IsEncapsulated || suite.IsAh ? null : new(sa.Path.LocalPort, sa.Path.RemotePort, sa.IsLocalTranslated ? KeepAlive : 0)
        {
            OriginalLocal = believed?.Local, OriginalRemote = believed?.Remote, FollowsPeer = !sa.IsLocalTranslated,
        };
        return settings with
        {
            Protocol = suite.IsAh ? (byte)51 : (byte)50,
            Local = sa.Path.Local,
            Remote = sa.Path.Remote,
            Suite = suite,
            ExtendedSequence = Proposals.IsExtended(chosen),
            Encapsulation = udp,
            Soft = Jittered(settings.Soft, settings.Hard, sa.Random),
            Padding = padding ? settings.Padding : default,
        };
    }

    private static SaLifetime Jittered(in SaLifetime soft, in SaLifetime hard, IkeRandom random) => new(
        Jittered(soft.Bytes, hard.Bytes, random), Jittered(soft.Packets, hard.Packets, random), Jittered(soft.Nanoseconds, hard.Nanoseconds, random));

    private static long Jittered(long soft, long hard, IkeRandom random)
    {
        long whole = soft > 0 ? soft : hard - (hard / 100 * Reserve);
        return whole <= 0 ? 0 : Math.Max(1, random.Less(whole, Jitter));
    }
}
