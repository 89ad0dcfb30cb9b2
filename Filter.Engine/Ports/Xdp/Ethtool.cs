using System.Text;
using Filter.Engine.Ports.Native;

namespace Filter.Engine.Ports.Xdp;

/// <summary>A NIC asked and told by SIOCETHTOOL, in the namespace of the thread that made this.</summary>
internal sealed unsafe class Ethtool : IDisposable
{
    private readonly FileDescriptor _socket;
    private readonly string _device;

    /// <summary>For a NIC.</summary>
    public Ethtool(string device)
    {
        TapPort.RequireName(device);
        _device = device;
        _socket = FileDescriptor.Socket(SocketAbi.FamilyInet, SocketAbi.TypeDatagram, 0, $"cannot ask {device} what it does");
    }

    /// <summary>The name of its driver; empty where it does not say.</summary>
    public string Driver
    {
        get
        {
            EthtoolDriver driver = new() { Command = EthtoolAbi.GetDriver };
            return TryCall(&driver) ? Encoding.UTF8.GetString(Text(driver.Name, EthtoolDriver.NameSize)) : "";
        }
    }

    /// <summary>By how many queues frames come in; at least one.</summary>
    public int ReceiveQueues
    {
        get
        {
            EthtoolChannels channels = new() { Command = EthtoolAbi.GetChannels };
            return TryCall(&channels) ? (int)Math.Clamp((ulong)channels.Receive + channels.Combined, 1, int.MaxValue) : 1;
        }
    }

    /// <summary>What it does with frames that come in.</summary>
    public NicOffloads Offloads
    {
        get
        {
            uint? flags = Get(EthtoolAbi.GetFlags), gro = Get(EthtoolAbi.GetGro);
            return new NicOffloads(
                gro is null ? null : gro != 0,
                flags is null ? null : (flags & EthtoolAbi.FlagMergesReceived) != 0,
                flags is null ? null : (flags & EthtoolAbi.FlagTagsTakenOut) != 0);
        }
    }

    /// <summary>Has it do so from now on; what is null stays as it is, and so does what the NIC cannot change.</summary>
    public void Apply(NicOffloads wanted)
    {
        NicOffloads now = Offloads;
        if (wanted.Gro is { } gro && now.Gro != gro)
        {
            Set(EthtoolAbi.SetGro, gro ? 1u : 0);
        }

        // One by one: the kernel refuses both where it cannot change one.
        Change(wanted.Lro, EthtoolAbi.FlagMergesReceived);
        Change(wanted.TagsTakenOut, EthtoolAbi.FlagTagsTakenOut);
    }

    /// <summary>Whether an interface of this number is still there.</summary>
    public bool IsThere(int index)
    {
        byte* request = stackalloc byte[SocketAbi.InterfaceRequestSize];
        *(int*)(request + SocketAbi.InterfaceNameSize) = index;
        return Libc.Ioctl(_socket, SocketAbi.GetInterfaceName, request) == 0 || Errno.Last is not (Errno.NoSuchDeviceOrAddress or Errno.NoDevice);
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    private static ReadOnlySpan<byte> Text(byte* bytes, int size)
    {
        ReadOnlySpan<byte> all = new(bytes, size);
        int end = all.IndexOf((byte)0);
        return end < 0 ? all : all[..end];
    }

    private void Change(bool? wanted, uint flag)
    {
        if (wanted is { } on && Get(EthtoolAbi.GetFlags) is { } flags && ((flags & flag) != 0) != on)
        {
            Set(EthtoolAbi.SetFlags, on ? flags | flag : flags & ~flag);
        }
    }

    private uint? Get(uint command)
    {
        EthtoolValue value = new() { Command = command };
        return TryCall(&value) ? value.Value : null;
    }

    private void Set(uint command, uint to)
    {
        EthtoolValue value = new() { Command = command, Value = to };
        TryCall(&value);
    }

    private bool TryCall(void* data)
    {
        EthtoolRequest request = default;
        Encoding.UTF8.GetBytes(_device, new Span<byte>(request.Name, SocketAbi.InterfaceNameSize));
        request.Data = data;
        return Libc.Ioctl(_socket, EthtoolAbi.Request, &request) == 0;
    }
}
