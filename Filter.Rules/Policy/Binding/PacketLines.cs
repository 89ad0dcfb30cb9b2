using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Checks the packet lines of a ruleset's tests.</summary>
internal sealed class PacketLines(Diagnostics found)
{
    /// <summary>Finds what is wrong with one line.</summary>
    public void Check(Located<string> line)
    {
        if (string.IsNullOrWhiteSpace(line.Value))
        {
            found.Error(line.At, "the packet line is empty");
        }
    }
}
