using System.Net.NetworkInformation;
using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Ctl.Service;

/// <summary>
/// Keeps sets of a port's prefixes at what the port is: the networks that the ruleset writes of it, and those of the addresses that its device has, as
/// the kernel tells them.
/// </summary>
internal sealed class PortNetworks
{
    /// <summary>Milliseconds between two looks.</summary>
    private const long Interval = 2000;

    private long _due;
    private Ruleset? _seen;

    /// <summary>Looks, where it is time.</summary>
    public void Look(Ruleset ruleset)
    {
        LiveSet[] sets = [.. ruleset.LiveSets.Where(static set => set.Source == LiveSource.PrefixOf)];
        if (sets.Length == 0 || (Environment.TickCount64 < _due && ReferenceEquals(_seen, ruleset)))
        {
            return;
        }

        _due = Environment.TickCount64 + Interval;
        _seen = ruleset;
        foreach (LiveSet set in sets)
        {
            IEnumerable<AddressRange> known = ruleset.FindPort(set.Port!) is { } port ? Of(port.Device) : [];
            set.Contents.Replace(set.First.Select(static one => one.Range).Concat(known));
        }
    }

    private static List<AddressRange> Of(string device)
    {
        List<AddressRange> networks = [];
        try
        {
            foreach (UnicastIPAddressInformation one in NetworkInterface.GetAllNetworkInterfaces().Where(nic => nic.Name == device).SelectMany(static nic => nic.GetIPProperties().UnicastAddresses))
            {
                string text = one.Address.ToString();
                int zone = text.IndexOf('%', StringComparison.Ordinal);
                if (Address.TryParse(zone < 0 ? text : text[..zone], out Address address) && !address.IsLinkLocal && one.PrefixLength > 0)
                {
                    networks.AddRange(AddressSet.RangesOf(Prefix.Around(address, one.PrefixLength)));
                }
            }
        }
        catch (NetworkInformationException)
        {
            // The device went while it was looked at: next time.
        }

        return networks;
    }
}
