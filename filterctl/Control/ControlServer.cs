using System.Net.Sockets;
using System.Text.Json;

namespace Filter.Ctl.Control;

/// <summary>Answers one request, by one or several calls of <see cref="ControlReply.SendAsync"/>.</summary>
internal delegate Task ControlHandler(ControlRequest request, PeerCredentials peer, ControlReply reply, CancellationToken cancel);

/// <summary>
/// Speaks with those who control the daemon. Its clients may be slow, silent or hostile: each has
/// bounds of time and size, and none of them can hold up another, or the packets, which flow on
/// another thread.
/// </summary>
internal sealed class ControlServer : IAsyncDisposable
{
    /// <summary>Longest request, in bytes.</summary>
    public const int MaxRequest = 64 * 1024;

    /// <summary>Most clients at a time; one more is refused.</summary>
    public const int MaxClients = 16;

    private readonly ControlSocket _socket;
    private readonly ControlAccess _access;
    private readonly ControlHandler _handler;
    private readonly CancellationTokenSource _stop = new();
    private readonly HashSet<Task> _serving = [];
    private readonly Lock _guard = new();
    private Task _accepting = Task.CompletedTask;

    /// <summary>A server on a bound socket, which it disposes.</summary>
    public ControlServer(ControlSocket socket, ControlAccess access, ControlHandler handler)
    {
        _socket = socket;
        _access = access;
        _handler = handler;
    }

    /// <summary>How long a client may think before it asks.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a client may take to read a line.</summary>
    public TimeSpan WritePatience { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Starts to listen.</summary>
    public void Start()
    {
        _socket.Listener.Listen(MaxClients);
        _accepting = AcceptAsync();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        _socket.Dispose();
        await _accepting.ConfigureAwait(false);
        Task[] serving;
        lock (_guard)
        {
            serving = [.. _serving];
        }

        await Task.WhenAll(serving).ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                Socket client = await _socket.Listener.AcceptAsync(_stop.Token).ConfigureAwait(false);
                Admit(client);
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

    private void Admit(Socket client)
    {
        PeerCredentials? peer = PeerCredentials.Of(client);
        string? refusal = !_access.Allows(peer)
            ? $"not allowed: only root{(_access.Group is null ? "" : $" and members of group {ControlAccess.GroupName}")} may control Filter"
            : null;
        lock (_guard)
        {
            refusal ??= _serving.Count >= MaxClients ? $"too many clients: at most {MaxClients} at a time" : null;
            if (refusal is null)
            {
                Task serving = Task.Run(() => ServeAsync(client, peer!));
                _serving.Add(serving);
                _ = serving.ContinueWith(Forget, TaskScheduler.Default);
                return;
            }
        }

        Dismiss(client, refusal);
    }

    private void Forget(Task done)
    {
        lock (_guard)
        {
            _serving.Remove(done);
        }
    }

    // What a fresh socket's buffer can't take is lost: nobody waits for a stranger.
    private static void Dismiss(Socket client, string why)
    {
        using (client)
        {
            try
            {
                client.Blocking = false;
                client.Send(ControlReply.Encode(ControlResponse.Refuse(why)));
            }
            catch (SocketException)
            {
            }
        }
    }

    private async Task ServeAsync(Socket client, PeerCredentials peer)
    {
        using (client)
        {
            ControlReply reply = new(client, WritePatience);
            LineReader lines = new(client, MaxRequest);
            try
            {
                while (await NextAsync(lines).ConfigureAwait(false) is { } line)
                {
                    if (Parse(line.Span) is not { } request)
                    {
                        await reply.SendAsync(ControlResponse.Refuse("not a request: one JSON object a line"), _stop.Token).ConfigureAwait(false);
                        return;
                    }

                    await _handler(request, peer, reply, _stop.Token).ConfigureAwait(false);
                }
            }
            catch (InvalidDataException tooLong)
            {
                await TryRefuseAsync(reply, tooLong.Message).ConfigureAwait(false);
            }
            catch (Exception end) when (end is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                // Gone, too slow, or we stop: nobody is left to tell.
            }
            catch (Exception failure) when (failure is not OutOfMemoryException)
            {
                // A request must never end the daemon.
                await TryRefuseAsync(reply, $"internal error: {failure.GetType().Name}: {failure.Message}").ConfigureAwait(false);
            }
        }
    }

    private static async Task TryRefuseAsync(ControlReply reply, string why)
    {
        try
        {
            await reply.SendAsync(ControlResponse.Refuse(why), CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception end) when (end is OperationCanceledException or SocketException or ObjectDisposedException)
        {
        }
    }

    private async Task<ReadOnlyMemory<byte>?> NextAsync(LineReader lines)
    {
        using CancellationTokenSource patience = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        patience.CancelAfter(Patience);
        return await lines.ReadAsync(patience.Token).ConfigureAwait(false);
    }

    private static ControlRequest? Parse(ReadOnlySpan<byte> line)
    {
        try
        {
            ControlRequest? request = JsonSerializer.Deserialize(line, ControlJson.Plain.ControlRequest);
            return request is { Verb.Length: > 0 } ? request : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>Where a request's answer goes.</summary>
internal sealed class ControlReply(Socket client, TimeSpan patience)
{
    /// <summary>Sends one line. Cancelled where the client does not take it in time.</summary>
    public async Task SendAsync(ControlResponse response, CancellationToken cancel)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(patience);
        ReadOnlyMemory<byte> rest = Encode(response);
        while (!rest.IsEmpty)
        {
            rest = rest[await client.SendAsync(rest, SocketFlags.None, limit.Token).ConfigureAwait(false)..];
        }
    }

    /// <summary>Completes when the client has gone (or speaks again, which nobody does while listening).</summary>
    public async Task GoneAsync(CancellationToken cancel)
    {
        byte[] one = new byte[1];
        try
        {
            await client.ReceiveAsync(one, SocketFlags.Peek, cancel).ConfigureAwait(false);
        }
        catch (SocketException)
        {
        }
    }

    /// <summary>The line's bytes, with its line feed.</summary>
    internal static byte[] Encode(ControlResponse response)
    {
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(response, ControlJson.Plain.ControlResponse);
        Array.Resize(ref json, json.Length + 1);
        json[^1] = (byte)'\n';
        return json;
    }
}
