using System.Text.Json;
using Filter.Ctl.Output;
using Filter.Engine.Packets;
using Filter.Engine.Path;

namespace Filter.Ctl.Replays;

/// <summary>verdicts.jsonl: one object for each input packet, in order.</summary>
internal sealed class VerdictLog : IDisposable
{
    private readonly Stream _stream;
    private readonly Utf8JsonWriter _writer;

    /// <summary>Writes to a stream, which it owns.</summary>
    public VerdictLog(Stream stream)
    {
        _stream = stream;
        _writer = new Utf8JsonWriter(stream, Json.Options);
    }

    /// <summary>Writes one packet's line.</summary>
    /// <param name="number">Its number in the input, from 1.</param>
    /// <param name="time">Nanoseconds since 1970, as captured.</param>
    /// <param name="port">Where it arrived.</param>
    /// <param name="packet">What became of it.</param>
    /// <param name="ruleset">Names its rule.</param>
    /// <param name="flow">Its flow; 0 for none.</param>
    public void Write(long number, long time, string port, in Packet packet, IRuleset ruleset, long flow)
    {
        _writer.WriteStartObject();
        _writer.WriteNumber("n"u8, number);
        _writer.WriteNumber("time"u8, Seconds(time));
        _writer.WriteString("port"u8, port);
        _writer.WriteString("verdict"u8, packet.Verdict.Word());
        _writer.WriteString("reason"u8, packet.Reason.Word());
        _writer.WriteString("rule"u8, packet.Rule == 0 ? null : ruleset.Name(packet.Rule).Name);
        if (flow == 0)
        {
            _writer.WriteNull("flow"u8);
        }
        else
        {
            _writer.WriteNumber("flow"u8, flow);
        }

        _writer.WriteString("ipsec"u8, Wording.IpsecWord(packet));
        _writer.WriteEndObject();
        _writer.Flush();
        _writer.Reset();
        _stream.WriteByte((byte)'\n');
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _writer.Dispose();
        _stream.Dispose();
    }

    /// <summary>Nanoseconds as seconds with nine decimals, exactly.</summary>
    internal static decimal Seconds(long nanoseconds)
    {
        ulong magnitude = (ulong)Math.Abs(nanoseconds);
        return new decimal((int)magnitude, (int)(magnitude >> 32), 0, nanoseconds < 0, 9);
    }
}
