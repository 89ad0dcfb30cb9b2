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

    public static TheoryData<string> Rows =>
    [
        .. from row in s_rows
           from mode in row.Modes
           from family in (int[])[4, 6]
           select $"{row.Forgery} {mode} {family}",
    ];

    [Theory]
    [MemberData(nameof(Rows))]
    public void What_is_forged_ends_for_its_reason_and_reaches_nobody(string row)
    {
        (string forgery, string mode, int family) = (row.Split(' ')[0], row.Split(' ')[1], row[^1] - '0');
        (_, _, int arrive, (DropReason Reason, int Count)[] dropped) = s_rows.Single(one => one.Forgery == forgery);
        Send(forgery, new KernelCase(IpsecSuite.AesCbc128HmacSha256, mode == "tunnel" ? IpsecMode.Tunnel : IpsecMode.Transport, family, family), arrive, dropped);
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
        (Dictionary<DropReason, long> became, long arrived) = scene.Send(forgery);

        Assert.Equal(dropped.ToDictionary(static cell => cell.Reason, static cell => (long)cell.Count), became);
        Assert.Equal(arrive, arrived);
    }
}
