using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Ipsec.Protocols;
using Filter.Rules.Policy;

namespace Filter.Tests.Ipsec;

/// <summary>SAs that come one by one, as a key manager brings them, and go again while packets flow.</summary>
public sealed class BroughtSaTests
{
    private static readonly Address s_client = Address.Parse("10.1.0.5");
    private static readonly Address s_server = Address.Parse("10.2.0.9");
    private static readonly SaSettings s_tunnel = new()
    {
        Mode = IpsecMode.Tunnel,
        Local = Address.Parse("192.0.2.1"),
        Remote = Address.Parse("198.51.100.1"),
        Suite = IpsecSuite.AesCbc128HmacSha256,
    };

    private uint _spi = 0x1000;

    [Fact]
    public void A_policy_without_an_SA_drops_and_says_what_it_wants()
    {
        using Gateway left = Waiting();

        Assert.Empty(left.Send(Ping()));

        Assert.Equal([DropReason.NoSa], left.Ended);
        Assert.True(left.Stage.Events.TryRead(out IpsecEvent wanted));
        Assert.Equal((IpsecEventKind.Acquire, (ushort)1), (wanted.Kind, wanted.Policy));
        Assert.Equal((s_client, s_server, (byte)17), (wanted.Packet.Local, wanted.Packet.Remote, wanted.Packet.Protocol));
    }

    [Fact]
    public void An_SA_that_is_brought_carries_the_next_packet_and_none_after_it_is_taken_away()
    {
        using Gateway left = Waiting(), right = Waiting();
        (OutboundSa sealing, InboundSa opening) = Join(left, right, s_tunnel);

        Assert.Single(right.Receive(left.Send(Ping())));
        Assert.Equal(1, left.Stage.Databases.Spd!.Entries[0].Statistics.Protected);

        Assert.True(left.Stage.Remove(sealing));
        Assert.False(left.Stage.Remove(sealing));
        Assert.Empty(left.Send(Ping()));
        Assert.Equal([DropReason.NoSa], left.Ended);
        Assert.True(right.Stage.Remove(opening));
        Assert.Equal(0, right.Stage.Sad.Count);
    }

    [Fact]
    public void The_newest_SA_seals_and_the_old_one_still_opens()
    {
        using Gateway left = Waiting(), right = Waiting();
        (OutboundSa old, _) = Join(left, right, s_tunnel);
        byte[] late = left.Send(Ping())[0];
        (OutboundSa fresh, _) = Join(left, right, s_tunnel);

        Assert.Single(right.Receive(left.Send(Ping())));
        Assert.Single(right.Receive(late));

        Assert.Equal((1, 1), (old.Statistics.Packets, fresh.Statistics.Packets));
        Assert.Equal(2, right.Stage.Databases.Spd!.Entries[0].Statistics.Opened);
    }

    [Fact]
    public void Packets_go_by_the_SA_of_their_DSCP_and_by_the_one_for_all_where_none_names_it()
    {
        using Gateway left = Waiting(), right = Waiting();
        (OutboundSa voice, _) = Join(left, right, s_tunnel with { Dscps = 1UL << 46 });
        (OutboundSa rest, _) = Join(left, right, s_tunnel);

        Assert.Equal(3, right.Receive(left.Send(Marked(46), Marked(0), Marked(10))).Count);

        Assert.Equal((1, 2), (voice.Statistics.Packets, rest.Statistics.Packets));
    }

    [Fact]
    public void An_SA_made_for_one_host_carries_no_other()
    {
        Address other = Address.Parse("10.1.0.6");
        using Gateway left = Waiting(PopulatedSelectors.Local), right = Waiting();
        (OutboundSa ofClient, _) = Join(left, right, s_tunnel, For(s_client));

        Assert.Single(left.Send(Ping()));
        Assert.Empty(left.Send(PlainFrames.Udp(other, s_server, 20)));
        Assert.Equal([DropReason.NoSa], left.Ended);
        Assert.Equal(other, Acquired(left).Local);

        (OutboundSa ofOther, _) = Join(left, right, s_tunnel, For(other));
        Assert.Equal(2, right.Receive(left.Send(Ping(), PlainFrames.Udp(other, s_server, 20))).Count);
        Assert.Equal((2, 1), (ofClient.Statistics.Packets, ofOther.Statistics.Packets));
    }

    [Fact]
    public void What_comes_by_an_SA_made_for_another_host_is_refused()
    {
        // The far end seals for a host what it may seal for another only: its SA has no selectors, ours has.
        using Gateway left = Waiting(), right = Waiting();
        Join(left, right, s_tunnel, null, Seen(Address.Parse("10.1.0.6")));

        Assert.Empty(right.Receive(left.Send(Ping())));
        Assert.Equal([DropReason.WrongSelectors], right.Ended);
        Assert.Equal(1, right.Stage.Databases.Spd!.Entries[0].Statistics.WrongSelectors);
    }

    [Fact]
    public void An_ICMP_error_goes_by_the_SA_that_is_made_for_the_hosts_it_speaks_of()
    {
        // A router before the client speaks of what the server sent: no SA is made for it, and it needs none.
        Address near = Address.Parse("10.1.0.1"), other = Address.Parse("10.1.0.6");
        using Gateway left = Waiting(PopulatedSelectors.Local), right = Waiting(PopulatedSelectors.Remote);
        Join(left, right, s_tunnel, For(s_client), Seen(s_client));
        byte[] answer = PlainFrames.Udp(s_server, s_client, 20);

        byte[] wire = Assert.Single(left.Send(ErrorAbout(near, s_server, answer)));
        Assert.Equal([ErrorAbout(near, s_server, answer)], right.Receive(wire));

        // Of another host's it is refused where it leaves, and where it comes by the wrong SA; nobody is asked for keys.
        byte[] ofOther = ErrorAbout(near, s_server, PlainFrames.Udp(s_server, other, 20));
        Assert.Empty(left.Send(ofOther));
        Assert.Equal([DropReason.NoSa], left.Ended);
        Assert.False(left.Stage.Events.TryRead(out _));

        using Gateway lax = Waiting(), strict = Waiting();
        Join(lax, strict, s_tunnel, null, Seen(s_client));
        Assert.Equal([ErrorAbout(near, s_server, answer)], strict.Receive(lax.Send(ErrorAbout(near, s_server, answer))));
        Assert.Empty(strict.Receive(lax.Send(ofOther)));
        Assert.Equal([DropReason.WrongSelectors], strict.Ended);
    }

    [Fact]
    public void A_soft_limit_is_told_once_and_a_hard_one_ends_the_SA_on_both_sides()
    {
        using Gateway left = Waiting(), right = Waiting();
        SaSettings short_ = s_tunnel with { Soft = new SaLifetime(0, 2, 0), Hard = new SaLifetime(0, 3, 0) };
        (OutboundSa sealing, InboundSa opening) = Join(left, right, short_);

        List<byte[]> wire = [.. Enumerable.Range(0, 3).SelectMany(_ => left.Send(Ping()))];
        Assert.Equal(3, wire.Count);
        Assert.Empty(left.Send(Ping()));

        Assert.Equal([DropReason.SaExpired], left.Ended);
        Assert.Equal([IpsecEventKind.SoftExpired, IpsecEventKind.HardExpired, IpsecEventKind.Acquire], Told(left));
        Assert.Equal(SaState.Expired, sealing.State);

        byte[] again = wire[0];
        Assert.Equal(3, right.Receive(wire).Count);
        Assert.Empty(right.Receive(again));
        Assert.Equal([DropReason.Replayed], right.Ended);

        // One more than its life, with a number that would be good.
        (OutboundSa twin, _) = (new OutboundSa("twin", s_tunnel, sealing.Spi, Key(sealing.Spi), null, 3), opening);
        Assert.Null(left.Stage.Add(twin, "all"));
        Assert.Empty(right.Receive(left.Send(Ping())));
        Assert.Equal([DropReason.SaExpired], right.Ended);
        Assert.Equal(1, opening.Statistics.Expired);
    }

    [Fact]
    public void A_burst_does_not_carry_more_than_the_hard_limit()
    {
        using Gateway left = Waiting(), right = Waiting();
        (OutboundSa sealing, _) = Join(left, right, s_tunnel with { Hard = new SaLifetime(0, 3, 0) });
        Assert.True(left.Stage.Remove(sealing));
        Assert.Null(left.Stage.Add(new OutboundSa("endless", s_tunnel, sealing.Spi, Key(sealing.Spi)), "all"));

        List<byte[]> wire = left.Send(Ping(), Ping(), Ping(), Ping(), Ping());

        Assert.Equal(3, right.Receive(wire).Count);
        Assert.Equal([DropReason.SaExpired, DropReason.SaExpired], right.Ended);
    }

    [Fact]
    public void A_flood_of_what_has_no_SA_does_not_hide_that_another_ends()
    {
        using Gateway left = Waiting(PopulatedSelectors.Local), right = Waiting();
        Join(left, right, s_tunnel with { Hard = new SaLifetime(0, 1, 0) }, For(s_client));
        byte[] wanting = PlainFrames.Udp(Address.Parse("10.1.0.6"), s_server, 20);

        Assert.Empty(left.Send([.. Enumerable.Repeat(wanting, 2_000)]));
        left.Send(Ping(), Ping());

        Assert.Contains(IpsecEventKind.HardExpired, Told(left));
        Assert.True(left.Stage.Events.Lost > 0);
    }

    [Fact]
    public void An_SA_without_limits_has_an_age_too()
    {
        using Gateway left = Waiting(), right = Waiting();
        (OutboundSa sealing, _) = Join(left, right, s_tunnel);
        left.Send(Ping());
        long since = sealing.Since;
        left.Send(Ping());

        Assert.Equal((left.Burst.Now - 1_000_000_000, since), (since, sealing.Since));
        Assert.Equal(SaState.Live, sealing.State);
    }

    [Fact]
    public void Time_ends_an_SA_that_carries_nothing()
    {
        using Gateway left = Waiting(), right = Waiting();
        (OutboundSa sealing, _) = Join(left, right, s_tunnel with { Hard = new SaLifetime(0, 0, 60_000_000_000) });
        left.Send(Ping());

        left.Burst.Reset();
        left.Burst.Now += 59_000_000_000;
        left.Stage.Tick(left.Burst);
        Assert.Equal(SaState.Live, sealing.State);
        left.Burst.Now += 10_000_000_000;
        left.Stage.Tick(left.Burst);

        Assert.Equal(SaState.Expired, sealing.State);
        Assert.Equal([IpsecEventKind.HardExpired], Told(left));
        Assert.Empty(left.Send(Ping()));
    }

    [Fact]
    public void Bytes_are_counted_as_the_RFC_has_them()
    {
        using Gateway left = Waiting(), right = Waiting();
        (OutboundSa sealing, _) = Join(left, right, s_tunnel with { Soft = new SaLifetime(100, 0, 0) });

        left.Send(PlainFrames.Udp(s_client, s_server, 80));
        Assert.Empty(Told(left));
        left.Send(Ping());                                  // the first that sees more than a hundred

        Assert.Equal([IpsecEventKind.SoftExpired], Told(left));
        Assert.Equal(108 + 48, sealing.Statistics.Bytes);
    }

    [Fact]
    public void Numbers_that_run_out_are_told_before_they_do()
    {
        using Gateway left = Waiting();
        var sealing = new OutboundSa("old", s_tunnel, 0x900, Key(0x900), null, (uint.MaxValue / 4 * 3) - 1);
        Assert.Null(left.Stage.Add(sealing, "all"));

        left.Send(Ping());
        Assert.Empty(Told(left));
        left.Send(Ping());

        Assert.Equal([IpsecEventKind.SoftExpired], Told(left));
        Assert.Equal(SaState.Expiring, sealing.State);
    }

    [Fact]
    public void Extended_numbers_go_on_where_32_bits_end()
    {
        using Gateway left = Waiting(), right = Waiting();
        SaSettings extended = s_tunnel with { ExtendedSequence = true, ReplayWindow = 64 };
        (OutboundSa sealing, InboundSa opening) = Join(left, right, extended, reserved: 0x8000_0000);
        Assert.Single(right.Receive(left.Send(Ping())));
        Assert.True(left.Stage.Remove(sealing));
        Assert.Null(left.Stage.Add(new OutboundSa("on", extended, sealing.Spi, Key(sealing.Spi), null, uint.MaxValue - 4UL), "all"));

        List<byte[]> wire = [.. Enumerable.Range(0, 10).SelectMany(_ => left.Send(Ping()))];
        wire.Reverse(2, 6);                                 // across the edge, out of order
        Assert.Equal(10, right.Receive(wire).Count);
        Assert.Equal(uint.MaxValue + 6UL, opening.Window!.Top);

        // Seen on both sides of the edge is seen.
        Assert.Empty(right.Receive(wire));
        Assert.All(right.Ended, static why => Assert.Equal(DropReason.Replayed, why));
    }

    [Fact]
    public void The_whole_number_is_found_wherever_the_window_lies()
    {
        int seed = Random.Shared.Next();
        var random = new Random(seed);
        for (int round = 0; round < 20_000; round++)
        {
            int size = 32 << random.Next(12);
            var window = new ReplayWindow(size);
            ulong top = (ulong)random.NextInt64(0, 5) * 0x1_0000_0000UL + random.Next(6) switch
            {
                0 => (ulong)random.Next(2 * size), 1 => 0xffff_ffffUL - (ulong)random.Next(2 * size), _ => (ulong)random.NextInt64(0x1_0000_0000),
            };
            if (top > 0)
            {
                window.Take(top);
            }

            // Anything within the window, and anything less than 2^32 - window beyond it, stands for itself (RFC 4303 A2).
            ulong low = top >= (ulong)size ? top - (ulong)size + 1 : 0, high = low + 0xffff_ffff;
            ulong number = low + (ulong)random.NextInt64((long)(high - low));
            if (top < (ulong)size - 1 && number > 0x1_0000_0000UL - ((ulong)size - top))
            {
                continue;                                   // would have to lie before the first
            }

            Assert.True(number == window.Extend((uint)number), $"seed {seed}, round {round}: top {top:x}, window {size}, {number:x} became {window.Extend((uint)number):x}");
        }
    }

    [Fact]
    public void The_table_finds_what_is_in_it_and_nothing_else_whatever_came_and_went()
    {
        int seed = Random.Shared.Next();
        var random = new Random(seed);
        using Gateway left = Waiting();
        Dictionary<(uint, Address), InboundSa> expected = [];
        Address[] ends = [default, Address.Parse("192.0.2.1"), Address.Parse("2001:db8::1")];
        for (int step = 0; step < 4_000; step++)
        {
            uint spi = 256 + (uint)random.Next(300);
            Address end = ends[random.Next(3)];
            if (random.Next(5) < 3)
            {
                var fresh = new InboundSa("r", s_tunnel with { Mode = IpsecMode.Transport, Local = end == default ? null : end, Remote = null, ReplayWindow = 0 }, spi, Key(spi));
                string? why = left.Stage.Add(fresh, "all");
                Assert.True((why is null) == expected.TryAdd((spi, end), fresh), $"seed {seed}: {why}");
                if (why is not null)
                {
                    fresh.Dispose();
                }
            }
            else if (expected.Remove((spi, end), out InboundSa? gone))
            {
                Assert.True(left.Stage.Remove(gone));
            }

            InboundSa? wanted = expected.GetValueOrDefault((spi, end)) ?? expected.GetValueOrDefault((spi, default(Address)));
            Assert.True(left.Stage.Sad.Find(spi, 50, end) == wanted, $"seed {seed}, step {step}");
            Assert.Null(left.Stage.Sad.Find(spi, 51, end));
        }

        Assert.Equal(expected.Count, left.Stage.Sad.Count);
        Assert.Equal(expected.Count, left.Stage.Sad.All.Count());
    }

    [Fact]
    public void What_a_key_manager_brought_stays_over_a_reload_where_its_policy_does()
    {
        using Gateway left = Waiting(), right = Waiting();
        (OutboundSa sealing, _) = Join(left, right, s_tunnel);
        left.Send(Ping());

        left.Stage.Adopt(IpsecDatabases.Build(
            Gateway.Config([Gateway.Policy(1, IpsecAction.Bypass, remote: "10.7.0.1"), Named(2)]), [], left.Stage.Databases));
        Assert.Single(left.Send(Ping()));
        Assert.Equal(2UL, sealing.Counter);
        Assert.Equal(2, left.Stage.Databases.Spd!.Entries[1].Statistics.Protected);

        left.Stage.Adopt(IpsecDatabases.Build(Gateway.Config([Gateway.Policy(1, IpsecAction.Protect)]), [], left.Stage.Databases));
        Assert.Equal(0, left.Stage.Sad.Count);
        Assert.Empty(left.Send(Ping()));
    }

    [Fact]
    public void The_library_forgets_a_key_before_it_is_wiped_however_its_SA_goes()
    {
        var crypto = new Forgetful(CryptoBackend.CreateBest());
        using Gateway left = new(Gateway.Config([Named(1)]), crypto: crypto), right = Waiting();
        (OutboundSa removed, _) = Join(left, right, s_tunnel);
        (OutboundSa dropped, _) = Join(left, right, s_tunnel);
        left.Send(Ping());

        Assert.True(left.Stage.Remove(removed));
        Assert.Equal([removed.Key], crypto.Forgotten);

        left.Stage.Adopt(IpsecDatabases.Build(Gateway.Config([Gateway.Policy(1, IpsecAction.Protect)]), [], left.Stage.Databases));
        Assert.Equal([removed.Key, dropped.Key], crypto.Forgotten);
        Assert.Throws<ObjectDisposedException>(() => dropped.Key.SameAs(dropped.Key));
    }

    [Fact]
    public void An_SA_without_a_policy_or_with_a_taken_SPI_is_not_taken()
    {
        using Gateway left = Waiting(), right = Waiting();
        (_, InboundSa opening) = Join(left, right, s_tunnel);
        using var twin = new InboundSa("twin", opening.Settings, opening.Spi, Key(opening.Spi));
        using var lost = new InboundSa("lost", opening.Settings, 0x7777, Key(1));

        Assert.Contains("already", right.Stage.Add(twin, "all"), StringComparison.Ordinal);
        Assert.Contains("no policy", right.Stage.Add(lost, "nobody"), StringComparison.Ordinal);
        Assert.NotNull(right.Stage.Add(lost));
    }

    private static IpsecPolicy Named(int number, PopulatedSelectors populate = PopulatedSelectors.None) =>
        Gateway.Policy(number, IpsecAction.Protect) with { Name = "all", Populate = populate };

    private static Gateway Waiting(PopulatedSelectors populate = PopulatedSelectors.None) =>
        new(Gateway.Config([Named(1, populate)]), own: [Address.Parse("192.0.2.1"), Address.Parse("198.51.100.1")]);

    /// <summary>Brings one SA, from left to right.</summary>
    private (OutboundSa Sealing, InboundSa Opening) Join(
        Gateway left, Gateway right, SaSettings settings, SaSelectors? sealing = null, SaSelectors? opening = null, ulong reserved = 0)
    {
        uint spi = ++_spi;
        var outbound = new OutboundSa("out", settings, spi, Key(spi), sealing, reserved);
        var inbound = new InboundSa("in", settings with { Local = settings.Remote, Remote = settings.Local }, spi, Key(spi), opening);
        Assert.Null(left.Stage.Add(outbound, "all"));
        Assert.Null(right.Stage.Add(inbound, "all"));
        return (outbound, inbound);
    }

    private static SaSelectors For(Address local) =>
        new(new AddressRange(local, local), AddressRange.Everything, null, PortRange.All, PortRange.All);

    private static SaSelectors Seen(Address remote) =>
        new(AddressRange.Everything, new AddressRange(remote, remote), null, PortRange.All, PortRange.All);

    /// <summary>What a router says of a packet that it could not deliver.</summary>
    internal static byte[] ErrorAbout(Address router, Address to, byte[] frame)
    {
        byte[] icmp = [3, 1, 0, 0, 0, 0, 0, 0, .. frame[14..]];
        BinaryPrimitives.WriteUInt16BigEndian(icmp.AsSpan(2), Checksum.Finish(Checksum.Sum(icmp)));
        return PlainFrames.Ip(router, to, 1, icmp, dontFragment: false, 0);
    }

    private static byte[] Ping() => PlainFrames.Udp(s_client, s_server, 20);

    private static byte[] Marked(byte dscp)
    {
        byte[] frame = Ping();
        frame[15] = (byte)(dscp << 2);
        IpHeader.FinishIPv4(frame.AsSpan(14));
        return frame;
    }

    private static SelectorValues Acquired(Gateway gateway)
    {
        Assert.True(gateway.Stage.Events.TryRead(out IpsecEvent wanted));
        return wanted.Packet;
    }

    private static List<IpsecEventKind> Told(Gateway gateway)
    {
        List<IpsecEventKind> told = [];
        while (gateway.Stage.Events.TryRead(out IpsecEvent each))
        {
            told.Add(each.Kind);
        }

        return told;
    }

    /// <summary>The best library, which notes what it is told to forget while that is still whole.</summary>
    private sealed class Forgetful(CryptoBackend best) : CryptoBackend
    {
        public List<SaKey> Forgotten { get; } = [];

        public override string Name => best.Name;

        public override bool Has(IpsecSuite suite) => best.Has(suite);

        public override void Forget(SaKey key)
        {
            Assert.True(key.SameAs(key));
            Forgotten.Add(key);
            best.Forget(key);
        }

        internal override void SealReady(Span<CryptoJob> jobs) => best.SealReady(jobs);

        internal override void OpenReady(Span<CryptoJob> jobs) => best.OpenReady(jobs);

        protected override void Dispose(bool disposing)
        {
            best.Dispose();
            base.Dispose(disposing);
        }
    }

    private static SaKey Key(uint seed)
    {
        byte[] key = new byte[16], integrity = new byte[32];
        new Random((int)seed).NextBytes(key);
        new Random((int)seed + 1).NextBytes(integrity);
        return new SaKey(IpsecSuite.AesCbc128HmacSha256, key, integrity);
    }
}
