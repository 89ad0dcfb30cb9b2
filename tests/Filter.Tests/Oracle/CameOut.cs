using System.Buffers.Binary;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Tests.Oracle;

/// <summary>
/// What a judge let out, by conversation and step. It reads frames by itself and believes nobody: a frame that came out
/// late, changed, on the wrong side or twice is a fault of the judge or of its harness, not a verdict.
/// </summary>
internal sealed class CameOut
{
    private readonly IReadOnlyList<Conversation> _conversations;
    private readonly bool[][] _passed;
    private readonly Dictionary<(int Conversation, uint Id), SortedDictionary<int, (byte[] Data, bool More)>> _pieces = [];
    private readonly Dictionary<int, HashSet<string>> _whole = [];

    public CameOut(IReadOnlyList<Conversation> conversations)
    {
        _conversations = conversations;
        _passed = [.. conversations.Select(conversation => new bool[conversation.Steps.Count])];
    }

    /// <summary>Whether the step's packet came out; of packets in pieces, whether one came out whole with this piece.</summary>
    public bool this[int conversation, int step] => _passed[conversation][step];

    /// <summary>Takes down a frame that came out.</summary>
    /// <param name="fromInside">Whether it came out on the outside.</param>
    /// <param name="frame">The frame.</param>
    /// <param name="round">The step that is being sent, of all conversations.</param>
    public void Take(bool fromInside, ReadOnlySpan<byte> frame, int round)
    {
        (int number, int step) = Conversation.ReadTag(frame);
        Assert.True(number < _conversations.Count && Parser.SourceMac(frame) >> 40 == 2, $"a stray frame: {Convert.ToHexString(frame)}");
        Conversation conversation = _conversations[number];
        if (conversation.InPieces)
        {
            TakePiece(conversation, frame, round);
            return;
        }

        string where = $"{conversation.Subject}, conversation {number}, step {step}, in round {round}";
        Assert.True(step == round, $"came out late: {where}");
        Assert.True(conversation.Steps[step].FromInside == fromInside, $"came out where it went in: {where}");
        Assert.True(!_passed[number][step], $"came out twice: {where}");
        Assert.True(frame.SequenceEqual(conversation.Frame(step)), $"came out changed: {where}");
        _passed[number][step] = true;
    }

    /// <summary>Pieces may come out cut otherwise and under another identification; their datagram is what counts.</summary>
    private void TakePiece(Conversation conversation, ReadOnlySpan<byte> frame, int round)
    {
        (uint id, int offset, bool more, byte[] data) = ReadPiece(frame[EthernetHeader.Length..]);
        if (!_pieces.TryGetValue((conversation.Number, id), out var pieces))
        {
            _pieces[(conversation.Number, id)] = pieces = [];
        }

        pieces[offset] = (data, more);
        int end = 0;
        foreach ((int at, (byte[] piece, bool follows)) in pieces)
        {
            if (at != end)
            {
                return;
            }

            end += piece.Length;
            if (!follows)
            {
                byte[] whole = [.. pieces.Values.SelectMany(one => one.Data)];
                Assert.True(
                    Whole(conversation).Contains(Convert.ToHexString(whole)),
                    $"came out put together wrongly: {conversation.Print(_ => "")}");
                _passed[conversation.Number][round] = true;
                _pieces.Remove((conversation.Number, id));
                return;
            }
        }
    }

    /// <summary>The datagrams of a conversation behind their IP headers, as their senders meant them.</summary>
    private HashSet<string> Whole(Conversation conversation)
    {
        if (!_whole.TryGetValue(conversation.Number, out HashSet<string>? whole))
        {
            whole = [];
            foreach (PacketLine line in conversation.Steps.Select(step => step.Line))
            {
                var frame = new byte[FrameBuilder.Length(line)];
                FrameBuilder.Write(line, frame);
                whole.Add(Convert.ToHexString(ReadPiece(frame.AsSpan(EthernetHeader.Length)).Data));
            }

            _whole[conversation.Number] = whole;
        }

        return whole;
    }

    private static (uint Id, int Offset, bool More, byte[] Data) ReadPiece(ReadOnlySpan<byte> ip)
    {
        if (ip[0] >> 4 == 4)
        {
            int field = BinaryPrimitives.ReadUInt16BigEndian(ip[6..]);
            int total = BinaryPrimitives.ReadUInt16BigEndian(ip[2..]);
            return (BinaryPrimitives.ReadUInt16BigEndian(ip[4..]), (field & 0x1fff) * 8, (field & 0x2000) != 0, ip[20..total].ToArray());
        }

        int end = 40 + BinaryPrimitives.ReadUInt16BigEndian(ip[4..]);
        if (ip[6] != IpProtocol.Fragment)
        {
            return (0, 0, false, ip[40..end].ToArray());
        }

        int place = BinaryPrimitives.ReadUInt16BigEndian(ip[42..]);
        return (BinaryPrimitives.ReadUInt32BigEndian(ip[44..]), place & 0xfff8, (place & 1) != 0, ip[48..end].ToArray());
    }
}
