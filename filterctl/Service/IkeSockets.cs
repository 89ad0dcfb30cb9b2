using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Filter.Engine.Packets;

namespace Filter.Ctl.Service;

/// <summary>
/// The gateway's own UDP sockets for IKE: ports 500 and 4500 of each of its addresses (RFC 7296 §2, §2.23). They belong to the box's
/// own stack behind the TAP, so what comes has passed the firewall, and what goes passes it too.
/// </summary>
internal sealed class IkeSockets : IDisposable
{
    /// <summary>The port of IKE.</summary>
    public const ushort Port = 500;

    /// <summary>The port of IKE behind translators, shared with ESP in UDP: messages have four zero bytes before them (RFC 3948 §2.2).</summary>
    public const ushort TranslatedPort = 4500;

    private const int MarkerLength = 4;
    private const int LongestMessage = 65_535;
    private const int ReceiveBuffer = 1 << 20;

    private const int SolIp = 0, IpFreebind = 15, SolIpv6 = 41, Ipv6Freebind = 78, SolSocket = 1, SoBindToDevice = 25;

    private readonly string _device;
    private readonly Action<IkeArrival> _arrived;
    private readonly ServiceLog _log;
    private readonly Dictionary<(Address Local, ushort Port), Socket> _sockets = [];
    private readonly HashSet<Address> _failed = [];
    private readonly byte[] _sending = new byte[MarkerLength + LongestMessage];
    private readonly CancellationTokenSource _end = new();
    private readonly Lock _guard = new();

    /// <summary>No sockets yet: <see cref="Follow"/> opens them.</summary>
    /// <param name="device">The TAP that the addresses are on; nothing is sent or heard by another way.</param>
    /// <param name="arrived">Called with each message, on any thread. It does not wait.</param>
    /// <param name="log">Where it says what can't be opened.</param>
    public IkeSockets(string device, Action<IkeArrival> arrived, ServiceLog log)
    {
        _device = device;
        _arrived = arrived;
        _log = log;
    }

    /// <summary>The addresses that it listens on.</summary>
    public IReadOnlyCollection<Address> Addresses
    {
        get
        {
            lock (_guard)
            {
                return [.. _sockets.Keys.Select(static key => key.Local).Distinct()];
            }
        }
    }

    /// <summary>The addresses that a device has by now.</summary>
    public static IEnumerable<Address> Of(string device)
    {
        NetworkInterface? found = NetworkInterface.GetAllNetworkInterfaces().FirstOrDefault(each => each.Name == device);
        return found?.GetIPProperties().UnicastAddresses.Select(static each => each.Address)
            .Where(static address => !address.IsIPv6LinkLocal && !IPAddress.IsLoopback(address)).Select(Addressed) ?? [];
    }

    /// <summary>Listens on these addresses, and on no other.</summary>
    public void Follow(IEnumerable<Address> own)
    {
        HashSet<Address> wanted = [.. own];
        lock (_guard)
        {
            foreach ((Address local, ushort port) in _sockets.Keys.Where(key => !wanted.Contains(key.Local)).ToArray())
            {
                _sockets.Remove((local, port), out Socket? gone);
                gone!.Dispose();
            }

            foreach (Address address in wanted.Where(address => !_sockets.ContainsKey((address, Port))))
            {
                Open(address);
            }
        }
    }

    /// <summary>Which of the gateway's addresses the box's own stack would send from; null where it knows no way.</summary>
    public Address? SourceTowards(Address remote)
    {
        try
        {
            using Socket probe = Unbound(remote);
            probe.Connect(new IPEndPoint(Addressed(remote), Port));      // sends nothing
            return Addressed(((IPEndPoint)probe.LocalEndPoint!).Address);
        }
        catch (SocketException)
        {
            return null;
        }
    }

    /// <summary>Sends one message; false where the box has no such address, or no way to there. It is lost then, as on any way.</summary>
    public bool Send(Address local, ushort localPort, Address remote, ushort remotePort, ReadOnlySpan<byte> message)
    {
        Socket? socket;
        lock (_guard)
        {
            _sockets.TryGetValue((local, localPort), out socket);
        }

        if (socket is null || message.Length > LongestMessage)
        {
            return false;
        }

        lock (_sending)
        {
            int marker = localPort == TranslatedPort ? MarkerLength : 0;
            message.CopyTo(_sending.AsSpan(marker));
            _sending.AsSpan(0, marker).Clear();
            try
            {
                socket.SendTo(_sending.AsSpan(0, marker + message.Length), SocketFlags.None, new IPEndPoint(Addressed(remote), remotePort));
                return true;
            }
            catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
            {
                return false;               // sent again by who waits for the answer
            }
            finally
            {
                _sending.AsSpan(0, marker + message.Length).Clear();
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _end.Cancel();
        Follow([]);
        _end.Dispose();
    }

    private static Address Addressed(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out int length);
        return length == 4 ? Address.FromIPv4(System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(bytes)) : Address.ReadIPv6(bytes);
    }

    private static IPAddress Addressed(Address address)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.Write(bytes);
        return new IPAddress(bytes[..(address.IsIPv4 ? 4 : 16)]);
    }

    private void Open(Address address)
    {
        List<(ushort Port, Socket Socket)> opened = [];
        try
        {
            foreach (ushort port in (ReadOnlySpan<ushort>)[Port, TranslatedPort])
            {
                opened.Add((port, Bound(address, port)));
            }
        }
        catch (SocketException failure)
        {
            opened.ForEach(static each => each.Socket.Dispose());
            if (_failed.Add(address))
            {
                string who = failure.SocketErrorCode == SocketError.AddressAlreadyInUse ? ": another IKE daemon of this box has them" : $": {failure.Message}";
                _log.Line($"warning: IKE can't have the UDP ports 500 and 4500 of {address}{who}");
            }

            return;
        }

        _failed.Remove(address);
        foreach ((ushort port, Socket socket) in opened)
        {
            _sockets.Add((address, port), socket);
            _ = ListenAsync(socket, address, port);
        }
    }

    private Socket Bound(Address address, ushort port)
    {
        Socket socket = Unbound(address);
        try
        {
            // The address may still be probed for a double.
            (int level, int option) = address.IsIPv4 ? (SolIp, IpFreebind) : (SolIpv6, Ipv6Freebind);
            socket.SetRawSocketOption(level, option, BitConverter.GetBytes(1));
            socket.ReceiveBufferSize = ReceiveBuffer;
            socket.Bind(new IPEndPoint(Addressed(address), port));
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>The device is the only way, whatever else the box is connected to.</summary>
    private Socket Unbound(Address family)
    {
        Socket socket = new(family.IsIPv4 ? AddressFamily.InterNetwork : AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp);
        try
        {
            socket.SetRawSocketOption(SolSocket, SoBindToDevice, System.Text.Encoding.ASCII.GetBytes(_device));
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private async Task ListenAsync(Socket socket, Address local, ushort port)
    {
        byte[] room = new byte[LongestMessage];
        int marker = port == TranslatedPort ? MarkerLength : 0;
        EndPoint any = new IPEndPoint(local.IsIPv4 ? IPAddress.Any : IPAddress.IPv6Any, 0);
        while (!_end.IsCancellationRequested)
        {
            try
            {
                SocketReceiveFromResult read = await socket.ReceiveFromAsync(room, SocketFlags.None, any, _end.Token).ConfigureAwait(false);
                if (read.ReceivedBytes > marker && !room.AsSpan(0, marker).ContainsAnyExcept((byte)0))
                {
                    var from = (IPEndPoint)read.RemoteEndPoint;
                    _arrived(new IkeArrival(local, port, Addressed(from.Address), (ushort)from.Port, room.AsSpan(marker, read.ReceivedBytes - marker).ToArray()));
                }
            }
            catch (SocketException)
            {
                // An ICMP error about what was sent, which anybody can write: it ends nothing (RFC 7296 §2.4).
            }
            catch (Exception over) when (over is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
        }
    }
}

/// <summary>A message as it came, without the marker.</summary>
/// <param name="Local">Ours.</param>
/// <param name="LocalPort">500 or 4500.</param>
/// <param name="Remote">Who sent it, as it is seen from here.</param>
/// <param name="RemotePort">The same.</param>
/// <param name="Message">The bytes.</param>
internal sealed record IkeArrival(Address Local, ushort LocalPort, Address Remote, ushort RemotePort, byte[] Message);
