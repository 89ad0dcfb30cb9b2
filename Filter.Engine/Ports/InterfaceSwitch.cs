using System.Net.Sockets;

namespace Filter.Engine.Ports;

/// <summary>An interface's switches in /proc/sys/net, in the namespace of the calling thread.</summary>
internal static class InterfaceSwitch
{
    /// <summary>IPv6 off for this interface.</summary>
    public const string DisableIPv6 = "disable_ipv6";

    /// <summary>The switch's value; null where the kernel has no such switch.</summary>
    public static string? TryRead(string device, AddressFamily family, string name)
    {
        try
        {
            return File.ReadAllText(PathOf(device, family, name)).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Sets the switch; false where the kernel has none or refuses.</summary>
    public static bool TryWrite(string device, AddressFamily family, string name, string value)
    {
        try
        {
            File.WriteAllText(PathOf(device, family, name), value);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static string PathOf(string device, AddressFamily family, string name)
        => $"/proc/sys/net/{(family == AddressFamily.InterNetworkV6 ? "ipv6" : "ipv4")}/conf/{device}/{name}";
}
