using Filter.Engine.Packets;
using Filter.Ipsec.Databases;
using Filter.Ipsec.PfKey.Messages;
using Filter.Rules.Policy;

namespace Filter.Ipsec.PfKey;

/// <content>SADB_X_MIGRATE: a tunnel leads elsewhere from now on, its SAs with it. Keys, numbers and what was received stay.</content>
public sealed partial class PfKeyEngine
{
    private PfKeyFault Migrate(PfKeyMessage message)
    {
        PfKeyFault fault = TryRead(message, out AddressExtension source, out AddressExtension destination, out PolicyExtension said);
        if (fault.IsFault)
        {
            return fault;
        }

        if (said.Requests.Length == 0 || said.Requests.Length % 2 != 0
            || said.Requests.Any(static request => request.Ends is null || request.Mode != PfKeyMode.Tunnel))
        {
            return new(PfKeyError.Invalid, "a migration is pairs of tunnels, the old one and the new one");
        }

        if (_policies.FirstOrDefault(policy => policy.Selects(said.Direction, source, destination)) is not { } there)
        {
            return new(PfKeyError.NoEntry, "there is no such policy");
        }

        (PfKeyRequest Old, PfKeyRequest New)[] pairs = [.. said.Requests.Chunk(2).Select(static pair => (pair[0], pair[1]))];
        if (there.Request is not { } request || pairs.FirstOrDefault(pair => IsSame(pair.Old, request)) is not { New.Ends: { } ends })
        {
            return new(PfKeyError.NoEntry, "that policy has no such tunnel");
        }

        MoveSas(request, ends, there);
        PolicyExtension before = there.Said;
        there.Said = before with { Requests = [request with { Ends = ends }] };
        fault = Change(_policies.ToArray());
        if (fault.IsFault)
        {
            there.Said = before;
            return fault;
        }

        Tell(message.Header, message.Extensions.Where(static extension => extension is not KeyExtension));
        return default;
    }

    private void MoveSas(PfKeyRequest request, (Address Source, Address Destination) to, PfKeyPolicy policy)
    {
        foreach (PfKeySa sa in _sas.Values.Where(sa => sa.Sa is not null && request.Ends is not null && Serves(sa, policy)).ToArray())
        {
            SecurityAssociation carried = sa.Sa!;
            (Address local, Address remote) = carried is OutboundSa ? to : (to.Destination, to.Source);
            SaSettings settings = carried.Settings with { Local = local, Remote = remote };
            (PfKeySaType, uint, Address) place = (sa.Type, sa.Spi, to.Destination);
            if ((place != KeyOf(sa) && _sas.ContainsKey(place)) || _host.Hold(stage => stage.Move(carried, settings)) is not { } moved)
            {
                continue;
            }

            _sas.Remove(KeyOf(sa));
            _known.Remove(carried);
            sa.Sa = moved;
            sa.Source = sa.Source with { Address = to.Source };
            sa.Destination = sa.Destination with { Address = to.Destination };
            _sas[KeyOf(sa)] = sa;
            _known[moved] = sa;
        }
    }

    private static bool IsSame(PfKeyRequest one, PfKeyRequest other) =>
        one.Protocol == other.Protocol && one.Mode == other.Mode && one.Ends == other.Ends && (one.RequestId == other.RequestId || one.RequestId == 0);
}
