namespace Filter.Tests.Worlds;

/// <summary>
/// client – Filter – server, where the client may speak to the control ports of FTP and TFTP and to nothing else. To the server's
/// address <see cref="World.Www4"/> (or 6) with the helper's help, to <see cref="World.Dns4"/> (or 6) without.
/// </summary>
public sealed class HelperScene : BridgeScene
{
    private const string Rules = $$"""
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        sets:
          unhelped: [ {{World.Dns4}}, {{World.Dns6}} ]
        rules:
          - allow: segment
            service: [ nd, mld ]
          - allow: ftp-alone
            from: inside
            destination: unhelped
            service: tcp/21
          - allow: ftp
            from: inside
            service: tcp/21
            helper: ftp
          - allow: tftp-alone
            from: inside
            destination: unhelped
            service: udp/69
          - allow: tftp
            from: inside
            service: udp/69
            helper: tftp

        """;

    private string? _digest;

    protected override string Ruleset => World.Write("helpers.yaml", Rules);

    /// <summary>The folder that the server's FTP and TFTP show, once <see cref="Serve"/> was called.</summary>
    public string Folder => Path.Combine(World.Folder, "files");

    /// <summary>Has the server offer a file `body` by FTP on all its addresses, and a folder `in` to put files into.</summary>
    /// <returns>What `sha256sum` says of the file.</returns>
    public string Serve() => _digest ??= StartServer();

    private string StartServer()
    {
        string digest = Server.Must($"""
            mkdir -p {Folder}/in {World.Folder}/empty && chown ftp {Folder}/in &&
            head -c 300000 /dev/urandom | tee {Folder}/body | sha256sum
            """);
        // It gives up on a data connection before the tests give up on it.
        string settings = World.Write("vsftpd.conf", $"""
            listen_ipv6=YES
            background=NO
            anonymous_enable=YES
            no_anon_password=YES
            anon_root={Folder}
            anon_upload_enable=YES
            write_enable=YES
            local_enable=NO
            secure_chroot_dir={World.Folder}/empty
            seccomp_sandbox=NO
            accept_timeout=3
            connect_timeout=3

            """);
        Server.Start($"exec vsftpd {settings}");
        Server.Must("until ss -Hltn sport = :21 | grep -q .; do sleep 0.02; done");
        return digest;
    }
}
