using System.Net.Sockets;
using System.Runtime.Versioning;
using Filter.Ctl.Service;
using Filter.Ipsec.PfKey.Messages;
using Filter.Rules.Policy;
using Filter.Tests.Worlds;
using static Filter.Tests.PfKey.Spelling;

namespace Filter.Tests.Filterctl;

/// <summary>PF_KEY by its socket: a daemon answers key managers, beside its workers and its rulesets.</summary>
[SupportedOSPlatform("linux")]
public sealed class PfKeySocketTests
{
    private const string Ruleset = """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          stack: { tap: filter0, side: protected, mac: 02:00:00:00:00:01, addresses: [ 192.0.2.1/24 ] }
        rules: [ { allow: all } ]
        ipsec:
          policies: [ { bypass: rest } ]

        """;

    private uint _sequence;

    [Fact]
    public async Task A_key_manager_has_its_SAs_and_policies_and_a_reload_leaves_them()
    {
        using MemoryDaemon daemon = new(Ruleset);
        await using PfKeySocket server = daemon.Admit(out string path);
        using Socket manager = Connect(path);
        Says(manager, PfKeyType.Register, PfKeySaType.Esp);
        Says(manager, PfKeyType.Add, PfKeySaType.Esp, Sa(0x1000), From(Left), To(Right), Encrypts(), Authenticates(), Tunnel());
        Says(manager, PfKeyType.PolicyAdd, PfKeySaType.Unspecified, From("10.1.0.0/24"), To("10.2.0.0/24"), Through(PfKeyDirection.Out, Left, Right));
        Assert.Equal(PfKeyError.Exists, Ask(manager, PfKeyType.Add, PfKeySaType.Esp, Sa(0x1000), From(Left), To(Right), Encrypts(), Authenticates(), Tunnel()).Header.Error);
        Assert.Contains("refused (Exists)", daemon.Log, StringComparison.Ordinal);

        string sas = daemon.Must("sa", "list");
        Assert.Contains("pfkey-esp-00001000", sas, StringComparison.Ordinal);
        Assert.Contains("pfkey-1", sas, StringComparison.Ordinal);

        File.WriteAllText(daemon.File, Ruleset.Replace("bypass: rest", "drop: rest", StringComparison.Ordinal));
        daemon.Must("reload");
        daemon.LookAfterKeyManagers();
        string policies = daemon.Must("policy", "list");
        Assert.Contains("pfkey-1", policies, StringComparison.Ordinal);
        Assert.Contains("drop", policies, StringComparison.Ordinal);
        Assert.Contains("pfkey-1", daemon.Must("sa", "list"), StringComparison.Ordinal);
        Assert.Equal(PfKeyError.None, Ask(manager, PfKeyType.Get, PfKeySaType.Esp, Sa(0x1000), From(Left), To(Right)).Header.Error);
    }

    [Fact]
    public async Task Who_reads_slowly_loses_messages_hears_so_and_holds_up_nobody()
    {
        using MemoryDaemon daemon = new(Ruleset);
        await using PfKeySocket server = daemon.Admit(out string path);
        using Socket slow = Connect(path), quick = Connect(path);
        Says(slow, PfKeyType.Register, PfKeySaType.Esp);
        const int Many = 4000;
        for (int i = 0; i < Many; i++)
        {
            Says(quick, PfKeyType.Flush, PfKeySaType.Unspecified);          // each is told to both
        }

        int heard = 0;
        bool lost = false;
        slow.ReceiveTimeout = 1000;
        try
        {
            while (!lost)
            {
                lost = Hears(slow).Header is { Type: PfKeyType.Reserved, Error: PfKeyError.NoBuffers };
                heard++;
            }
        }
        catch (SocketException)
        {
            // What is lost is told with the next message that finds room.
            Says(quick, PfKeyType.Flush, PfKeySaType.Unspecified);
            lost = Hears(slow).Header.Error == PfKeyError.NoBuffers;
        }

        Assert.True(lost);
        Assert.InRange(heard, PfKeyClient.Backlog, Many - 1);
    }

    [Fact]
    public async Task A_long_dump_reaches_who_asked_whole_and_a_second_one_meanwhile_does_not_begin()
    {
        using MemoryDaemon daemon = new(Ruleset);
        await using PfKeySocket server = daemon.Admit(out string path);
        using Socket manager = Connect(path);
        const int Many = 2000;
        for (uint i = 0; i < Many; i++)
        {
            Says(manager, PfKeyType.GetSpi, PfKeySaType.Esp, From(Right), To(Left), new SpiRangeExtension(0x1000 + i, 0x1000 + i));
        }

        Send(manager, PfKeyType.Dump, PfKeySaType.Esp);
        Send(manager, PfKeyType.Dump, PfKeySaType.Esp);
        List<PfKeyMessage> all = [];
        while (all.Count <= Many && !all.Exists(static m => m.Header is { Sequence: 0, Error: PfKeyError.None }))
        {
            all.Add(Hears(manager));
        }

        Assert.Equal(Many, all.Count(static m => m.Header.Error == PfKeyError.None));
        Assert.True(all.Count(static m => m.Header.Error == PfKeyError.Busy) <= 1);
    }

    [Fact]
    public async Task What_is_no_message_is_answered_with_its_error_and_the_next_one_is_heard()
    {
        using MemoryDaemon daemon = new(Ruleset);
        await using PfKeySocket server = daemon.Admit(out string path);
        using Socket manager = Connect(path);
        manager.Send(new byte[15]);                 // shorter than a header: nothing to answer with
        manager.Send(new byte[40]);
        byte[] answer = new byte[64];
        Assert.Equal(16, manager.Receive(answer));
        Assert.Equal((byte)PfKeyError.MessageSize, answer[2]);
        Says(manager, PfKeyType.Flush, PfKeySaType.Unspecified);
    }

    [Fact]
    public async Task Nobody_but_root_and_the_daemons_user_is_let_in()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "another user's program needs root to start it");
        using MemoryDaemon daemon = new(Ruleset);
        await using PfKeySocket server = daemon.Admit(out string path);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));

        // Even where the file system would let him.
        File.SetUnixFileMode(daemon.Scratch.Folder, (UnixFileMode)0x1ff);
        File.SetUnixFileMode(path, (UnixFileMode)0x1ff);
        string ask = $"import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect('{path}'); s.settimeout(5); print('heard', len(s.recv(99)))";
        (_, string output) = NetNs.Execute("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", ask]);
        Assert.Contains("heard 0", output, StringComparison.Ordinal);
    }

    private static Socket Connect(string path)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Seqpacket, ProtocolType.Unspecified) { ReceiveTimeout = 20_000 };
        socket.Connect(new UnixDomainSocketEndPoint(path));
        return socket;
    }

    private void Says(Socket manager, PfKeyType type, PfKeySaType of, params PfKeyExtension[] extensions)
    {
        PfKeyMessage answer = Ask(manager, type, of, extensions);
        Assert.Equal((type, PfKeyError.None), (answer.Header.Type, answer.Header.Error));
    }

    private PfKeyMessage Ask(Socket manager, PfKeyType type, PfKeySaType of, params PfKeyExtension[] extensions)
    {
        Send(manager, type, of, extensions);
        return Hears(manager);
    }

    private void Send(Socket manager, PfKeyType type, PfKeySaType of, params PfKeyExtension[] extensions) =>
        manager.Send(PfKeyWriter.Write(new PfKeyMessage(new PfKeyHeader(type, PfKeyError.None, of, ++_sequence, 77), [.. extensions])));

    private static PfKeyMessage Hears(Socket manager)
    {
        byte[] bytes = new byte[4096];
        int length = manager.Receive(bytes);
        return bytes[1] == 0
            ? new PfKeyMessage(new PfKeyHeader(PfKeyType.Reserved, (PfKeyError)bytes[2], PfKeySaType.Unspecified, 0, 0), [])
            : PfKeyReader.TryRead(bytes.AsSpan(0, length), out PfKeyMessage? read, out PfKeyFault fault) ? read : throw new InvalidOperationException(fault.Why);
    }
}
