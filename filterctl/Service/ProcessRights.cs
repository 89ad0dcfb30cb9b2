using System.Globalization;

namespace Filter.Ctl.Service;

/// <summary>Who this process is to the kernel, from /proc/self/status (proc(5)).</summary>
internal static class ProcessRights
{
    private const int NetAdmin = 12;
    private const int NetRaw = 13;

    /// <summary>The effective user.</summary>
    public static uint User =>
        Field("Uid:")?.Split('\t', StringSplitOptions.RemoveEmptyEntries) is [_, { } effective, ..]
        && uint.TryParse(effective, NumberStyles.None, CultureInfo.InvariantCulture, out uint user)
            ? user
            : 0;

    /// <summary>Whether it may open NICs and shut them to the kernel.</summary>
    public static bool MayOpenPorts =>
        !ulong.TryParse(Field("CapEff:"), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong held)
        || (held >> NetAdmin & held >> NetRaw & 1) == 1;

    private static string? Field(string name)
    {
        try
        {
            return File.ReadLines("/proc/self/status")
                .FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal))?[name.Length..].Trim();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
