using System.Diagnostics;
using System.Text;

namespace Filter.Tests.Worlds;

/// <summary>A program that is told what to do line by line, and answers so.</summary>
internal sealed class Spoken : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _errors = new();

    /// <summary>Starts it.</summary>
    public Spoken(IReadOnlyList<string> command)
    {
        _process = Ran.Start(command);
        _process.ErrorDataReceived += (_, line) =>
        {
            lock (_errors)
            {
                _errors.AppendLine(line.Data);
            }
        };
        _process.BeginErrorReadLine();
    }

    /// <summary>Tells it a line.</summary>
    public void Say(string line)
    {
        _process.StandardInput.WriteLine(line);
        _process.StandardInput.Flush();
    }

    /// <summary>Waits for its next line that begins so; gives the rest of it.</summary>
    public string Hears(string start, TimeSpan limit)
    {
        DateTime until = DateTime.UtcNow + limit;
        Task<string?> line;
        do
        {
            line = _process.StandardOutput.ReadLineAsync();
            TimeSpan left = until - DateTime.UtcNow;
            if (!line.Wait(left > TimeSpan.Zero ? left : TimeSpan.Zero) || line.Result is null)
            {
                // Whatever it would say later answers no question any more.
                _process.Kill(entireProcessTree: true);
                _process.WaitForExit();
                lock (_errors)
                {
                    Assert.Fail($"it never said '{start}', but:\n{_errors}");
                }
            }
        }
        while (!line.Result!.StartsWith(start, StringComparison.Ordinal));
        return line.Result[start.Length..].Trim();
    }

    /// <summary>It ends when nobody tells it more; if not, it is ended.</summary>
    public void Dispose()
    {
        try
        {
            _process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It is gone already.
        }

        if (!_process.WaitForExit(TimeSpan.FromSeconds(2)))
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit();
        }

        _process.Dispose();
    }
}
