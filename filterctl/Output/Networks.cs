using Filter.Rules.Policy;

namespace Filter.Ctl.Output;

/// <summary>Runs of addresses as people write them: a network where a run is one, else its ends.</summary>
internal static class Networks
{
    /// <summary>The words, both families in order.</summary>
    public static IEnumerable<string> Of(AddressSet set)
    {
        foreach (AddressRange range in set.Ranges.ToArray())
        {
            yield return range.ToString();
        }
    }
}
