using System.Buffers;

namespace Filter.Engine.Algs;

/// <summary>What matters of a SIP message's start line and header.</summary>
internal ref struct SipMessage
{
    private const int DefaultPort = 5060;

    /// <summary>What methods are made of (RFC 3261 §25.1): behind another protocol's header nothing is a message.</summary>
    private static readonly SearchValues<byte> s_token =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~"u8);

    /// <summary>The method; of an answer the one that its CSeq names.</summary>
    private ReadOnlySpan<byte> _method;

    /// <summary>It is a request.</summary>
    public bool Asks { get; private set; }

    /// <summary>It ends its call: BYE or CANCEL.</summary>
    public bool Ends { get; private set; }

    /// <summary>It may offer or answer media (RFC 3264, RFC 3311, RFC 3262).</summary>
    public bool Negotiates { get; private set; }

    /// <summary>Its body is SDP.</summary>
    public bool HasSdp { get; private set; }

    /// <summary>Bytes of its body; -1 where it does not say, or says nonsense.</summary>
    public int Length { get; private set; }

    /// <summary>A mark of its call's identifier; never 0.</summary>
    public uint Call { get; private set; }

    /// <summary>The host that a request wants its answers at.</summary>
    public ReadOnlySpan<byte> AnswerHost { get; private set; }

    /// <summary>The port there; 0 where answers go to where the request came from (RFC 3581).</summary>
    public int AnswerPort { get; private set; }

    /// <summary>Reads start line and header.</summary>
    /// <param name="text">Up to the end of the last line of the header.</param>
    /// <param name="message">What it says.</param>
    /// <returns>False where it is not SIP.</returns>
    public static bool TryRead(ReadOnlySpan<byte> text, out SipMessage message)
    {
        message = new SipMessage { Length = -1, Call = 1 };
        ReadOnlySpan<byte> start = CutLine(ref text);
        int status = 0;
        if (start.StartsWith("SIP/2.0 "u8))
        {
            if (start.Length < 11 || !TextScan.TryNumber(start[8..11], 699, out status))
            {
                return false;
            }
        }
        else if (start.EndsWith(" SIP/2.0"u8) && start.IndexOf((byte)' ') is > 0 and var blank && blank < start.Length - 8
            && !start[..blank].ContainsAnyExcept(s_token))
        {
            message.Asks = true;
            message._method = start[..blank];
        }
        else
        {
            return false;
        }

        while (!text.IsEmpty)
        {
            message.ReadField(CutLine(ref text));
        }

        ReadOnlySpan<byte> method = message._method;
        message.Ends = message.Asks && (method.SequenceEqual("BYE"u8) || method.SequenceEqual("CANCEL"u8));
        message.Negotiates = (message.Asks || status is >= 180 and < 300)
            && (method.SequenceEqual("INVITE"u8) || method.SequenceEqual("ACK"u8) || method.SequenceEqual("UPDATE"u8) || method.SequenceEqual("PRACK"u8));
        return true;
    }

    private void ReadField(ReadOnlySpan<byte> line)
    {
        ReadOnlySpan<byte> value = line, name = TextScan.Trim(TextScan.Cut(ref value, (byte)':'));
        value = TextScan.Trim(value);
        if (TextScan.Is(name, "Content-Length"u8) || TextScan.Is(name, "l"u8))
        {
            Length = TextScan.TryNumber(value, 99_999, out int length) ? length : -1;
        }
        else if (TextScan.Is(name, "Content-Type"u8) || TextScan.Is(name, "c"u8))
        {
            HasSdp = TextScan.Is(TextScan.Trim(TextScan.Cut(ref value, (byte)';')), "application/sdp"u8);
        }
        else if (TextScan.Is(name, "Call-ID"u8) || TextScan.Is(name, "i"u8))
        {
            Call = Mark(value);
        }
        else if (TextScan.Is(name, "CSeq"u8) && !Asks)
        {
            TextScan.Cut(ref value, (byte)' ');
            _method = TextScan.Trim(value);
        }
        else if ((TextScan.Is(name, "Via"u8) || TextScan.Is(name, "v"u8)) && AnswerHost.IsEmpty)
        {
            ReadVia(value);
        }
    }

    /// <summary>The topmost Via: SIP/2.0/UDP host[:port];parameters (RFC 3261 §18.2.2).</summary>
    private void ReadVia(ReadOnlySpan<byte> value)
    {
        value = TextScan.Cut(ref value, (byte)',');
        ReadOnlySpan<byte> sentBy = TextScan.Cut(ref value, (byte)';');
        bool toSender = false;
        while (!value.IsEmpty)
        {
            ReadOnlySpan<byte> parameter = TextScan.Cut(ref value, (byte)';');
            toSender |= TextScan.Is(TextScan.Trim(TextScan.Cut(ref parameter, (byte)'=')), "rport"u8);
        }

        TextScan.Cut(ref sentBy, (byte)' ');
        sentBy = TextScan.Trim(sentBy);
        int close = sentBy.IndexOf((byte)']'), colon = sentBy.LastIndexOf((byte)':');
        ReadOnlySpan<byte> port = colon > close ? sentBy[(colon + 1)..] : [];
        ReadOnlySpan<byte> host = colon > close ? sentBy[..colon] : sentBy;
        AnswerHost = close > 0 && host[0] == '[' ? host[1..^1] : host;
        AnswerPort = toSender ? 0 : port.IsEmpty ? DefaultPort : TextScan.TryNumber(port, ushort.MaxValue, out int number) ? number : 0;
    }

    private static ReadOnlySpan<byte> CutLine(scoped ref ReadOnlySpan<byte> text)
    {
        ReadOnlySpan<byte> line = TextScan.Cut(ref text, (byte)'\n');
        return line.EndsWith("\r"u8) ? line[..^1] : line;
    }

    /// <summary>FNV-1a: who chooses identifiers that collide mixes up calls of his own flow, and no others.</summary>
    private static uint Mark(ReadOnlySpan<byte> identifier)
    {
        uint mark = 2_166_136_261;
        foreach (byte one in identifier)
        {
            mark = (mark ^ one) * 16_777_619;
        }

        return mark | 1;
    }
}
