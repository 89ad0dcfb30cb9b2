using System.Globalization;
using Filter.Ctl.Service;

namespace Filter.Ctl.Control;

/// <summary>Who may speak to the daemon: root, its own user, and the members of one group.</summary>
/// <param name="Group">The group's number; null where there is none.</param>
/// <param name="Owner">The user that runs the daemon.</param>
internal sealed record ControlAccess(uint? Group, uint Owner = 0)
{
    /// <summary>The group whose members may control Filter, where the machine has it.</summary>
    public const string GroupName = "filter";

    /// <summary>Root, who runs the daemon, and the members of group `filter` if /etc/group has one.</summary>
    public static ControlAccess OfMachine()
    {
        try
        {
            return new ControlAccess(FindGroup(File.ReadLines("/etc/group"), GroupName), ProcessRights.User);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return new ControlAccess(Group: null, ProcessRights.User);
        }
    }

    /// <summary>Whether the peer may speak.</summary>
    public bool Allows(PeerCredentials? peer) =>
        peer is not null
        && (peer.Uid == 0 || peer.Uid == Owner
            || (Group is { } group && (peer.Gid == group || peer.Groups.Contains(group))));

    /// <summary>The number of a group in the lines of group(5).</summary>
    internal static uint? FindGroup(IEnumerable<string> lines, string name)
    {
        foreach (string line in lines)
        {
            string[] fields = line.Split(':');
            if (fields.Length >= 3 && fields[0] == name
                && uint.TryParse(fields[2], NumberStyles.None, CultureInfo.InvariantCulture, out uint gid))
            {
                return gid;
            }
        }

        return null;
    }
}
