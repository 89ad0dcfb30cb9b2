using System.Collections.Immutable;

namespace Filter.Rules.Compile.Classification;

/// <summary>Gives equal things one number. Things that are one object are found without reading them through again.</summary>
/// <param name="equality">What makes two of them equal.</param>
internal sealed class Distinct<T>(IEqualityComparer<T>? equality = null)
    where T : notnull
{
    private readonly Dictionary<T, int> _numbers = new(equality);
    private readonly Dictionary<object, int> _objects = new(ReferenceEqualityComparer.Instance);

    /// <summary>The things, by number.</summary>
    public List<T> Items { get; } = [];

    /// <summary>The number of a thing, which <paramref name="holder"/> holds or is.</summary>
    public int NumberOf(T thing, object? holder = null)
    {
        if (holder is not null && _objects.TryGetValue(holder, out int number))
        {
            return number;
        }

        if (!_numbers.TryGetValue(thing, out number))
        {
            number = Items.Count;
            _numbers.Add(thing, number);
            Items.Add(thing);
        }

        if (holder is not null)
        {
            _objects.Add(holder, number);
        }

        return number;
    }
}

/// <summary>Lists are equal if their entries are.</summary>
internal sealed class SameEntries<T> : IEqualityComparer<ImmutableArray<T>>
{
    /// <inheritdoc/>
    public bool Equals(ImmutableArray<T> x, ImmutableArray<T> y) => x.AsSpan().SequenceEqual(y.AsSpan());

    /// <inheritdoc/>
    public int GetHashCode(ImmutableArray<T> obj)
    {
        HashCode hash = default;
        foreach (T entry in obj)
        {
            hash.Add(entry);
        }

        return hash.ToHashCode();
    }
}
