using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Path;

namespace Filter.Tests.Workers;

/// <summary>The way of frames from one worker to another.</summary>
public sealed class FrameRingTests
{
    private readonly FrameRing _ring = new(0);
    private readonly Burst _burst = new();

    [Fact]
    public void Frames_come_in_order_with_all_that_is_known_of_them_and_room_around()
    {
        for (byte i = 1; i <= 3; i++)
        {
            Assert.True(_ring.TryWrite(Frame(100 * i, i)));
        }

        Assert.Equal(0, _ring.Take(_burst, out _));
        Assert.True(_ring.Publish());
        Assert.False(_ring.Publish());
        Assert.Equal(3, _ring.Take(_burst, out _));
        for (byte i = 1; i <= 3; i++)
        {
            Packet packet = _burst.Packets[i - 1];
            Assert.Equal((100 * i, i), (packet.Length, packet.Number));
            Assert.All(packet.Bytes.ToArray(), one => Assert.Equal(i, one));
            Assert.True(packet.Headroom >= FrameArena.Room && packet.Tailroom >= FrameArena.Room);
        }
    }

    [Fact]
    public void Who_finds_no_room_is_told_and_there_is_room_again_when_the_burst_has_ended()
    {
        int written = 0;
        while (_ring.TryWrite(Frame(FrameArena.MaxFrame, 1)))
        {
            written++;
        }

        Assert.True(written >= 2);
        _ring.Publish();
        Assert.Equal(written, _ring.Take(_burst, out _));
        Assert.False(_ring.TryWrite(Frame(FrameArena.MaxFrame, 1)));
        _burst.Reset();
        _ring.Release();
        Assert.True(_ring.TryWrite(Frame(FrameArena.MaxFrame, 1)));
    }

    [Fact]
    public void Between_two_threads_no_frame_is_lost_changed_or_overtaken()
    {
        Random random = Fuzzing.Seeded(out _);
        const int Frames = 200_000;
        int seed = random.Next();
        Thread writer = new(() =>
        {
            Random lengths = new(seed);
            byte[] slab = new byte[FrameArena.MaxFrame];
            for (int i = 0; i < Frames; i++)
            {
                int length = lengths.Next(16) == 0 ? lengths.Next(8, FrameArena.MaxFrame) : lengths.Next(8, 200);
                BinaryPrimitives.WriteInt32LittleEndian(slab, i);
                slab[length - 1] = (byte)i;
                Packet packet = new() { Slab = slab, Length = length, Number = i };
                while (!_ring.TryWrite(packet))
                {
                    _ring.Publish();
                    Thread.Yield();
                }

                if (i % 7 == 0)
                {
                    _ring.Publish();
                }
            }

            _ring.Publish();
        });
        writer.Start();
        Random expected = new(seed);
        for (int next = 0; next < Frames;)
        {
            int taken = _ring.Take(_burst, out _);
            for (int i = 0; i < taken; i++, next++)
            {
                ref Packet packet = ref _burst.Packets[i];
                int length = expected.Next(16) == 0 ? expected.Next(8, FrameArena.MaxFrame) : expected.Next(8, 200);
                Assert.Equal((next, length, (byte)next), (BinaryPrimitives.ReadInt32LittleEndian(packet.Bytes), packet.Length, length > 8 ? packet.Bytes[^1] : (byte)next));
            }

            _burst.Reset();
            _ring.Release();
            if (taken == 0)
            {
                Thread.Yield();
            }
        }

        writer.Join();
        Assert.False(_ring.HasWaiting);
    }

    private static Packet Frame(int length, byte fill)
    {
        byte[] slab = new byte[length];
        slab.AsSpan().Fill(fill);
        return new Packet { Slab = slab, Length = length, Number = fill };
    }
}
