namespace Filter.Engine.Packets;

/// <summary>The IPv6 extension headers of a packet (RFC 8200 §4). None of IPv4.</summary>
[Flags]
public enum ExtensionHeaders : byte
{
    /// <summary>No extension header.</summary>
    None = 0,
    /// <summary>Hop-by-hop options (§4.3).</summary>
    HopByHop = 1,
    /// <summary>A routing header (§4.4).</summary>
    Routing = 2,
    /// <summary>A fragment header (§4.5), also of a datagram that was put together and of an atomic fragment (RFC 6946).</summary>
    Fragment = 4,
    /// <summary>Destination options (§4.6).</summary>
    DestinationOptions = 8,
}

/// <summary>The words for extension headers, as rulesets and packet lines spell them.</summary>
public static class ExtensionWords
{
    private static readonly (ExtensionHeaders Header, string Word)[] s_words =
    [
        (ExtensionHeaders.HopByHop, "hop-by-hop"), (ExtensionHeaders.Routing, "routing"),
        (ExtensionHeaders.Fragment, "fragment"), (ExtensionHeaders.DestinationOptions, "destination-options"),
    ];

    /// <summary>Every word.</summary>
    public static IReadOnlyList<string> All { get; } = [.. s_words.Select(static w => w.Word)];

    /// <summary>The words of these headers.</summary>
    public static IEnumerable<string> Of(ExtensionHeaders headers) => s_words.Where(w => (w.Header & headers) != 0).Select(static w => w.Word);

    /// <summary>The header of a word.</summary>
    public static bool TryParse(string word, out ExtensionHeaders header)
    {
        header = s_words.FirstOrDefault(w => w.Word == word).Header;
        return header != ExtensionHeaders.None;
    }
}
