using Filter.Ctl.Control;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Ports;

namespace Filter.Ctl.Service;

/// <summary>Gives copies of what the ports carry to one who captures, for as long as he listens.</summary>
internal sealed class CaptureDesk(Gateway gateway, Workforce workers, ServiceLog log)
{
    /// <summary>Bytes of frames in one line of an answer.</summary>
    private const int BytesAtOnce = 1024 * 1024;

    /// <summary>Most frames in one line of an answer.</summary>
    private const int FramesAtOnce = 2048;

    /// <summary>How long the reader sleeps where there is nothing, and how often it then says so.</summary>
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(20);
    private const int PausesUnsaid = 10;

    /// <summary>Pauses that one waits for another who is just leaving.</summary>
    private const int Patience = 50;

    private int _taken;

    /// <summary>Answers until the client goes.</summary>
    public async Task AnswerAsync(ControlRequest request, PeerCredentials peer, ControlReply reply, CancellationToken cancel)
    {
        if (peer.Uid != 0)
        {
            await reply.SendAsync(ControlResponse.Refuse("only root may capture: frames show what everybody says"), cancel).ConfigureAwait(false);
            return;
        }

        Port[] ports = [.. gateway.Ports.Where(port => request.Port is null || port.Name == request.Port)];
        if (ports.Length == 0)
        {
            await reply.SendAsync(ControlResponse.Refuse($"there is no port '{request.Port}'; there are {string.Join(", ", gateway.Ports.Select(static port => port.Name))}"), cancel).ConfigureAwait(false);
            return;
        }

        for (int pauses = 0; Interlocked.CompareExchange(ref _taken, 1, 0) != 0; pauses++)
        {
            if (pauses == Patience)
            {
                await reply.SendAsync(ControlResponse.Refuse("somebody else captures: one at a time"), cancel).ConfigureAwait(false);
                return;
            }

            await Task.Delay(s_pause, cancel).ConfigureAwait(false);
        }

        try
        {
            PacketTap[] taps = [.. workers.All.Select(_ => new PacketTap((ushort)ports.Sum(static port => port.Mask), request.Decrypt))];
            await StreamAsync(taps, request.Decrypt, reply, cancel).ConfigureAwait(false);
        }
        finally
        {
            Attach(null);
            Volatile.Write(ref _taken, 0);
            log.Line("the capture has ended");
        }
    }

    private async Task StreamAsync(PacketTap[] taps, bool decrypt, ControlReply reply, CancellationToken cancel)
    {
        using CancellationTokenSource gone = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        Task watching = reply.GoneAsync(gone.Token).ContinueWith(_ => gone.Cancel(), TaskScheduler.Default);
        byte[] room = new byte[FrameArena.MaxFrame + FrameArena.Room];
        try
        {
            await reply.SendAsync(
                new ControlResponse { More = true, Message = "capturing", Interfaces = [.. gateway.Ports.Select(static port => port.Name)] }, gone.Token).ConfigureAwait(false);
            log.Line($"root captures what the ports carry{(decrypt ? ", and what comes out of SAs" : "")}");
            Attach(taps);
            for (long said = 0; ;)
            {
                List<FrameReport> frames = [];
                for (int pauses = 0; pauses < PausesUnsaid; pauses++)
                {
                    Take(taps, frames, room);
                    if (frames.Count > 0)
                    {
                        break;
                    }

                    await Task.Delay(s_pause, gone.Token).ConfigureAwait(false);
                }

                long lost = taps.Sum(static tap => tap.Lost) - said;
                said += lost;
                await reply.SendAsync(new ControlResponse { More = true, Frames = frames, Lost = lost > 0 ? lost : null }, gone.Token).ConfigureAwait(false);
            }
        }
        finally
        {
            await gone.CancelAsync().ConfigureAwait(false);
            await watching.ConfigureAwait(false);
        }
    }

    private void Attach(PacketTap[]? taps)
    {
        for (int i = 0; i < workers.All.Count; i++)
        {
            (Worker worker, PacketTap? tap) = (workers.All[i], taps?[i]);
            worker.Post(_ => worker.Tap = tap);
        }
    }

    /// <summary>What all workers have copied, by the time that they did.</summary>
    private static void Take(PacketTap[] taps, List<FrameReport> frames, byte[] room)
    {
        List<(long Time, FrameReport Frame)> taken = [];
        foreach (PacketTap tap in taps)
        {
            int most = taken.Count + (FramesAtOnce / taps.Length);
            for (int bytes = 0; bytes < BytesAtOnce / taps.Length && taken.Count < most && tap.TryRead(out TappedFrame frame, room); bytes += frame.Length)
            {
                taken.Add((frame.Time, new FrameReport(frame.Port, frame.Point.ToString().ToLowerInvariant(), WallClock.Of(frame.Time), frame.Original, room[..frame.Length])));
            }
        }

        frames.AddRange(taken.OrderBy(static one => one.Time).Select(static one => one.Frame));
    }
}
