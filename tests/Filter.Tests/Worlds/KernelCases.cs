using Filter.Rules.Policy;

namespace Filter.Tests.Worlds;

/// <summary>The table of cases: which suites, in which modes and between which families.</summary>
public static class KernelCases
{
    /// <summary>
    /// Suites that are tried in both modes and families: one of each cipher, with whatever key length, and one of each integrity
    /// algorithm. The others are tried once each, in one way after the other, and every way in the long suite.
    /// </summary>
    private static readonly string[] s_main =
    [
        .. from cipher in (string[])["aes-gcm-16-128", "aes-ccm-16-128", "aes-gmac-128", "chacha20-poly1305"] select cipher,
        .. from cipher in (string[])["aes-cbc-128", "aes-ctr-128", "camellia-cbc-128", "null", "3des-cbc", "des-cbc", "cast-cbc-128", "blowfish-cbc-128"]
           select $"{cipher}+hmac-sha2-256-128",
        .. from integrity in IntegrityAlgorithm.All select $"aes-cbc-128+{integrity}",
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

    private static readonly KernelCase[] s_esp = [.. Suites(ah: false).SelectMany(static (suite, number) =>
        Ways(suite).Where((_, way) => s_main.Contains(suite.Name) ? way < 4 : IsOfOneMatter(suite) && way == number % s_ways.Length))];

    private static readonly KernelCase[] s_ah = [.. Suites(ah: true).SelectMany(static (suite, number) => number % 2 == 0 ? Ways(suite)[..2] : Ways(suite)[2..4])];

    private static readonly KernelCase[] s_more =
    [
        .. Ways("aes-gcm-16-128").Skip(4),
        .. Ways("aes-gcm-16-128").Take(4).Select(static way => way with { Extended = true }),
        .. Ways("aes-gcm-16-128").Select(static way => way with { InUdp = true }),
        .. Ways("aes-gcm-16-128").Take(1).Select(static way => way with { Window = 32 }),
        .. Ways("aes-gcm-16-128").Take(1).Select(static way => way with { Window = 4096 }),
        .. Ways("aes-cbc-128+hmac-sha2-256-128").Skip(4),
        .. Ways("aes-cbc-128+hmac-sha2-256-128").Take(2).Select(static way => way with { Extended = true, InUdp = way.IsTunnel }),
        .. Ways("hmac-sha2-256-128", ah: true).Skip(2),
        .. Ways("hmac-sha2-256-128", ah: true).Take(2).Select(static way => way with { Extended = true }),
        .. Ways("hmac-sha2-256-128", ah: true).Where(static way => way.Outer == 4).Select(static way => way with { Wide = true }),
    ];

    private static readonly KernelCase[] s_long = [.. Suites(ah: false).Concat(Suites(ah: true)).SelectMany(Ways).Except(s_esp).Except(s_ah)];

    private static readonly Dictionary<string, KernelCase> s_all =
        new[] { s_esp, s_ah, s_more, s_long }.SelectMany(static group => group).DistinctBy(static one => one.ToString()).ToDictionary(static one => one.ToString());

    /// <summary>Each suite of ESP.</summary>
    public static TheoryData<string> Esp => Rows(s_esp);

    /// <summary>Each suite of AH.</summary>
    public static TheoryData<string> Ah => Rows(s_ah);

    /// <summary>The same suite with all that can be said of an SA besides.</summary>
    public static TheoryData<string> More => Rows(s_more);

    /// <summary>What is left of each suite in each way.</summary>
    public static TheoryData<string> Long => Rows(s_long);

    /// <summary>Each suite of ESP in one way.</summary>
    public static IEnumerable<KernelCase> EachSuiteOnce => Suites(ah: false).Select(static (suite, number) => Ways(suite)[number % s_ways.Length]);

    /// <summary>Whether a suite stands for one algorithm, with a usual one beside it; the others are of two that others stand for.</summary>
    public static bool IsOfOneMatter(IpsecSuite suite) =>
        suite.Integrity is not { } integrity || suite.Cipher is not { } cipher || integrity.Kind == IntegrityKind.HmacSha256 || cipher.Name == "aes-cbc-128";

    /// <summary>The case of that name.</summary>
    public static KernelCase Named(string name) => s_all[name];

    private static IEnumerable<IpsecSuite> Suites(bool ah) => IpsecSuite.All.Where(suite => suite.IsAh == ah && KernelSpelling.Lacks(suite) is null);

    private static KernelCase[] Ways(IpsecSuite suite) => [.. s_ways.Select(way => new KernelCase(suite, way.Mode, way.Outer, way.Inner))];

    private static IEnumerable<KernelCase> Ways(string suite, bool ah = false) => Suites(ah).Where(one => one.Name == suite).SelectMany(Ways);

    private static TheoryData<string> Rows(KernelCase[] cases) => [.. cases.Select(static one => one.ToString())];
}
