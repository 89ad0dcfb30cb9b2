using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Ports;

namespace Filter.Tests.Worlds;

/// <summary>
/// An interface of a host whose frames are tagged on the cable, super-frames too: a VLAN interface for kernels that have
/// none of their own.
/// </summary>
internal sealed class TaggedLink : IDisposable
{
    private const int TagLength = 4, TagPlace = 12;

    private readonly byte[] _tags;
    private readonly TapPort _tap;
    private readonly PacketSocketPort _wire;
    private readonly PortPoller _poller;
    private readonly Burst _burst = new();
    private readonly Thread _thread;
    private volatile bool _ending;

    /// <param name="host">Where.</param>
    /// <param name="name">The interface's name.</param>
    /// <param name="device">The device on the cable.</param>
    /// <param name="tags">Tag protocol and VLAN, outermost first.</param>
    /// <param name="addresses">Its addresses and the lengths of their prefixes.</param>
    public TaggedLink(Host host, string name, string device, (ushort Protocol, ushort Vlan)[] tags, (string Address, int Length)[] addresses)
    {
        _tags = new byte[tags.Length * TagLength];
        for (int i = 0; i < tags.Length; i++)
        {
            BinaryPrimitives.WriteUInt16BigEndian(_tags.AsSpan(i * TagLength), tags[i].Protocol);
            BinaryPrimitives.WriteUInt16BigEndian(_tags.AsSpan(i * TagLength + 2), tags[i].Vlan);
        }

        // Beside a full packet a device takes one tag of a C-VLAN; a packet socket refuses even one S-tag more than the MTU.
        TapSettings settings = new(name) { Mtu = tags.Length == 1 ? 1500 : 1500 - _tags.Length, Addresses = [.. addresses.Select(static a => new InterfaceAddress(Address.Parse(a.Address), a.Length))] };
        (_tap, _wire) = host.Inside(() => (
            new TapPort(settings) { Name = name, Number = 0, Side = Side.Protected },
            new PacketSocketPort(device) { Name = device, Number = 1, Side = Side.Unprotected }));
        _poller = new PortPoller([_tap, _wire]);
        _thread = new Thread(Carry) { IsBackground = true, Name = name };
        _thread.Start();
    }

    public void Dispose()
    {
        _ending = true;
        _poller.Wake();
        _thread.Join();
        _poller.Dispose();
        _tap.Dispose();
        _wire.Dispose();
    }

    private void Carry()
    {
        while (!_ending)
        {
            _poller.Wait(-1);
            Move(_tap, _wire, Tag);
            Move(_wire, _tap, Untag);
        }
    }

    private void Move(Port from, Port to, Func<int, bool> change)
    {
        _burst.Reset();
        from.Receive(_burst);
        for (int i = 0; i < _burst.Count; i++)
        {
            ref Packet packet = ref _burst.Packets[i];
            bool goes = change(i);
            packet.Verdict = goes ? Verdict.Pass : Verdict.Drop;
            packet.Egress = goes ? to.Mask : (ushort)0;
        }

        to.Transmit(_burst);
    }

    private bool Tag(int index)
    {
        ref Packet packet = ref _burst.Packets[index];
        packet.Bytes[..TagPlace].CopyTo(packet.Slab.AsSpan(packet.Start - _tags.Length));
        Shift(ref packet, -_tags.Length);
        _tags.CopyTo(packet.Bytes[TagPlace..]);
        return true;
    }

    private bool Untag(int index)
    {
        ref Packet packet = ref _burst.Packets[index];
        Span<byte> frame = packet.Bytes;
        int next = TagPlace + _tags.Length;
        if (frame.Length < next + 2 || !frame[TagPlace..next].SequenceEqual(_tags)
            || BinaryPrimitives.ReadUInt16BigEndian(frame[next..]) is 0x8100 or 0x88a8)
        {
            return false;
        }

        frame[..TagPlace].CopyTo(packet.Slab.AsSpan(packet.Start + _tags.Length));
        Shift(ref packet, _tags.Length);
        return true;
    }

    /// <summary>Moves the frame's beginning, and what the metadata say of places behind it.</summary>
    private static void Shift(ref Packet packet, int by)
    {
        packet.Start += by;
        packet.Length -= by;
        if (packet.Offload.Checksum == ChecksumState.Partial)
        {
            packet.Offload.ChecksumStart = (ushort)(packet.Offload.ChecksumStart - by);
        }

        packet.Offload.HeaderLength = (ushort)Math.Max(0, packet.Offload.HeaderLength - by);
    }
}
