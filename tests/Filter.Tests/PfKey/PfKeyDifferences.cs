namespace Filter.Tests.PfKey;

/// <summary>Where Filter answers otherwise than Linux 6.1, and is meant to; docs/conformance-pfkey.md says why.</summary>
internal static class PfKeyDifferences
{
    /// <summary>By the message's name: what each of both answers.</summary>
    internal static IReadOnlyDictionary<string, (string Kernel, string Filter)> Accepted { get; } = new Dictionary<string, (string, string)>(StringComparer.Ordinal)
    {
        // Algorithms that Linux takes by netlink alone, and those that Filter has for who asks for them.
        ["register ESP"] = (
            "Register supported=False:2,3,5,6,7,8,9,251 supported=True:2,3,6,7,11,12,13,22",
            "Register supported=False:3,5,6,7,9 supported=True:11,12,13,14,15,16,18,19,20,22,23"),
        ["add AES-GCM"] = ("Add NoAlgorithm", "Add sa=2003/Mature/0/20 from=192.0.2.1 to=198.51.100.1"),
        ["add without integrity"] = ("Add sa=2008/Mature/0/12 from=192.0.2.1 to=198.51.100.1", "Add Invalid"),

        // RFC 2367 says what these are; Linux does not look, or asks for more.
        ["register no type"] = ("Register supported=False:2,3,5,6,7,8,9,251 supported=True:2,3,6,7,11,12,13,22", "Register Invalid"),
        ["add larval"] = ("Add sa=2004/Mature/3/12 from=192.0.2.1 to=198.51.100.1", "Add Invalid"),
        ["add with a hard limit alone"] = ("Add Invalid", "Add sa=2009/Mature/3/12 hard=600 from=192.0.2.1 to=198.51.100.1"),
        ["acquire without a proposal"] = ("Acquire NotDone", "Acquire Invalid"),
        ["an unknown SA type"] = ("Get NoSuch", "Get Invalid"),

        // Of an update Linux tells the copy that it throws away; a deletion it tells in full; a getspi that fails leaves a larva.
        ["update mature"] = (
            "Update sa=1000/Dead/3/12 hard=900 from=198.51.100.1 to=192.0.2.1 Tunnel/5",
            "Update sa=1000/Mature/3/12 hard=900 from=198.51.100.1 to=192.0.2.1 Tunnel/5"),
        ["delete"] = ("Delete sa=2000/Dead/3/12 from=192.0.2.1 to=198.51.100.1 Tunnel/5", "Delete sa=2000/Dead/3/12 from=192.0.2.1 to=198.51.100.1"),
        ["dump ESP"] = ($"Dump sa=0/Larval/0/0 from=198.51.100.1 to=192.0.2.1 + Dump sa=0/Larval/0/0 from=198.51.100.1 to=192.0.2.1 Tunnel/5 + {Three}", Three),

        // KAME's message is told as itself; nobody listens to everything here.
        ["spdsetidx"] = ("PolicyAdd from=10.1.0.0 to=10.2.0.0 Out/None/0[]", "PolicySetIndex from=10.1.0.0 to=10.2.0.0 Out/None/0[]"),
        ["promisc"] = ("Promiscuous", "Promiscuous NotDone"),

        // A Unix socket cannot make the send of a malformed message fail: there is an answer with the same error.
        ["version 1"] = ("send fails with 22", "Get Invalid"),
        ["an unknown type"] = ("send fails with 22", "99 Invalid"),
        ["a wrong length"] = ("send fails with 90", "Get MessageSize"),
    };

    private const string Keys = "key=0205080b0e1114171a1d202326292c2f3235383b key=0104070a0d101316191c1f2225282b2e";

    private const string Three =
        $"Dump sa=1000/Mature/3/12 hard=900 from=198.51.100.1 to=192.0.2.1 {Keys} Tunnel/5 + Dump sa=2000/Mature/3/12 from=192.0.2.1 to=198.51.100.1 {Keys} Tunnel/5 "
        + $"+ Dump sa=2001/Mature/3/12 from=2001:db8::1 to=2001:db8::2 {Keys}";
}
