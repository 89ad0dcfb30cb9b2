using System.Globalization;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Times that may also be off.</summary>
internal static class Times
{
    /// <summary>A time in bounds, or <c>off</c>: 0; null where nothing is written, or after an error.</summary>
    public static long? OffOr(Node? node, string what, long least, long most, Diagnostics found)
    {
        if (node is ScalarNode { Text: "off" } || Values.Duration(node, what, found) is not { } time)
        {
            return node is ScalarNode { Text: "off" } ? 0 : null;
        }

        if (time >= least && time <= most)
        {
            return time;
        }

        string bounds = most == long.MaxValue ? $"at least {Wording.Duration(least)}" : $"from {Wording.Duration(least)} to {Wording.Duration(most)}";
        found.Error(node!.At, string.Create(CultureInfo.InvariantCulture, $"{what} is {bounds}, or off, not {Wording.Duration(time)}"));
        return null;
    }
}
