namespace Filter.Engine.Algs;

/// <summary>Who reads along in a flow, to learn what else its ends will open.</summary>
public enum HelperKind : byte
{
    /// <summary>Nobody.</summary>
    None,

    /// <summary>FTP control connections (RFC 959, RFC 2428).</summary>
    Ftp,

    /// <summary>TFTP requests (RFC 1350).</summary>
    Tftp,

    /// <summary>SIP with SDP (RFC 3261, RFC 8866).</summary>
    Sip,
}

/// <summary>The words for helpers, as rulesets and traces spell them.</summary>
public static class HelperKinds
{
    /// <summary>"ftp" for <see cref="HelperKind.Ftp"/>.</summary>
    public static string Word(this HelperKind helper) => helper switch
    {
        HelperKind.Ftp => "ftp",
        HelperKind.Tftp => "tftp",
        HelperKind.Sip => "sip",
        _ => "none",
    };
}
