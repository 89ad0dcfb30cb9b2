using System.Diagnostics;
using System.Text;

namespace Filter.Tests.Worlds;

/// <summary>A program that runs on beside the test: a server, a capture, a Filter.</summary>
public sealed class Running : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _said = new();
    private readonly Lock _lock = new();
    private bool _ended;

    internal Running(IReadOnlyList<string> command)
    {
        Command = string.Join(' ', command);
        _process = Ran.Start(command);
        _process.OutputDataReceived += Hear;
        _process.ErrorDataReceived += Hear;
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public string Command { get; }

    public int Id => _process.Id;

    public bool HasEnded => _ended || _process.HasExited;

    /// <summary>All lines so far, of both its outputs.</summary>
    public string Said
    {
        get
        {
            lock (_lock)
            {
                return _said.ToString();
            }
        }
    }

    /// <summary>Waits until the program has said <paramref name="text"/>; fails when it ends before, or when the time is up.</summary>
    public void Says(string text, TimeSpan? limit = null)
    {
        DateTime until = DateTime.UtcNow + (limit ?? Host.Patience);
        while (!Said.Contains(text, StringComparison.Ordinal))
        {
            bool over = HasEnded || DateTime.UtcNow > until;
            // What it said last may arrive after its end.
            Assert.False(over && !Said.Contains(text, StringComparison.Ordinal),
                $"'{Command}' never said '{text}' but:\n{Said}");
            Thread.Sleep(20);
        }
    }

    /// <summary>Sends a signal (`HUP`) that does not end it.</summary>
    public void Signal(string signal)
    {
        using Process kill = Process.Start("kill", [$"-{signal}", $"{Id}"]);
        kill.WaitForExit();
    }

    /// <summary>Sends a signal (`TERM`, `INT`, `KILL`) and waits for the end; gives the exit status.</summary>
    public int End(string signal = "TERM", TimeSpan? limit = null)
    {
        if (!_ended)
        {
            using Process kill = Process.Start("kill", [$"-{signal}", $"{Id}"]);
            kill.WaitForExit();
            if (!_process.WaitForExit(limit ?? Host.Patience))
            {
                _process.Kill(entireProcessTree: true);
                Assert.Fail($"'{Command}' did not end on {signal}; it said:\n{Said}");
            }
        }
        return _process.ExitCode;
    }

    /// <summary>Waits for the program's own end; gives its exit status.</summary>
    public int Ends(TimeSpan? limit = null)
    {
        Assert.True(_process.WaitForExit(limit ?? Host.Patience), $"'{Command}' did not end; it said:\n{Said}");
        _process.WaitForExit();         // until its last words are heard, too
        return _process.ExitCode;
    }

    public void Dispose()
    {
        if (_ended)
        {
            return;
        }
        _ended = true;
        _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
    }

    private void Hear(object sender, DataReceivedEventArgs line)
    {
        if (line.Data is { } text)
        {
            lock (_lock)
            {
                _said.AppendLine(text);
            }
        }
    }
}
