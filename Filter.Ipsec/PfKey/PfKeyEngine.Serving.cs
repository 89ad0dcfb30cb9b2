using Filter.Engine.Packets;
using Filter.Ipsec.Databases;
using Filter.Ipsec.PfKey.Messages;
using Filter.Rules.Policy;

namespace Filter.Ipsec.PfKey;

/// <content>
/// Which policies an SA serves. PF_KEY does not say: it is found as kernels find it, by protocol, mode, ends and request; for a
/// policy of the ruleset, which names none of these, by its selectors, or because the SA answers the wish of that policy.
/// </content>
public sealed partial class PfKeyEngine
{
    /// <summary>The names of the policies that an SA serves, in order.</summary>
    private string[] PoliciesOf(PfKeySa sa, IpsecStage stage) =>
        [.. (stage.Databases.Spd?.Entries ?? []).Where(entry => Serves(sa, entry)).Select(static entry => entry.Name)];

    private bool Serves(PfKeySa sa, SpdEntry entry)
    {
        if (entry.Action != IpsecAction.Protect)
        {
            return false;
        }

        if (entry.Number >= IpsecPolicy.FirstBrought)
        {
            return _policies.FirstOrDefault(policy => policy.Name == entry.Name) is { } brought
                && sa.Sa is OutboundSa == (brought.Said.Direction == PfKeyDirection.Out) && Serves(sa, brought);
        }

        return IsOpen(entry) && (sa.Sa is OutboundSa ? entry.Policy.Outbound : entry.Policy.Inbound) && FitsSelectors(sa, entry);
    }

    /// <summary>Whether an outside key manager is to bring a policy's SAs.</summary>
    private static bool IsOpen(SpdEntry entry) =>
        entry.Policy is { Sas.IsEmpty: true, Peer: null, Populate: PopulatedSelectors.None };

    /// <summary>Whether an SA is what a policy's request asks for.</summary>
    private static bool Serves(PfKeySa sa, PfKeyPolicy policy)
    {
        if (policy.Request is not { } request || request.Protocol != ProtocolOf(sa.Type) || (request.RequestId != 0 && request.RequestId != sa.RequestId))
        {
            return false;
        }

        bool tunnel = sa.Mode == IpsecMode.Tunnel;
        if (request.Mode != PfKeyMode.Any && tunnel != (request.Mode == PfKeyMode.Tunnel))
        {
            return false;
        }

        return request.Ends is { } ends
            ? ends == (sa.Source.Address, sa.Destination.Address)
            : !tunnel && policy.Source.Prefix.Contains(sa.Source.Address) && policy.Destination.Prefix.Contains(sa.Destination.Address);
    }

    private bool FitsSelectors(PfKeySa sa, SpdEntry entry)
    {
        if (sa.Sequence != 0 && _wishes.Any(wish => wish.Value.Sequence == sa.Sequence && wish.Key.Policy == entry.Name))
        {
            return true;
        }

        (Address local, Address remote) = (sa.Sa!.Local, sa.Sa.Remote);
        if (sa.Mode == IpsecMode.Tunnel)
        {
            // The proxy is whom the source stands for (RFC 2367 §2.3.3).
            return sa.Find<AddressExtension>(PfKeyExtensionType.AddressProxy) is { } proxy
                && (sa.Sa is OutboundSa ? entry.Policy.Local : entry.Policy.Remote) is { } ours && ours.Contains(proxy.Address);
        }

        return entry.IsBetween(local, remote);
    }
}
