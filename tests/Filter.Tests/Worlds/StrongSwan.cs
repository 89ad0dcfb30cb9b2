using System.Runtime.Versioning;

namespace Filter.Tests.Worlds;

/// <summary>
/// Debian's strongSwan on a host of a world, its files in the world's folder: ESP by a TUN device of its own, in UDP always. Many run side
/// by side, beside one that the machine itself may run.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed class StrongSwan : IDisposable
{
    private readonly Host _host;
    private readonly string _folder;
    private readonly Running _process;

    private StrongSwan(Host host, string folder, Running process)
    {
        _host = host;
        _folder = folder;
        _process = process;
    }

    /// <summary>What it has logged, everything of IKE and keys.</summary>
    public string Log => File.Exists($"{_folder}/log") ? File.ReadAllText($"{_folder}/log") : "";

    private string Vici => $"{_folder}/vici";

    /// <summary>Starts it, and loads what it is to know.</summary>
    /// <param name="host">Where.</param>
    /// <param name="connections">swanctl.conf.</param>
    /// <param name="credentials">Where certificates (<c>x509</c>, <c>x509ca</c>) and keys (<c>private</c>) are; null for none.</param>
    /// <param name="more">More of strongswan.conf, in the daemon's section.</param>
    public static StrongSwan Start(Host host, string connections, string? credentials = null, string more = "")
    {
        string folder = $"{host.World.Folder}/{host.Name}-charon";
        foreach (string each in (string[])["conf.d", "x509", "x509ca", "x509crl", "private", "pubkey"])
        {
            Directory.CreateDirectory($"{folder}/{each}");
        }

        if (credentials is not null)
        {
            host.Must($"cp -r {credentials}/. {folder}/");
        }

        File.WriteAllText($"{folder}/swanctl.conf", connections);
        File.WriteAllText($"{folder}/client.conf", "swanctl {\n  load = aes sha2 sha1 md5 hmac random nonce x509 pubkey pkcs1 pkcs8 pkcs12 pem openssl curve25519\n}\n");
        File.WriteAllText($"{folder}/strongswan.conf", $$"""
            charon-systemd {
              load_modular = yes
              plugins {
                include /etc/strongswan.d/charon/*.conf
                kernel-libipsec { load = yes }
                vici { socket = unix://{{folder}}/vici }
                bypass-lan { load = no }
              }
              user =
              group =
              journal { default = -1 }
              filelog { log { path = {{folder}}/log
                flush_line = yes
                append = no
                default = 1
                ike = 2
                cfg = 2 } }
              {{more}}
            }

            """);
        File.Delete($"{folder}/vici");
        File.Delete($"{folder}/log");
        Running process = host.Start($"STRONGSWAN_CONF={folder}/strongswan.conf exec charon-systemd");
        StrongSwan swan = new(host, folder, process);
        DateTime until = DateTime.UtcNow + Host.Patience;
        while (!swan.Ctl("--stats").Ok)
        {
            Assert.False(process.HasEnded || DateTime.UtcNow > until, $"charon did not come up but said:\n{process.Said}");
            Thread.Sleep(50);
        }

        swan.Must("--load-all");
        return swan;
    }

    /// <summary>swanctl with these words.</summary>
    public Ran Ctl(string words) => _host.Run($"SWANCTL_DIR={_folder} STRONGSWAN_CONF={_folder}/client.conf swanctl {words} --uri unix://{Vici}", TimeSpan.FromSeconds(40));

    /// <summary>The same, which has to succeed.</summary>
    public string Must(string words)
    {
        Ran ran = Ctl(words);
        Assert.True(ran.Ok, $"{ran}\n{Tail()}");
        return ran.Output;
    }

    /// <summary>Waits until it has logged this.</summary>
    public void Says(string text)
    {
        DateTime until = DateTime.UtcNow + Host.Patience;
        while (!Log.Contains(text, StringComparison.Ordinal))
        {
            Assert.False(DateTime.UtcNow > until, $"charon never said '{text}':\n{Tail()}");
            Thread.Sleep(50);
        }
    }

    /// <summary>The last of its log.</summary>
    public string Tail() => string.Join('\n', Log.Split('\n').TakeLast(60));

    /// <summary>Makes a CA, and a certificate with its key for each name, as strongSwan's own tool has it.</summary>
    /// <param name="host">Where the tool runs.</param>
    /// <param name="kind">`rsa`, `ecdsa` or `ed25519`.</param>
    /// <param name="names">Domain names.</param>
    /// <returns>The folder: `x509ca/ca.pem`, `x509/NAME.pem`, `private/NAME.pem`.</returns>
    public static string Certify(Host host, string kind, params string[] names)
    {
        string folder = $"{host.World.Folder}/pki-{kind}", size = kind switch { "rsa" => " --size 2048", "ecdsa" => " --size 256", _ => "" };
        string script = $"""
            set -e; umask 077; mkdir -p {folder}/x509 {folder}/x509ca {folder}/x509crl {folder}/private; cd {folder}
            pki --gen --type ecdsa --size 256 --outform pem > ca.key
            pki --self --ca --in ca.key --type ecdsa --dn 'CN=Example CA' --lifetime 30 --outform pem > x509ca/ca.pem
            """;
        foreach (string name in names)
        {
            script += $"\npki --gen --type {kind}{size} --outform pem > private/{name}.pem"
                + $"\npki --issue --cacert x509ca/ca.pem --cakey ca.key --in private/{name}.pem --type priv --dn 'CN={name}' --san {name} --flag serverAuth --lifetime 30 --outform pem > x509/{name}.pem";
        }

        host.Must(script.ReplaceLineEndings("\n"), TimeSpan.FromSeconds(60));
        return folder;
    }

    /// <inheritdoc/>
    public void Dispose() => _process.Dispose();
}
