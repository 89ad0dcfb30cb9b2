using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>Two hosts that speak text over TCP: numbers are counted, lines are written as people write them.</summary>
internal sealed class TextTalk
{
    private readonly (TestHost Host, TestHost Peer)[] _ends;
    private readonly uint[] _next = [1001, 5001];

    /// <summary>A connection that is open: the client inside opened it.</summary>
    public TextTalk(TestNet net, int family, int port, int clientPort = 40000)
    {
        (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, clientPort), Nets.At(family, 2, port));
        _ends = [(client, server), (server, client)];
        client.Reaches(server, "syn seq=1000");
        server.Reaches(client, "syn,ack seq=5000 ack=1001");
        client.Reaches(server, "ack seq=1001 ack=5001");
    }

    /// <summary>The client says something, and it is heard.</summary>
    public void Client(string text, string keys = "") => Say(0, text, keys);

    /// <summary>The server says something, and it is heard.</summary>
    public void Server(string text, string keys = "") => Say(1, text, keys);

    /// <summary>What one end said last, or a part of it, is sent again, this many bytes back.</summary>
    public void Again(bool server, string text, int back)
    {
        int end = server ? 1 : 0;
        Send(end, text, _next[end] - (uint)back, "");
    }

    /// <summary>Something is said that nobody on the way here sees; it arrived by another way.</summary>
    public void Unseen(bool server, string text) => _next[server ? 1 : 0] += (uint)text.Length;

    /// <summary>Text as packet lines write it.</summary>
    public static string Escape(string text) => PacketLineData.Write(text);

    private void Say(int end, string text, string keys)
    {
        Send(end, text, _next[end], keys);
        _next[end] += (uint)text.Length;
    }

    private void Send(int end, string text, uint sequence, string keys) =>
        _ends[end].Host.Reaches(_ends[end].Peer, $"ack,psh seq={sequence} ack={_next[1 - end]} data=\"{Escape(text)}\" {keys}");
}
