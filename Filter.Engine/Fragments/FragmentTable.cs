using System.Numerics;
using Filter.Engine.Flows;
using Filter.Engine.Packets;

namespace Filter.Engine.Fragments;

/// <summary>
/// What fragments of one datagram share (RFC 791 §3.2, RFC 8200 §4.5), and where they came from: pieces
/// of different ports, segments or SAs are never put together.
/// </summary>
/// <param name="Source">The sender.</param>
/// <param name="Destination">The receiver.</param>
/// <param name="Id">The identification.</param>
/// <param name="Protocol">The upper protocol for IPv4; 0 for IPv6, where it is not part of the key.</param>
/// <param name="Segment">The VLAN stack.</param>
/// <param name="Ingress">The port they came in by.</param>
/// <param name="ArrivedBy">The policy under which they wait, see <see cref="Path.IIpsecStage.OriginOf"/>; 0 for the clear.</param>
/// <param name="Depth">How many times they were opened.</param>
internal readonly record struct FragmentKey(
    Address Source, Address Destination, uint Id, byte Protocol, uint Segment, byte Ingress, ushort ArrivedBy, byte Depth);

/// <summary>A datagram of which pieces came.</summary>
internal struct FragmentedDatagram
{
    public FragmentKey Key;
    public int Chain;               // next in its bucket, or in the free list
    public int Source;              // its sender's share
    public int Older, Newer;        // by creation, within its family; once complete, the next that is
    public long Created;
    public int First, Last;         // pieces by arrival
    public int Lowest;              // pieces by offset
    public int Pieces, Blocks;
    public int Received;            // bytes of payload so far
    public int Furthest;            // one behind the last byte so far
    public int Total;               // bytes of payload once the last piece came; else -1
    public byte Ecn;                // one bit for each of the four codepoints seen
    public DropReason Poison;       // why it was given up; its later pieces end for the same reason
    public bool Aged;               // stands in its family's list of ages

    // The piece that completed it, which still lies in the burst's arena.
    public int Slot;                // of the whole, in the burst
    public int FinalStart;

    /// <summary>The slab that it lies in.</summary>
    public byte[] FinalSlab;
    public FragmentPiece Final;
}

/// <summary>One piece, found by its frame's handle in the pool.</summary>
internal struct FragmentPiece
{
    public int Next;                // by arrival
    public int Higher;              // by offset
    public int FrameLength;
    public ushort Network;
    public ushort Data;             // where the payload starts in the frame
    public int Offset, Length;      // of the payload
    public bool More;
    public ushort ArrivedBy;        // the policy by whose SA it came; 0 for the clear
    public int Sa;                  // that SA's number
    public long Association;        // what tells that SA from later ones of the same number
    public bool Alone;              // belongs only to pieces by the same SA
    public long Number, Time;
}

/// <summary>
/// The datagrams that wait, found by key, by age and by sender; fixed in size. It knows nothing of
/// what pieces hold.
/// </summary>
internal sealed class FragmentTable
{
    private readonly FlowHash _hash = FlowHash.Create();
    private readonly FragmentedDatagram[] _datagrams;
    private readonly int[] _buckets;
    private readonly Sender[] _senders;
    private readonly int[] _senderBuckets;
    private readonly uint _mask;
    private readonly int[] _oldest = new int[2];
    private readonly int[] _newest = new int[2];
    private int _free, _freeSender;

    public FragmentTable(int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(capacity, 1 << 20);
        _datagrams = new FragmentedDatagram[capacity + 1];
        _senders = new Sender[capacity + 1];
        for (int i = 1; i < capacity; i++)
        {
            _datagrams[i].Chain = i + 1;
            _senders[i].Chain = i + 1;
        }

        _free = _freeSender = 1;
        uint buckets = BitOperations.RoundUpToPowerOf2((uint)capacity);
        _buckets = new int[buckets];
        _senderBuckets = new int[buckets];
        _mask = buckets - 1;
    }

    /// <summary>Datagrams in the table, those given up included.</summary>
    public int Count { get; private set; }

    public bool IsFull => _free == 0;

    public ref FragmentedDatagram this[int datagram] => ref _datagrams[datagram];

    public int Find(in FragmentKey key)
    {
        int at = _buckets[Bucket(key)];
        while (at != 0 && _datagrams[at].Key != key)
        {
            at = _datagrams[at].Chain;
        }

        return at;
    }

    /// <summary>Adds a datagram. The table must not be full.</summary>
    public int Add(in FragmentKey key, long now)
    {
        int number = _free;
        ref FragmentedDatagram datagram = ref _datagrams[number];
        _free = datagram.Chain;
        ref int bucket = ref _buckets[Bucket(key)];
        datagram = new FragmentedDatagram
        {
            Key = key, Chain = bucket, Created = now, Total = -1, Aged = true, Source = ShareOf(key.Source),
        };
        bucket = number;
        _senders[datagram.Source].Datagrams++;
        int family = Family(key);
        datagram.Older = _newest[family];
        _datagrams[datagram.Older].Newer = number;
        _newest[family] = number;
        _oldest[family] = _oldest[family] == 0 ? number : _oldest[family];
        Count++;
        return number;
    }

    /// <summary>Takes a datagram out of reach of keys and ages; its slot and its sender's share stay taken.</summary>
    public void Detach(int number)
    {
        ref FragmentedDatagram datagram = ref _datagrams[number];
        if (!datagram.Aged)
        {
            return;
        }

        datagram.Aged = false;
        ref int link = ref _buckets[Bucket(datagram.Key)];
        while (link != number)
        {
            link = ref _datagrams[link].Chain;
        }

        link = datagram.Chain;
        int family = Family(datagram.Key);
        (datagram.Newer == 0 ? ref _newest[family] : ref _datagrams[datagram.Newer].Older) = datagram.Older;
        (datagram.Older == 0 ? ref _oldest[family] : ref _datagrams[datagram.Older].Newer) = datagram.Newer;
        Count--;
    }

    /// <summary>Frees a datagram's slot; it must hold no pieces any more.</summary>
    public void Remove(int number)
    {
        Detach(number);
        ref FragmentedDatagram datagram = ref _datagrams[number];
        Return(datagram.Source);
        datagram = default;
        datagram.Chain = _free;
        _free = number;
    }

    /// <summary>The oldest datagram of a family; 0 where there is none.</summary>
    public int Oldest(bool ipv4) => _oldest[ipv4 ? 0 : 1];

    /// <summary>The oldest datagram of both families.</summary>
    public int OldestOfAll()
    {
        int v4 = _oldest[0], v6 = _oldest[1];
        return v4 == 0 ? v6 : v6 == 0 || _datagrams[v4].Created <= _datagrams[v6].Created ? v4 : v6;
    }

    /// <summary>Datagrams that this sender has now.</summary>
    public int DatagramsOf(Address sender) => _senders[FindSender(Prefix(sender))].Datagrams;

    /// <summary>Blocks that this datagram's sender has now.</summary>
    public ref int BlocksOfSender(int datagram) => ref _senders[_datagrams[datagram].Source].Blocks;

    private static int Family(in FragmentKey key) => key.Source.IsIPv4 ? 0 : 1;

    /// <summary>An IPv6 host has a whole /64 to choose sources from.</summary>
    private static Address Prefix(Address source) => source.IsIPv4 ? source : new Address(source.High, 0);

    private uint Bucket(in FragmentKey key) => (uint)_hash.Of(
        new FlowKey(key.Source, key.Destination, (ushort)(key.Id >> 16), (ushort)key.Id, key.Protocol, key.Segment)) & _mask;

    private uint SenderBucket(Address prefix) => (uint)_hash.Of(new FlowKey(prefix, default, 0, 0, 0, 0)) & _mask;

    private int FindSender(Address prefix)
    {
        int at = _senderBuckets[SenderBucket(prefix)];
        while (at != 0 && _senders[at].Prefix != prefix)
        {
            at = _senders[at].Chain;
        }

        return at;
    }

    /// <summary>The sender's share, begun where this is its first datagram: there is one for each datagram at least.</summary>
    private int ShareOf(Address source)
    {
        Address prefix = Prefix(source);
        int number = FindSender(prefix);
        if (number == 0)
        {
            number = _freeSender;
            ref Sender sender = ref _senders[number];
            _freeSender = sender.Chain;
            ref int bucket = ref _senderBuckets[SenderBucket(prefix)];
            sender = new Sender { Prefix = prefix, Chain = bucket };
            bucket = number;
        }

        return number;
    }

    private void Return(int number)
    {
        ref Sender sender = ref _senders[number];
        if (--sender.Datagrams > 0)
        {
            return;
        }

        ref int link = ref _senderBuckets[SenderBucket(sender.Prefix)];
        while (link != number)
        {
            link = ref _senders[link].Chain;
        }

        link = sender.Chain;
        sender = default;
        sender.Chain = _freeSender;
        _freeSender = number;
    }

    private struct Sender
    {
        public Address Prefix;
        public int Chain;
        public int Datagrams;
        public int Blocks;
    }
}
