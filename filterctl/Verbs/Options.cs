using System.CommandLine;

namespace Filter.Ctl.Verbs;

/// <summary>Options and arguments that several verbs have, worded the same everywhere.</summary>
internal static class Options
{
    /// <summary>--json.</summary>
    public static Option<bool> Json() => new("--json") { Description = "Print JSON instead of text" };

    /// <summary>--socket PATH.</summary>
    public static Option<string> Socket() => new("--socket")
    {
        Description = "The daemon's control socket",
        HelpName = "PATH",
        DefaultValueFactory = _ => Control.ControlClient.DefaultPath,
    };

    /// <summary>FILE, a ruleset.</summary>
    public static Argument<string> Ruleset() => new("FILE") { Description = "The ruleset (YAML)" };

    /// <summary>--confirm SECONDS.</summary>
    public static Option<int?> Confirm(string meaning)
    {
        Option<int?> option = new("--confirm") { Description = meaning, HelpName = "SECONDS" };
        option.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: { } text }] && int.TryParse(text, out int seconds) && seconds is < 1 or > 86400)
            {
                result.AddError("--confirm takes 1 to 86400 seconds");
            }
        });
        return option;
    }
}
