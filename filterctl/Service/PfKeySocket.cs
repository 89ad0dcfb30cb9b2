using System.Net.Sockets;
using Filter.Ctl.Control;

namespace Filter.Ctl.Service;

/// <summary>
/// PF_KEY for whoever connects: a Unix socket of packets in sequence, each of which is one message. Root may, and the daemon's own
/// user: whoever speaks here reads and replaces every key.
/// </summary>
internal sealed class PfKeySocket : IAsyncDisposable
{
    /// <summary>Where it stands unless told otherwise.</summary>
    public const string DefaultPath = "/run/filter/pfkey";

    /// <summary>Most key managers at a time.</summary>
    public const int MostClients = 32;

    private readonly ControlSocket _socket;
    private readonly PfKeyDesk _desk;
    private readonly ControlAccess _access = new(Group: null, ProcessRights.User);
    private readonly CancellationTokenSource _stop = new();
    private readonly HashSet<Task> _serving = [];
    private Task _accepting = Task.CompletedTask;

    /// <summary>One on a bound socket, which it disposes.</summary>
    public PfKeySocket(ControlSocket socket, PfKeyDesk desk) => (_socket, _desk) = (socket, desk);

    /// <summary>Takes a path.</summary>
    /// <exception cref="Refusal">Another daemon has it, or it cannot be taken.</exception>
    public static ControlSocket Bind(string path)
    {
        ControlSocket socket = ControlSocket.Bind(path, new ControlAccess(Group: null), SocketType.Seqpacket);
        File.SetUnixFileMode(socket.Path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return socket;
    }

    /// <summary>Starts to listen.</summary>
    public void Start()
    {
        _socket.Listener.Listen(MostClients);
        _accepting = AcceptAsync();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        _socket.Dispose();
        await _accepting.ConfigureAwait(false);
        await Task.WhenAll(_serving).ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                Socket client = await _socket.Listener.AcceptAsync(_stop.Token).ConfigureAwait(false);
                _serving.RemoveWhere(static done => done.IsCompleted);
                if (_serving.Count >= MostClients || !_access.Allows(PeerCredentials.Of(client)))
                {
                    client.Dispose();
                    continue;
                }

                _serving.Add(Task.Run(() => PfKeyClient.ServeAsync(client, _desk, _stop.Token)));
            }
            catch (Exception end) when (end is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException)
            {
                // Out of descriptors, or the client was gone already. Not a busy loop.
                await Task.Delay(100, CancellationToken.None).ConfigureAwait(false);
            }
        }
    }
}
