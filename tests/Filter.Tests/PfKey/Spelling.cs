using System.Globalization;
using System.Text;
using Filter.Engine.Packets;
using Filter.Ipsec.PfKey.Messages;
using Filter.Rules.Policy;

namespace Filter.Tests.PfKey;

/// <summary>Short ways to say what messages say.</summary>
internal static class Spelling
{
    internal const string Left = "192.0.2.1", Right = "198.51.100.1", LeftHost = "10.1.0.5", RightHost = "10.2.0.9";

    internal static AddressExtension From(string text, byte protocol = 0, ushort port = 0) => At(PfKeyExtensionType.AddressSource, text, protocol, port);

    internal static AddressExtension To(string text, byte protocol = 0, ushort port = 0) => At(PfKeyExtensionType.AddressDestination, text, protocol, port);

    internal static AddressExtension At(PfKeyExtensionType type, string text, byte protocol = 0, ushort port = 0)
    {
        string[] parts = text.Split('/');
        Address address = Address.Parse(parts[0]);
        byte length = parts.Length == 2 ? byte.Parse(parts[1], CultureInfo.InvariantCulture) : (byte)(address.IsIPv4 ? 32 : 128);
        return new AddressExtension(type, protocol, length, address, port);
    }

    /// <summary>AES-CBC with HMAC-SHA1, as RFC 2367 and Linux number them.</summary>
    internal static SaExtension Sa(uint spi, byte encryption = 12, byte authentication = 3, byte replay = 32, PfKeySaState state = PfKeySaState.Mature) =>
        new(spi, replay, state, authentication, encryption, PfKeySaFlags.None);

    internal static KeyExtension Encrypts(int bytes = 16, byte seed = 1) => Key(PfKeyExtensionType.KeyEncryption, bytes, seed);

    internal static KeyExtension Authenticates(int bytes = 20, byte seed = 2) => Key(PfKeyExtensionType.KeyAuthentication, bytes, seed);

    internal static Sa2Extension Tunnel(uint request = 0) => new(PfKeyMode.Tunnel, 0, request);

    internal static LifetimeExtension Hard(uint packets = 0, ulong bytes = 0, ulong seconds = 0) => new(PfKeyExtensionType.LifetimeHard, packets, bytes, seconds, 0);

    internal static LifetimeExtension Soft(uint packets = 0, ulong bytes = 0, ulong seconds = 0) => new(PfKeyExtensionType.LifetimeSoft, packets, bytes, seconds, 0);

    internal static PolicyExtension Policy(PfKeyDirection direction, PfKeyPolicyType kind, uint priority = 0, params PfKeyRequest[] requests) => new(kind, direction, 0, priority, [.. requests]);

    /// <summary>A policy that a tunnel protects.</summary>
    internal static PolicyExtension Through(PfKeyDirection direction, string source, string destination, uint request = 0) =>
        Policy(direction, PfKeyPolicyType.Ipsec, 0, TunnelBetween(source, destination, request));

    internal static PfKeyRequest TunnelBetween(string source, string destination, uint request = 0) =>
        new(50, PfKeyMode.Tunnel, PfKeyLevel.Unique, request, (Address.Parse(source), Address.Parse(destination)));

    internal static IdentityExtension Identity(PfKeyExtensionType type, string name) => new(type, 2, 0, [.. Encoding.ASCII.GetBytes(name.PadRight((name.Length + 8) / 8 * 8, '\0'))]);

    private static KeyExtension Key(PfKeyExtensionType type, int bytes, byte seed) =>
        new(type, (ushort)(bytes * 8), new SecretKey([.. Enumerable.Range(0, bytes).Select(i => (byte)(seed + (i * 3)))]));
}
