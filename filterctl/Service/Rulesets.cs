using Filter.Ctl.Output;
using Filter.Ipsec.Ike.Authentication;
using Filter.Rules;
using Filter.Rules.Policy;

namespace Filter.Ctl.Service;

/// <summary>How verbs come by a ruleset.</summary>
internal static class Rulesets
{
    /// <summary>Reads one and shows what is wrong with it; null where it has errors.</summary>
    public static Ruleset? Read(string file, Screen screen)
    {
        RulesetReading reading = CredentialCheck.Of(RulesetFile.Read(file));
        screen.Complain(reading.Diagnostics.Select(static d => d.ToString()));
        return reading.Ruleset;
    }
}
