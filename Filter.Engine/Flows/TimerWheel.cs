using Filter.Engine.Memory;

namespace Filter.Engine.Flows;

/// <summary>
/// When to look at which flow again. A wheel of slots, each a list through the flow records. A flow
/// whose deadline moved away is not moved: it is looked at in its old slot and put where it now
/// belongs, so that a packet costs no list operation. Deadlines are exact where flows are looked up;
/// the wheel only reclaims.
/// </summary>
internal sealed class TimerWheel(Records<Flow> flows)
{
    private const int Slots = 4096;
    private const long Granularity = 250_000_000;

    /// <summary>First flow of each slot, 0 for none.</summary>
    private readonly int[] _first = new int[Slots];

    /// <summary>The tick that is looked at next; negative until the first use.</summary>
    private long _tick = long.MinValue;

    /// <summary>Tells the wheel the time, before the first flow is put in.</summary>
    public void Start(long now)
    {
        if (_tick == long.MinValue)
        {
            _tick = now / Granularity;
        }
    }

    /// <summary>Puts a flow where its deadline belongs, or in the farthest slot, to be put again from there.</summary>
    public void Add(int flow, long deadline)
    {
        long tick = Math.Clamp((deadline / Granularity) + 1, _tick, _tick + Slots - 1);
        int slot = (int)(tick & (Slots - 1));
        ref Flow record = ref flows[flow];
        record.TimerSlot = slot;
        record.TimerPrevious = 0;
        record.TimerNext = _first[slot];
        if (record.TimerNext != 0)
        {
            flows[record.TimerNext].TimerPrevious = flow;
        }

        _first[slot] = flow;
    }

    /// <summary>Takes a flow out of its slot.</summary>
    public void Remove(int flow)
    {
        ref Flow record = ref flows[flow];
        if (record.TimerSlot < 0)
        {
            return;
        }

        if (record.TimerPrevious != 0)
        {
            flows[record.TimerPrevious].TimerNext = record.TimerNext;
        }
        else
        {
            _first[record.TimerSlot] = record.TimerNext;
        }

        if (record.TimerNext != 0)
        {
            flows[record.TimerNext].TimerPrevious = record.TimerPrevious;
        }

        record.TimerSlot = -1;
    }

    /// <summary>Takes the next flow out of the slots that time has passed; false where none is left.</summary>
    public bool TryTake(long now, out int flow)
    {
        Start(now);
        long current = now / Granularity;

        // Where the clock jumped, one turn of the wheel visits all there is.
        _tick = Math.Max(_tick, current - Slots);

        while (_tick <= current)
        {
            flow = _first[_tick & (Slots - 1)];
            if (flow != 0)
            {
                Remove(flow);
                return true;
            }

            _tick++;
        }

        flow = 0;
        return false;
    }
}
