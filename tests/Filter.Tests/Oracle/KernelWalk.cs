using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Tests.Worlds;

namespace Filter.Tests.Oracle;

/// <summary>
/// The kernel as a judge: the conversations through a bridge with a stateful nftables table, in a namespace of its own
/// between two cables whose far ends are ours.
/// </summary>
internal sealed class KernelWalk : IDisposable
{
    /// <summary>IEEE 802, local experimental: a frame that says that all before it have come out.</summary>
    private const ushort Marker = 0x88b5;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    private readonly NetNs _bridge = NetNs.Create("oracle");
    private readonly NetNs _ends = NetNs.Create("ends");
    private readonly Burst _sent = new();
    private readonly Burst _heard = new();
    private readonly int[] _marked = new int[2];
    private PacketSocketPort _inside = null!;
    private PacketSocketPort _outside = null!;
    private CameOut _passed = null!;
    private int _round;

    private KernelWalk(bool bothMayOpen)
    {
        Assert.SkipUnless(File.Exists("/proc/sys/net/bridge/bridge-nf-call-iptables"), "this kernel has no br_netfilter");
        foreach (NetNs space in (ReadOnlySpan<NetNs>)[_bridge, _ends])
        {
            // No stack of any of them says a word of its own: whatever is heard was sent by us.
            space.Exec("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1");
        }

        _bridge.Ip("link add br0 type bridge mcast_snooping 0");
        foreach (string device in (ReadOnlySpan<string>)["inside", "outside"])
        {
            NetNs.Cable(_bridge, device, _ends, device);
            _bridge.Ip($"link set {device} master br0");
            // Each packet has a link address of its own, by which we know it again.
            _bridge.Ip($"link set {device} type bridge_slave learning off");
        }

        _bridge.Ip("link set br0 up");
        (int status, string said) = _bridge.Try("nft", Table(bothMayOpen));
        Assert.SkipUnless(status == 0, $"this kernel has no stateful nftables: {said}");
        _bridge.Exec("sysctl", ["-qw", .. s_settings]);
    }

    /// <summary>What makes it comparable.</summary>
    private static readonly string[] s_settings =
    [
        // The table sees what the bridge forwards.
        "net.bridge.bridge-nf-call-iptables=1", "net.bridge.bridge-nf-call-ip6tables=1",
        // Filter picks up no connection in its middle; windows are checked; no bad checksum changes a state.
        "net.netfilter.nf_conntrack_tcp_loose=0", "net.netfilter.nf_conntrack_tcp_be_liberal=0", "net.netfilter.nf_conntrack_checksum=1",
        // Time is not compared here: nothing expires on either side while this runs.
        "net.netfilter.nf_conntrack_tcp_timeout_syn_sent=600", "net.netfilter.nf_conntrack_tcp_timeout_syn_recv=600",
        "net.netfilter.nf_conntrack_tcp_timeout_fin_wait=600", "net.netfilter.nf_conntrack_tcp_timeout_close_wait=600",
        "net.netfilter.nf_conntrack_tcp_timeout_last_ack=600", "net.netfilter.nf_conntrack_tcp_timeout_time_wait=600",
        "net.netfilter.nf_conntrack_tcp_timeout_close=600", "net.netfilter.nf_conntrack_tcp_timeout_unacknowledged=600",
        "net.netfilter.nf_conntrack_tcp_timeout_max_retrans=600",
        "net.netfilter.nf_conntrack_udp_timeout=600", "net.netfilter.nf_conntrack_udp_timeout_stream=600",
        "net.netfilter.nf_conntrack_icmp_timeout=600", "net.netfilter.nf_conntrack_icmpv6_timeout=600",
        "net.ipv4.ipfrag_time=600", "net.netfilter.nf_conntrack_frag6_timeout=600",
        // Room for all fragments that wait at the same time.
        "net.ipv4.ipfrag_high_thresh=268435456", "net.netfilter.nf_conntrack_frag6_high_thresh=268435456",
    ];

    /// <summary>Sends all of them, a step of each after the other; gives what came out.</summary>
    public static CameOut Of(IReadOnlyList<Conversation> conversations, bool bothMayOpen)
    {
        using var kernel = new KernelWalk(bothMayOpen);
        // On a thread that stays on one processor: frames then come out in the order in which they were sent.
        return kernel._ends.Run(() => kernel.Carry(conversations));
    }

    public void Dispose()
    {
        _ends.Dispose();
        _bridge.Dispose();
    }

    /// <summary>The rules of Filter's own ruleset, in the kernel's words.</summary>
    private static string Table(bool bothMayOpen) => $$"""
        table bridge sides {
          chain prerouting {
            type filter hook prerouting priority -300;
            iifname "inside" meta mark set 1
          }
        }
        table inet oracle {
          chain forward {
            type filter hook forward priority 0; policy drop;
            ct state invalid drop
            ct state established,related accept
            {{(bothMayOpen ? "" : "meta mark 1 ")}}ct state new accept
          }
        }
        """;

    private CameOut Carry(IReadOnlyList<Conversation> conversations)
    {
        StayOnOneProcessor();
        _passed = new CameOut(conversations);
        using (_inside = new PacketSocketPort("inside") { Name = "inside", Number = 1, Side = Side.Protected })
        using (_outside = new PacketSocketPort("outside") { Name = "outside", Number = 0, Side = Side.Unprotected })
        {
            for (_round = 0; _round < conversations.Max(conversation => conversation.Steps.Count); _round++)
            {
                foreach (Conversation conversation in conversations.Where(conversation => _round < conversation.Steps.Count))
                {
                    Send(conversation.Frame(_round), conversation.Steps[_round].FromInside);
                }

                Settle();
            }

            AssertNothingLost();
        }

        return _passed;
    }

    private void Send(ReadOnlySpan<byte> frame, bool fromInside)
    {
        Assert.True(_sent.TryAppend(frame.Length, out int index));
        ref Packet packet = ref _sent.Packets[index];
        packet.Length = frame.Length;
        frame.CopyTo(packet.Bytes);
        packet.Verdict = Verdict.Pass;
        packet.Egress = fromInside ? _inside.Mask : _outside.Mask;
        if (_sent.Count == Burst.Intake)
        {
            Transmit();
            Listen();
        }
    }

    private void Transmit()
    {
        _inside.Transmit(_sent);
        _outside.Transmit(_sent);
        _sent.Reset();
    }

    /// <summary>Waits until all that was sent has come out, or has not: a marker each way goes last.</summary>
    private void Settle()
    {
        Span<byte> marker = stackalloc byte[60];
        marker.Clear();
        EthernetHeader.TryRead(marker, out EthernetHeader ethernet, out _);
        ethernet.Type = Marker;
        ethernet.Source = 0x0400_0000_0000UL | (uint)_round;
        ethernet.Destination = 0x0400_0100_0000;
        Send(marker, true);
        Send(marker, false);
        Transmit();
        long started = Stopwatch.GetTimestamp();
        while (_marked[0] <= _round || _marked[1] <= _round)
        {
            Listen();
            Assert.True(Stopwatch.GetElapsedTime(started) < s_patience, "the kernel's bridge lets no marker through");
        }
    }

    private void Listen()
    {
        foreach (PacketSocketPort port in (ReadOnlySpan<PacketSocketPort>)[_inside, _outside])
        {
            while (port.Receive(_heard) > 0)
            {
                for (int i = 0; i < _heard.Count; i++)
                {
                    ReadOnlySpan<byte> frame = _heard.Packets[i].Bytes;
                    if (System.Buffers.Binary.BinaryPrimitives.ReadUInt16BigEndian(frame[12..]) == Marker)
                    {
                        _marked[port.Number]++;
                    }
                    else
                    {
                        _passed.Take(port == _outside, frame, _round);
                    }
                }

                _heard.Reset();
            }
        }
    }

    /// <summary>A packet that was lost on the way is no verdict.</summary>
    private void AssertNothingLost()
    {
        foreach (PacketSocketPort port in (ReadOnlySpan<PacketSocketPort>)[_inside, _outside])
        {
            Assert.Equal(0, port.Counters.SendErrors);
            Assert.Equal(0, port.Counters.KernelDrops);
        }

        foreach (NetNs space in (ReadOnlySpan<NetNs>)[_bridge, _ends])
        {
            foreach (string device in (ReadOnlySpan<string>)["inside", "outside"])
            {
                using JsonDocument shown = JsonDocument.Parse(space.Ip($"-s -j link show {device}"));
                JsonElement counts = shown.RootElement[0].GetProperty("stats64");
                Assert.Equal(0, counts.GetProperty("tx").GetProperty("dropped").GetInt64());
                Assert.Equal(0, counts.GetProperty("rx").GetProperty("dropped").GetInt64());
            }
        }

        // Columns: entries clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop …
        foreach (string row in _bridge.Exec("cat", "/proc/net/stat/nf_conntrack").Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(1))
        {
            Assert.Equal("00000000", row.Split(' ', StringSplitOptions.RemoveEmptyEntries)[11]);
        }
    }

    private static void StayOnOneProcessor()
    {
        Span<byte> mask = stackalloc byte[128];
        mask.Clear();
        int processor = Thread.GetCurrentProcessorId();
        mask[processor / 8] = (byte)(1 << processor % 8);
        Assert.Equal(0, SetAffinity(0, mask.Length, ref mask[0]));
    }

    [DllImport("libc", EntryPoint = "sched_setaffinity", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SetAffinity(int thread, nint length, ref byte mask);
}
