using System.Net.Sockets;

namespace Filter.Ctl.Control;

/// <summary>Reads lines from a socket, none longer than it was told; what is longer ends the conversation.</summary>
internal sealed class LineReader(Socket socket, int longest)
{
    private readonly byte[] _buffer = new byte[longest + 1];
    private int _start;
    private int _end;

    /// <summary>
    /// The next line without its line feed, valid until the next call; null at the end of the stream.
    /// </summary>
    /// <exception cref="InvalidDataException">The line is too long.</exception>
    public async ValueTask<ReadOnlyMemory<byte>?> ReadAsync(CancellationToken cancel)
    {
        int searched = 0;
        while (true)
        {
            int at = _buffer.AsSpan(_start + searched, _end - _start - searched).IndexOf((byte)'\n');
            if (at >= 0)
            {
                ReadOnlyMemory<byte> line = _buffer.AsMemory(_start, searched + at);
                _start += searched + at + 1;
                return line;
            }

            searched = _end - _start;
            if (searched > longest)
            {
                throw new InvalidDataException($"a line holds at most {longest} bytes");
            }

            if (_start > 0)
            {
                _buffer.AsSpan(_start, searched).CopyTo(_buffer);
                _start = 0;
                _end = searched;
            }

            int got = await socket.ReceiveAsync(_buffer.AsMemory(_end), SocketFlags.None, cancel).ConfigureAwait(false);
            if (got == 0)
            {
                return null;        // half a line before the end is nobody's line
            }

            _end += got;
        }
    }
}
