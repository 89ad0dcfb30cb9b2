using System.Net.Sockets;
using System.Security.Cryptography;
using System.Threading.Channels;
using Filter.Ipsec.PfKey;
using Filter.Ipsec.PfKey.Messages;

namespace Filter.Ctl.Service;

/// <summary>
/// One connection of a key manager. What is to be sent waits in a bounded queue: who reads too slowly loses messages, is told so by
/// one with ENOBUFS, and holds up nobody else.
/// </summary>
internal sealed class PfKeyClient : PfKeyListener
{
    /// <summary>Messages that wait for a slow reader.</summary>
    public const int Backlog = 512;

    /// <summary>Bytes that the kernel keeps for it besides.</summary>
    private const int SocketBuffer = 256 * 1024;

    /// <summary>How long a message is kept from counting as read while its answers find no room.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2);

    private readonly Socket _socket;
    private readonly Channel<Sending> _queue = Channel.CreateBounded<Sending>(Backlog);
    private volatile bool _lost;
    private volatile bool _dumping;

    private PfKeyClient(Socket socket) => _socket = socket;

    /// <inheritdoc/>
    public override void Send(byte[] message) => Enqueue(new Sending([message], null));

    /// <inheritdoc/>
    public override bool SendAll(IEnumerable<byte[]> messages)
    {
        if (_dumping)
        {
            return false;
        }

        _dumping = true;
        Enqueue(new Sending(messages, () => _dumping = false));
        return true;
    }

    /// <summary>Speaks with a key manager until one of both has enough.</summary>
    public static async Task ServeAsync(Socket socket, PfKeyDesk desk, CancellationToken stop)
    {
        using (socket)
        {
            socket.SendBufferSize = SocketBuffer;
            PfKeyClient client = new(socket);
            using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(stop);
            Task writing = client.WriteAsync(end.Token);
            desk.Join(client);
            try
            {
                await client.ReadAsync(desk, end.Token).ConfigureAwait(false);
            }
            catch (Exception gone) when (gone is OperationCanceledException or SocketException or ObjectDisposedException)
            {
            }
            catch (Exception failure) when (failure is not OutOfMemoryException)
            {
                desk.Failed(failure);       // a message must never end the daemon
            }
            finally
            {
                desk.Leave(client);
            }

            client._queue.Writer.TryComplete();
            await end.CancelAsync().ConfigureAwait(false);
            await writing.ConfigureAwait(false);
        }
    }

    /// <summary>
    /// A message is taken off the socket once its answer is on it: so whoever sends can see when it was answered (SIOCOUTQ), as a
    /// kernel's send returns then.
    /// </summary>
    private async Task ReadAsync(PfKeyDesk desk, CancellationToken stop)
    {
        byte[] buffer = GC.AllocateUninitializedArray<byte>(PfKeyMessage.Longest + 1, pinned: true);
        while (await _socket.ReceiveAsync(buffer, SocketFlags.Peek, stop).ConfigureAwait(false) is > 0 and var length)
        {
            desk.Receive(this, buffer.AsSpan(0, length));
            CryptographicOperations.ZeroMemory(buffer.AsSpan(0, length));
            TaskCompletionSource answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
            Enqueue(new Sending([], answered.SetResult));
            await Task.WhenAny(answered.Task, Task.Delay(s_patience, stop)).ConfigureAwait(false);
            await _socket.ReceiveAsync(buffer, SocketFlags.None, stop).ConfigureAwait(false);
            CryptographicOperations.ZeroMemory(buffer.AsSpan(0, length));
        }
    }

    private async Task WriteAsync(CancellationToken stop)
    {
        try
        {
            await foreach (Sending next in _queue.Reader.ReadAllAsync(stop).ConfigureAwait(false))
            {
                foreach (byte[] message in next.Messages)
                {
                    if (_lost)
                    {
                        _lost = false;
                        await _socket.SendAsync(PfKeyWriter.Write(new(new(PfKeyType.Reserved, PfKeyError.NoBuffers, PfKeySaType.Unspecified, 0, 0), [])), SocketFlags.None, stop).ConfigureAwait(false);
                    }

                    await _socket.SendAsync(message, SocketFlags.None, stop).ConfigureAwait(false);
                    CryptographicOperations.ZeroMemory(message);
                }

                next.Done?.Invoke();
            }
        }
        catch (Exception gone) when (gone is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The reader notices too.
        }
    }

    private void Enqueue(Sending next)
    {
        if (!_queue.Writer.TryWrite(next))
        {
            _lost = true;
            next.Done?.Invoke();
        }
    }

    /// <summary>What is sent, and what is done then.</summary>
    private readonly record struct Sending(IEnumerable<byte[]> Messages, Action? Done);
}
