using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Policy;

namespace Filter.Tests.Worlds;

/// <summary>One way to protect what two hosts say, as both ends are told.</summary>
/// <param name="Suite">The algorithms; of AH if they are.</param>
/// <param name="Mode">Transport or tunnel.</param>
/// <param name="Outer">4 or 6: the family of what is on the wire.</param>
/// <param name="Inner">4 or 6: the family of what is said; in transport mode the same.</param>
public sealed record KernelCase(IpsecSuite Suite, IpsecMode Mode, int Outer, int Inner)
{
    /// <summary>Sequence numbers of 64 bits.</summary>
    public bool Extended { get; init; }

    /// <summary>ESP inside UDP.</summary>
    public bool InUdp { get; init; }

    /// <summary>AH over IPv4 is padded to 64 bits, as the kernel does it unless told otherwise.</summary>
    public bool Wide { get; init; }

    /// <summary>The replay window of both ends, in packets.</summary>
    public int Window { get; init; } = 64;

    /// <summary>`esp` or `ah`.</summary>
    public string Protocol => Suite.IsAh ? "ah" : "esp";

    /// <summary>Tunnel mode.</summary>
    public bool IsTunnel => Mode == IpsecMode.Tunnel;

    /// <summary>The policy of <see cref="FilterWithin.Policies"/> that it is for.</summary>
    public string Policy => $"{(IsTunnel ? "inner" : "link")}-{Inner}";

    /// <summary>What Filter is told.</summary>
    public SaSettings Settings(Address local, Address remote) => new()
    {
        Protocol = Suite.IsAh ? IpProtocol.Ah : IpProtocol.Esp,
        Mode = Mode,
        Local = local,
        Remote = remote,
        Suite = Suite,
        ReplayWindow = Window,
        ExtendedSequence = Extended,
        AhAlignment = Wide ? 8 : SaSettings.OrdinaryAhAlignment,
        Encapsulation = InUdp ? new UdpEncapsulation(4500, 4500) : null,
    };

    /// <summary>The name of its row: `esp aes-cbc-128+hmac-sha2-256-128 tunnel 6in4 esn`.</summary>
    public override string ToString() => string.Join(' ',
    [
        Protocol,
        Suite.Name,
        IsTunnel ? $"tunnel {Inner}in{Outer}" : $"transport {Outer}",
        .. Extended ? ["esn"] : Array.Empty<string>(),
        .. Wide ? ["wide"] : Array.Empty<string>(),
        .. InUdp ? ["udp"] : Array.Empty<string>(),
        .. Window == 64 ? Array.Empty<string>() : [$"window {Window}"],
    ]);
}
