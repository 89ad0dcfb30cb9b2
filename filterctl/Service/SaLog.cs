using System.Globalization;
using Filter.Engine.Packets;
using Filter.Ipsec;
using Filter.Ipsec.Databases;

namespace Filter.Ctl.Service;

/// <summary>
/// Tells of SAs that near or reach the end of their life, and of policies whose packets find none. It stands in for a key manager:
/// with manual keys it is a person who must do something.
/// </summary>
internal sealed class SaLog(ServiceLog log)
{
    /// <summary>Most lines about limits between two looks.</summary>
    private const int MostLines = 50;

    /// <summary>Milliseconds between two lines about packets that found no SA.</summary>
    private const long Pause = 10_000;

    private readonly Dictionary<ushort, (long Count, SelectorValues First)> _wanted = [];
    private readonly List<string> _reached = [];
    private long _unsaid;
    private long _next;

    /// <summary>Hears of one event, on whatever thread.</summary>
    public void Hear(IpsecEvent told)
    {
        lock (_wanted)
        {
            if (told.Kind == IpsecEventKind.Acquire)
            {
                (long count, SelectorValues first) = _wanted.GetValueOrDefault(told.Policy, (0, told.Packet));
                _wanted[told.Policy] = (count + 1, first);
            }
            else if (_reached.Count < MostLines)
            {
                _reached.Add(Describe(told));
            }
            else
            {
                _unsaid++;
            }
        }
    }

    /// <summary>Logs what it has heard since the last look.</summary>
    public void Look(IpsecStage? stage)
    {
        lock (_wanted)
        {
            _reached.ForEach(log.Line);
            _reached.Clear();
            if (_unsaid > 0)
            {
                log.Line(string.Create(CultureInfo.InvariantCulture, $"{_unsaid} more SAs reached a limit: `filterctl sa list` has their state"));
                _unsaid = 0;
            }

            if (_wanted.Count == 0 || Environment.TickCount64 < _next)
            {
                return;
            }

            _next = Environment.TickCount64 + Pause;
            foreach ((ushort policy, (long count, SelectorValues first)) in _wanted)
            {
                string name = stage?.Databases.Spd?.Entry(policy)?.Name ?? "?";
                log.Line(string.Create(CultureInfo.InvariantCulture, $"policy {name}: no SA for {count} packets, the first {Describe(first)}"));
            }

            _wanted.Clear();
        }
    }

    private static string Describe(in IpsecEvent told)
    {
        SecurityAssociation sa = told.Sa!;
        string end = told.Kind == IpsecEventKind.HardExpired
            ? "reached its hard limit, and carries nothing any more"
            : "reached its soft limit, or its sequence numbers run low: replace it";
        return string.Create(CultureInfo.InvariantCulture, $"SA {sa.Name} ({(sa is OutboundSa ? "out" : "in")}, 0x{sa.Spi:x8}) {end}");
    }

    private static string Describe(in SelectorValues wanted) =>
        $"{ProtocolNames.Word(wanted.Protocol) ?? wanted.Protocol.ToString(CultureInfo.InvariantCulture)} {wanted.Local} > {wanted.Remote}";
}
