using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Filter.Engine.Memory;
using Filter.Engine.Packets;

namespace Filter.Engine.Flows;

/// <summary>
/// Finds a flow's number by the key of either direction: one entry a flow, for the hash is the same both ways. It grows and shrinks by
/// one bucket at a time, with what it holds (linear hashing), so that no addition waits for a rebuilding.
/// </summary>
/// <remarks>
/// A bucket is a cache line: ten tags of sixteen bits of the hash, ten numbers of flows, and the number of a further bucket where
/// more than ten came. The table is open to floods; under a keyed hash nobody can choose his bucket.
/// </remarks>
internal sealed class FlowIndex
{
    private const int Ways = 10;
    private const uint AllWays = (1 << Ways) - 1;

    /// <summary>Entries a bucket, on average, above which a bucket is added, and below which one is taken away.</summary>
    private const int Most = 6, Least = 3;

    /// <summary>Further buckets that additions leave to those who move entries.</summary>
    private const int Reserve = 8;

    private readonly Records<Flow> _flows;
    private readonly FlowHash _hash;
    private readonly Records<Bucket> _buckets, _further;
    private readonly FreeNumbers _freeFurther;
    private int _unusedFurther = 1, _usedFurther;
    private int _count;
    private uint _size, _low, _high;
    private readonly uint _smallest;
    private uint _touched;

    /// <summary>An index of these flows.</summary>
    public FlowIndex(Records<Flow> flows, FlowHash hash)
    {
        _flows = flows;
        _hash = hash;
        int most = Math.Max(1, (flows.Length + Most - 1) / Most);
        _buckets = new Records<Bucket>(most + 1);
        _further = new Records<Bucket>(Math.Max(2 * Reserve, most) + 1);
        _freeFurther = new FreeNumbers(_further.Length);
        _size = _touched = _smallest = Math.Min((uint)most, 64);
        SetMasks();
    }

    /// <summary>Where an entry begins to be looked for.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int Home(ulong hash)
    {
        // Without a branch, which would be taken at random: one that is not there yet is still in the one below.
        uint at = (uint)hash & _high, beyond = (uint)((int)(_size - 1 - at) >> 31);
        return (int)(at & (_low | ~beyond));
    }

    /// <summary>Has the bucket fetched in which a key of that hash stands.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Fetch(ulong hash) => _buckets.Fetch(Home(hash));

    /// <summary>The flow that most likely has a key of that hash; 0 where none of the first bucket has.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Likely(ulong hash)
    {
        ref Bucket bucket = ref _buckets[Home(hash)];
        uint hits = Hits(ref bucket, Tag(hash));
        return hits == 0 ? 0 : bucket.Flows[BitOperations.TrailingZeroCount(hits)];
    }

    /// <summary>The flow that shows this key, or its reverse; 0 for none.</summary>
    public int Find(ulong hash, in FlowKey key, out bool reply)
    {
        ref Bucket bucket = ref _buckets[Home(hash)];
        for (; ; bucket = ref _further[bucket.Further])
        {
            for (uint hits = Hits(ref bucket, Tag(hash)); hits != 0; hits &= hits - 1)
            {
                int flow = bucket.Flows[BitOperations.TrailingZeroCount(hits)];
                if (_flows[flow].Packed.Shows(key, out reply))
                {
                    return flow;
                }
            }

            if (bucket.Further == 0)
            {
                reply = false;
                return 0;
            }
        }
    }

    /// <summary>Puts a flow in, whose key stands in its record. False where no further bucket is left: then it is not in.</summary>
    public bool TryAdd(ulong hash, int flow)
    {
        if (!TryPut(Home(hash), Tag(hash), flow, mayFail: true))
        {
            return false;
        }

        if (++_count > (long)_size * Most && _size < _buckets.Length)
        {
            Split();
        }

        return true;
    }

    /// <summary>Takes a flow out.</summary>
    public void Remove(ulong hash, int flow)
    {
        int home = Home(hash), before = 0, at = 0;
        ref Bucket bucket = ref _buckets[home];
        while (true)
        {
            for (uint hits = Hits(ref bucket, Tag(hash)); hits != 0; hits &= hits - 1)
            {
                int way = BitOperations.TrailingZeroCount(hits);
                if (bucket.Flows[way] == flow)
                {
                    bucket.Tags[way] = 0;
                    Close(home, before, at);
                    if (--_count < (long)_size * Least && _size > _smallest)
                    {
                        Merge();
                    }

                    return;
                }
            }

            if (bucket.Further == 0)
            {
                return;
            }

            (before, at) = (at, bucket.Further);
            bucket = ref _further[at];
        }
    }

    /// <summary>Gives memory back of buckets that are no longer used; some at a time.</summary>
    public void Trim()
    {
        const int some = 16_384;
        if (_touched > _size + (2 * some))
        {
            _touched -= some;
            _buckets.Forget((int)_touched, some);
        }
    }

    /// <summary>Zero marks a free way, so a tag is never zero.</summary>
    private static ushort Tag(ulong hash) => (ushort)((hash >> 48) | 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Hits(ref Bucket bucket, ushort tag) =>
        Vector256.Equals(Vector256.LoadUnsafe(ref Unsafe.As<Bucket, ushort>(ref bucket)), Vector256.Create(tag)).ExtractMostSignificantBits() & AllWays;

    private void SetMasks()
    {
        // With a size of 2^k to 2^(k+1) - 1, the buckets from 2^k on have taken from those below what their next bit of the hash says.
        _low = (1u << BitOperations.Log2(_size)) - 1;
        _high = (_low << 1) | 1;
    }

    private bool TryPut(int home, ushort tag, int flow, bool mayFail = false)
    {
        ref Bucket bucket = ref _buckets[home];
        while (true)
        {
            uint free = Hits(ref bucket, 0);
            if (free != 0)
            {
                int way = BitOperations.TrailingZeroCount(free);
                bucket.Tags[way] = tag;
                bucket.Flows[way] = flow;
                return true;
            }

            if (bucket.Further == 0)
            {
                int further = TakeFurther(mayFail);
                if (further == 0)
                {
                    return false;
                }

                bucket.Further = further;
            }

            bucket = ref _further[bucket.Further];
        }
    }

    private int TakeFurther(bool keepsReserve)
    {
        if (keepsReserve && _usedFurther >= _further.Length - 1 - Reserve)
        {
            return 0;
        }

        if (!_freeFurther.TryTake(out int number))
        {
            number = _unusedFurther < _further.Length ? _unusedFurther++ : 0;
        }

        _usedFurther += number != 0 ? 1 : 0;
        return number;
    }

    private void GiveFurther(int number)
    {
        _freeFurther.Give(number);
        _usedFurther--;
    }

    /// <summary>What stands in a further bucket fills the gap that was made before it; one that is empty is given back.</summary>
    private void Close(int home, int before, int at)
    {
        ref Bucket gap = ref at == 0 ? ref _buckets[home] : ref _further[at];
        int last = gap.Further;
        if (last != 0)
        {
            (before, at) = (at, last);
            ref Bucket behind = ref _further[last];
            uint used = ~Hits(ref behind, 0) & AllWays;
            int from = BitOperations.TrailingZeroCount(used), to = BitOperations.TrailingZeroCount(Hits(ref gap, 0));
            (gap.Tags[to], gap.Flows[to]) = (behind.Tags[from], behind.Flows[from]);
            behind.Tags[from] = 0;
        }

        while (at != 0 && (~Hits(ref _further[at], 0) & AllWays) == 0)
        {
            ref Bucket empty = ref _further[at];
            (before == 0 ? ref _buckets[home] : ref _further[before]).Further = empty.Further;
            empty = default;
            GiveFurther(at);
            at = 0;
        }
    }

    /// <summary>One bucket more: it takes, of what stands in the one below, what the next bit of the hash says.</summary>
    private void Split()
    {
        uint below = _size & ~(1u << BitOperations.Log2(_size));
        _size++;
        _touched = Math.Max(_touched, _size);
        SetMasks();
        Spread((int)below);
    }

    /// <summary>One bucket less: what stands in the last one goes back below.</summary>
    private void Merge()
    {
        _size--;
        SetMasks();
        Spread((int)_size);
    }

    /// <summary>Puts all that stands in a bucket where it now belongs.</summary>
    private void Spread(int from)
    {
        ref Bucket first = ref _buckets[from];
        Bucket own = first;
        first = default;
        Spread(own);
        for (int next = own.Further; next != 0;)
        {
            Bucket further = _further[next];
            _further[next] = default;
            GiveFurther(next);
            Spread(further);
            next = further.Further;
        }
    }

    private void Spread(in Bucket bucket)
    {
        for (int way = 0; way < Ways; way++)
        {
            _flows.Fetch(bucket.Flows[way]);
        }

        for (int way = 0; way < Ways; way++)
        {
            if (bucket.Tags[way] != 0)
            {
                // A further bucket that this takes was given back just now, or is one of the reserve.
                int flow = bucket.Flows[way];
                TryPut(Home(_hash.OfEither(_flows[flow].Packed.Key)), bucket.Tags[way], flow);
            }
        }
    }

    [InlineArray(Ways)]
    private struct TagsOf
    {
        private ushort _tag;
    }

    [InlineArray(Ways)]
    private struct NumbersOf
    {
        private int _number;
    }

    /// <summary>Tags in bytes 0 to 19, numbers of flows to 59, of a further bucket to 63; a way whose tag is 0 is free.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 64)]
    private struct Bucket
    {
        public TagsOf Tags;
        public NumbersOf Flows;
        public int Further;
    }
}
