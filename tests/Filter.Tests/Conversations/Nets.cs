namespace Filter.Tests.Conversations;

/// <summary>Rulesets and addresses that conversations share.</summary>
internal static class Nets
{
    /// <summary>The beginning of a ruleset: a port outside and one inside, and nobody knows who lives there.</summary>
    public const string Ports = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }

        """;

    /// <summary>What goes out opens a pinhole; nothing comes in by itself.</summary>
    public const string OutOnly = Ports + """
        defaults: { out: allow, in: drop }
        """;

    /// <summary>As <see cref="OutOnly"/>, with what else its first level says.</summary>
    public static string OutOnlyWith(string lines) => OutOnly + "\n" + lines + "\n";

    /// <summary>Everything well-formed passes.</summary>
    public const string Open = Ports + """
        defaults: { out: allow, in: allow }
        """;

    /// <summary>DNS out, one answer for each question.</summary>
    public const string OneAnswer = Ports + """
        rules:
          - allow: questions
            from: inside
            to: outside
            service: udp/53
            pinhole: one-answer
          - allow: discovery
            service: [ nd, igmp ]
        """;

    /// <summary>An endpoint of a family, as packet lines write it.</summary>
    /// <param name="family">4 or 6.</param>
    /// <param name="host">1 is the client inside, 2 the server outside, 3 a router outside, above: others.</param>
    /// <param name="port">Its port; without it the address alone.</param>
    public static string At(int family, int host, int? port = null)
    {
        string address = family == 4 ? host == 1 ? "10.0.0.5" : $"203.0.113.{host}" : host == 1 ? "2001:db8::5" : $"2001:db8:f::{host}";
        return port is null ? address : family == 4 ? $"{address}:{port}" : $"[{address}]:{port}";
    }

    /// <summary>As <see cref="At"/>, with addresses that are not documentation's, which profile `rfc6092` drops.</summary>
    public static string Public(int family, int host, int? port = null)
    {
        string address = family == 4 ? host == 1 ? "10.0.0.5" : $"172.16.9.{host}" : host == 1 ? "64:ff9b::5" : $"64:ff9b:0:f::{host}";
        return port is null ? address : family == 4 ? $"{address}:{port}" : $"[{address}]:{port}";
    }
}
