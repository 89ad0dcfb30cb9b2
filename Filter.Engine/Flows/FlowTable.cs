using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Filter.Engine.Algs;
using Filter.Engine.Memory;
using Filter.Engine.Packets;

namespace Filter.Engine.Flows;

/// <summary>
/// The flows of one worker, found by the key that a packet shows, in either direction. It grows and shrinks with what it
/// holds up to its size, never allocates after construction, and what it does not use costs no memory. One writer, who is also the
/// only reader.
/// </summary>
public sealed class FlowTable
{
    private const int LeastExpectations = 64, LeastHelped = 16;

    /// <summary>Most helped flows looked at for one that finds no side record.</summary>
    private const int HelpBudget = 32;

    private readonly FlowIndex _index;
    private readonly Records<Flow> _flows;
    private readonly FreeNumbers _free;
    private readonly TimerWheel _timers;
    private readonly FlowHash _hash = FlowHash.Create();
    private readonly Standings _standings;
    private readonly EndedFlows _ended = new();
    private readonly ulong[] _hashes = new ulong[Burst.Intake];
    private readonly int[] _packets = new int[Burst.Intake], _likely = new int[Burst.Intake];
    private int _unused = 1;
    private int _touched = 1;
    private uint _serial;

    /// <summary>A table for at most <paramref name="capacity"/> flows (1 to 2^28).</summary>
    public FlowTable(int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(capacity, 1 << 28);
        Capacity = capacity;
        _flows = new Records<Flow>(capacity + 1);
        _free = new FreeNumbers(capacity + 1);
        _index = new FlowIndex(_flows, _hash);
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
    public int Find(in FlowKey key, out bool reply) => _index.Find(_hash.OfEither(key), key, out reply);

    /// <summary>
    /// Finds the flows of a burst's packets that are to be tracked and are not done: sets <see cref="Packet.Flow"/> and
    /// <see cref="Packet.Reply"/>. Whatever memory it will touch is asked for before, for many packets at once.
    /// </summary>
    public void Find(Burst burst)
    {
        for (int from = 0; from < burst.Count; from += Burst.Intake)
        {
            Find(burst.Packets.AsSpan(from, Math.Min(Burst.Intake, burst.Count - from)));
        }
    }

    private void Find(Span<Packet> packets)
    {
        int count = Hash(packets);
        for (int i = 0; i < count; i++)
        {
            int flow = _index.Likely(_hashes[i]);
            _likely[i] = flow;
            _flows.Fetch(flow);
            _flows.Fetch(flow, 1);
            _flows.Fetch(flow, 2);
        }

        for (int i = 0; i < count; i++)
        {
            ref Packet packet = ref packets[_packets[i]];
            int flow = _likely[i];
            if (flow == 0 || !_flows[flow].Packed.Shows(packet.Key, out packet.Reply))
            {
                flow = _index.Find(_hashes[i], packet.Key, out packet.Reply);
            }

            packet.Flow = flow;
        }
    }

    private int Hash(Span<Packet> packets)
    {
        ulong[] hashes = _hashes;
        int[] at = _packets;
        int count = 0;
        for (int i = 0; i < packets.Length; i++)
        {
            ref Packet packet = ref packets[i];
            if (packet.Kind == PacketKind.Tracked && !packet.Done && !packet.Own)
            {
                ulong hash = _hash.OfEither(packet.Key);
                _index.Fetch(hash);
                hashes[count] = hash;
                at[count++] = i;
            }
        }

        return count;
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
        if (!_free.TryTake(out int flow))
        {
            if (_unused > Capacity)
            {
                return 0;
            }

            flow = _unused++;
            _touched = Math.Max(_touched, _unused);
        }

        ref Flow record = ref _flows[flow];
        // Not `record = default`: where this is inlined, .NET 10.0.12 takes that store away, because the next one begins at the
        // same place, though it is shorter. What was then left of an earlier flow was seen in the machine code.
        MemoryMarshal.CreateSpan(ref record, 1).Clear();
        record.Packed = new PackedOpening(opening);
        if (!_index.TryAdd(_hash.OfEither(opening.Key), flow))
        {
            Free(flow);
            return 0;
        }

        record.Class = FlowClasses.Of(opening.Key);
        record.Live = true;
        record.Serial = ++_serial;
        record.Opened = now;
        record.Deadline = deadline;
        record.Management = management;
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

        _index.Remove(_hash.OfEither(record.Key), flow);
        if ((record.Expectation | record.Helped) != 0)
        {
            EndHelp(flow);
            Unbind(flow);
        }

        _timers.Remove(flow);
        _standings.Remove(flow);
        record.Live = false;
        Free(flow);
        Removals++;
        Count--;
    }

    private void Free(int flow)
    {
        const int few = 4;
        _free.Give(flow);
        for (int i = 0; i < few && _unused > 1 && _free.Holds(_unused - 1); i++)
        {
            _free.Take(--_unused);
        }
    }

    /// <summary>Gives memory back that a table of fewer flows than before does not need; some at a time.</summary>
    public void Trim()
    {
        const int some = 4096;
        if (_touched > _unused + (4 * some))
        {
            _touched -= some;
            _flows.Forget(_touched, some);
        }

        _index.Trim();
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
            _ended.Note(_hash.OfEither(record.Key), now);
        }

        Remove(flow);
    }

    /// <summary>A flow with this key ended by its timer in a table of which this one has a part.</summary>
    internal void NoteEnded(in FlowKey key, long now) => _ended.Note(_hash.OfEither(key), now);

    /// <summary>Whether a packet with this key, of either direction, comes after a flow that ended by its timer.</summary>
    public bool EndedByTimer(in FlowKey key, long now) => _ended.Holds(_hash.OfEither(key), now);

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
        int ended = 0, looked = 0;
        for (; looked < most && _timers.TryTake(now, out int flow); looked++)
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

        HasMoreToExpire = looked == most;
        return ended;
    }

    /// <summary>The last <see cref="Expire"/> has looked at as many as it might: there may be more.</summary>
    public bool HasMoreToExpire { get; private set; }

    /// <summary>Whether that number is, still, the flow that a packet with this key belongs to.</summary>
    public bool Is(int flow, in FlowKey key, bool reply) =>
        _flows[flow].Live && _flows[flow].Packed.Shows(key, out bool way) && way == reply;

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
}
