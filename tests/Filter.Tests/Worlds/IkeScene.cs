using System.Runtime.Versioning;

namespace Filter.Tests.Worlds;

/// <summary>
/// client – Filter a ═ link ═ b – server: at a the sample of a site whose keys are negotiated, or another ruleset; at b strongSwan as a
/// router, or another Filter.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed class IkeScene : IDisposable
{
    /// <summary>Our end and b's, and hosts behind each.</summary>
    public const string A4 = "192.0.2.1", A6 = "2001:db8:ff:a::1", B4 = "198.51.100.1", B6 = "2001:db8:ff:b::1";

    /// <inheritdoc cref="A4"/>
    public const string Server4 = "10.2.0.10", Server6 = "2001:db8:b::10", Client4 = "10.1.0.10", Client6 = "2001:db8:a::10";

    /// <summary>What both sides know in the samples.</summary>
    public const string Psk = "THE SAMPLE KEY OF TWO SITES";

    private World? _world;

    public World World => _world ??= World.EspTunnel();

    public Host Client => World.Client;

    public Host Server => World.Server;

    /// <summary>The sample at a, with another peer section where said.</summary>
    /// <param name="peer">Lines of the peer <c>site-b</c>, without indentation; null for those of the sample.</param>
    public string RulesetOfA(string? peer = null)
    {
        const string sample = "rules/ike-site-to-site.yaml";
        if (peer is null)
        {
            return sample;
        }

        string text = File.ReadAllText(Path.Combine(Repository.Root, sample));
        int from = text.IndexOf("      site-b:\n", StringComparison.Ordinal) + "      site-b:\n".Length, to = text.IndexOf("\ntests:", StringComparison.Ordinal);
        Assert.True(from > 100 && to > from);
        string lines = string.Concat(peer.ReplaceLineEndings("\n").Split('\n').Select(static line => $"        {line}\n"));
        return World.Write("a.yaml", text[..from] + lines + text[to..]);
    }

    /// <summary>Filter at a.</summary>
    public Daemon StartFilter(string ruleset) =>
        Daemon.Start(World["a"], ruleset, ["outside=eth0", "inside=eth1"], $"--state {World.Folder}/a.state");

    /// <summary>strongSwan at b, a router between its two links.</summary>
    public StrongSwan StartSwan(string connections, string? credentials = null, string more = "")
    {
        World["b"].Must(
            $"ip addr replace {B4}/24 dev eth0 && ip addr replace {B6}/64 dev eth0 && ip addr replace 10.2.0.1/16 dev eth1 && ip addr replace 2001:db8:b::1/48 dev eth1 "
            + "&& ip route replace default via 198.51.100.254 && ip -6 route replace default via 2001:db8:ff:b::fe "
            + "&& sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0");
        Server.Must("ip route replace default via 10.2.0.1 && ip -6 route replace default via 2001:db8:b::1");
        return StrongSwan.Start(World["b"], connections, credentials, more);
    }

    /// <summary>What strongSwan is to know of us, with a PSK unless said otherwise.</summary>
    public static string Connection(
        string proposals = "default", string esp = "default", string auth = "auth = psk", string more = "", string child = "", string local = B4, string remote = A4,
        string localSelectors = "10.2.0.0/16,2001:db8:b::/48", string remoteSelectors = "10.1.0.0/16,2001:db8:a::/48", string certificate = "") => $$"""
        connections {
          gw {
            version = 2
            local_addrs = {{local}}
            remote_addrs = {{remote}}
            proposals = {{proposals}}
            {{more}}
            local {
              {{auth}}
              {{certificate}}
              id = b.example.com
            }
            remote {
              {{auth}}
              id = a.example.com
            }
            children {
              net {
                local_ts = {{localSelectors}}
                remote_ts = {{remoteSelectors}}
                esp_proposals = {{esp}}
                start_action = none
                {{child}}
              }
            }
          }
        }
        secrets {
          ike-1 {
            id-a = a.example.com
            id-b = b.example.com
            secret = "{{Psk}}"
          }
        }

        """;

    public void Dispose() => _world?.Dispose();
}
