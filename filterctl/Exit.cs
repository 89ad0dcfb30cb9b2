namespace Filter.Ctl;

/// <summary>The exit statuses of every verb.</summary>
internal static class Exit
{
    /// <summary>It is done; the answer is yes.</summary>
    public const int Done = 0;

    /// <summary>The answer is no: a test failed, a file is wrong, the daemon could not do it.</summary>
    public const int No = 1;

    /// <summary>The command line was wrong.</summary>
    public const int Usage = 2;
}

/// <summary>What ends a verb with one clear line on stderr and a status.</summary>
internal sealed class Refusal : Exception
{
    /// <summary>The line, without the program's name before it.</summary>
    public Refusal(string line, int status = Exit.No)
        : base(line) => Status = status;

    /// <summary>The exit status: <see cref="Exit.No"/> or <see cref="Exit.Usage"/>.</summary>
    public int Status { get; }
}
