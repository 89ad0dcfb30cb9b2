using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Filter.Ctl.Control;

/// <summary>Who stands at the other end of a Unix socket, as the kernel says (unix(7), SO_PEERCRED).</summary>
/// <param name="Pid">Process.</param>
/// <param name="Uid">Effective user when it connected.</param>
/// <param name="Gid">Effective group.</param>
/// <param name="Groups">Supplementary groups.</param>
internal sealed record PeerCredentials(int Pid, uint Uid, uint Gid, IReadOnlyList<uint> Groups)
{
    private const int SolSocket = 1;
    private const int SoPeerCred = 17;
    private const int SoPeerGroups = 59;
    private const int MostGroups = 1024;

    /// <summary>The credentials of a connected socket's peer; null where the kernel does not say.</summary>
    public static PeerCredentials? Of(Socket socket)
    {
        try
        {
            Span<byte> ucred = stackalloc byte[12];     // struct ucred: pid, uid, gid
            if (socket.GetRawSocketOption(SolSocket, SoPeerCred, ucred) != ucred.Length)
            {
                return null;
            }

            ReadOnlySpan<uint> fields = MemoryMarshal.Cast<byte, uint>(ucred);
            return new PeerCredentials((int)fields[0], fields[1], fields[2], GroupsOf(socket));
        }
        catch (SocketException)
        {
            return null;
        }
    }

    private static uint[] GroupsOf(Socket socket)
    {
        byte[] buffer = new byte[MostGroups * sizeof(uint)];
        try
        {
            int length = socket.GetRawSocketOption(SolSocket, SoPeerGroups, buffer);
            return MemoryMarshal.Cast<byte, uint>(buffer.AsSpan(0, length)).ToArray();
        }
        catch (SocketException)
        {
            return [];      // an older kernel, or more groups than anyone has: only uid and gid count then
        }
    }
}
