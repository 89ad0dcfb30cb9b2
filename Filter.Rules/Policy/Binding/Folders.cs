using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Where the files of a ruleset stand: a relative name counts from the folder of the file that has it.</summary>
/// <param name="main">The folder of the ruleset itself; empty for the working directory.</param>
internal sealed class Folders(string main)
{
    /// <summary>The deepest that files may include files.</summary>
    public const int Deepest = 16;

    private readonly Dictionary<string, string> _folders = new(StringComparer.Ordinal);

    /// <summary>The folder of the file in which a place is.</summary>
    public string Of(SourceMark at) => _folders.GetValueOrDefault(at.File ?? "", main);

    /// <summary>Adds an included file.</summary>
    /// <param name="file">Its name in messages.</param>
    /// <param name="folder">Where it stands.</param>
    public void Add(string file, string folder) => _folders[file] = folder;
}
