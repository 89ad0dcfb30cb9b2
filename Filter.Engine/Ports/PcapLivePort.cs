using Filter.Engine.Packets;
using Filter.Engine.Ports.Native;
using Filter.Engine.Ports.Netlink;
using Filter.Engine.Wire;
using SharpPcap;
using SharpPcap.LibPcap;

namespace Filter.Engine.Ports;

/// <summary>
/// A NIC through libpcap (SharpPcap): the portable driver; the packet socket is the default. libpcap tells nothing of
/// offloads, so this port finds out by itself which checksums are unfinished and which frames are super-frames of TCP,
/// and finishes and cuts them before it sends. Super-frames of UDP do not say how to cut them, and are lost here.
/// </summary>
public sealed unsafe class PcapLivePort : Port
{
    private const int KernelBuffer = 16 << 20;
    private const int SnapLength = 262144;
    private const int PacketRead = 1;
    private const int NothingWaits = 0;

    private readonly LibPcapLiveDevice _pcap;
    private readonly nint _handle;
    private readonly string _device;
    private readonly int _descriptor;

    /// <summary>Opens a device of the calling thread's network namespace.</summary>
    /// <exception cref="PortException">It is missing, is not Ethernet, or the rights are, or libpcap is.</exception>
    public PcapLivePort(string device)
    {
        _device = device;
        Driver = "pcap";
        using (var kernel = new Rtnetlink())
        {
            LinkState link = kernel.RequireEthernet(device);
            Mtu = link.Mtu;
            Mac = link.MacNumber;
        }

        try
        {
            _pcap = LibPcapLiveDeviceList.New().FirstOrDefault(d => d.Name == device)
                ?? throw new PortException($"cannot open {device}: libpcap does not offer it; it needs root or CAP_NET_RAW");
            _pcap.Open(new DeviceConfiguration
            {
                Mode = DeviceModes.Promiscuous, Immediate = true, BufferSize = KernelBuffer, Snaplen = SnapLength, ReadTimeout = 1,
            });
            _pcap.NonBlockingMode = true;
            _handle = _pcap.Handle.DangerousGetHandle();
            _descriptor = LibPcap.PollDescriptor(_handle);
            if (!LibPcap.TryHearInboundOnly(_handle) || !TryMark())
            {
                throw new PortException($"cannot open {device}: {Errno.Describe(Errno.Last)}");
            }
        }
        catch (PcapException e)
        {
            _pcap?.Dispose();
            throw new PortException($"cannot open {device}: {e.Message.ReplaceLineEndings(" ").Trim()}", e);
        }
        catch (Exception e) when (e is DllNotFoundException or TypeInitializationException)
        {
            throw new PortException($"cannot open {device}: the pcap driver needs libpcap (package libpcap0.8)", e);
        }
    }

    /// <inheritdoc/>
    public override int PollHandle => Failure is null ? _descriptor : -1;

    /// <inheritdoc/>
    public override int Receive(Burst burst)
    {
        int count = 0;
        while (count < Burst.Intake && Failure is null)
        {
            nint header = 0, data = 0;
            int status = _pcap.GetNextPacketPointers(ref header, ref data);
            if (status != PacketRead)
            {
                if (status != NothingWaits)
                {
                    Failure = $"{_device} has vanished or is down: libpcap reads no more";
                }

                break;
            }

            // struct pcap_pkthdr: seconds and fraction (two longs), captured length, length on the wire.
            var lengths = (uint*)((nint*)header + 2);
            int length = (int)Math.Min(lengths[0], FrameArena.MaxFrame);
            if (!burst.TryAppend(length, out int index))
            {
                break;
            }

            count++;
            ref Packet packet = ref burst.Packets[index];
            packet.Length = length;
            packet.Ingress = Number;
            new ReadOnlySpan<byte>((void*)data, length).CopyTo(packet.Bytes);
            if (length < lengths[1])
            {
                packet.Drop(DropReason.Truncated);
            }
            else
            {
                packet.Offload = OffloadGuess.Of(packet, Mtu);
            }

            Counters.ReceivedPackets++;
            Counters.ReceivedBytes += length;
        }

        return count;
    }

    /// <inheritdoc/>
    public override void Transmit(Burst burst)
    {
        for (int i = 0; i < burst.Count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if ((packet.Egress & Mask) == 0 || packet.Verdict != Verdict.Pass)
            {
                continue;
            }

            // libpcap takes whole frames only. The segments stand behind in the burst: this loop comes to them, and
            // so do the ports after this one.
            if (packet.Offload.Gso != GsoKind.None && Segmenter.TryCut(burst, i) && packet.Egress == 0)
            {
                continue;
            }

            bool sendable = Failure is null && packet.Offload.Gso == GsoKind.None && Segmenter.TryFinishChecksum(ref packet);
            if (sendable && LibPcap.TrySend(_handle, packet.Bytes))
            {
                Counters.SentPackets++;
                Counters.SentBytes += packet.Length;
            }
            else
            {
                Counters.SendErrors++;
            }
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _pcap.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>Filter's mark on what this handle sends, so that the NIC's gate lets it through.</summary>
    private bool TryMark()
    {
        using var borrowed = new FileDescriptor(_descriptor, owned: false);
        return borrowed.TrySetOption(SocketAbi.LevelSocket, SocketAbi.OptionMark, NicGate.Mark);
    }
}
