using System.CommandLine;
using System.CommandLine.Parsing;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Filter.Ctl.Control;
using Filter.Ctl.Output;
using Filter.Engine.Ports;
using Filter.Rules;

namespace Filter.Ctl.Verbs;

/// <summary>filterctl capture: what the ports carry, as pcapng.</summary>
internal static class CaptureVerb
{
    private const long Megabyte = 1_000_000;
    private const long MostMegabytes = 1_000_000;

    /// <summary>The verb.</summary>
    public static Command Build(Screen screen)
    {
        Argument<string> file = new("FILE") { Description = "The pcapng file, made anew for its owner alone; what has the name is replaced" };
        Option<bool> decrypt = new("--decrypt") { Description = "Also what comes out of SAs, on interfaces of its own: \"outside (opened)\"" };
        Option<string?> port = new("--port") { Description = "This port alone", HelpName = "NAME" };
        Option<long?> count = new("--count") { Description = "End after this many frames", HelpName = "N" };
        Option<string?> time = new("--time") { Description = "End after this time: 90s, 10m; 60s without it", HelpName = "TIME" };
        Option<long> size = new("--size") { Description = "End when the file has this many megabytes", HelpName = "MB", DefaultValueFactory = _ => 100 };
        Option<string> socket = Options.Socket();
        Option<bool> json = Options.Json();
        Command verb = new("capture",
            """
            Write what the ports of the running Filter carry to a pcapng file, until Ctrl-C or the first
            bound. For root alone. Each port is an interface, each frame marked as coming in or going out;
            super-frames are whole. What finds no room, as the writer is slower, is counted and said.

            Example:
              filterctl capture trace.pcapng --time 10s
              filterctl capture trace.pcapng --decrypt --port outside --count 1000
            """)
        { file, decrypt, port, count, time, size, socket, json };
        verb.Validators.Add(result =>
        {
            if (Number(result.GetResult(count)) < 1)
            {
                result.AddError("--count takes a number from 1 up");
            }

            if (Number(result.GetResult(size)) is < 1 or > MostMegabytes)
            {
                result.AddError($"--size takes 1 to {MostMegabytes} megabytes");
            }
        });
        verb.SetAction(parsed =>
        {
            long seconds = parsed.GetValue(time) is not { } text ? 60 : RulesetWords.Seconds(text) ?? throw new Refusal($"--time {text}: write 90s or 10m", Exit.Usage);
            ControlRequest request = new("capture") { Port = parsed.GetValue(port), Decrypt = parsed.GetValue(decrypt) };
            Bounds bounds = new(parsed.GetValue(count) ?? long.MaxValue, seconds, parsed.GetValue(size) * Megabyte);
            return Run(screen, parsed.GetValue(socket)!, parsed.GetValue(json), parsed.GetValue(file)!, request, bounds);
        });
        return verb;
    }

    /// <summary>The number given; null where there is none, which is told as of any option.</summary>
    private static long? Number(OptionResult? option) =>
        option?.Tokens is [{ Value: var text }] && long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number) ? number : null;

    private static int Run(Screen screen, string socket, bool json, string file, ControlRequest request, Bounds bounds)
    {
        if (FileFacts.At(Path.GetFullPath(file)) is { IsRegular: false } || Directory.Exists(file))
        {
            throw new Refusal($"{file} is there and is no file: name another");
        }

        using ControlClient client = ControlClient.Connect(socket);
        client.Send(request);
        ControlResponse? response = client.Receive() ?? throw new Refusal("the daemon hung up");
        if (!response.Ok)
        {
            Asking.Refuse(screen, response);
            return Exit.No;
        }

        bool stopping = false;
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => context.Cancel = stopping = true);
        IReadOnlyList<string> ports = response.Interfaces ?? [];
        using PcapngWriter writer = Open(file);
        Dictionary<(int, bool), int> interfaces = [];
        for (int i = 0; i < ports.Count; i++)
        {
            interfaces[(i, false)] = writer.AddInterface(ports[i]);
        }

        for (int i = 0; request.Decrypt && i < ports.Count; i++)
        {
            interfaces[(i, true)] = writer.AddInterface($"{ports[i]} (opened)");
        }

        Stopwatch watch = Stopwatch.StartNew();
        (long frames, long bytes, long lost) = (0, 0, 0);
        while (!Volatile.Read(ref stopping) && frames < bounds.Frames && bytes < bounds.Bytes && watch.Elapsed.TotalSeconds < bounds.Seconds)
        {
            response = client.Receive() ?? throw new Refusal("the daemon hung up");
            foreach (FrameReport frame in (response.Frames ?? []).Take((int)Math.Min(bounds.Frames - frames, int.MaxValue)))
            {
                if (bytes + frame.Data.Length > bounds.Bytes || !interfaces.TryGetValue((frame.Port, frame.Point == "opened"), out int number))
                {
                    bytes = bounds.Bytes;
                    break;
                }

                writer.Write(number, frame.Time, frame.Data, frame.Original, frame.Point == "out" ? PcapngWriter.Outbound : PcapngWriter.Inbound);
                frames++;
                bytes += frame.Data.Length;
            }

            lost += response.Lost ?? 0;
            writer.Flush();
        }

        Conclude(screen, json, file, frames, lost);
        return Exit.Done;
    }

    private static void Conclude(Screen screen, bool json, string file, long frames, long lost)
    {
        if (json)
        {
            Tell.Object(screen, to =>
            {
                to.WriteString("file"u8, file);
                to.WriteNumber("frames"u8, frames);
                to.WriteNumber("lost"u8, lost);
            });
            return;
        }

        screen.Line($"{file}: {Tell.Count(frames, "frame")}{(lost > 0 ? screen.Paint($", {lost:N0} more were lost, too fast to write", Tint.Odd) : "")}");
    }

    /// <summary>Others must not read what is said, so not even for a moment; and nothing is written through somebody's link.</summary>
    private static PcapngWriter Open(string file)
    {
        File.Delete(file);
        return new PcapngWriter(new FileStream(file, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            Share = FileShare.Read,
            BufferSize = 128 * 1024,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        }));
    }

    /// <summary>Where a capture ends.</summary>
    private sealed record Bounds(long Frames, long Seconds, long Bytes);
}
