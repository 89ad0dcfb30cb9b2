using Filter.Ctl.Control;

namespace Filter.Ctl.Verbs;

/// <summary>SAs as lines of Wireshark's table <c>esp_sa</c>, by which it opens ESP.</summary>
internal static class WiresharkSa
{
    private static readonly (string Suite, string Wireshark)[] s_ciphers =
    [
        ("null", "NULL"), ("3des", "TripleDES-CBC [RFC2451]"), ("aes-cbc", "AES-CBC [RFC3602]"), ("aes-ctr", "AES-CTR [RFC3686]"),
        ("des", "DES-CBC [RFC2405]"), ("cast", "CAST5-CBC [RFC2144]"), ("blowfish", "BLOWFISH-CBC [RFC2451]"),
        ("aes-gcm-8-", "AES-GCM with 8 octet ICV [RFC4106]"), ("aes-gcm-12-", "AES-GCM with 12 octet ICV [RFC4106]"), ("aes-gcm-16-", "AES-GCM with 16 octet ICV [RFC4106]"),
    ];

    private static readonly (string Suite, string Wireshark)[] s_integrity =
    [
        ("hmac-sha1-96", "HMAC-SHA-1-96 [RFC2404]"), ("hmac-sha2-256-128", "HMAC-SHA-256-128 [RFC4868]"), ("hmac-sha2-384-192", "HMAC-SHA-384-192 [RFC4868]"),
        ("hmac-sha2-512-256", "HMAC-SHA-512-256 [RFC4868]"), ("hmac-md5-96", "HMAC-MD5-96 [RFC2403]"), ("hmac-ripemd160-96", "MAC-RIPEMD-160-96 [RFC2857]"),
    ];

    /// <summary>The lines of one SA; a remark where Wireshark does not know its algorithms, none where its keys are not there.</summary>
    public static IEnumerable<string> Lines(SaReport sa)
    {
        if (sa.EncryptionKey is null || sa.Protocol != "esp")
        {
            return [];
        }

        string[] names = sa.Suite.Split('+');
        string? cipher = Named(s_ciphers, names[0]);
        string? integrity = names.Length == 1 ? "NULL" : Named(s_integrity, names[1]);
        if (cipher is null || integrity is null)
        {
            return [$"# {sa.Name} {sa.Spi}: Wireshark does not know {sa.Suite}"];
        }

        (string? from, string? to) = sa.Direction == "out" ? (sa.Local, sa.Remote) : (sa.Remote, sa.Local);
        string[] families = (from ?? to) is { } end ? [end.Contains(':', StringComparison.Ordinal) ? "IPv6" : "IPv4"] : ["IPv4", "IPv6"];
        return families.Select(family =>
            $"\"{family}\",\"{from ?? "*"}\",\"{to ?? "*"}\",\"{sa.Spi}\",\"{cipher}\",\"{Hex(sa.EncryptionKey)}\",\"{integrity}\",\"{Hex(sa.IntegrityKey)}\"");
    }

    private static string Hex(string? key) => string.IsNullOrEmpty(key) ? "" : $"0x{key}";

    private static string? Named((string Suite, string Wireshark)[] table, string name) =>
        Array.Find(table, one => name.StartsWith(one.Suite, StringComparison.Ordinal)).Wireshark;
}
