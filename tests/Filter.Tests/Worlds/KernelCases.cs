using Filter.Rules.Policy;

namespace Filter.Tests.Worlds;

/// <summary>The table of cases: which suites, in which modes and between which families.</summary>
public static class KernelCases
{
    /// <summary>Suites that are tried in all modes and both families; the others once each, in one way after the other.</summary>
    private static readonly string[] s_main =
    [
        "aes-cbc-128+hmac-sha2-256-128",
    ];

    private static readonly (IpsecMode Mode, int Outer, int Inner)[] s_ways =
    [
        (IpsecMode.Transport, 4, 4),
        (IpsecMode.Tunnel, 6, 6),
        (IpsecMode.Transport, 6, 6),
        (IpsecMode.Tunnel, 4, 4),
        (IpsecMode.Tunnel, 4, 6),
        (IpsecMode.Tunnel, 6, 4),
    ];

    private static readonly string[] s_suites =
        ["aes-cbc-128+hmac-sha2-256-128", "aes-cbc-192+hmac-sha2-256-128", "aes-cbc-256+hmac-sha2-256-128"];

    private static readonly KernelCase[] s_esp = [.. s_suites.SelectMany(static (suite, number) =>
        Ways(suite).Where((_, way) => s_main.Contains(suite) ? way < 4 : way == number % s_ways.Length))];

    private static readonly KernelCase[] s_more =
    [
        .. Ways(s_main[0])[4..],
        .. Ways(s_main[0]).Select(static one => one with { Extended = true }),
        .. Ways(s_main[0])[..2].Select(static one => one with { Window = 4096 }),
        .. Ways(s_main[0])[..2].Select(static one => one with { Window = 32 }),
    ];

    private static readonly KernelCase[] s_long = [.. s_suites.SelectMany(Ways).Except(s_esp)];

    private static readonly Dictionary<string, KernelCase> s_all =
        new[] { s_esp, s_more, s_long }.SelectMany(static group => group).DistinctBy(static one => one.ToString()).ToDictionary(static one => one.ToString());

    /// <summary>Each suite of ESP.</summary>
    public static TheoryData<string> Esp => Rows(s_esp);

    /// <summary>The same suite with all that can be said of an SA besides.</summary>
    public static TheoryData<string> More => Rows(s_more);

    /// <summary>What is left of each suite in each way.</summary>
    public static TheoryData<string> Long => Rows(s_long);

    /// <summary>The case of that name.</summary>
    public static KernelCase Named(string name) => s_all[name];

    private static KernelCase[] Ways(string suite) => [.. s_ways.Select(way => new KernelCase(suite, way.Mode, way.Outer, way.Inner))];

    private static TheoryData<string> Rows(KernelCase[] cases) => [.. cases.Select(static one => one.ToString())];
}
