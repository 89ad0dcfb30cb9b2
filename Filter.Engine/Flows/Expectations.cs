using System.Numerics;
using Filter.Engine.Packets;

namespace Filter.Engine.Flows;

/// <summary>
/// The expectations of one worker, found by what a packet without a flow shows. Fixed in size, never allocates after
/// construction. A record is free once it is closed and no flow holds it.
/// </summary>
public sealed class Expectations
{
    /// <summary>Most records of a chain that another worker looks at.</summary>
    private const int LongestLook = 64;

    private readonly Expectation[] _records;
    private readonly int[] _chains;
    private readonly FlowHash _hash = FlowHash.Create();
    private int _unused = 1;
    private int _free;
    private int _hand;

    /// <summary>A table for at most <paramref name="capacity"/> expectations.</summary>
    public Expectations(int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        _records = new Expectation[capacity + 1];
        _chains = new int[BitOperations.RoundUpToPowerOf2((uint)capacity)];
    }

    /// <summary>Most expectations.</summary>
    public int Capacity => _records.Length - 1;

    /// <summary>How many are open.</summary>
    public int Count { get; private set; }

    /// <summary>The largest number used so far.</summary>
    public int Last => _unused - 1;

    /// <summary>The expectation of that number.</summary>
    public ref Expectation this[int number] => ref _records[number];

    /// <summary>The open expectation that a packet meets, of its sender's address before that of any; 0 for none.</summary>
    public int Find(in FlowKey packet, byte ingress, long now)
    {
        if (Count == 0)
        {
            return 0;
        }

        FlowKey key = packet with { SourcePort = 0 };
        int found = Search(key, ingress, now);
        return found != 0 ? found : Search(key with { Source = default }, ingress, now);
    }

    /// <summary>The open expectation with exactly this key, of a helper's or of a pinhole's kind; 0 for none.</summary>
    public int Find(in FlowKey key, bool pinhole)
    {
        int number = _chains[Chain(key)];
        while (number != 0 && !(_records[number].Key == key && (_records[number].Pinhole != default) == pinhole))
        {
            number = _records[number].Next;
        }

        return number;
    }

    /// <summary>
    /// Whether a pinhole that is open for everybody leads to where a packet with this key goes. For any worker: what is written
    /// meanwhile may be seen or not.
    /// </summary>
    public bool HoldsFor(in FlowKey packet)
    {
        FlowKey key = packet with { Source = default, SourcePort = 0 };
        int number = Volatile.Read(ref _chains[Chain(key)]);
        for (int looked = 0; number != 0 && looked < LongestLook; looked++)
        {
            ref Expectation record = ref _records[number];
            if (record.Key == key && record.Pinhole != default)
            {
                return true;
            }

            number = Volatile.Read(ref record.Next);
        }

        return false;
    }

    /// <summary>Adds an open expectation.</summary>
    /// <returns>Its number, or 0 where the table is full.</returns>
    public int Add(in Expectation expectation)
    {
        int number = _free;
        if (number != 0)
        {
            _free = _records[number].Next;
        }
        else if (_unused < _records.Length)
        {
            number = _unused++;
        }
        else
        {
            return 0;
        }

        ref Expectation record = ref _records[number];
        record = expectation;
        record.Open = true;
        ref int chain = ref _chains[Chain(record.Key)];
        record.Next = chain;
        chain = number;
        Count++;
        return number;
    }

    /// <summary>No further flow comes by it; nothing where it is closed already.</summary>
    public void Close(int number)
    {
        ref Expectation record = ref _records[number];
        if (!record.Open)
        {
            return;
        }

        ref int at = ref _chains[Chain(record.Key)];
        while (at != number)
        {
            at = ref _records[at].Next;
        }

        at = record.Next;
        record.Open = false;
        Count--;
        FreeUnheld(number);
    }

    /// <summary>A flow that came by it, or keeps it open, has ended. A pinhole that nobody keeps open closes. Nothing for 0.</summary>
    public void Release(int number)
    {
        if (number == 0)
        {
            return;
        }

        ref Expectation record = ref _records[number];
        record.Holders--;
        if (record.Open && record.Holders == 0 && record.Pinhole != default)
        {
            Close(number);
        }
        else if (!record.Open)
        {
            FreeUnheld(number);
        }
    }

    /// <summary>Closes expectations of helpers whose time is over; pinholes end with their flows.</summary>
    /// <param name="now">The path's clock.</param>
    /// <param name="most">Most records to look at; the search goes on where the last one ended.</param>
    /// <returns>How many were closed.</returns>
    public int Expire(long now, int most)
    {
        int closed = 0;
        for (int looked = Math.Min(most, Count == 0 ? 0 : _unused - 1); looked > 0; looked--)
        {
            int number = Turn();
            ref Expectation record = ref _records[number];
            if (record.Open && record.Pinhole == default && record.Deadline <= now)
            {
                Close(number);
                closed++;
            }
        }

        return closed;
    }

    /// <summary>The record whose turn it is to be looked at.</summary>
    internal int Turn()
    {
        _hand = _hand + 1 >= _unused ? 1 : _hand + 1;
        return _hand;
    }

    private int Search(in FlowKey key, byte ingress, long now)
    {
        int number = _chains[Chain(key)];
        while (number != 0)
        {
            ref Expectation record = ref _records[number];
            if (record.Key == key && ((record.From >> ingress) & 1) != 0 && record.Deadline > now)
            {
                return number;
            }

            number = record.Next;
        }

        return 0;
    }

    private void FreeUnheld(int number)
    {
        ref Expectation record = ref _records[number];
        if (record.Holders == 0)
        {
            record.Next = _free;
            _free = number;
        }
    }

    private int Chain(in FlowKey key) => (int)(_hash.Of(key) & (uint)(_chains.Length - 1));
}
