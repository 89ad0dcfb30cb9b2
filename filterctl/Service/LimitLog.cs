using Filter.Ctl.Output;
using Filter.Engine.Flows;
using Filter.Engine.Path;

namespace Filter.Ctl.Service;

/// <summary>Says which limits bit since the last look, and whom most: a line for each, however hard it bit.</summary>
internal sealed class LimitLog(Func<LimitCounters> counters, ServiceLog log)
{
    private static readonly Limit[] s_limits = Enum.GetValues<Limit>();
    private readonly long[] _givenUp = new long[s_limits.Length];
    private readonly long[] _refused = new long[s_limits.Length];

    /// <summary>Looks, and tells. To be called once a second.</summary>
    public void Look()
    {
        LimitCounters limits = counters();
        foreach (Limit limit in s_limits)
        {
            long givenUp = limits.GivenUp(limit), refused = limits.Refused(limit);
            long moreGivenUp = givenUp - _givenUp[(int)limit], moreRefused = refused - _refused[(int)limit];
            (_givenUp[(int)limit], _refused[(int)limit]) = (givenUp, refused);
            if (moreGivenUp + moreRefused > 0)
            {
                log.Line(LimitWords.Line(limit, moreGivenUp, moreRefused, limits.TryName(limit, out ShareKey whom) ? whom : null));
            }
        }
    }
}
