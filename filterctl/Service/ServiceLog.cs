using System.Globalization;
using Filter.Ctl.Control;

namespace Filter.Ctl.Service;

/// <summary>The daemon's log: plain lines on stderr, each with its time.</summary>
internal sealed class ServiceLog(TextWriter to)
{
    private const string TimeFormat = "yyyy-MM-ddTHH:mm:ss.ffffffZ";
    private readonly Lock _guard = new();

    /// <summary>One line.</summary>
    public void Line(string text) => Write(DateTime.UtcNow, text);

    /// <summary>A packet of a rule that logs.</summary>
    public void Packet(PacketEvent e) => Write(
        DateTime.UnixEpoch.AddTicks((long)(e.Time * TimeSpan.TicksPerSecond)),
        $"{e.Verdict} '{e.Line}' {e.Reason ?? "-"}{(e.Rule is null ? "" : $" by {e.Rule}")}{(e.Place is null ? "" : $" ({e.Place})")}");

    private void Write(DateTime time, string text)
    {
        try
        {
            lock (_guard)
            {
                to.WriteLine($"{time.ToString(TimeFormat, CultureInfo.InvariantCulture)} {text}");
                to.Flush();
            }
        }
        catch (IOException)
        {
            // Nobody reads the log any more; the packets do not care.
        }
    }
}
