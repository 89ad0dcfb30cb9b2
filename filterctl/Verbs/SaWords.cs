using System.Text;
using Filter.Ctl.Control;

namespace Filter.Ctl.Verbs;

/// <summary>SAs as they are given on the command line: a file of them, or one in words.</summary>
internal static class SaWords
{
    /// <summary>Longest text; a request has a bound too.</summary>
    private const int Longest = 48 * 1024;

    private const int Deepest = 4;

    /// <summary>What is asked of the daemon.</summary>
    /// <exception cref="Refusal">The file can't be read, or the words make no SA.</exception>
    public static ControlRequest Request(string[] words)
    {
        string current = Environment.CurrentDirectory;
        (string file, string folder, string text) = words switch
        {
            ["-"] => ("stdin", current, Read(Console.In)),
            [var path] => (path, Path.GetDirectoryName(Path.GetFullPath(path)) ?? "/", Read(path)),
            _ => ("command line", current, Compose(words[0], words.AsSpan(1))),
        };
        return new ControlRequest("sa") { Match = "add", File = file, Folder = folder, Text = text };
    }

    /// <summary>The words as a ruleset has them: each name within another a step to the right.</summary>
    internal static string Compose(string name, ReadOnlySpan<string> words)
    {
        Level top = new();
        foreach (string word in words)
        {
            int equals = word.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
            {
                throw new Refusal($"'{word}': write KEY=VALUE, as mode=tunnel or out.spi=0x1001", Exit.Usage);
            }

            string[] path = word[..equals].Split('.');
            if (path[^1].EndsWith("-key", StringComparison.Ordinal))
            {
                throw new Refusal($"{word[..equals]}: what stands on a command line is for everybody to see: name a key-file, or use a FILE", Exit.Usage);
            }

            Level level = top;
            foreach (string step in path.Take(Math.Min(path.Length - 1, Deepest)))
            {
                level = level.Within(step);
            }

            level.Values.Add((path[^1], word[(equals + 1)..]));
        }

        StringBuilder text = new($"{name}:\n");
        top.Write(text, 1);
        return text.ToString();
    }

    private static string Read(string path)
    {
        using StreamReader reader = new(path);
        return Read(reader);
    }

    private static string Read(TextReader reader)
    {
        char[] text = new char[Longest + 1];
        int length = reader.ReadBlock(text, 0, text.Length);
        return length <= Longest ? new string(text, 0, length) : throw new Refusal($"more than {Longest / 1024} KiB of SAs: add them in several files");
    }

    private sealed class Level
    {
        private readonly List<(string Name, Level Level)> _within = [];

        public List<(string Key, string Value)> Values { get; } = [];

        public Level Within(string name)
        {
            int at = _within.FindIndex(one => one.Name == name);
            if (at < 0)
            {
                _within.Add((name, new Level()));
            }

            return at < 0 ? _within[^1].Level : _within[at].Level;
        }

        public void Write(StringBuilder to, int depth)
        {
            foreach ((string key, string value) in Values)
            {
                to.Append(' ', depth * 2).Append(key).Append(": ").Append(value).Append('\n');
            }

            foreach ((string name, Level level) in _within)
            {
                to.Append(' ', depth * 2).Append(name).Append(":\n");
                level.Write(to, depth + 1);
            }
        }
    }
}
