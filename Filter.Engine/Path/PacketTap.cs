using System.Buffers.Binary;
using System.Numerics;
using Filter.Engine.Packets;
using Filter.Engine.Ports;

namespace Filter.Engine.Path;

/// <summary>Where a frame was copied.</summary>
public enum TapPoint : byte
{
    /// <summary>As it came in.</summary>
    In,

    /// <summary>As it left.</summary>
    Out,

    /// <summary>As it came out of an SA.</summary>
    Opened,
}

/// <summary>What is known of a copied frame beside its bytes.</summary>
/// <param name="Time">Nanoseconds of the worker's clock.</param>
/// <param name="Port">The number of the port.</param>
/// <param name="Point">Where it was copied.</param>
/// <param name="Length">How many bytes were copied.</param>
/// <param name="Original">How many there were.</param>
public readonly record struct TappedFrame(long Time, byte Port, TapPoint Point, int Length, int Original);

/// <summary>
/// Copies of frames for who captures: a ring of bytes, made beforehand. One writer, the worker, who never waits: what finds no room
/// is lost and counted. One reader.
/// </summary>
public sealed class PacketTap
{
    private const int HeaderLength = 24;

    private readonly byte[] _ring;
    private readonly byte[] _header = new byte[HeaderLength];
    private readonly byte[] _taken = new byte[HeaderLength];
    private readonly ushort _ports;
    private readonly bool _opened;
    private long _written;
    private long _read;
    private long _lost;

    /// <summary>A tap.</summary>
    /// <param name="ports">The ports whose frames are copied, one bit each.</param>
    /// <param name="opened">Whether what comes out of SAs is copied too.</param>
    /// <param name="size">Bytes that may wait; rounded up to a power of two.</param>
    public PacketTap(ushort ports, bool opened, int size = 16 * 1024 * 1024)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(size);
        _ring = new byte[BitOperations.RoundUpToPowerOf2((uint)size)];
        (_ports, _opened) = (ports, opened);
    }

    /// <summary>Frames that found no room.</summary>
    public long Lost => Volatile.Read(ref _lost);

    /// <summary>Copies what just came in by a port. For the worker.</summary>
    internal void Received(Burst burst)
    {
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (((_ports >> packet.Ingress) & 1) != 0)
            {
                Copy(packet, burst.Now, packet.Ingress, TapPoint.In);
            }
        }
    }

    /// <summary>Copies what came out of SAs, and what leaves. For the worker, when the burst was walked.</summary>
    internal void Walked(Burst burst)
    {
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (_opened && packet.Ipsec == IpsecAction.Opened && ((_ports >> packet.Ingress) & 1) != 0)
            {
                Copy(packet, burst.Now, packet.Ingress, TapPoint.Opened);
            }

            int leaves = packet.Verdict == Verdict.Pass ? packet.Egress & _ports : 0;
            for (; leaves != 0; leaves &= leaves - 1)
            {
                Copy(packet, burst.Now, (byte)BitOperations.TrailingZeroCount(leaves), TapPoint.Out);
            }
        }
    }

    /// <summary>Takes the oldest frame; false where there is none. For the reader.</summary>
    /// <param name="frame">What is known of it.</param>
    /// <param name="into">Room for the longest frame.</param>
    public bool TryRead(out TappedFrame frame, Span<byte> into)
    {
        frame = default;
        if (_read == Volatile.Read(ref _written))
        {
            return false;
        }

        Get(_read, _taken);
        ReadOnlySpan<byte> header = _taken;
        frame = new TappedFrame(
            BinaryPrimitives.ReadInt64LittleEndian(header), header[16], (TapPoint)header[17],
            BinaryPrimitives.ReadInt32LittleEndian(header[8..]), BinaryPrimitives.ReadInt32LittleEndian(header[12..]));
        Get(_read + HeaderLength, into[..frame.Length]);
        Volatile.Write(ref _read, _read + HeaderLength + frame.Length);
        return true;
    }

    private void Copy(in Packet packet, long now, byte port, TapPoint point)
    {
        ReadOnlySpan<byte> bytes = packet.Bytes;
        if (_ring.Length - (_written - Volatile.Read(ref _read)) < HeaderLength + bytes.Length)
        {
            _lost++;
            return;
        }

        Span<byte> header = _header;
        BinaryPrimitives.WriteInt64LittleEndian(header, now);
        BinaryPrimitives.WriteInt32LittleEndian(header[8..], bytes.Length);
        BinaryPrimitives.WriteInt32LittleEndian(header[12..], packet.Length);
        header[16] = port;
        header[17] = (byte)point;
        Put(_written, header);
        Put(_written + HeaderLength, bytes);
        Volatile.Write(ref _written, _written + HeaderLength + bytes.Length);
    }

    private void Put(long at, ReadOnlySpan<byte> bytes)
    {
        Span<byte> end = _ring.AsSpan((int)(at & (_ring.Length - 1)));
        int first = Math.Min(end.Length, bytes.Length);
        bytes[..first].CopyTo(end);
        bytes[first..].CopyTo(_ring);
    }

    private void Get(long at, Span<byte> into)
    {
        ReadOnlySpan<byte> end = _ring.AsSpan((int)(at & (_ring.Length - 1)));
        int first = Math.Min(end.Length, into.Length);
        end[..first].CopyTo(into);
        _ring.AsSpan(0, into.Length - first).CopyTo(into[first..]);
    }
}
