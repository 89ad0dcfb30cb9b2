using System.Globalization;
using Filter.Engine.Packets;
using Filter.Ipsec.PfKey.Messages;
using Filter.Rules.Policy;
using Filter.Rules.Syntax;

namespace Filter.Ipsec.PfKey;

/// <summary>A policy that a key manager has brought.</summary>
internal sealed class PfKeyPolicy
{
    private const byte AnyProtocol = 255;

    /// <summary>No file says so.</summary>
    public static SourceMark Place { get; } = new("PF_KEY", 1, 1);

    /// <summary>Its number, and what it is called by.</summary>
    public required uint Id { get; init; }

    /// <summary>The sources it selects: address, protocol, port.</summary>
    public required AddressExtension Source { get; init; }

    /// <summary>The destinations.</summary>
    public required AddressExtension Destination { get; init; }

    /// <summary>What becomes of them; has its number.</summary>
    public required PolicyExtension Said { get; set; }

    /// <summary>What else was said: lifetimes, labels.</summary>
    public required IReadOnlyList<PfKeyExtension> Told { get; init; }

    /// <summary>When it was made, in seconds since 1970.</summary>
    public required long Added { get; init; }

    /// <summary>Its name among the policies in force.</summary>
    public string Name => string.Create(CultureInfo.InvariantCulture, $"pfkey-{Id}");

    /// <summary>What protects; null where nothing does.</summary>
    public PfKeyRequest? Request => Said is { Kind: PfKeyPolicyType.Ipsec, Requests: [var request, ..] } ? request : null;

    /// <summary>When it ends, in seconds since 1970; the largest number where it does not.</summary>
    public ulong Ends => Told.OfType<LifetimeExtension>().FirstOrDefault(static life => life.Type == PfKeyExtensionType.LifetimeHard) is { Added: > 0 } hard
        ? (ulong)Added + Math.Min(hard.Added, long.MaxValue)
        : ulong.MaxValue;

    /// <summary>Whether it selects just these, this way.</summary>
    public bool Selects(PfKeyDirection direction, AddressExtension source, AddressExtension destination) =>
        Said.Direction == direction && Alike(Source, source) && Alike(Destination, destination);

    /// <summary>As the SPD has it: selectors from the protected side, so what comes in is turned round.</summary>
    /// <param name="place">Where it stands among those that were brought.</param>
    public IpsecPolicy ToPolicy(int place)
    {
        bool goesOut = Said.Direction == PfKeyDirection.Out;
        (AddressExtension local, AddressExtension remote) = goesOut ? (Source, Destination) : (Destination, Source);
        byte protocol = Source.Protocol is 0 or AnyProtocol ? Destination.Protocol : Source.Protocol;
        bool any = protocol is 0 or AnyProtocol;
        return new IpsecPolicy
        {
            Name = Name,
            At = Place,
            Number = (ushort)(IpsecPolicy.FirstBrought + place),
            Action = Said.Kind switch { PfKeyPolicyType.Ipsec => IpsecAction.Protect, PfKeyPolicyType.None => IpsecAction.Bypass, _ => IpsecAction.Drop },
            Local = AddressSet.Of(AddressSet.RangesOf(local.Prefix)),
            Remote = AddressSet.Of(AddressSet.RangesOf(remote.Prefix)),
            Service = any ? null : ServiceSet.Of([ServiceOf(protocol, remote)]),
            LocalPorts = any || local.Port == 0 || IsIcmp(protocol) ? [] : [new PortRange(local.Port, local.Port)],
            Outbound = goesOut,
            Inbound = !goesOut,
        };
    }

    /// <summary>Of ICMP the source's port is the type and the destination's the code, whichever way it goes.</summary>
    private Service ServiceOf(byte protocol, AddressExtension remote)
    {
        if (!IsIcmp(protocol))
        {
            return new Service(protocol, remote.Port == 0 ? PortRange.All : new PortRange(remote.Port, remote.Port));
        }

        PortRange types = Source.Port == 0 ? PortRange.All : new PortRange(Source.Port, Source.Port);
        return Destination.Port == 0 ? new Service(protocol, types) : new Service(protocol, types, (byte)Destination.Port, (byte)Destination.Port);
    }

    private static bool IsIcmp(byte protocol) => protocol is 1 or 58;

    private static bool Alike(AddressExtension one, AddressExtension other) =>
        one.Prefix == other.Prefix && one.Port == other.Port && (one.Protocol % AnyProtocol) == (other.Protocol % AnyProtocol);
}
