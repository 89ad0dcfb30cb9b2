using System.Globalization;
using Filter.Engine.Flows;
using Filter.Engine.Packets;

namespace Filter.Ctl.Service;

/// <summary>
/// Which flows somebody means: words that must all hold, each a number, an address, a port as :PORT,
/// or a protocol.
/// </summary>
internal sealed class FlowMatch
{
    private const int MostWords = 16;
    private readonly List<Func<int, FlowKey, bool>> _tests = [];

    private FlowMatch()
    {
    }

    /// <summary>Reads the words; null, and what is wrong, where one is none.</summary>
    public static FlowMatch? Parse(string? text, out string? error)
    {
        error = null;
        FlowMatch match = new();
        string[] words = (text ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words.Length > MostWords)
        {
            error = $"at most {MostWords} words";
            return null;
        }

        foreach (string word in words)
        {
            if (word == "all")
            {
                continue;
            }

            if (Test(word) is not { } test)
            {
                error = $"'{word}' is no flow's number, address, :port or protocol";
                return null;
            }

            match._tests.Add(test);
        }

        return match;
    }

    /// <summary>Whether a flow is meant.</summary>
    public bool Holds(int number, in Flow flow)
    {
        foreach (Func<int, FlowKey, bool> test in _tests)
        {
            if (!test(number, flow.Opening.Key))
            {
                return false;
            }
        }

        return true;
    }

    private static Func<int, FlowKey, bool>? Test(string word)
    {
        if (int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out int wanted))
        {
            return (number, _) => number == wanted;
        }

        if (word[0] == ':' && ushort.TryParse(word.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out ushort port))
        {
            return (_, key) => key.SourcePort == port || key.DestinationPort == port;
        }

        if (Address.TryParse(word.Trim('[', ']'), out Address address))
        {
            return (_, key) => key.Source == address || key.Destination == address;
        }

        byte[] protocols = Protocols(word);
        return protocols.Length == 0 ? null : (_, key) => protocols.Contains(key.Protocol);
    }

    private static byte[] Protocols(string word) =>
        word == ProtocolNames.EitherIcmp ? [1, 58]
        : ProtocolNames.TryParse(word, out byte number) ? [number]
        : [];
}
