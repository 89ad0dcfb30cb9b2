using Filter.Engine.Packets;
using Filter.Rules.Policy;

namespace Filter.Tests.Worlds;

/// <summary>What Filter seals a Linux kernel opens, and the reverse: echoes of odd sizes and a megabyte, both ways.</summary>
[Collection(InNamespaces.Name)]
public sealed class KernelTests(KernelScene scene) : IClassFixture<KernelScene>
{
    [Theory]
    [MemberData(nameof(KernelCases.Esp), MemberType = typeof(KernelCases))]
    public void The_kernel_opens_what_Filter_seals_and_the_reverse(string name) => Speak(name);

    [Theory]
    [MemberData(nameof(KernelCases.Ah), MemberType = typeof(KernelCases))]
    public void The_kernel_believes_what_Filter_authenticates_and_the_reverse(string name) => Speak(name);

    [Theory]
    [MemberData(nameof(KernelCases.More), MemberType = typeof(KernelCases))]
    public void Both_agree_on_numbers_windows_UDP_and_tunnels_of_another_family(string name) => Speak(name);

    [Theory]
    [Trait("Suite", "long")]
    [MemberData(nameof(KernelCases.Long), MemberType = typeof(KernelCases))]
    public void Every_suite_goes_every_way(string name) => Speak(name);

    [Fact]
    public void The_kernel_has_every_algorithm_that_the_table_does_not_say_it_lacks()
    {
        scene.Start();
        IEnumerable<IpsecSuite> asked = IpsecSuite.All.Where(static suite => KernelSpelling.Lacks(suite) is null && KernelCases.IsOfOneMatter(suite));
        Assert.Empty(scene.Refused(asked.Select(static suite => new KernelCase(suite, IpsecMode.Transport, 4, 4))));
    }

    private void Speak(string name)
    {
        scene.Start();
        TestContext.Current.TestOutputHelper!.WriteLine($"seed {scene.Seed}");
        KernelCase one = KernelCases.Named(name);
        scene.Protect(one);
        IReadOnlyDictionary<DropReason, long> before = scene.Filter.Drops();

        try
        {
            scene.Ping(one);
            scene.Upload(one);
            scene.GuestSpeaks(one);
        }
        finally
        {
            IReadOnlyDictionary<DropReason, long> after = scene.Filter.Drops();
            TestContext.Current.TestOutputHelper!.WriteLine(
                $"dropped: {string.Join(", ", after.Where(cell => cell.Value != before[cell.Key]).Select(cell => $"{cell.Value - before[cell.Key]} {cell.Key}"))}");
        }

        Assert.Equal(before, scene.Filter.Drops());
    }
}
