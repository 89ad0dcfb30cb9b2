using Filter.Engine.Fragments;
using Filter.Engine.Packets;

namespace Filter.Tests.Fragments;

/// <summary>Random pieces through the reassembler and through a model that is too simple to be wrong.</summary>
public sealed class ReassemblerFuzzTests(ITestOutputHelper output)
{
    private const byte Experimental = 253;

    [Fact]
    public void Random_pieces_get_what_a_naive_model_gives_them()
    {
        int seed = Random.Shared.Next();
        output.WriteLine($"seed {seed}");
        var random = new Random(seed);
        var net = new FragmentNet();
        var model = new Model();
        for (int step = 0; step < 60_000; step++)
        {
            net.Now += random.Next(4) == 0 ? random.NextInt64(20_000_000_000) : 1;
            bool v4 = random.Next(2) == 0;
            string from = (v4 ? "10.0.0." : "2001:db8::") + random.Next(1, 4);
            string to = v4 ? "192.0.2.1" : "2001:db8:f::1";
            uint id = (uint)random.Next(4);
            int offset = 8 * random.Next(5);
            bool more = random.Next(3) != 0 || offset == 0;
            int length = random.Next(10) == 0 ? random.Next(25) : 8 * random.Next(1, 3);
            byte[] data = Frames.Pattern(length, random.Next(12) == 0 ? 77 : offset);
            byte[] frame = Frames.Ethernet(Frames.Fragment(from, to, Experimental, id, offset, more, data));

            Fate expected = model.Send(net.Now, $"{from} {id}", v4, frame, offset, more, data, out List<byte[]> sent);
            Fate got = net.Send(frame);
            Assert.True(
                expected.Verdict == got.Verdict && expected.Reason == got.Reason,
                $"step {step}: expected {expected.Verdict} {expected.Reason}, got {got.Verdict} {got.Reason}");
            Assert.Equal(sent, net.Sent);
            if (expected.Whole is { } whole)
            {
                Assert.Equal(whole, got.Whole.AsSpan(14 + (v4 ? 20 : 40)).ToArray());
            }
        }

        output.WriteLine($"{net.Reassembler.Assembled} whole, {net.Counters[DropReason.FragmentOverlap]} overlapped");
        Assert.True(net.Reassembler.Assembled > 200);
        net.Now += 60_000_000_000;
        net.Expire();
        Assert.Equal(0, net.Reassembler.HeldNow);
    }

    [Fact]
    public void A_pool_that_is_always_short_loses_nothing_from_its_books()
    {
        int seed = Random.Shared.Next();
        output.WriteLine($"seed {seed}");
        var random = new Random(seed);
        var net = new FragmentNet(new FragmentLimits { Bytes = 24 * FramePool.BlockSize, Datagrams = 10, Pieces = 6, SourceShare = 2 });
        for (int step = 0; step < 30_000; step++)
        {
            net.Now += random.NextInt64(500_000_000);
            byte[][] frames = new byte[random.Next(1, 6)][];
            for (int i = 0; i < frames.Length; i++)
            {
                bool v4 = random.Next(2) == 0;
                string from = v4 ? $"10.0.0.{random.Next(1, 6)}" : $"2001:db8:{random.Next(5)}::1";
                int offset = 8 * random.Next(4);
                bool more = random.Next(3) != 0 || offset == 0;
                byte[] datagram = Frames.Fragment(
                    from, v4 ? "192.0.2.1" : "2001:db8:f::1", Experimental, (uint)random.Next(3), offset, more,
                    Frames.Pattern(8 * random.Next(1, 200), 0));
                frames[i] = Frames.Ethernet(datagram);
            }

            net.Says = random.Next(2) == 0 ? Verdict.Pass : Verdict.Drop;
            net.Ipsec = random.Next(4) == 0 ? IpsecAction.Protect : IpsecAction.Bypass;
            net.Send(frames);
            if (random.Next(50) == 0)
            {
                net.Expire();
            }
        }

        net.Now += 60_000_000_000;
        net.Expire();
        Assert.Equal(0, net.Reassembler.HeldNow);
        Assert.Equal(0, net.Reassembler.DatagramsNow);
        Assert.True(net.Counters[DropReason.FragmentLimit] > 1000);

        // Nothing leaked: every slot and block can be used again.
        net.Send([.. Enumerable.Range(1, 10).Select(i => Frames.Ethernet(
            Frames.Fragment($"10.9.{i}.1", "192.0.2.1", Experimental, 1, 8, true, Frames.Pattern(8))))]);
        Assert.Equal(10, net.Reassembler.HeldNow);
        net.Now += 60_000_000_000;
        net.Expire();
        net.Send([.. Enumerable.Range(1, 8).Select(i => Frames.Ethernet(
            Frames.Fragment($"10.9.{i}.1", "192.0.2.1", Experimental, 1, 8, true, Frames.Pattern(1400))))]);
        Assert.Equal(8, net.Reassembler.HeldNow);
    }

    private sealed class Model
    {
        private readonly Dictionary<string, Entry> _entries = [];

        public Fate Send(long now, string key, bool v4, byte[] frame, int offset, bool more, byte[] data, out List<byte[]> sent)
        {
            sent = [];
            if (data.Length == 0 || (more && data.Length % 8 != 0))
            {
                return new Fate(Verdict.Drop, DropReason.BadFragment, null);
            }

            if (!_entries.TryGetValue(key, out Entry? entry) || now >= entry.Until)
            {
                entry = new Entry(now + (v4 ? 30_000_000_000 : 60_000_000_000));
                _entries[key] = entry;
            }

            if (entry.Poison is { } poison)
            {
                return new Fate(Verdict.Drop, poison, null);
            }

            var piece = new Piece(offset, more, data, frame);
            if (entry.Pieces.Any(p => p.Offset == offset && p.More == more && p.Data.AsSpan().SequenceEqual(data)))
            {
                return new Fate(Verdict.Drop, DropReason.FragmentDuplicate, null);
            }

            if (entry.Pieces.Any(p => p.Offset < piece.End && offset < p.End))
            {
                return new Fate(Verdict.Drop, (entry.Poison = DropReason.FragmentOverlap).Value, null);
            }

            List<Piece> all = [.. entry.Pieces, piece];
            Piece? last = all.Find(p => !p.More);
            if (all.Count(p => !p.More) > 1 || (last is not null && all.Any(p => p.End > last.End)))
            {
                return new Fate(Verdict.Drop, (entry.Poison = DropReason.BadFragment).Value, null);
            }

            entry.Pieces.Add(piece);
            if (last is null || all.Sum(p => p.Data.Length) != last.End)
            {
                return new Fate(Verdict.Held, DropReason.None, null);
            }

            _entries.Remove(key);
            sent = [.. all.Select(p => p.Frame)];
            return new Fate(Verdict.Pass, DropReason.None, [.. all.OrderBy(p => p.Offset).SelectMany(p => p.Data)]);
        }

        private sealed class Entry(long until)
        {
            public long Until { get; } = until;
            public DropReason? Poison { get; set; }
            public List<Piece> Pieces { get; } = [];
        }

        private sealed record Piece(int Offset, bool More, byte[] Data, byte[] Frame)
        {
            public int End => Offset + Data.Length;
        }
    }
}
