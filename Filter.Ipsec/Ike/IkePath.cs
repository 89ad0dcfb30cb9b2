using System.Globalization;
using Filter.Engine.Packets;

namespace Filter.Ipsec.Ike;

/// <summary>Between which ends a message goes.</summary>
/// <param name="Local">Our address.</param>
/// <param name="LocalPort">Our port: 500, or 4500, where messages have the non-ESP marker before them (RFC 7296 §2.23).</param>
/// <param name="Remote">The peer's address, as it is seen from here.</param>
/// <param name="RemotePort">The peer's port, likewise.</param>
public readonly record struct IkePath(Address Local, ushort LocalPort, Address Remote, ushort RemotePort)
{
    /// <summary>The port of IKE.</summary>
    public const ushort Port = 500;

    /// <summary>The port that IKE shares with ESP in UDP.</summary>
    public const ushort TranslatedPort = 4500;

    /// <summary>Whether messages have four zero bytes before them, which the engine neither sees nor writes.</summary>
    public bool IsMarked => LocalPort != Port;

    /// <summary><c>192.0.2.1:500 - 198.51.100.7:500</c>.</summary>
    public override string ToString() => $"{End(Local, LocalPort)} - {End(Remote, RemotePort)}";

    private static string End(Address address, ushort port) =>
        address.IsIPv4 ? string.Create(CultureInfo.InvariantCulture, $"{address}:{port}") : string.Create(CultureInfo.InvariantCulture, $"[{address}]:{port}");
}
