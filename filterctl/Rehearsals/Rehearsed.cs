using Filter.Ctl.Service;
using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Rules.Policy;

namespace Filter.Ctl.Rehearsals;

/// <summary>A gateway whose ports are in memory, walked one packet at a time, with neighbours that answer at once.</summary>
internal sealed class Rehearsed(Gateway gateway, Ruleset ruleset, Burst burst)
{
    private readonly Neighbourhood _neighbours = new(gateway, ruleset);

    /// <summary>
    /// Walks the one packet that the burst holds, sends what comes of it, and gives how it ended. One that only
    /// waited for its next hop's link address has passed.
    /// </summary>
    public Packet Walk(int index)
    {
        gateway.Path.Walk(burst);
        Packet packet = burst.Packets[index];
        Transmit();
        while (_neighbours.TryAnswer(burst))
        {
            gateway.Path.Walk(burst);
            for (int i = 0; i < burst.Count; i++)
            {
                ref Packet went = ref burst.Packets[i];
                if (packet.Verdict == Verdict.Held && went.Number == packet.Number && went is { Own: false, Verdict: Verdict.Pass })
                {
                    packet.Finish(Verdict.Pass);
                    packet.Egress = went.Egress;
                }
            }

            Transmit();
        }

        return packet;
    }

    /// <summary>Lets the path look at the time.</summary>
    public void Tick(long now)
    {
        burst.Now = now;
        gateway.Path.Tick(burst);
        Transmit();
        while (_neighbours.TryAnswer(burst))
        {
            gateway.Path.Walk(burst);
            Transmit();
        }
    }

    private void Transmit()
    {
        foreach (Port port in gateway.Ports)
        {
            port.Transmit(burst);
        }

        _neighbours.Listen(burst);
        burst.Reset();
    }
}
