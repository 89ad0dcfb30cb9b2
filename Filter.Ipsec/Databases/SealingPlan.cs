using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec.Protocols;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Databases;

/// <summary>What sealing an ordinary packet by an SA comes to, reckoned once: sizes in bytes.</summary>
internal readonly struct SealingPlan
{
    internal SealingPlan(SaSettings settings, IpsecSuite suite)
    {
        IsTunnel = settings.Mode == IpsecMode.Tunnel;
        IsOrdinary = ReferenceEquals(Protection.Of(settings), Esp.Bare) && settings.Padding.PadTo == 0 && !settings.ClampMss;
        Dscps = settings.Dscps;
        Made = settings.Outer;
        Outer = IsTunnel ? TunnelHeader.LengthFor(settings.Remote ?? default) : 0;
        Header = Esp.HeaderLength + suite.IvLength;
        Iv = suite.IvLength;
        Block = suite.BlockLength;
        Icv = suite.IcvLength;
        Extended = settings.ExtendedSequence;
    }

    /// <summary>The DSCPs that it carries, a bit each; 0 for all.</summary>
    internal readonly ulong Dscps;

    /// <summary>What a tunnel's outer header is made of.</summary>
    internal readonly OuterHeader Made;

    /// <summary>ESP directly behind IP, without padding to a size and without a look into TCP.</summary>
    internal readonly bool IsOrdinary;

    /// <summary>Tunnel mode.</summary>
    internal readonly bool IsTunnel;

    /// <summary>The number's high half is authenticated too.</summary>
    internal readonly bool Extended;

    /// <summary>The outer IP header; the ESP header with its IV; of that the IV; the cipher's block; the ICV.</summary>
    internal readonly int Outer, Header, Iv, Block, Icv;
}
