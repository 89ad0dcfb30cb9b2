using System.Globalization;
using System.Text;
using Filter.Fuzz;
using Filter.Rules.Syntax;
using SharpFuzz;

// instrument FOLDER      makes the copies of what is fuzzed in a folder count their branches, for afl-fuzz
// seeds TARGET FOLDER    writes inputs to begin with, of a target that makes its own
// dictionary FILE…       prints the words of rulesets as afl-fuzz wants them
// TARGET                 what afl-fuzz starts: takes one input after another from it
// TARGET FILE…           runs these inputs once, to see what one does
switch (args)
{
    case ["instrument", var folder]:
        foreach (string name in (string[])["Filter.Rules", "Filter.Engine", "Filter.Ipsec", "YamlDotNet"])
        {
            string path = Path.Combine(folder, name + ".dll");
            Console.WriteLine($"{name}: {Fuzzer.Instrument(path, static _ => true, Options.Value).Count()} types count their branches");
        }

        return 0;

    case ["seeds", var name, var folder] when Targets.Seeds.TryGetValue(name, out Func<IEnumerable<byte[]>>? seeds):
        foreach ((int number, byte[] seed) in seeds().Index())
        {
            File.WriteAllBytes(Path.Combine(folder, $"{number:d3}"), seed);
        }

        return 0;

    case ["dictionary", .. var files]:
        foreach (string word in Words(files).Where(static w => w.Length is > 0 and <= 40).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            Console.WriteLine($"\"{Escaped(word)}\"");
        }

        return 0;

    case [var name] when Targets.All.TryGetValue(name, out Action<byte[]>? target):
        Fuzzer.OutOfProcess.Run(stream =>
        {
            using MemoryStream whole = new();
            stream.CopyTo(whole);
            target(whole.ToArray());
        });
        return 0;

    case [var name, .. var files] when Targets.All.TryGetValue(name, out Action<byte[]>? target):
        foreach (string file in files)
        {
            Console.WriteLine(file);
            target(File.ReadAllBytes(file));
        }

        return 0;

    default:
        Console.Error.WriteLine($"usage: Filter.Fuzz instrument FOLDER | seeds TARGET FOLDER | dictionary FILE… | {string.Join(" | ", Targets.All.Keys)} [FILE…]");
        return 2;
}

static IEnumerable<string> Words(string[] files) => files
    .SelectMany(static file => TreeReader.Read(file, File.ReadAllBytes(file), new()) is { } root ? Texts(root) : [])
    .Concat(["[ ", " ]", "{ ", " }", ": ", "- ", "\n", "\n  ", "&a ", "*a", "!!x ", "| ", "> ", " #", "%", "'", "<<: ", "? ", "---", "..."]);

static IEnumerable<string> Texts(Node node) => node switch
{
    ScalarNode scalar => [scalar.Text],
    ListNode list => list.Items.SelectMany(Texts),
    MapNode map => map.Entries.SelectMany(static entry => Texts(entry.Value).Append(entry.Key.Text)),
    _ => [],
};

static string Escaped(string word)
{
    StringBuilder text = new();
    foreach (byte b in Encoding.UTF8.GetBytes(word))
    {
        text.Append(b is >= 0x20 and < 0x7f and not (byte)'"' and not (byte)'\\' ? ((char)b).ToString() : string.Create(CultureInfo.InvariantCulture, $"\\x{b:x2}"));
    }

    return text.ToString();
}
