using System.Text;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;
using Filter.Rules;
using Filter.Rules.Compile;
using Filter.Rules.Policy;

namespace Filter.Bench.Engine;

/// <summary>A walk between two ports in memory under a policy of many rules, and flows that are established in it.</summary>
internal sealed class EnginePath
{
    /// <summary>How many rules unless said.</summary>
    internal const int Usual = 1_000;

    private const long Seconds = 3_000_000_000;

    private readonly Homes? _homes;
    private readonly int _worker;

    /// <summary>The only worker.</summary>
    internal EnginePath(int capacity, int rules = Usual)
        : this(capacity, Compile(rules, out MemoryPort[] ports), ports, null)
    {
    }

    private EnginePath(int capacity, IRuleset compiled, MemoryPort[] ports, Seat? seat)
    {
        Compiled = compiled;
        (_homes, _worker) = (seat?.Crew.Homes, seat?.Number ?? 0);
        Path = new PacketPath<NoTrace>(new PathSettings { Ports = ports, Ruleset = compiled, Flows = capacity, Seat = seat });
        Path.Events.Muted = true;
        Burst.Now = 1_000_000_000;
    }

    /// <summary>Several workers of one gateway, each with the flows that are at home with it.</summary>
    internal static EnginePath[] Crew(int workers, int capacity)
    {
        CompiledRuleset compiled = Compile(Usual, out MemoryPort[] ports);
        var crew = new Crew(workers, ports);
        EnginePath[] all = [.. crew.Seats.Select(seat => new EnginePath(capacity, compiled, ports, seat))];
        crew.Begin(all[0].Burst.Now);
        return all;
    }

    internal IRuleset Compiled { get; }

    internal PacketPath Path { get; }

    internal Burst Burst { get; } = new();

    /// <summary>Opens flows and has them answered, and again after some seconds: both ends have shown that they are there, and that it lasts.</summary>
    internal void Establish(int from, int count)
    {
        for (int first = from; first < from + count; first += Burst.Intake)
        {
            Open(first, Math.Min(Burst.Intake, from + count - first), 1);
        }

        Burst.Now += Seconds;
        for (int first = from; first < from + count; first += Burst.Intake)
        {
            GoOn(first, Math.Min(Burst.Intake, from + count - first), 1);
        }
    }

    /// <summary>The same of IPv6 flows of which each host has many.</summary>
    internal void EstablishIPv6(int from, int count, int hosts)
    {
        Open(from, count, hosts);
        GoOn(from, count, hosts);
    }

    private void Open(int first, int count, int hosts)
    {
        Send(first, count, reply: false, TcpFlags.Syn, hosts);
        Send(first, count, reply: true, TcpFlags.Syn | TcpFlags.Ack, hosts);
        Send(first, count, reply: false, TcpFlags.Ack, hosts);
        Send(first, count, reply: true, TcpFlags.Ack, hosts);
    }

    private void GoOn(int first, int count, int hosts)
    {
        Send(first, count, reply: false, TcpFlags.Ack, hosts);
        Send(first, count, reply: true, TcpFlags.Ack, hosts);
    }

    private void Send(int first, int count, bool reply, TcpFlags flags, int hosts)
    {
        Burst.Reset();
        for (int flow = first; flow < first + count; flow++)
        {
            Traffic.Append(Burst, flow, reply, flags, hosts: hosts);
            if (_homes is { } homes && homes.Of(Burst.Packets[Burst.Count - 1]) != _worker)
            {
                Burst.Trim(Burst.Count - 1);
            }
        }

        Path.Walk(Burst);
        for (int i = 0; i < Burst.Count; i++)
        {
            if (Burst.Packets[i].Verdict != Verdict.Pass)
            {
                throw new InvalidOperationException($"{Burst.Packets[i].Key} {flags}: {Burst.Packets[i].Reason}");
            }
        }
    }

    /// <summary>The flows of so many that are this worker's, by their numbers.</summary>
    internal int[] Own(int flows)
    {
        return [.. Enumerable.Range(0, flows).Where(IsOwn)];
        bool IsOwn(int flow)
        {
            Burst.Reset();
            Traffic.Append(Burst, flow, reply: false);
            return _homes is not { } homes || homes.Of(Burst.Packets[0]) == _worker;
        }
    }

    private static CompiledRuleset Compile(int rules, out MemoryPort[] ports)
    {
        RulesetReading reading = RulesetFile.Parse("bench.yaml", Text(rules));
        Ruleset ruleset = reading.Ruleset ?? throw new InvalidOperationException(string.Join('\n', reading.Diagnostics));
        ports = [.. ruleset.Ports.Select(static p => new MemoryPort(1500) { Name = p.Name, Number = p.Number, Side = p.Side, KeepsSent = false })];
        return RulesetCompiler.Compile(ruleset);
    }

    private static string Text(int rules)
    {
        var text = new StringBuilder("""
            filter: 1
            ports:
              outside: { nic: eth0, side: unprotected }
              inside: { nic: eth1, side: protected }
            rules:

            """);
        for (int i = 0; i < rules - 1; i++)
        {
            string network = i % 2 == 0 ? $"203.{i % 200}.{i / 200}.0/24" : $"2001:dba:{i:x}:f::/64";
            text.Append(i % 3 == 0
                ? $"  - {{ drop: rule-{i}, source: {network}, service: tcp/{1000 + i} }}\n"
                : $"  - {{ allow: rule-{i}, destination: {network}, service: {(i % 3 == 1 ? "tcp" : "udp")}/{2000 + i} }}\n");
        }

        return text.Append("  - { allow: outbound, from: inside, service: [tcp/443, udp/443] }\n").ToString();
    }
}
