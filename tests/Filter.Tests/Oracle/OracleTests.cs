using Filter.Tests.Worlds;

namespace Filter.Tests.Oracle;

/// <summary>
/// The kernel as oracle: the same conversations, legal and illegal, through Filter's walk and through a kernel bridge with
/// nftables and conntrack. Packet by packet the two agree, but for what <see cref="AcceptedDifferences"/> names.
/// </summary>
[Collection(InNamespaces.Name)]
public sealed class OracleTests
{
    /// <summary>Every day the same ones: whoever changes a tracker sees what that changed, and nothing else.</summary>
    private const int Seed = 9293;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Filter_and_the_kernel_judge_thousands_of_conversations_alike(bool bothMayOpen)
    {
        int seed = int.TryParse(Environment.GetEnvironmentVariable("FILTER_SEED"), out int given) ? given : Seed;
        Comparison comparison = Compare(seed, 6000, bothMayOpen);
        Assert.InRange(comparison.Passed, 10_000, int.MaxValue);
    }

    private static Comparison Compare(int seed, int count, bool bothMayOpen)
    {
        IReadOnlyList<Conversation> conversations = Conversations.Make(new Random(seed), count, bothMayOpen);
        CameOut kernel = KernelWalk.Of(conversations, bothMayOpen);
        var comparison = Comparison.Of(conversations, kernel, FilterWalk.Of(conversations, bothMayOpen));
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"seed {seed}: {conversations.Count} conversations, {comparison.Packets} packets compared, {comparison.Passed} passed, "
            + $"{comparison.Behind} behind an accepted difference");
        for (int i = 0; i < AcceptedDifferences.All.Length; i++)
        {
            AcceptedDifference one = AcceptedDifferences.All[i];
            TestContext.Current.TestOutputHelper?.WriteLine($"{comparison.Accepted[i],6} × {one.Subject}, {one.State}, {one.Kind}: {one.Who} passes");
        }

        string faults = comparison.Faults();
        Assert.True(faults.Length == 0, $"seed {seed}, {(bothMayOpen ? "both may open" : "only the inside may open")}:\n{faults}");
        return comparison;
    }
}
