using System.Numerics;

namespace Filter.Rules.Compile.Classification;

/// <summary>
/// Keys in order, in nodes of one cache line, each node followed by one more than it has keys: a search touches a line a
/// level, and compares a whole line at once. The lowest level holds all keys; above it stand the last keys of the nodes
/// below. Gaps are filled with the greatest key, which no key is above.
/// </summary>
/// <typeparam name="T">A signed integer: comparing those is one instruction everywhere.</typeparam>
internal sealed class SearchTree<T>
    where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
{
    private readonly Aligned<T> _keys;
    private readonly int[] _levels;         // where each level starts, the root's first

    /// <summary>A tree of the keys, which are in order.</summary>
    public SearchTree(ReadOnlySpan<T> sorted)
    {
        int node = Node;
        Count = sorted.Length;
        List<T[]> levels = [Padded(sorted)];
        for (int nodes = levels[0].Length / node, span = node; nodes > 1; span *= node + 1)
        {
            // Of the child nodes of one node, all but the last have a key here; so does none that nothing follows.
            int parents = (nodes + node) / (node + 1);
            T[] level = new T[parents * node];
            Array.Fill(level, T.MaxValue);
            for (int child = 0; child < nodes - 1; child++)
            {
                (int parent, int place) = int.DivRem(child, node + 1);
                if (place < node)
                {
                    level[parent * node + place] = sorted[(child + 1) * span - 1];
                }
            }

            levels.Add(level);
            nodes = parents;
        }

        levels.Reverse();
        _levels = new int[levels.Count];
        for (int i = 1; i < levels.Count; i++)
        {
            _levels[i] = _levels[i - 1] + levels[i - 1].Length;
        }

        _keys = new Aligned<T>([.. levels.SelectMany(static level => level)]);
    }

    /// <summary>Keys in a node.</summary>
    public static int Node => 64 / System.Runtime.CompilerServices.Unsafe.SizeOf<T>();

    /// <summary>How many keys there are.</summary>
    public int Count { get; }

    /// <summary>Bytes it takes.</summary>
    public long Size => (long)_keys.Length * System.Runtime.CompilerServices.Unsafe.SizeOf<T>();

    /// <summary>A key by its place in the order; behind the last, what is in no order.</summary>
    public T this[int place] => _keys.Span[_levels[^1] + place];

    /// <summary>How many of the keys are below the key.</summary>
    public int CountBelow<TLanes>(T key)
        where TLanes : ILanes
    {
        ReadOnlySpan<T> keys = _keys.Span;
        int at = 0, node = 0, places = Node;
        foreach (int level in _levels)
        {
            int below = TLanes.CountBelow(keys.Slice(level + node * places, places), key);
            at = node * places + below;
            node = node * (places + 1) + below;
        }

        return at;
    }

    private static T[] Padded(ReadOnlySpan<T> keys)
    {
        T[] padded = new T[Math.Max(1, (keys.Length + Node - 1) / Node) * Node];
        Array.Fill(padded, T.MaxValue);
        keys.CopyTo(padded);
        return padded;
    }
}
