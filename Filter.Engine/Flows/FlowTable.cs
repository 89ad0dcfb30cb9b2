using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Filter.Engine.Algs;
using Filter.Engine.Packets;

namespace Filter.Engine.Flows;

/// <summary>
/// The flows of one worker, found by the key that a packet shows, in either direction. Fixed in
/// size, never allocates after construction. One writer, who is also the only reader.
/// </summary>
/// <remarks>
/// The index has two entries a flow, one for each direction's key, in buckets of eight: a 16-bit tag
/// of the hash and the flow's number, lowest bit set for the reply direction. A bucket that overflowed
/// counts how many entries went on to the next one, so a search knows where to stop.
/// </remarks>
public sealed class FlowTable
{
    private const int Ways = 8;
    private const int LeastExpectations = 64, LeastHelped = 16;

    /// <summary>Most helped flows looked at for one that finds no side record.</summary>
    private const int HelpBudget = 32;

    private readonly Bucket[] _buckets;
    private readonly ulong _mask;
    private readonly Flow[] _flows;
    private readonly TimerWheel _timers;
    private readonly FlowHash _hash = FlowHash.Create();
    private readonly Standings _standings;
    private readonly EndedFlows _ended = new();
    private int _unused = 1;
    private int _free;
    private uint _serial;

    /// <summary>A table for at most <paramref name="capacity"/> flows (1 to 2^28).</summary>
    public FlowTable(int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(capacity, 1 << 28);
        Capacity = capacity;
        // Two entries a flow, three quarters full at most.
        uint buckets = BitOperations.RoundUpToPowerOf2((uint)(((2L * capacity) + 5) / 6));
        _buckets = new Bucket[buckets];
        _mask = buckets - 1;
        _flows = new Flow[capacity + 1];
        _timers = new TimerWheel(_flows);
        Expectations = new Expectations(Math.Max(LeastExpectations, capacity / 4));
        Helped = new HelpingTable(Math.Max(LeastHelped, capacity / 16));
        _standings = new Standings(_flows);
    }

    /// <summary>Most flows.</summary>
    public int Capacity { get; }

    /// <summary>Flows in the table.</summary>
    public int Count { get; private set; }

    /// <summary>Who has which share of the table, and which flows it may give up.</summary>
    internal Standings Standings => _standings;

    /// <summary>Flows in the table of which both ends have shown that they are there.</summary>
    public int Proven => Count - _standings.Unproven;

    /// <summary>Flows in the table that rules marked `management` let in.</summary>
    public int Management => _standings.Management;

    /// <summary>Openers that have as many flows as one may.</summary>
    public int SourcesAtLimit => _standings.Sources.AtMost;

    /// <summary>The largest flow number used so far, for walking over <see cref="this"/>.</summary>
    public int Last => _unused - 1;

    /// <summary>How many flows were taken out so far: where it has risen, a number may be another flow's.</summary>
    public long Removals { get; private set; }

    /// <summary>The ways that flows of the table hold open for others; room for a quarter as many.</summary>
    public Expectations Expectations { get; }

    /// <summary>The side records of flows in which a helper reads along; room for a sixteenth as many.</summary>
    public HelpingTable Helped { get; }

    /// <summary>The flow of that number, 1 to <see cref="Last"/>; it may not be <see cref="Flow.Live"/>.</summary>
    public ref Flow this[int flow] => ref _flows[flow];

    /// <summary>Finds the flow that a packet with this key belongs to.</summary>
    /// <param name="key">The packet's key.</param>
    /// <param name="reply">It travels against the flow's opening.</param>
    /// <returns>The flow's number, or 0.</returns>
    public int Find(in FlowKey key, out bool reply)
    {
        ulong hash = _hash.Of(key);
        Vector128<ushort> tag = Vector128.Create(Tag(hash));
        for (ulong at = hash & _mask; ; at = (at + 1) & _mask)
        {
            ref Bucket bucket = ref _buckets[at];
            uint hits = Vector128.Equals(Vector128.LoadUnsafe(ref bucket.Tags[0]), tag).ExtractMostSignificantBits();
            for (; hits != 0; hits &= hits - 1)
            {
                uint entry = bucket.Entries[BitOperations.TrailingZeroCount(hits)];
                reply = (entry & 1) != 0;
                int flow = (int)(entry >> 1);
                if (Shows(_flows[flow].Opening.Key, key, reply))
                {
                    return flow;
                }
            }

            if (bucket.Overflow == 0 || ((at + 1) & _mask) == (hash & _mask))
            {
                // Nothing went on from here; or, in a table of few buckets, something did from everywhere, and all are seen.
                reply = false;
                return 0;
            }
        }
    }

    /// <summary>
    /// Adds a flow by its opening's key; all else of the record is zero. The key, or its reverse, must not be
    /// in the table.
    /// </summary>
    /// <param name="opening">Its opening.</param>
    /// <param name="now">The path's clock.</param>
    /// <param name="deadline">When it ends unless a packet comes.</param>
    /// <param name="management">A rule marked so lets it in.</param>
    /// <returns>The flow's number, or 0 where the table is full.</returns>
    public int Add(in OpeningFacts opening, long now, long deadline, bool management = false)
    {
        int flow = _free;
        if (flow != 0)
        {
            _free = _flows[flow].TimerNext;
        }
        else if (_unused <= Capacity)
        {
            flow = _unused++;
        }
        else
        {
            return 0;
        }

        ref Flow record = ref _flows[flow];
        // Not `record = default`: where this is inlined, .NET 10.0.12 takes that store away, because the next one begins at the
        // same place, though it is shorter. What was then left of an earlier flow was seen in the machine code.
        _flows.AsSpan(flow, 1).Clear();
        record.Opening = opening;
        record.Class = FlowClasses.Of(opening.Key);
        record.Live = true;
        record.Serial = ++_serial;
        record.Opened = now;
        record.Deadline = deadline;
        record.Management = management;
        Insert(opening.Key, (uint)flow << 1);
        if (opening.Key.Reverse != opening.Key)
        {
            Insert(opening.Key.Reverse, ((uint)flow << 1) | 1);
        }

        _timers.Start(now);
        _timers.Add(flow, deadline);
        _standings.Add(flow);
        Count++;
        return flow;
    }

    /// <summary>
    /// Adds a copy of another table's flow, as it stands. What it has beside its record stays behind: nobody reads along, and its
    /// parent and expectation are for the caller to set.
    /// </summary>
    /// <returns>The flow's number, or 0 where the table is full.</returns>
    internal int AddCopy(in Flow flow, long now)
    {
        int number = Add(flow.Opening, now, flow.Deadline, flow.Management);
        if (number == 0)
        {
            return 0;
        }

        ref Flow record = ref _flows[number];
        Flow own = record;
        record = flow;
        record.Serial = own.Serial;
        record.Standing = own.Standing;
        (record.TimerNext, record.TimerPrevious, record.TimerSlot) = (own.TimerNext, own.TimerPrevious, own.TimerSlot);
        (record.SourceShare, record.DestinationShare, record.Links) = (own.SourceShare, own.DestinationShare, own.Links);
        (record.RuleShare, record.RuleSourceShare) = (own.RuleShare, own.RuleSourceShare);
        (record.Helper, record.Helped, record.Expectation) = (default, 0, 0);
        if (flow.Standing != own.Standing)
        {
            _standings.Change(number, flow.Standing);
        }

        return number;
    }

    /// <summary>Takes a flow out; nothing where it is in no more, or the number is 0.</summary>
    public void Remove(int flow)
    {
        ref Flow record = ref _flows[flow];
        if (!record.Live)
        {
            return;
        }

        FlowKey key = record.Opening.Key;
        Erase(key, (uint)flow << 1);
        if (key.Reverse != key)
        {
            Erase(key.Reverse, ((uint)flow << 1) | 1);
        }

        if ((record.Expectation | record.Helped) != 0)
        {
            EndHelp(flow);
            Unbind(flow);
        }

        _timers.Remove(flow);
        _standings.Remove(flow);
        record.Live = false;
        record.TimerNext = _free;
        _free = flow;
        Removals++;
        Count--;
    }

    /// <summary>
    /// Takes out a flow whose time is over. If both sides had spoken it is remembered for a while, so that what still comes
    /// of it is told from what never belonged anywhere.
    /// </summary>
    public void End(int flow, long now)
    {
        ref readonly Flow record = ref _flows[flow];
        if (record.ReplyPackets > 0)
        {
            _ended.Note(_hash.Of(record.Opening.Key), now);
        }

        Remove(flow);
    }

    /// <summary>A flow with this key ended by its timer in a table of which this one has a part.</summary>
    internal void NoteEnded(in FlowKey key, long now) => _ended.Note(_hash.Of(key), now);

    /// <summary>Whether a packet with this key, of either direction, comes after a flow that ended by its timer.</summary>
    public bool EndedByTimer(in FlowKey key, long now) =>
        _ended.Holds(_hash.Of(key), now) || _ended.Holds(_hash.Of(key.Reverse), now);

    /// <summary>Sets when the flow ends. Cheap where the deadline moves away, as it does with each packet.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Extend(int flow, long deadline)
    {
        ref Flow record = ref _flows[flow];
        bool sooner = deadline < record.Deadline;
        record.Deadline = deadline;
        if (sooner)
        {
            _timers.Remove(flow);
            _timers.Add(flow, deadline);
        }
    }

    /// <summary>Ends flows whose deadline has passed.</summary>
    /// <param name="now">The path's clock.</param>
    /// <param name="most">Most flows to look at, so that no burst waits long.</param>
    /// <returns>How many ended.</returns>
    public int Expire(long now, int most)
    {
        int ended = 0;
        for (int looked = 0; looked < most && _timers.TryTake(now, out int flow); looked++)
        {
            if (_flows[flow].Deadline <= now)
            {
                End(flow, now);
                ended++;
            }
            else
            {
                _timers.Add(flow, _flows[flow].Deadline);
            }
        }

        return ended;
    }

    /// <summary>Whether that number is, still, the flow that a packet with this key belongs to.</summary>
    public bool Is(int flow, in FlowKey key, bool reply) =>
        _flows[flow].Live && Shows(_flows[flow].Opening.Key, key, reply);

    /// <summary>What names this flow and no later one of its number.</summary>
    public FlowReference ReferenceTo(int flow) => new(flow, _flows[flow].Serial);

    /// <summary>Whether that flow still lives.</summary>
    public bool Is(FlowReference flow) => _flows[flow.Number].Live && _flows[flow.Number].Serial == flow.Serial;

    /// <summary>Lets go of the expectation by which a flow came, or of the pinhole that it keeps open.</summary>
    public void Unbind(int flow)
    {
        ref Flow record = ref _flows[flow];
        if (record.Expectation != 0)
        {
            Expectations.Release(record.Expectation);
            record.Expectation = 0;
        }
    }

    /// <summary>
    /// Somebody begins to read along in a flow. Where no side record is left, a flow that is not proven gives its own up: so a flood of
    /// openings takes helpers from nobody who is there.
    /// </summary>
    public void BeginHelp(int flow, HelperKind helper)
    {
        int helped = Helped.Add(helper, flow);
        for (int looked = 0; helped == 0 && helper != HelperKind.None && looked < HelpBudget; looked++)
        {
            int other = Helped.Turn();
            if (other != 0 && !_flows[other].Proven)
            {
                EndHelp(other);
                helped = Helped.Add(helper, flow);
            }
        }

        ref Flow record = ref _flows[flow];
        record.Helped = helped;
        record.Helper = Helped[helped].Kind;
    }

    /// <summary>Nobody reads along any more, and what the flow expected is no longer welcome.</summary>
    public void EndHelp(int flow)
    {
        ref Flow record = ref _flows[flow];
        record.Helper = default;
        if (record.Helped != 0)
        {
            EndCall(flow, 0);
            Helped.Remove(record.Helped);
            record.Helped = 0;
        }
    }

    /// <summary>Closes what a helped flow still expects for a call, or, for call 0, at all.</summary>
    public void EndCall(int flow, uint call)
    {
        foreach (int number in Helped[_flows[flow].Helped].Expected)
        {
            ref Expectation expected = ref Expectations[number];
            if (expected.Open && expected.Parent == ReferenceTo(flow) && (call == 0 || expected.Call == call))
            {
                Expectations.Close(number);
            }
        }
    }

    private static bool Shows(in FlowKey opening, in FlowKey key, bool reply) => reply
        ? opening.Source == key.Destination && opening.Destination == key.Source
            && opening.SourcePort == key.DestinationPort && opening.DestinationPort == key.SourcePort
            && opening.Protocol == key.Protocol && opening.Segment == key.Segment
        : opening == key;

    /// <summary>Zero marks a free way, so a tag is never zero.</summary>
    private static ushort Tag(ulong hash) => (ushort)((hash >> 48) | 1);

    private void Insert(in FlowKey key, uint entry)
    {
        ulong hash = _hash.Of(key);
        for (ulong at = hash & _mask; ; at = (at + 1) & _mask)
        {
            ref Bucket bucket = ref _buckets[at];
            for (int way = 0; way < Ways; way++)
            {
                if (bucket.Tags[way] == 0)
                {
                    bucket.Tags[way] = Tag(hash);
                    bucket.Entries[way] = entry;
                    return;
                }
            }

            bucket.Overflow++;
        }
    }

    private void Erase(in FlowKey key, uint entry)
    {
        ulong home = _hash.Of(key) & _mask;
        for (ulong at = home; ; at = (at + 1) & _mask)
        {
            ref Bucket bucket = ref _buckets[at];
            for (int way = 0; way < Ways; way++)
            {
                if (bucket.Tags[way] != 0 && bucket.Entries[way] == entry)
                {
                    bucket.Tags[way] = 0;
                    for (; home != at; home = (home + 1) & _mask)
                    {
                        _buckets[home].Overflow--;
                    }

                    return;
                }
            }

            if (bucket.Overflow == 0)
            {
                return;
            }
        }
    }

    [InlineArray(Ways)]
    private struct Tags
    {
        private ushort _tag;
    }

    [InlineArray(Ways)]
    private struct Entries
    {
        private uint _entry;
    }

    /// <summary>Tags in bytes 0..15, entries in 16..47, overflow count in 48..51; 64 bytes in all.</summary>
    [System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Sequential, Size = 64)]
    private struct Bucket
    {
        public Tags Tags;
        public Entries Entries;
        public int Overflow;
    }
}
