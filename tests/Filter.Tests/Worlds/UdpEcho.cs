using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Filter.Tests.Worlds;

/// <summary>What a socket lets become of a datagram that its path is too small for (ip(7), ipv6(7)).</summary>
internal enum PathMtu
{
    /// <summary>Nobody may cut it on the way; IPv4 alone: any router may.</summary>
    Dont = 0,
    /// <summary>Cut at home to what is known of the path.</summary>
    Want = 1,
    /// <summary>Never cut: the program is told.</summary>
    Do = 2,
}

/// <summary>Datagrams of given sizes that one host sends and another gives back as they came.</summary>
internal sealed class UdpEcho : IDisposable
{
    private const int IPv4Level = 0, IPv6Level = 41;
    private const int UdpHeader = 8;

    private readonly Socket _server;
    private readonly Thread _thread;
    private readonly Socket _client;
    private readonly byte[] _datagram = new byte[2000], _answer = new byte[2000];
    private readonly int _headers;
    private readonly bool _isIPv6;
    private int _number;

    /// <param name="client">Who asks.</param>
    /// <param name="server">Who gives back.</param>
    /// <param name="there">Where the server listens.</param>
    /// <param name="pathMtu">How both treat what is too large.</param>
    public UdpEcho(Host client, Host server, IPEndPoint there, PathMtu pathMtu)
    {
        _isIPv6 = there.AddressFamily == AddressFamily.InterNetworkV6;
        _headers = (_isIPv6 ? 40 : 20) + UdpHeader;
        _server = Open(server, there, pathMtu);
        _server.Bind(there);
        _thread = new Thread(GiveBack) { IsBackground = true };
        _thread.Start();
        _client = Open(client, there, pathMtu);
        _client.Connect(there);
        _client.ReceiveTimeout = 300;
        for (int i = 0; i < _datagram.Length; i++)
        {
            _datagram[i] = (byte)(i * 7);
        }
    }

    /// <summary>What the client's kernel knows of the path: the largest packet.</summary>
    public int KnownMtu
    {
        get
        {
            Span<byte> value = stackalloc byte[4];
            _client.GetRawSocketOption(_isIPv6 ? IPv6Level : IPv4Level, _isIPv6 ? 24 : 14, value);       // IPV6_MTU, IP_MTU
            return BitConverter.ToInt32(value);
        }
    }

    /// <summary>Sends IP packets of one size until one has come there and back.</summary>
    /// <param name="size">Bytes, headers included.</param>
    /// <param name="most">Most tries.</param>
    /// <returns>How often it had to; 0 where none came back.</returns>
    public int Try(int size, int most)
    {
        for (int i = 1; i <= most; i++)
        {
            if (Crosses(size))
            {
                return i;
            }
        }

        return 0;
    }

    /// <summary>Sends one packet; false where it is too large for what is known, or nothing came back.</summary>
    public bool Crosses(int size)
    {
        Span<byte> datagram = _datagram.AsSpan(0, size - _headers);
        BinaryPrimitives.WriteInt32BigEndian(datagram, ++_number);
        try
        {
            _client.Send(datagram);
            while (true)
            {
                int length = _client.Receive(_answer);
                if (_answer.AsSpan(0, length).SequenceEqual(datagram))
                {
                    return true;
                }
            }
        }
        catch (SocketException told) when (told.SocketErrorCode is SocketError.MessageSize or SocketError.TimedOut or SocketError.WouldBlock)
        {
            return false;
        }
    }

    public void Dispose()
    {
        _server.Dispose();
        _thread.Join();
        _client.Dispose();
    }

    private static Socket Open(Host host, IPEndPoint there, PathMtu pathMtu)
    {
        Socket socket = host.Inside(() => new Socket(there.AddressFamily, SocketType.Dgram, ProtocolType.Udp));
        bool isIPv6 = there.AddressFamily == AddressFamily.InterNetworkV6;
        socket.SetRawSocketOption(isIPv6 ? IPv6Level : IPv4Level, isIPv6 ? 23 : 10, BitConverter.GetBytes((int)pathMtu));     // MTU_DISCOVER
        return socket;
    }

    private void GiveBack()
    {
        byte[] room = new byte[2000];
        SocketAddress from = new(_server.AddressFamily);
        while (true)
        {
            try
            {
                int length = _server.ReceiveFrom(room, SocketFlags.None, from);
                _server.SendTo(room.AsSpan(0, length), SocketFlags.None, from);
            }
            catch (SocketException told) when (told.SocketErrorCode == SocketError.MessageSize)
            {
                // Its own answer was too large for what it knows by now.
            }
            catch (Exception end) when (end is SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }
}
