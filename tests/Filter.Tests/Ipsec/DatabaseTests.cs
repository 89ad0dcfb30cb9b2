using Filter.Engine.Packets;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Ipsec.Protocols;
using Filter.Rules.Policy;

namespace Filter.Tests.Ipsec;

public sealed class DatabaseTests : IDisposable
{
    private static readonly Address s_client = Address.Parse("10.1.0.5");
    private static readonly Address s_server = Address.Parse("10.2.0.9");
    private static readonly SaConfig s_sa = Gateway.Sa(IpsecMode.Tunnel, "192.0.2.1", "198.51.100.1", replay: 64);

    private readonly string _folder = Directory.CreateTempSubdirectory("filter-reserve-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void An_unchanged_SA_keeps_counter_window_and_statistics_over_a_reload()
    {
        (Gateway left, Gateway right) = Gateway.Pair(s_sa);
        using Gateway a = left, b = right;
        byte[] wire = Assert.Single(right.Receive(left.Send(PlainFrames.Udp(s_client, s_server, 20))));
        OutboundSa before = left.Outbound;
        int generation = left.Stage.Generation;

        // Another name, another place in the file, another entry before it: the same SA.
        SaConfig renamed = Gateway.Sa(IpsecMode.Tunnel, "192.0.2.1", "198.51.100.1", replay: 64, clamp: true, name: "renamed");
        left.Stage.Adopt(IpsecDatabases.Build(
            Gateway.Config([Gateway.Policy(1, IpsecAction.Bypass, remote: "10.7.0.1"), Gateway.Policy(2, IpsecAction.Protect, renamed)], renamed),
            [], left.Stage.Databases));

        Assert.Same(before, left.Outbound);
        Assert.NotEqual(generation, left.Stage.Generation);
        left.Send(PlainFrames.Udp(s_client, s_server, 20));
        Assert.Equal(2UL, before.Counter);
        Assert.Equal(2, before.Statistics.Packets);
        Assert.NotNull(wire);
    }

    [Fact]
    public void A_changed_key_makes_another_SA_and_the_old_one_is_wiped()
    {
        (Gateway left, Gateway right) = Gateway.Pair(s_sa);
        using Gateway a = left, b = right;
        OutboundSa before = left.Outbound;
        left.Send(PlainFrames.Udp(s_client, s_server, 20));
        SaConfig rekeyed = Gateway.Sa(IpsecMode.Tunnel, "192.0.2.1", "198.51.100.1", replay: 64, key: 40);

        left.Stage.Adopt(IpsecDatabases.Build(Gateway.Config([Gateway.Policy(1, IpsecAction.Protect, rekeyed)], rekeyed), [], left.Stage.Databases));

        OutboundSa after = left.Outbound;
        Assert.NotSame(before, after);
        Assert.Equal(0UL, after.Counter);
        Assert.Throws<ObjectDisposedException>(() => before.Key.SameAs(after.Key));
        Assert.Empty(right.Receive(left.Send(PlainFrames.Udp(s_client, s_server, 20))));
        Assert.Equal([DropReason.BadIcv], right.Ended);
    }

    [Fact]
    public void Far_ends_that_all_choose_one_SPI_make_no_search_longer()
    {
        const uint spi = 0xdead;
        Random random = Fuzzing.Seeded(out int seed);
        var sad = new Sad();
        List<OutboundSa> sealing = [];
        for (uint i = 0; i < 20_000; i++)
        {
            // Half of them from far ends of their own, half from one that has but one SPI to give.
            Address far = Address.FromIPv4(0xcb00_7100 + (i % 2 == 0 ? i : 0));
            SaSettings settings = s_sa.Settings with { Remote = far };
            var sa = new OutboundSa("peer", settings, spi, Key());
            sad.Add(sa);
            sealing.Add(sa);
        }

        var opening = new InboundSa("ours", s_sa.Settings, spi, Key());
        sad.Add(opening);
        Address local = s_sa.Settings.Local!.Value;
        Assert.True(sad.LongestRun < 100, $"seed {seed}: {sad.LongestRun}");
        Assert.Same(opening, sad.Find(spi, 50, local));

        // Each is found by its far end, the newest where there are several; and so after most are gone, in any order.
        random.Shuffle(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(sealing));
        foreach (OutboundSa sa in sealing[..19_000])
        {
            Assert.Equal(sa.Remote, sad.FindSealing(spi, 50, local, sa.Remote)?.Remote);
            sad.Remove(sa);
        }

        Assert.All(sealing[19_000..], sa => Assert.Equal(sa.Remote, sad.FindSealing(spi, 50, local, sa.Remote)?.Remote));
        Assert.Null(sad.FindSealing(spi, 51, local, sealing[^1].Remote));
        Assert.Null(sad.FindSealing(spi, 50, s_client, sealing[^1].Remote));
        foreach (SecurityAssociation sa in sad.All.ToArray())
        {
            sad.Remove(sa);
            Assert.True(sa is InboundSa || sad.FindSealing(spi, 50, local, sa.Remote) != sa);
        }

        Assert.Equal(0, sad.LongestRun);

        static SaKey Key() => new(s_sa.Settings.Suite, s_sa.Out.EncryptionKey.Reveal(), s_sa.Out.IntegrityKey.Reveal());
    }

    [Fact]
    public void An_error_is_understood_where_the_far_end_has_moved()
    {
        var sad = new Sad();
        Address first = s_sa.Settings.Remote!.Value, second = Address.Parse("203.0.113.77"), local = s_sa.Settings.Local!.Value;
        using var sa = new OutboundSa("moves", s_sa.Settings, 0x1001, new SaKey(s_sa.Settings.Suite, s_sa.Out.EncryptionKey.Reveal(), s_sa.Out.IntegrityKey.Reveal()));
        sad.Add(sa);

        sad.Follow(sa, second, 61000);

        Assert.Null(sad.FindSealing(0x1001, 50, local, first));
        Assert.Same(sa, sad.FindSealing(0x1001, 50, local, second));
        sad.Remove(sa);
        Assert.Null(sad.FindSealing(0x1001, 50, local, second));
    }

    [Fact]
    public void Keys_of_the_ruleset_may_be_wiped_once_the_databases_stand()
    {
        SaConfig sa = Gateway.Sa(IpsecMode.Transport);
        using var left = new Gateway(Gateway.Config([Gateway.Policy(1, IpsecAction.Protect, sa)], sa));
        SaConfig mirror = Gateway.Mirror(Gateway.Sa(IpsecMode.Transport));
        using var right = new Gateway(Gateway.Config([Gateway.Policy(1, IpsecAction.Protect, mirror)], mirror));
        sa.Out.Wipe();
        sa.In.Wipe();

        Assert.Single(right.Receive(left.Send(PlainFrames.Udp(s_client, s_server, 20))));
    }

    [Fact]
    public void The_first_policy_that_matches_decides_and_ports_are_the_remote_ones()
    {
        ServiceSet web = ServiceSet.Of([new Service(6, new PortRange(443, 443))]);
        ServiceSet ping = ServiceSet.Of([new Service(1, new PortRange(8, 8)), new Service(58, new PortRange(128, 128))]);
        IpsecDatabases databases = IpsecDatabases.Build(
            Gateway.Config(
            [
                Gateway.Policy(1, IpsecAction.Bypass, service: web),
                Gateway.Policy(2, IpsecAction.Drop, local: "10.1.0.5"),
                Gateway.Policy(3, IpsecAction.Bypass, service: ping),
            ]),
            []);
        var opening = new OpeningFacts(
            new FlowKey(s_client, s_server, 40000, 443, 6, 0), 0, 1, Direction.Out, TcpFlags.Syn, 0, 0, 0, 0);

        Assert.Equal((ushort?)1, databases.Spd!.Find(opening)?.Number);
        Assert.Equal((ushort?)1, databases.Spd.Find(opening with { Key = opening.Key.Reverse, Direction = Direction.In })?.Number);
        Assert.Equal((ushort?)2, databases.Spd.Find(opening with { Key = opening.Key with { DestinationPort = 80 } })?.Number);
        FlowKey echo = new(Address.Parse("10.1.0.6"), s_server, 7, 7, 1, 0);
        Assert.Equal((ushort?)3, databases.Spd.Find(opening with { Key = echo, IcmpType = 8 })?.Number);
        Assert.Equal((ushort?)3, databases.Spd.Find(opening with { Key = echo.Reverse, IcmpType = 0, Direction = Direction.In })?.Number);
        Assert.Null(databases.Spd.Find(opening with { Key = echo, IcmpType = 13 }));
    }

    [Fact]
    public void Local_ports_are_those_of_the_protected_side_whichever_way_a_packet_goes()
    {
        IpsecPolicy database = Gateway.Policy(1, IpsecAction.Bypass, service: ServiceSet.Of([new Service(6, PortRange.All)])) with
        {
            LocalPorts = [new PortRange(22, 22), new PortRange(5432, 5439)],
        };
        Spd spd = IpsecDatabases.Build(Gateway.Config([database]), []).Spd!;
        var answer = new OpeningFacts(new FlowKey(s_client, s_server, 5433, 40000, 6, 0), 0, 1, Direction.Out, TcpFlags.None, 0, 0, 0, 0);

        Assert.NotNull(spd.Find(answer));
        Assert.NotNull(spd.Find(answer with { Key = answer.Key.Reverse, Direction = Direction.In }));
        Assert.Null(spd.Find(answer with { Key = answer.Key with { SourcePort = 5440 } }));
        Assert.Null(spd.Find(answer with { Key = answer.Key.Reverse }));
        Assert.Null(spd.Find(answer with { Key = answer.Key with { Protocol = 17 } }));
    }

    [Fact]
    public void Numbers_are_reserved_on_disk_before_they_are_used_and_never_used_again()
    {
        string path = Path.Combine(_folder, "sequence");
        IpsecConfig config = Gateway.Config([Gateway.Policy(1, IpsecAction.Protect, s_sa)], s_sa);
        using (var gateway = new Gateway(config, reserve: new SequenceReserve(path)))
        {
            Assert.Contains("0x00001001 198.51.100.1 1000000", File.ReadAllLines(path));
            gateway.Send(PlainFrames.Udp(s_client, s_server, 20));
            Assert.Equal(1UL, gateway.Outbound.Counter);
        }

        using var again = new Gateway(config, reserve: new SequenceReserve(path));
        OutboundSa sa = again.Outbound;
        Assert.Equal(1_000_000UL, sa.Counter);
        Assert.Equal(2_000_000UL, sa.Limit);
        again.Send(PlainFrames.Udp(s_client, s_server, 20));
        Assert.Equal(1_000_001UL, sa.Counter);
    }

    [Fact]
    public void Half_a_block_before_its_end_the_next_one_is_reserved()
    {
        string path = Path.Combine(_folder, "sequence");
        var reserve = new SequenceReserve(path);
        var settings = new SaSettings { Mode = IpsecMode.Transport, Suite = IpsecSuite.AesCbc128HmacSha256, ReplayWindow = 64 };
        (ulong reserved, ulong limit) = reserve.Begin(7, default, extended: false);
        reserve.Save();
        using var sa = new OutboundSa("a", settings, 7, new SaKey(IpsecSuite.AesCbc128HmacSha256, new byte[16], new byte[32]), null, reserved, limit);

        for (int i = 0; i < 500_000; i++)
        {
            Assert.True(sa.TryNext(out _));
        }

        reserve.Renew([sa]);
        Assert.Equal(1_000_000UL, sa.Limit);
        Assert.True(sa.TryNext(out _));
        reserve.Renew([sa]);
        Assert.Equal(2_000_000UL, sa.Limit);
        Assert.Contains("0x00000007 any 2000000", File.ReadAllLines(path));
    }

    [Fact]
    public void A_far_end_that_has_moved_keeps_its_line_so_that_no_number_comes_twice()
    {
        string path = Path.Combine(_folder, "sequence");
        Address remote = s_sa.Settings.Remote!.Value;
        var reserve = new SequenceReserve(path);
        (ulong reserved, ulong limit) = reserve.Begin(7, remote, extended: false);
        reserve.Save();
        using var sa = new OutboundSa("a", s_sa.Settings, 7, new SaKey(IpsecSuite.AesCbc128HmacSha256, new byte[16], new byte[32]), null, reserved, limit);
        sa.Follow(Address.Parse("203.0.113.7"), 61000);
        for (int i = 0; i < 500_001; i++)
        {
            Assert.True(sa.TryNext(out _));
        }

        reserve.Renew([sa]);

        Assert.Equal(2_000_000UL, sa.Limit);
        Assert.Equal(2_000_000UL, new SequenceReserve(path).Begin(7, remote, extended: false).Reserved);
    }

    [Fact]
    public void Of_two_SAs_on_one_line_the_slower_takes_nothing_back_from_the_other()
    {
        string path = Path.Combine(_folder, "sequence");
        Address remote = s_sa.Settings.Remote!.Value;
        var reserve = new SequenceReserve(path);
        using OutboundSa slow = Began(400_000), fast = Began(600_000);
        Assert.True(fast.TryNext(out _));
        reserve.Renew([fast]);
        Assert.Equal(3_000_000UL, fast.Limit);
        for (int i = 0; i < 100_001; i++)
        {
            Assert.True(slow.TryNext(out _));
        }

        reserve.Renew([slow]);

        Assert.Equal(3_000_000UL, new SequenceReserve(path).Begin(7, remote, extended: false).Reserved);

        OutboundSa Began(ulong used)
        {
            (ulong reserved, ulong limit) = reserve.Begin(7, remote, extended: false);
            return new OutboundSa("a", s_sa.Settings, 7, new SaKey(IpsecSuite.AesCbc128HmacSha256, new byte[16], new byte[32]), null, reserved + used, limit);
        }
    }

    [Fact]
    public void A_spent_reserve_drops_and_says_so()
    {
        var settings = new SaSettings { Mode = IpsecMode.Transport, Suite = IpsecSuite.AesCbc128HmacSha256, ReplayWindow = 64 };
        using var sa = new OutboundSa("a", settings, 7, new SaKey(IpsecSuite.AesCbc128HmacSha256, new byte[16], new byte[32]), null, 4, 5);

        Assert.True(sa.TryNext(out ulong sequence));
        Assert.Equal(5UL, sequence);
        Assert.False(sa.TryNext(out _));
    }

    [Theory]
    [InlineData("")]
    [InlineData("something else\n")]
    [InlineData("# Filter: highest ESP sequence numbers in use; do not edit\n0x10 any")]
    [InlineData("# Filter: highest ESP sequence numbers in use; do not edit\n0x10 any -5\n")]
    [InlineData("# Filter: highest ESP sequence numbers in use; do not edit\nzz any 5\n")]
    [InlineData("# Filter: highest ESP sequence numbers in use; do not edit\n0x10 10.1 5\n")]
    public void A_damaged_reserve_is_refused(string content)
    {
        string path = Path.Combine(_folder, "sequence");
        File.WriteAllText(path, content);

        Assert.Throws<InvalidDataException>(() => new SequenceReserve(path));
    }

    [Fact]
    public void Of_two_numbers_for_one_SA_the_higher_counts_and_no_link_is_followed()
    {
        string path = Path.Combine(_folder, "sequence"), elsewhere = Path.Combine(_folder, "elsewhere");
        File.WriteAllText(path, "# Filter: highest ESP sequence numbers in use; do not edit\n0x00001001 any 5000000\n0x00001001 any 7\n");
        File.WriteAllText(elsewhere, "precious");
        File.CreateSymbolicLink(path + ".new", elsewhere);
        var reserve = new SequenceReserve(path);

        (ulong reserved, _) = reserve.Begin(0x1001, default, extended: false);
        reserve.Save();

        Assert.Equal(5_000_000u, reserved);
        Assert.Equal("precious", File.ReadAllText(elsewhere));
        Assert.Contains("0x00001001 any 6000000\n", File.ReadAllText(path), StringComparison.Ordinal);
        Assert.Null(new FileInfo(path).LinkTarget);
    }

    [Theory]
    [InlineData(32)]
    [InlineData(64)]
    [InlineData(100)]
    [InlineData(4096)]
    [InlineData(65536)]
    public void The_window_agrees_with_a_set_of_everything_seen(int size)
    {
        int seed = Environment.TickCount;
        var random = new Random(seed);
        var window = new ReplayWindow(size);
        var seen = new HashSet<ulong>();
        ulong top = 0;
        Assert.False(window.Accepts(0));
        for (int i = 0; i < 20_000; i++)
        {
            ulong next = random.Next(20) switch
            {
                0 => top + (ulong)random.Next(3 * size),
                1 => top > (ulong)size ? top - (ulong)size + (ulong)random.Next(3) - 1 : 1,
                < 8 => top + 1,
                _ => (ulong)Math.Max(0, (long)top - random.Next(size + 8)),
            };
            bool expected = next > 0 && (next > top || (top - next < (ulong)size && !seen.Contains(next)));
            Assert.True(expected == window.Accepts(next), $"seed {seed}: {next} with top {top}");
            if (expected && random.Next(5) > 0)
            {
                window.Take(next);
                seen.Add(next);
                top = Math.Max(top, next);
                Assert.False(window.Accepts(next));
            }
        }
    }
}
