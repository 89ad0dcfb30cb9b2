using System.Globalization;
using System.Text.Json;
using Filter.Ctl.Control;

namespace Filter.Ctl.Service;

/// <summary>The daemon's log on stderr: plain lines, each with its time, or one JSON object a line.</summary>
internal sealed class ServiceLog(TextWriter to, bool json)
{
    private const string TimeFormat = "yyyy-MM-ddTHH:mm:ss.ffffffZ";
    private readonly Lock _guard = new();

    /// <summary>One line.</summary>
    public void Line(string text)
    {
        string time = Time(DateTime.UtcNow);
        Write(json ? JsonSerializer.Serialize(new LogLine(time, text), ControlJson.Plain.LogLine) : $"{time} {text}");
    }

    /// <summary>A packet of a rule that logs, or a flow that a new policy ended.</summary>
    public void Packet(PacketEvent e) => Write(json
        ? JsonSerializer.Serialize(e, ControlJson.Plain.PacketEvent)
        : $"{Time(DateTime.UnixEpoch.AddTicks((long)(e.Time * TimeSpan.TicksPerSecond)))} {e.Verdict} '{e.Line}' {e.Reason ?? "-"}{e.Deciders()}");

    private static string Time(DateTime time) => time.ToString(TimeFormat, CultureInfo.InvariantCulture);

    private void Write(string line)
    {
        try
        {
            lock (_guard)
            {
                to.WriteLine(line);
                to.Flush();
            }
        }
        catch (IOException)
        {
            // Nobody reads the log any more; the packets do not care.
        }
    }
}
