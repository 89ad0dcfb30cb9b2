namespace Filter.Ctl.Replays;

/// <summary>A `--port` of replay: where a capture's packets arrive.</summary>
/// <param name="Name">The port; of a capture between two ports, the one where first senders stand.</param>
/// <param name="Far">The port of those who answer; null where all packets arrive at <paramref name="Name"/>.</param>
/// <param name="File">The capture.</param>
internal sealed record ReplayPort(string Name, string? Far, string File)
{
    /// <summary>Reads NAME=CAPTURE or NEAR,FAR=CAPTURE; null where it is neither.</summary>
    public static ReplayPort? Parse(string text)
    {
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        if (equals <= 0 || equals == text.Length - 1)
        {
            return null;
        }

        string[] names = text[..equals].Split(',', StringSplitOptions.TrimEntries);
        return names switch
        {
            [{ Length: > 0 } name] => new ReplayPort(name, null, text[(equals + 1)..]),
            [{ Length: > 0 } near, { Length: > 0 } far] when near != far => new ReplayPort(near, far, text[(equals + 1)..]),
            _ => null,
        };
    }
}
