using Filter.Engine.Packets;
using Filter.Rules.Policy;
using static Filter.Engine.Packets.DropReason;

namespace Filter.Tests.Worlds;

/// <summary>
/// What a peer can do who has the keys, and an attacker who has not: each packet ends for its own reason, and the kernel behind Filter
/// never hears of it.
/// </summary>
[Collection(InNamespaces.Name)]
public sealed class ForgeryTests(ForgerScene scene) : IClassFixture<ForgerScene>
{
    private static readonly string[] s_both = ["transport", "tunnel"], s_tunnel = ["tunnel"], s_transport = ["transport"];

    /// <summary>What the forger sends (the words are those of forge.py), in which modes, how many of it arrive, and how the others end.</summary>
    private static readonly (string Forgery, string[] Modes, int Arrive, (DropReason Reason, int Count)[] Dropped)[] s_rows =
    [
        ("nothing-wrong", s_both, 4, []),
        ("dummies", s_both, 0, []),
        ("filler-behind-the-packet", s_tunnel, 1, []),
        ("pieces-of-a-sealed-packet", s_both, 1, []),
        ("right-edge-and-window", s_both, 4, []),

        ("a-wrong-icv", s_both, 0, [(BadIcv, 2)]),
        ("a-flipped-bit-inside", s_both, 0, [(BadIcv, 3)]),
        ("replays", s_both, 1, [(Replayed, 3)]),
        ("left-of-the-window", s_both, 2, [(Replayed, 3)]),
        ("forgeries-that-would-move-the-window", s_both, 1, [(BadIcv, 1)]),
        ("number-zero", s_both, 0, [(Replayed, 1)]),
        ("unknown-spis", s_both, 0, [(UnknownSpi, 5)]),
        ("cut-short", s_both, 0, [(BadEsp, 5)]),
        ("less-than-a-header", s_both, 0, [(Truncated, 4)]),
        ("an-icv-of-another-length", s_both, 0, [(BadEsp, 2)]),
        ("a-block-less", s_both, 0, [(BadIcv, 1)]),
        ("overlapping-pieces", s_both, 0, [(FragmentOverlap, 4)]),

        ("padding-that-does-not-count", s_both, 0, [(BadPadding, 2)]),
        ("padding-longer-than-the-packet", s_both, 0, [(BadPadding, 2)]),
        ("the-other-mode", s_both, 0, [(WrongMode, 1)]),
        ("a-stranger-inside", s_tunnel, 0, [(WrongSelectors, 2)]),
        ("the-other-end-of-the-link-inside", s_tunnel, 0, [(WrongSelectors, 1)]),
        ("another-version-inside", s_tunnel, 0, [(BadVersion, 1)]),
        ("an-inner-length-that-lies", s_tunnel, 0, [(BadLength, 1), (Truncated, 1)]),
        ("congestion-that-cannot-be-told", s_tunnel, 0, [(BadEcn, 1)]),
        ("nested-too-deep", s_transport, 0, [(NestedTooDeep, 1)]),
        ("clear", s_both, 0, [(ClearForProtected, 3)]),
    ];

    /// <summary>What AES-GCM makes of what is not a whole number of CBC's blocks.</summary>
    private static readonly (string Forgery, string[] Modes, int Arrive, (DropReason Reason, int Count)[] Dropped)[] s_gcm =
    [
        .. s_rows.Where(static row => row.Forgery != "an-icv-of-another-length"),
        ("an-icv-of-another-length", s_both, 0, [(BadIcv, 2)]),
    ];

    private static readonly (string Forgery, string[] Modes, int Arrive, (DropReason Reason, int Count)[] Dropped)[] s_ah =
    [
        .. from row in s_rows
           where row.Forgery is "nothing-wrong" or "pieces-of-a-sealed-packet" or "right-edge-and-window" or "a-wrong-icv" or "replays" or "left-of-the-window"
               or "forgeries-that-would-move-the-window" or "number-zero" or "overlapping-pieces" or "a-stranger-inside" or "clear"
           select row,
        ("zero-length-ah", s_both, 0, [(BadAh, 3)]),
        ("ah-lengths-that-lie", s_both, 0, [(BadAh, 5)]),
        ("ah-around-nothing", s_tunnel, 0, [(WrongMode, 1), (Truncated, 1)]),
    ];

    private static readonly (string Forgery, string[] Modes, int Arrive, (DropReason Reason, int Count)[] Dropped)[] s_esn =
    [
        .. s_rows.Where(static row => row.Forgery is "nothing-wrong" or "a-wrong-icv" or "replays"),
        ("half-way,across-the-edge", s_both, 7, []),
        ("half-way,replays-across-the-edge", s_both, 5, [(Replayed, 4)]),
        ("half-way,within-the-window-across-the-edge,left-of-the-window-across-the-edge", s_both, 4, [(BadIcv, 2)]),
        ("half-way,a-wrong-upper-half", s_both, 3, [(BadIcv, 2)]),
    ];

    private static readonly (string Forgery, string[] Modes, int Arrive, (DropReason Reason, int Count)[] Dropped)[] s_udp =
    [
        .. from row in s_rows
           where row.Forgery is "nothing-wrong" or "dummies" or "filler-behind-the-packet" or "pieces-of-a-sealed-packet" or "a-wrong-icv" or "replays"
               or "left-of-the-window" or "overlapping-pieces" or "padding-that-does-not-count" or "the-other-mode" or "a-stranger-inside" or "clear"
           select row,
        ("unknown-spis", s_both, 0, [(UnknownSpi, 4), (ClearForProtected, 1)]),         // an SPI of zero is the mark of IKE
        ("cut-short", s_both, 0, [(BadEsp, 4), (ClearForProtected, 1)]),
        ("bare-where-udp-is-agreed", s_both, 0, [(UnknownSpi, 1)]),
        ("keep-alives", s_both, 0, []),
        ("a-datagram-that-lies", s_both, 0, [(BadEsp, 1), (BadLength, 2)]),
    ];

    /// <summary>Each way to protect, and what is forged in it.</summary>
    private static readonly Dictionary<string, (string Suite, (string Forgery, string[] Modes, int Arrive, (DropReason Reason, int Count)[] Dropped)[] Rows)> s_ways = new()
    {
        ["cbc"] = ("aes-cbc-128+hmac-sha2-256-128", s_rows),
        ["gcm"] = ("aes-gcm-16-128", s_gcm),
        ["ah"] = ("hmac-sha2-256-128", s_ah),
        ["cbc-esn"] = ("aes-cbc-128+hmac-sha2-256-128", s_esn),
        ["gcm-esn"] = ("aes-gcm-16-128", s_esn),
        ["ah-esn"] = ("hmac-sha2-256-128", s_esn),
        ["cbc-udp"] = ("aes-cbc-128+hmac-sha2-256-128", s_udp),
        ["gcm-udp"] = ("aes-gcm-16-128", [.. s_udp.Where(static row => row.Forgery is "nothing-wrong" or "a-wrong-icv" or "replays" or "keep-alives")]),
    };

    public static TheoryData<string> Rows =>
    [
        .. from way in s_ways
           from row in way.Value.Rows
           from mode in row.Modes
           from family in (int[])[4, 6]
           select $"{row.Forgery} {way.Key} {mode} {family}",
    ];

    [Theory]
    [MemberData(nameof(Rows))]
    public void What_is_forged_ends_for_its_reason_and_reaches_nobody(string row)
    {
        (string forgery, string way, string mode, int family) = row.Split(' ') is [var a, var b, var c, var d] ? (a, b, c, d[0] - '0') : throw new ArgumentException(row);
        (string suite, (string Forgery, string[] Modes, int Arrive, (DropReason Reason, int Count)[] Dropped)[] rows) = s_ways[way];
        (_, _, int arrive, (DropReason Reason, int Count)[] dropped) = rows.Single(one => one.Forgery == forgery);
        KernelCase one = new(IpsecSuite.All.Single(s => s.Name == suite && s.IsAh == (way[..2] == "ah")), mode == "tunnel" ? IpsecMode.Tunnel : IpsecMode.Transport, family, family)
        {
            Extended = way.EndsWith("-esn", StringComparison.Ordinal),
            InUdp = way.EndsWith("-udp", StringComparison.Ordinal),
        };
        Send(forgery, one, arrive, dropped);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void An_SA_that_may_carry_four_packets_carries_four(int family)
    {
        KernelCase one = new(IpsecSuite.AesCbc128HmacSha256, IpsecMode.Tunnel, family, family);
        Send("nothing-wrong", one, 4, [], static settings => settings with { Hard = new SaLifetime(0, 4, 0) });
        Expect("nothing-wrong", 0, (SaExpired, 4));
    }

    private void Send(string forgery, KernelCase one, int arrive, (DropReason Reason, int Count)[] dropped, Func<SaSettings, SaSettings>? but = null)
    {
        scene.Start();
        int seed = Random.Shared.Next();
        TestContext.Current.TestOutputHelper!.WriteLine($"seed {seed}");
        scene.Protect(one, new Random(seed), but);
        Expect(forgery, arrive, dropped);
    }

    private void Expect(string forgery, int arrive, params (DropReason Reason, int Count)[] dropped)
    {
        // Of some the one comes before the other, and not in one burst.
        (Dictionary<DropReason, long> became, long arrived) = ([], 0);
        foreach (string step in forgery.Split(','))
        {
            (Dictionary<DropReason, long> these, long more) = scene.Send(step);
            arrived += more;
            foreach ((DropReason why, long count) in these)
            {
                became[why] = became.GetValueOrDefault(why) + count;
            }
        }

        Assert.Equal(dropped.ToDictionary(static cell => cell.Reason, static cell => (long)cell.Count), became);
        Assert.Equal(arrive, arrived);
    }
}
