using System.Globalization;
using System.Security.Cryptography;
using Filter.Engine.Packets;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Ipsec.PfKey.Messages;
using Filter.Rules.Policy;

namespace Filter.Ipsec.PfKey;

/// <content>What makes an SA of a message, and which way it carries.</content>
public sealed partial class PfKeyEngine
{
    /// <summary>
    /// An SA as a message describes it; not in force yet. PF_KEY does not say whether it seals or opens: one whose SPI we gave opens, and
    /// so does one that leads to us.
    /// </summary>
    private PfKeyFault TryMake(PfKeyMessage message, PfKeySa? larval, in PfKeyTime now, out PfKeySa? made)
    {
        made = null;
        PfKeySaType type = message.Header.SaType;
        if (!TryGetEnds(message, out AddressExtension source, out AddressExtension destination))
        {
            return NoEnds();
        }

        if (TypeFault(type) is { IsFault: true } wrong)
        {
            return wrong;
        }

        if (_host.Stage is null)
        {
            return NoIpsec();
        }

        if (message.Find<SaExtension>(PfKeyExtensionType.Sa) is not { State: PfKeySaState.Mature } said || said.Spi < FirstSpi)
        {
            return new(PfKeyError.Invalid, "it describes no mature SA with an SPI above 255");
        }

        PfKeySa sa = new()
        {
            Type = type, Spi = said.Spi, Source = source, Destination = destination, Told = Beside(message), Said = said,
            Added = larval?.Added ?? now.Wall, Sequence = larval?.Sequence ?? message.Header.Sequence,
        };
        PfKeyMode mode = sa.Find<Sa2Extension>(PfKeyExtensionType.Sa2)?.Mode ?? PfKeyMode.Any;
        if (mode > PfKeyMode.Tunnel)
        {
            return new(PfKeyError.Invalid, "its mode is neither transport nor tunnel");
        }

        if ((larval is not null ? false : GoesOut(sa)) is not { } goesOut)
        {
            return new(PfKeyError.NotOurs, "neither of its ends is ours, and no policy says which of them is the near one");
        }

        PfKeyFault fault = FindSuite(message, said, out IpsecSuite? suite);
        if (!fault.IsFault)
        {
            fault = Encapsulation(message, goesOut, out UdpEncapsulation? udp);
            if (!fault.IsFault)
            {
                fault = Make(message, sa, SettingsOf(sa, said, suite!, udp, goesOut), goesOut);
            }
        }

        made = fault.IsFault ? null : sa;
        return fault;
    }

    private static PfKeyFault Make(PfKeyMessage message, PfKeySa sa, SaSettings settings, bool goesOut)
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"pfkey-{sa.Type.ToString().ToLowerInvariant()}-{sa.Spi:x8}");
        try
        {
            SaKey key = new(settings.Suite, KeyIn(message, PfKeyExtensionType.KeyEncryption), KeyIn(message, PfKeyExtensionType.KeyAuthentication));
            sa.Sa = goesOut
                ? new OutboundSa(name, settings, sa.Spi, key) { Origin = SaOrigin.KeyManager }
                : new InboundSa(name, settings, sa.Spi, key) { Origin = SaOrigin.KeyManager };
            return default;
        }
        catch (Exception unfit) when (unfit is ArgumentException or CryptographicException or NotSupportedException)
        {
            return new(PfKeyError.Invalid, unfit.Message);      // a key that DES must not have
        }
    }

    /// <summary>Which way an SA carries that is brought whole; null where nothing tells.</summary>
    private bool? GoesOut(PfKeySa sa)
    {
        AddressSet own = _host.Own;
        if (own.Contains(sa.Destination.Address))
        {
            return false;
        }

        return own.Contains(sa.Source.Address)
            ? true
            : _policies.FirstOrDefault(policy => Serves(sa, policy))?.Said.Direction is { } direction ? direction == PfKeyDirection.Out : null;
    }

    private PfKeyFault FindSuite(PfKeyMessage message, SaExtension said, out IpsecSuite? suite)
    {
        PfKeySaType type = message.Header.SaType;
        suite = PfKeyAlgorithms.Find(
            type, said.Encryption, KeyIn(message, PfKeyExtensionType.KeyEncryption).Length * 8,
            said.Authentication, KeyIn(message, PfKeyExtensionType.KeyAuthentication).Length * 8);
        if (!PfKeyAlgorithms.Knows(type, said.Encryption, said.Authentication))
        {
            return new(PfKeyError.NoAlgorithm, $"algorithm {said.Encryption} or {said.Authentication} is unknown here");
        }

        if (suite is null)
        {
            return new(PfKeyError.Invalid, "its keys are not what its algorithms need, or one of encryption and integrity is missing (RFC 8221 §4)");
        }

        return suite.IsLegacy && !_legacy
            ? new(PfKeyError.NoAlgorithm, $"{suite.Name} is of the legacy tier: filterctl run --pfkey-legacy allows it")
            : default;
    }

    private static ReadOnlySpan<byte> KeyIn(PfKeyMessage message, PfKeyExtensionType type) =>
        message.Find<KeyExtension>(type) is { } key ? key.Key.Reveal() : [];

    private static PfKeyFault Encapsulation(PfKeyMessage message, bool goesOut, out UdpEncapsulation? udp)
    {
        udp = null;
        if (message.Find<NatTypeExtension>(PfKeyExtensionType.NatType) is not { Kind: not 0 } nat)
        {
            return default;
        }

        ushort from = message.Find<NatPortExtension>(PfKeyExtensionType.NatSourcePort)?.Port ?? 0;
        ushort to = message.Find<NatPortExtension>(PfKeyExtensionType.NatDestinationPort)?.Port ?? 0;
        if (nat.Kind != NatTypeExtension.EspInUdp || from == 0 || to == 0 || message.Header.SaType != PfKeySaType.Esp)
        {
            return new(PfKeyError.Invalid, "ESP in UDP is of type 2, and has two ports");
        }

        // The key manager has the socket, and sends keep-alives by it.
        udp = goesOut ? new UdpEncapsulation(from, to, 0) : new UdpEncapsulation(to, from, 0);
        if (message.Find<AddressExtension>(PfKeyExtensionType.NatOriginalAddress) is { } original)
        {
            udp = goesOut ? udp.Value with { OriginalLocal = original.Address } : udp.Value with { OriginalRemote = original.Address };
        }

        return default;
    }

    private static SaSettings SettingsOf(PfKeySa sa, SaExtension said, IpsecSuite suite, UdpEncapsulation? udp, bool goesOut)
    {
        (Address from, Address to) = (sa.Source.Address, sa.Destination.Address);
        bool extended = (said.Flags & PfKeySaFlags.ExtendedSequence) != 0;
        return new SaSettings
        {
            Protocol = ProtocolOf(sa.Type),
            Mode = sa.Mode,
            Local = goesOut ? from : to,
            Remote = goesOut ? to : from,
            Suite = suite,

            // What seals never counts over, whatever window was said: an IV could come twice.
            ReplayWindow = said.Replay == 0 && !goesOut && !extended ? 0 : Math.Max((int)said.Replay, Protocols.ReplayWindow.Smallest),
            ExtendedSequence = extended,
            Encapsulation = udp,
            Hard = PfKeySa.LifetimeOf(sa.Limit(PfKeyExtensionType.LifetimeHard)),
            Soft = PfKeySa.LifetimeOf(sa.Limit(PfKeyExtensionType.LifetimeSoft)),
            Outer = OuterHeader.Default with
            {
                CopyEcn = (said.Flags & PfKeySaFlags.NoEcn) == 0,
                DontFragment = (said.Flags & PfKeySaFlags.NoPathMtu) == 0 ? DontFragmentBit.Copy : DontFragmentBit.Clear,
            },
        };
    }
}
