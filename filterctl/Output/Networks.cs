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
            yield return One(range);
        }
    }

    /// <summary>One run.</summary>
    public static string One(AddressRange range)
    {
        if (range.First == range.Last)
        {
            return range.First.ToString();
        }

        int bits = range.First.IsIPv4 ? 32 : 128;
        for (int length = bits - 1; length >= 0; length--)
        {
            Prefix around = Prefix.Around(range.First, length);
            if (around.Base == range.First && around.Range.Last == range.Last)
            {
                return around.ToString();
            }
        }

        return $"{range.First}-{range.Last}";
    }
}
