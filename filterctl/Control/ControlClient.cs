using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Filter.Ctl.Control;

/// <summary>A verb's end of the control socket.</summary>
internal sealed class ControlClient : IDisposable
{
    /// <summary>Where the daemon listens unless told otherwise.</summary>
    public const string DefaultPath = "/run/filter/filter.sock";

    /// <summary>Longest path of a Unix socket, in bytes (unix(7): sun_path, less its NUL).</summary>
    public const int MaxPath = 107;

    private const int MaxResponse = 4 * 1024 * 1024;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);
    private readonly Socket _socket;
    private readonly LineReader _lines;

    private ControlClient(Socket socket)
    {
        _socket = socket;
        _lines = new LineReader(socket, MaxResponse);
    }

    /// <summary>Connects to the daemon.</summary>
    /// <exception cref="Refusal">Nobody listens there, or we may not.</exception>
    public static ControlClient Connect(string path)
    {
        path = Path.GetFullPath(path);
        if (Encoding.UTF8.GetByteCount(path) > MaxPath)
        {
            throw new Refusal($"{path}: a socket's path holds at most {MaxPath} bytes", Exit.Usage);
        }

        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
            return new ControlClient(socket);
        }
        catch (SocketException failure)
        {
            socket.Dispose();
            throw new Refusal(failure.SocketErrorCode == SocketError.AccessDenied
                ? $"{path}: not allowed: only root and members of group {ControlAccess.GroupName} may control Filter"
                : $"no filterctl runs on {path}: start one with 'filterctl run FILE', or name its --socket");
        }
    }

    /// <summary>Whether anybody listens there.</summary>
    public static bool IsAnswered(string path)
    {
        try
        {
            using ControlClient client = Connect(path);
            return true;
        }
        catch (Refusal)
        {
            return false;
        }
    }

    /// <summary>Asks.</summary>
    public void Send(ControlRequest request)
    {
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(request, ControlJson.Plain.ControlRequest);
        try
        {
            _socket.Send(json);
            _socket.Send("\n"u8);
        }
        catch (SocketException)
        {
            // The daemon said why, or is gone: reading tells which.
        }
    }

    /// <summary>The next line of the answer; null where the daemon has hung up.</summary>
    /// <param name="patient">Wait for as long as it takes.</param>
    public ControlResponse? Receive(bool patient = false)
    {
        using CancellationTokenSource limit = patient ? new() : new(s_patience);
        try
        {
            ReadOnlyMemory<byte>? line = _lines.ReadAsync(limit.Token).AsTask().GetAwaiter().GetResult();
            return line is { } bytes ? JsonSerializer.Deserialize(bytes.Span, ControlJson.Plain.ControlResponse) : null;
        }
        catch (SocketException)
        {
            return null;
        }
        catch (OperationCanceledException)
        {
            throw new Refusal("the daemon does not answer");
        }
        catch (Exception garbage) when (garbage is JsonException or InvalidDataException)
        {
            throw new Refusal("what answers there does not speak as filterctl does");
        }
    }

    /// <summary>Asks, and gives the answer's lines to the last.</summary>
    /// <exception cref="Refusal">The daemon hung up.</exception>
    public IEnumerable<ControlResponse> Ask(ControlRequest request)
    {
        Send(request);
        ControlResponse? response;
        do
        {
            response = Receive() ?? throw new Refusal("the daemon hung up");
            yield return response;
        }
        while (response is { More: true });
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();
}
