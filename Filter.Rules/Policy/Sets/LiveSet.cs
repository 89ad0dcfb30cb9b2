using System.Collections.Immutable;
using System.Globalization;
using Filter.Engine.Packets;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy;

/// <summary>Who says what a set that changes holds.</summary>
public enum LiveSource : byte
{
    /// <summary>Whoever controls Filter: `filterctl set add`.</summary>
    Control,

    /// <summary>The DNS: addresses of names.</summary>
    Names,

    /// <summary>The networks of a port, as they are now.</summary>
    PrefixOf,
}

/// <summary>A set of addresses that changes while a ruleset is in force. Of one worker; what it holds is changed through <see cref="Contents"/>.</summary>
public sealed class LiveSet : AddressClass
{
    /// <summary>Most elements of a set that does not say.</summary>
    public const int UsualSize = 65_536;

    /// <summary>Most elements that a set may say.</summary>
    public const int MostSize = 1_048_576;

    private LiveImage _image = LiveImage.Empty;
    private long _now;
    private int _ended;

    /// <inheritdoc/>
    public override string Name => SetName;

    /// <summary>What the ruleset calls it.</summary>
    public required string SetName { get; init; }

    /// <summary>Where it is written.</summary>
    public required SourceMark At { get; init; }

    /// <summary>Who says what it holds.</summary>
    public required LiveSource Source { get; init; }

    /// <summary>Of <see cref="LiveSource.Names"/>: the names.</summary>
    public ImmutableArray<string> Names { get; init; } = [];

    /// <summary>Of <see cref="LiveSource.PrefixOf"/>: the port's name.</summary>
    public string? Port { get; init; }

    /// <summary>How long elements stay that say nothing, in nanoseconds; null for ever.</summary>
    public long? Timeout { get; init; }

    /// <summary>Most elements.</summary>
    public int Size { get; init; } = UsualSize;

    /// <summary>What is in it whatever happens: entries and files of the ruleset that name no timeout.</summary>
    public AddressSet Written { get; init; } = AddressSet.Empty;

    /// <summary>What the ruleset puts in for a time, or the networks it knows of a port: ranges, and how long they stay, in nanoseconds.</summary>
    public ImmutableArray<(AddressRange Range, long? Timeout)> First { get; init; } = [];

    /// <summary>What it holds.</summary>
    public LiveContents Contents { get; private set; } = new();

    /// <summary>Begins, or begins anew, with what the ruleset puts in.</summary>
    /// <param name="now">Nanoseconds on the path's clock.</param>
    public void Begin(long now)
    {
        Contents.Clear();
        Seed(now);
    }

    /// <summary>
    /// Makes sets ready to be in force: each goes on from the one of its name, which is in force still, so it is left alone; or begins.
    /// </summary>
    /// <param name="next">The sets of a ruleset; of one that was in force before they still hold what they held.</param>
    /// <param name="before">The sets in force.</param>
    /// <param name="now">Nanoseconds on the path's clock.</param>
    public static void GoOn(IEnumerable<LiveSet> next, IReadOnlyCollection<LiveSet> before, long now)
    {
        foreach (LiveSet set in next)
        {
            if (before.FirstOrDefault(set.IsThatOf) is { } earlier)
            {
                set.GoOnFrom(earlier);
            }
            else
            {
                set.Seed(now);
            }
        }
    }

    /// <summary>Goes on with what the set of that name held under the ruleset before; both hold the same until that one is gone.</summary>
    /// <param name="before">That set, with the same source.</param>
    public void GoOnFrom(LiveSet before) => Contents = before.Contents;

    /// <summary>Puts in what the ruleset writes for a time, or knows of a port, where that is not done already; takes out what it writes no more.</summary>
    /// <param name="now">Nanoseconds on the path's clock.</param>
    public void Seed(long now) =>
        Contents.Seed([.. First.Select(one => new LiveElement(one.Range, one.Timeout is { } timeout ? now + timeout : LiveContents.Never))], now);

    /// <summary>Whether a set of an earlier ruleset is this one: of the same name, and told by the same.</summary>
    public bool IsThatOf(LiveSet before) => before.SetName == SetName && before.Source == Source && before.Port == Port;

    /// <summary>What it is, in words that mean the same wherever they are equal; not what it holds.</summary>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{SetName}: {Source} {string.Join(' ', Names)} {Port} {Timeout} {Size} of {Written}, first {string.Join(' ', First)}");

    /// <inheritdoc/>
    public override bool Contains(Address address) => _image.Contains(address, _now);

    /// <inheritdoc/>
    public override bool Advance(long now)
    {
        _now = now;
        bool changed = false;
        if (Contents.Image is var image && !ReferenceEquals(image, _image))
        {
            _image = image;
            _ended = 0;
            changed = true;
        }

        while (_ended < image.Ends.Length && image.Ends[_ended] <= now)
        {
            _ended++;
            changed = true;
        }

        return changed;
    }
}
