using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using Filter.Engine.Packets;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Tests.Worlds;

/// <summary>
/// A box behind Filter – a Linux kernel that does IPsec itself. Filter runs in the test's process. Box and guest have
/// addresses on the link, and each another one for tunnels to carry.
/// </summary>
public sealed partial class KernelScene : IDisposable
{
    /// <summary>Bytes of one transfer.</summary>
    private const int BodyLength = 1 << 20;

    private const int HashPort = 9000;

    /// <summary>Bytes of pings: odd ones, and one that no frame holds.</summary>
    private const string Sizes = "1 1200 3001";

    private const string GuestBody = "/run/body", GuestHash = "/run/hash";

    /// <summary>A socket of each family that takes ESP out of UDP (UDP_ENCAP, UDP_ENCAP_ESPINUDP), as an IKE daemon holds them.</summary>
    private const string HoldUdpPort = """
        use Socket qw(:all);
        socket(A, AF_INET, SOCK_DGRAM, 17) && bind(A, pack_sockaddr_in(4500, INADDR_ANY)) && setsockopt(A, 17, 100, pack("i", 2)) || die;
        socket(B, AF_INET6, SOCK_DGRAM, 17) && setsockopt(B, 41, 26, pack("i", 1)) && bind(B, pack_sockaddr_in6(4500, IN6ADDR_ANY)) || die;
        setsockopt(B, 17, 100, pack("i", 2)) || die;
        sleep;
        """;

    /// <summary>What the guest's IPsec counts as wrong, as far as it has happened.</summary>
    private const string PrintErrors = "while read error count; do [ $count = 0 ] || echo $error $count; done < /proc/net/xfrm_stat";

    private readonly Random _random;
    private readonly byte[] _body = new byte[BodyLength];
    private World? _world;
    private KernelGuest? _guest;
    private FilterWithin? _filter;
    private string _guestDigest = "", _errors = "";

    public KernelScene()
    {
        Seed = Random.Shared.Next();
        _random = new Random(Seed);
        _random.NextBytes(_body);
    }

    /// <summary>What keys and bodies are made of.</summary>
    public int Seed { get; }

    internal World World => _world!;

    internal Host Box => World.Filter;

    internal KernelGuest Guest => _guest!;

    internal FilterWithin Filter => _filter!;

    /// <summary>The box's and the guest's address of a family, on the link or inside tunnels.</summary>
    public static (string Box, string Guest) Ends(int family, bool inner) => (family, inner) switch
    {
        (4, false) => ("192.0.2.1", "192.0.2.2"),
        (6, false) => ("2001:db8:1::1", "2001:db8:1::2"),
        (4, true) => ("10.1.0.1", "10.2.0.1"),
        _ => ("2001:db8:a::1", "2001:db8:b::1"),
    };

    /// <summary>Boots the guest and starts Filter, the first time.</summary>
    internal void Start()
    {
        if (_filter is not null)
        {
            return;
        }

        _world = World.WithGuest();
        _guest = KernelGuest.Boot(Box, "eth0", "192.0.2.2/24", "2001:db8:1::2/64");
        _guestDigest = _guest.Must($"""
            ip addr add 10.2.0.1/32 dev lo
            ip addr add 2001:db8:b::1/128 dev lo
            ip route add 10.1.0.0/24 via 192.0.2.1 src 10.2.0.1
            ip route add 2001:db8:a::/64 via 2001:db8:1::1 src 2001:db8:b::1
            perl -e '{HoldUdpPort}' &
            ncat -lk {HashPort} --recv-only --sh-exec 'sha256sum > {GuestHash}' &
            until [ "$(ss -Hltn sport = :{HashPort} | wc -l)" = 2 ]; do sleep 0.05; done
            head -c {BodyLength} /dev/urandom > {GuestBody}
            sha256sum < {GuestBody}
            """)[..64];
        _filter = FilterWithin.Start(Box, FilterWithin.Policies);
    }

    /// <summary>Has both ends protect what they say as the case says, with fresh keys.</summary>
    internal void Protect(KernelCase one)
    {
        (string boxOuter, string guestOuter) = Ends(one.Outer, inner: false);
        (string box, string guest) = Ends(one.Inner, one.IsTunnel);
        SaSettings settings = one.Settings(Address.Parse(boxOuter), Address.Parse(guestOuter));
        (FreshKeys outward, FreshKeys inward) = (FreshKeys.Of(one, _random), FreshKeys.Of(one, _random));
        string mode = one.IsTunnel ? "tunnel" : "transport";
        _errors = Guest.Must($"""
            ip -batch - << END
            xfrm state flush
            xfrm policy flush
            xfrm state add src {boxOuter} dst {guestOuter} {KernelSpelling.Of(one, outward)}
            xfrm state add src {guestOuter} dst {boxOuter} {KernelSpelling.Of(one, inward)}
            xfrm policy add src {box} dst {guest} dir in tmpl src {boxOuter} dst {guestOuter} proto {one.Protocol} reqid 1 mode {mode} priority 2
            xfrm policy add src {guest} dst {box} dir out tmpl src {guestOuter} dst {boxOuter} proto {one.Protocol} reqid 1 mode {mode} priority 2
            {(one.InUdp ? $"xfrm policy add src {boxOuter} dst {guestOuter} proto udp sport 4500 dport 4500 dir in priority 1 action allow" : "")}
            {string.Join('\n', s_neighbours)}
            END
            {PrintErrors}
            """);
        Filter.Flush();
        Filter.Add(new OutboundSa("to-guest", settings, outward.Spi, outward.Key), one.Policy);
        Filter.Add(new InboundSa("from-guest", settings, inward.Spi, inward.Key), one.Policy);
    }

    /// <summary>Asks the guest's kernel whether it takes an SA for each of the cases; gives those that it refuses, with what it says.</summary>
    internal string[] Refused(IEnumerable<KernelCase> cases)
    {
        string[] lines = [.. cases.Select(one => $"xfrm state add src 192.0.2.1 dst 192.0.2.2 {KernelSpelling.Of(one, FreshKeys.Of(one, _random))}")];
        string said = Guest.Run($"""
            ip -force -batch - 2>&1 << END
            {string.Join('\n', lines)}
            END
            ip xfrm state flush
            """, TimeSpan.FromSeconds(60)).Output;

        // Each refusal names its line: `Command failed -:17`.
        return [.. RefusedWords().Matches(said).Select(match => $"{match.Groups[1].Value.Trim()}: {lines[int.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture) - 1]}")];
    }

    /// <summary>
    /// Has the box ping, with odd sizes and with some that a frame does not hold. One answer in a thousand the guest seals and counts,
    /// and does not put on its link (eth0 before Filter counts what comes there): so each may be asked for twice.
    /// </summary>
    internal void Ping(KernelCase one)
    {
        (string box, string guest) = Ends(one.Inner, one.IsTunnel);
        string ping = $"-I {box} -s $size {guest}";
        Box.Must($"ip route flush cache; ip -6 route flush cache; for size in {Sizes}; do ping -q -c1 -W3 {ping} || ping -q -c1 -W9 {ping} || exit; done");
    }

    /// <summary>Sends a megabyte from the box, which the guest hashes.</summary>
    internal void Upload(KernelCase one)
    {
        (string box, string guest) = Ends(one.Inner, one.IsTunnel);
        using Socket socket = Box.Open(box, 0, SocketType.Stream, listens: false);
        socket.SendTimeout = socket.ReceiveTimeout;
        socket.Connect(new IPEndPoint(IPAddress.Parse(guest), HashPort));
        socket.Send(_body);
        socket.Shutdown(SocketShutdown.Send);
        Assert.Empty(ReadToEnd(socket));
    }

    /// <summary>
    /// Has the guest ping and send a megabyte. Fails unless all of it arrived as it was, what the box had sent as well, and the
    /// guest's IPsec counted no error.
    /// </summary>
    internal void GuestSpeaks(KernelCase one)
    {
        (string box, _) = Ends(one.Inner, one.IsTunnel);
        using Socket listener = Box.Open(box, 0, SocketType.Stream);
        int port = ((IPEndPoint)listener.LocalEndPoint!).Port;
        Task<byte[]> received = Task.Run(() =>
        {
            using Socket accepted = listener.Accept();
            accepted.ReceiveTimeout = listener.ReceiveTimeout;
            return ReadToEnd(accepted);
        });
        string[] said = Guest.Must($$"""
            for size in {{Sizes}}; do ping -q -c1 -W3 -s $size {{box}} > /run/ping || ping -q -c1 -W9 -s $size {{box}} > /run/ping || { cat /run/ping; {{PrintErrors}}; exit 1; }; done
            busybox nc {{box}} {{port}} < {{GuestBody}}
            until [ -s {{GuestHash}} ]; do sleep 0.01; done
            read hash rest < {{GuestHash}}
            : > {{GuestHash}}
            echo $hash
            {{PrintErrors}}
            """).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(_guestDigest, Convert.ToHexStringLower(SHA256.HashData(received.Result)));
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(_body)), said[0]);
        Assert.Equal(_errors, string.Join("", said[1..].Select(static line => $"{line}\n")));
    }

    public void Dispose() => _world?.Dispose();

    /// <summary>How hosts find each other stays in the clear: neither end could start with less.</summary>
    private static readonly string[] s_neighbours =
    [
        .. from way in (string[])["in", "out"]
           from type in (int[])[135, 136]
           select $"xfrm policy add src ::/0 dst ::/0 proto ipv6-icmp type {type} dir {way} priority 1 action allow",
    ];

    [GeneratedRegex(@"([^\n]*)\nCommand failed -:(\d+)")]
    private static partial Regex RefusedWords();

    private static byte[] ReadToEnd(Socket socket)
    {
        using MemoryStream all = new();
        byte[] piece = new byte[65536];
        for (int length; (length = socket.Receive(piece)) > 0;)
        {
            all.Write(piece, 0, length);
        }

        return all.ToArray();
    }
}
