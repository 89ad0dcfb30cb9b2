using System.Net;
using System.Net.Sockets;

namespace Filter.Tests.Worlds;

/// <summary>A socket on a host that gives every datagram back, and one that asks it, size by size.</summary>
public sealed class UdpEcho : IDisposable
{
    private const int Port = 7777;
    private const int PathMtuDont = 0, PathMtuWant = 1;   // IP_PMTUDISC_*, ip(7)
    private const int LinuxIpMtuDiscover = 10, LinuxIpv6MtuDiscover = 23;

    private readonly Socket _socket;
    private readonly Thread _thread;

    private UdpEcho(Socket socket)
    {
        _socket = socket;
        _thread = new Thread(Run) { IsBackground = true };
        _thread.Start();
    }

    /// <summary>Starts giving back what comes to an address of the host.</summary>
    public static UdpEcho On(Host host, string address) => new(host.Inside(() =>
    {
        Socket socket = Open(address);
        socket.Bind(new IPEndPoint(IPAddress.Parse(address), Port));
        return socket;
    }));

    /// <summary>
    /// Sends a datagram of each IP length from <paramref name="first"/> to <paramref name="last"/> and waits for it to
    /// come back; a few times, because the first that is too big for the way is lost while its sender learns.
    /// </summary>
    /// <param name="host">Who asks.</param>
    /// <param name="address">The echo's address.</param>
    /// <param name="first">Smallest IP packet, in bytes.</param>
    /// <param name="last">Largest.</param>
    /// <param name="mayFragment">The sender leaves DF out and cuts by its own MTU; else it learns the way's MTU.</param>
    /// <returns>The lengths that never came back, and how often one had to be sent again.</returns>
    public static (IReadOnlyList<int> Lost, int Repeated) Sweep(Host host, string address, int first, int last, bool mayFragment)
    {
        using Socket socket = host.Inside(() =>
        {
            Socket opened = Open(address);
            bool v6 = opened.AddressFamily == AddressFamily.InterNetworkV6;
            Span<byte> option = stackalloc byte[4];
            BitConverter.TryWriteBytes(option, mayFragment ? PathMtuDont : PathMtuWant);
            opened.SetRawSocketOption(v6 ? 41 : 0, v6 ? LinuxIpv6MtuDiscover : LinuxIpMtuDiscover, option);
            opened.Connect(new IPEndPoint(IPAddress.Parse(address), Port));
            opened.ReceiveTimeout = 300;
            return opened;
        });
        int headers = socket.AddressFamily == AddressFamily.InterNetworkV6 ? 48 : 28;
        byte[] back = new byte[70_000];
        List<int> lost = [];
        int repeated = 0;
        for (int length = first; length <= last; length++)
        {
            byte[] sent = new byte[length - headers];
            sent.AsSpan().Fill((byte)length);
            int attempts = 0;
            while (attempts < 5 && !IsGivenBack(socket, sent, back))
            {
                attempts++;
            }

            repeated += attempts;
            if (attempts == 5)
            {
                lost.Add(length);
            }
        }

        return (lost, repeated);
    }

    public void Dispose()
    {
        _socket.Dispose();
        _thread.Join();
    }

    private static bool IsGivenBack(Socket socket, byte[] sent, byte[] back)
    {
        try
        {
            socket.Send(sent);
            int length = socket.Receive(back);
            return back.AsSpan(0, length).SequenceEqual(sent);
        }
        catch (SocketException)
        {
            return false;           // too big and now known to be, or nothing came in time
        }
    }

    private static Socket Open(string address) => new(
        IPAddress.Parse(address).AddressFamily, SocketType.Dgram, ProtocolType.Udp);

    private void Run()
    {
        byte[] buffer = new byte[70_000];
        EndPoint from = new IPEndPoint(_socket.AddressFamily == AddressFamily.InterNetworkV6 ? IPAddress.IPv6Any : IPAddress.Any, 0);
        try
        {
            while (true)
            {
                int length = _socket.ReceiveFrom(buffer, ref from);
                _socket.SendTo(buffer.AsSpan(0, length), SocketFlags.None, from);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }
}
