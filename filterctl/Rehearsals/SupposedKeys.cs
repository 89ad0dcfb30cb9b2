using System.Security.Cryptography;
using Filter.Engine.Packets;
using Filter.Ipsec;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Ctl.Rehearsals;

/// <summary>
/// A rehearsal supposes that each peer has been agreed with: a policy with automatic keys has an SA to seal with, whose keys are drawn at
/// random and go with it. What such a policy protects is then sealed, as it will be, and not dropped for want of keys.
/// </summary>
internal static class SupposedKeys
{
    /// <summary>Gives each policy with automatic keys an SA, where each packet does not have one of its own.</summary>
    public static void Give(IpsecStage stage, Ruleset ruleset)
    {
        uint spi = 0x1000;
        foreach (IpsecPolicy policy in ruleset.Ipsec?.Policies ?? [])
        {
            if (policy is { Action: IpsecAction.Protect, Peer: { } peer, Populate: PopulatedSelectors.None })
            {
                ChildTemplate child = policy.Child ?? peer.Child;
                var sa = new OutboundSa(policy.Name, SettingsOf(child, peer, ruleset), ++spi, KeyFor(child.Suites[0]));
                if (stage.Add(sa, policy.Name) is not null)
                {
                    sa.Dispose();
                }
            }
        }
    }

    private static SaSettings SettingsOf(ChildTemplate child, IkePeer peer, Ruleset ruleset)
    {
        SaSettings settings = child.Settings with { Suite = child.Suites[0], ExtendedSequence = child.ExtendedSequence ?? true, Soft = default, Hard = default };
        if (settings.Mode == IpsecMode.Transport)
        {
            return settings;
        }

        // Who only comes to us comes from somewhere: of the family that our own end has.
        Address[] own = [.. ruleset.Ports.SelectMany(static port => port.Addresses).Select(static each => each.Address)];
        Address local = peer.Local ?? own.FirstOrDefault(address => peer.Remote is not { } remote || remote.IsIPv4 == address.IsIPv4, Address.FromIPv4(0x0a00_0001));
        return settings with { Local = local, Remote = peer.Remote ?? (local.IsIPv4 ? Address.Parse("198.51.100.1") : Address.Parse("2001:db8::1")) };
    }

    private static SaKey KeyFor(IpsecSuite suite)
    {
        byte[] material = RandomNumberGenerator.GetBytes(suite.KeyMaterialLength), integrity = RandomNumberGenerator.GetBytes(suite.IntegrityKeyLength);
        try
        {
            return new SaKey(suite, material, integrity);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(material);
            CryptographicOperations.ZeroMemory(integrity);
        }
    }
}
