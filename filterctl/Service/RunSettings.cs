using Filter.Rules.Policy;

namespace Filter.Ctl.Service;

/// <summary>What `filterctl run` was told.</summary>
/// <param name="File">The ruleset.</param>
/// <param name="Devices">Port names and the devices that stand for the ruleset's.</param>
/// <param name="Socket">The control socket.</param>
/// <param name="State">Where things that outlive the process are kept; null for the usual places.</param>
/// <param name="Confirm">Seconds after which it goes back by itself; null for never.</param>
/// <param name="RestoreOnExit">A signal ends it as `stop --restore` does.</param>
/// <param name="Json">The log is one JSON object a line.</param>
/// <param name="Workers">How many workers, whatever the ruleset says; null for what it says.</param>
/// <param name="PfKey">The socket of PF_KEY; null for none.</param>
/// <param name="PfKeyLegacy">Key managers may have algorithms of the legacy tier.</param>
/// <param name="Driver">How every NIC's frames are taken, whatever the ruleset says; null for what it says.</param>
internal sealed record RunSettings(
    string File, IReadOnlyList<KeyValuePair<string, string>> Devices, string Socket, string? State, int? Confirm, bool RestoreOnExit, bool Json, int? Workers = null,
    PortDriver? Driver = null, string? PfKey = null, bool PfKeyLegacy = false)
{
    /// <summary>Where sequence numbers of SAs are kept unless told otherwise.</summary>
    public const string DefaultState = "/var/lib/filter";
}
