namespace Filter.Ctl.Service;

/// <summary>A flow's number as people see it: each worker counts its own, so the worker is the rest when it is divided by how many there are.</summary>
internal static class FlowNumbers
{
    /// <summary>The number that is shown.</summary>
    public static int Shown(int number, int worker, int workers) => number == 0 ? 0 : (number * workers) + worker;
}
