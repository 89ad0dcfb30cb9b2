namespace Filter.Engine.Wire;

/// <summary>Types of SCTP chunks, and the words that packet lines have for them (RFC 9260 §3.2).</summary>
public static class SctpChunk
{
    /// <summary>User data.</summary>
    public const byte Data = 0;
    /// <summary>Asks for an association.</summary>
    public const byte Init = 1;
    /// <summary>Answers <see cref="Init"/>.</summary>
    public const byte InitAck = 2;
    /// <summary>Acknowledges data.</summary>
    public const byte Sack = 3;
    /// <summary>Asks whether an address is reachable.</summary>
    public const byte Heartbeat = 4;
    /// <summary>Answers <see cref="Heartbeat"/>.</summary>
    public const byte HeartbeatAck = 5;
    /// <summary>Ends the association at once.</summary>
    public const byte Abort = 6;
    /// <summary>Asks to end it once all is acknowledged.</summary>
    public const byte Shutdown = 7;
    /// <summary>Answers <see cref="Shutdown"/>.</summary>
    public const byte ShutdownAck = 8;
    /// <summary>Tells what is wrong.</summary>
    public const byte Error = 9;
    /// <summary>Gives the cookie of <see cref="InitAck"/> back.</summary>
    public const byte CookieEcho = 10;
    /// <summary>Answers <see cref="CookieEcho"/>: the association is established.</summary>
    public const byte CookieAck = 11;
    /// <summary>Answers <see cref="ShutdownAck"/>: the association has ended.</summary>
    public const byte ShutdownComplete = 14;
    /// <summary>Proves who sent the chunks behind it (RFC 4895 §4.1); the only one that may precede a cookie.</summary>
    public const byte Authentication = 15;

    /// <summary>Type, flags and length of a chunk.</summary>
    public const int HeaderLength = 4;

    /// <summary>INIT and INIT ACK without parameters (RFC 9260 §3.3.2).</summary>
    public const int InitLength = 20;

    /// <summary>
    /// The flag by which ABORT and SHUTDOWN COMPLETE say that they carry the tag their receiver chose for its peer, not its own
    /// (RFC 9260 §8.5.1).
    /// </summary>
    public const byte TagReflected = 1;

    private static readonly (byte Type, string Word, int Length)[] s_words =
    [
        (Data, "data", 20), (Init, "init", InitLength), (InitAck, "init-ack", InitLength), (Sack, "sack", 16),
        (Heartbeat, "heartbeat", 8), (HeartbeatAck, "heartbeat-ack", 8), (Abort, "abort", 4), (Shutdown, "shutdown", 8),
        (ShutdownAck, "shutdown-ack", 4), (Error, "error", 8), (CookieEcho, "cookie-echo", 8), (CookieAck, "cookie-ack", 4),
        (ShutdownComplete, "shutdown-complete", 4),
    ];

    /// <summary>Every word.</summary>
    public static IEnumerable<string> Words => s_words.Select(static row => row.Word);

    /// <summary>The word for a type; null where it has none.</summary>
    public static string? Word(byte type) => Array.Find(s_words, row => row.Type == type).Word;

    /// <summary>The type of a word.</summary>
    public static bool TryParse(string word, out byte type)
    {
        int index = Array.FindIndex(s_words, row => row.Word == word);
        type = index < 0 ? (byte)0 : s_words[index].Type;
        return index >= 0;
    }

    /// <summary>Bytes of a chunk of this type that says no more than it must; what packet lines mean that do not say.</summary>
    internal static int UsualLength(byte type) => Math.Max(HeaderLength, Array.Find(s_words, row => row.Type == type).Length);
}
