using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Filter.Ctl.Service;

/// <summary>
/// Tells systemd how the service is (sd_notify(3)): one datagram a message to $NOTIFY_SOCKET. Without
/// that variable nothing is told, and nothing fails.
/// </summary>
internal sealed class Systemd : IDisposable
{
    private readonly Socket? _socket;

    private Systemd(Socket? socket, TimeSpan? watchdog)
    {
        _socket = socket;
        WatchdogInterval = watchdog;
    }

    /// <summary>How often <see cref="Watchdog"/> must be called: half of what systemd waits. Null where it does not watch.</summary>
    public TimeSpan? WatchdogInterval { get; }

    /// <summary>From the process's environment.</summary>
    public static Systemd FromEnvironment() => From(
        Environment.GetEnvironmentVariable("NOTIFY_SOCKET"),
        Environment.GetEnvironmentVariable("WATCHDOG_USEC"),
        Environment.GetEnvironmentVariable("WATCHDOG_PID"));

    /// <summary>From the three variables that systemd sets.</summary>
    internal static Systemd From(string? path, string? watchdogMicroseconds, string? watchdogPid)
    {
        if (string.IsNullOrEmpty(path) || path[0] is not ('/' or '@'))
        {
            return new Systemd(null, null);
        }

        Socket socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { Blocking = false };
        try
        {
            // '@' stands for the NUL of an abstract address.
            socket.Connect(new UnixDomainSocketEndPoint(path[0] == '@' ? '\0' + path[1..] : path));
        }
        catch (Exception failure) when (failure is SocketException or ArgumentException)
        {
            socket.Dispose();
            return new Systemd(null, null);
        }

        bool ours = string.IsNullOrEmpty(watchdogPid) || watchdogPid == Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        bool watched = long.TryParse(watchdogMicroseconds, NumberStyles.None, CultureInfo.InvariantCulture, out long microseconds);
        return new Systemd(socket, ours && watched && microseconds > 0 ? TimeSpan.FromMicroseconds(microseconds / 2) : null);
    }

    /// <summary>The service does its work.</summary>
    public void Ready(string status) => Tell($"READY=1\nSTATUS={status}");

    /// <summary>It reads its configuration again; <see cref="Ready"/> ends that.</summary>
    public void Reloading() => Tell(string.Create(
        CultureInfo.InvariantCulture, $"RELOADING=1\nMONOTONIC_USEC={(long)Environment.TickCount64 * 1000}"));

    /// <summary>It ends.</summary>
    public void Stopping() => Tell("STOPPING=1");

    /// <summary>It lives.</summary>
    public void Watchdog() => Tell("WATCHDOG=1");

    /// <inheritdoc/>
    public void Dispose() => _socket?.Dispose();

    private void Tell(string message)
    {
        try
        {
            _socket?.Send(Encoding.UTF8.GetBytes(message));
        }
        catch (SocketException)
        {
            // systemd is not there; the packets do not care.
        }
    }
}
