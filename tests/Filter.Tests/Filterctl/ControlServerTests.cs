using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Filter.Ctl;
using Filter.Ctl.Control;
using Filter.Ctl.Service;

namespace Filter.Tests.Filterctl;

/// <summary>The control socket against clients that are slow, silent, hostile, or many.</summary>
[System.Runtime.Versioning.SupportedOSPlatform("linux")]
public sealed class ControlServerTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("filterctl").FullName;

    private string SocketPath => Path.Combine(_directory, "filter.sock");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task A_request_gets_its_answer_and_another_after_it()
    {
        await using ControlServer server = Serve();
        using Socket client = Connect();
        Assert.Equal("status", await AskAsync(client, """{"verb":"status"}"""));
        Assert.Equal("counters", await AskAsync(client, """{"verb":"counters"}"""));
    }

    [Theory]
    [InlineData("garbage")]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("""{"verb":""")]
    [InlineData("\u0000\u0001")]
    [InlineData("""{"verb":"status","confirm":"soon"}""")]
    [InlineData("[[[[[[[[[[[[[[[[[[[[[[[[")]
    public async Task Garbage_is_refused_and_the_server_lives_on(string line)
    {
        await using ControlServer server = Serve();
        using (Socket hostile = Connect())
        {
            await SendAsync(hostile, line + "\n");
            string answer = await ReadAllAsync(hostile);
            Assert.False(JsonDocument.Parse(answer).RootElement.GetProperty("ok").GetBoolean());
        }

        using Socket client = Connect();
        Assert.Equal("status", await AskAsync(client, """{"verb":"status"}"""));
    }

    [Fact]
    public async Task A_request_of_more_than_64_KiB_is_refused()
    {
        await using ControlServer server = Serve();
        using Socket client = Connect();
        await SendAsync(client, new string('x', ControlServer.MaxRequest + 1));
        Assert.Contains($"at most {ControlServer.MaxRequest} bytes", await ReadAllAsync(client), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_seventeenth_client_is_refused_and_served_once_another_has_gone()
    {
        await using ControlServer server = Serve();
        List<Socket> clients = [];
        for (int i = 0; i < ControlServer.MaxClients; i++)
        {
            clients.Add(Connect());
            Assert.Equal("status", await AskAsync(clients[i], """{"verb":"status"}"""));
        }

        using (Socket late = Connect())
        {
            Assert.Contains("too many clients", await ReadAllAsync(late), StringComparison.Ordinal);
        }

        clients[0].Dispose();
        string? answer = null;
        for (int attempt = 0; attempt < 1000 && answer != "status"; attempt++)
        {
            using Socket again = Connect();
            try
            {
                answer = await AskAsync(again, """{"verb":"status"}""");
            }
            catch (SocketException)
            {
                await Task.Yield();     // the server has not yet seen the other leave
            }
        }

        Assert.Equal("status", answer);
        clients.ForEach(static c => c.Dispose());
    }

    [Fact]
    public async Task A_silent_client_is_hung_up_on()
    {
        await using ControlServer server = Serve(patience: TimeSpan.FromMilliseconds(50));
        using Socket silent = Connect();
        await SendAsync(silent, """{"verb":"sta""");
        Assert.Equal("", await ReadAllAsync(silent));
    }

    [Fact]
    public async Task A_client_that_does_not_read_is_hung_up_on_and_holds_nobody_up()
    {
        TaskCompletionSource dropped = new();
        await using ControlServer server = Serve(
            async (request, _, reply, cancel) =>
            {
                try
                {
                    do
                    {
                        await reply.SendAsync(new ControlResponse { Message = new string('m', 8192) }, cancel);
                    }
                    while (request.Verb == "flood");
                }
                catch (OperationCanceledException)
                {
                    dropped.TrySetResult();
                    throw;
                }
            },
            writePatience: TimeSpan.FromSeconds(2));
        using Socket deaf = Connect();
        await SendAsync(deaf, """{"verb":"flood"}""" + "\n");
        using Socket client = Connect();
        Assert.Equal(8192, (await AskAsync(client, """{"verb":"status"}""")).Length);
        await dropped.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_handler_that_fails_answers_in_one_line()
    {
        await using ControlServer server = Serve((_, _, _, _) => throw new InvalidOperationException("two\nlines"));
        using Socket client = Connect();
        await SendAsync(client, """{"verb":"status"}""" + "\n");
        string answer = await ReadAllAsync(client);
        Assert.StartsWith("""{"ok":false,"error":"internal error: InvalidOperationException""", answer, StringComparison.Ordinal);
        Assert.Single(answer.TrimEnd('\n').Split('\n'));
    }

    [Fact]
    public async Task A_second_daemon_on_the_same_socket_is_refused()
    {
        await using ControlServer server = Serve();
        Refusal refusal = Assert.Throws<Refusal>(() => ControlSocket.Bind(SocketPath, new ControlAccess(null)));
        Assert.Contains("another filterctl runs on", refusal.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refusal.Message);
    }

    [Fact]
    public async Task A_socket_that_someone_else_answers_on_is_not_taken_from_him()
    {
        using Socket other = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        other.Bind(new UnixDomainSocketEndPoint(SocketPath));
        other.Listen();
        Assert.Throws<Refusal>(() => ControlSocket.Bind(SocketPath, new ControlAccess(null)));
        other.Dispose();
        await using ControlServer server = Serve();       // now it is a dead one's
    }

    [Fact]
    public async Task What_a_dead_daemon_left_is_replaced()
    {
        using (Socket dead = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            // Under another name, or its end would take the path away.
            dead.Bind(new UnixDomainSocketEndPoint(SocketPath + ".dead"));
            File.Move(SocketPath + ".dead", SocketPath);
        }

        await File.WriteAllTextAsync(SocketPath + ".lock", "", TestContext.Current.CancellationToken);
        await using ControlServer server = Serve();
        using Socket client = Connect();
        Assert.Equal("status", await AskAsync(client, """{"verb":"status"}"""));
    }

    [Fact]
    public void The_directory_is_made_for_owner_and_group_alone()
    {
        string path = Path.Combine(_directory, "made", "filter.sock");
        using ControlSocket socket = ControlSocket.Bind(path, new ControlAccess(null));
        Assert.Equal("750", Convert.ToString((int)File.GetUnixFileMode(Path.GetDirectoryName(path)!), 8));
        Assert.Equal("660", Convert.ToString((int)File.GetUnixFileMode(path), 8));
    }

    [Fact]
    public void Root_and_the_groups_members_may_speak_and_nobody_else()
    {
        ControlAccess access = new(Group: 77);
        Assert.True(access.Allows(new PeerCredentials(1, 0, 0, [])));
        Assert.True(access.Allows(new PeerCredentials(1, 1000, 77, [])));
        Assert.True(access.Allows(new PeerCredentials(1, 1000, 1000, [4, 77])));
        Assert.False(access.Allows(new PeerCredentials(1, 1000, 1000, [4])));
        Assert.False(access.Allows(null));
        Assert.False(new ControlAccess(Group: null).Allows(new PeerCredentials(1, 1000, 0, [])));
    }

    [Fact]
    public void The_groups_number_is_read_from_the_group_file()
    {
        string[] lines = ["root:x:0:", "# filter", "filter2:x:5:", "filter:x:991:alice,bob", ""];
        Assert.Equal(991u, ControlAccess.FindGroup(lines, "filter"));
        Assert.Null(ControlAccess.FindGroup(["filter:x:"], "filter"));
    }

    [Fact]
    public async Task Credentials_decide_even_where_the_path_is_open_to_all()
    {
        if (Environment.UserName != "root" || !File.Exists("/usr/bin/setpriv"))
        {
            Assert.Skip("needs root and setpriv(1) to become somebody else");
        }

        await using ControlServer server = Serve();
        UnixFileMode all = (UnixFileMode)Convert.ToInt32("777", 8);
        File.SetUnixFileMode(_directory, all);
        File.SetUnixFileMode(SocketPath, all);
        string nobody = await CapturedAsync("--reuid=65534", "--regid=65534", "--clear-groups");
        Assert.Contains("not allowed: only root", nobody, StringComparison.Ordinal);
        string member = await CapturedAsync("--reuid=65534", "--regid=65534", "--groups=4242");
        Assert.Contains("status", member, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_is_no_socket_is_never_replaced(bool link)
    {
        string precious = Path.Combine(_directory, "precious.yaml");
        File.WriteAllText(precious, "filter: 1");
        string path = link ? SocketPath : precious;
        if (link)
        {
            File.CreateSymbolicLink(path, precious);
        }

        Refusal refusal = Assert.Throws<Refusal>(() => ControlSocket.Bind(path, new ControlAccess(null)));
        Assert.Contains("is no socket", refusal.Message, StringComparison.Ordinal);
        Assert.Equal("filter: 1", File.ReadAllText(precious));
        Assert.True(File.Exists(path));
    }

    [Fact]
    public async Task Mutated_requests_are_answered_or_refused_and_the_server_lives_on()
    {
        Random random = Fuzzing.Seeded(out int seed);
        await using ControlServer server = Serve((request, _, reply, cancel) =>
        {
            FlowMatch.Parse(request.Match, out string? error);
            return reply.SendAsync(new ControlResponse { Message = request.Verb, Error = error }, cancel);
        });
        string[] samples =
        [
            """{"verb":"flows","match":"udp :53 10.0.0.5 [2001:db8::1] 17","limit":5}""",
            """{"verb":"reload","file":"/etc/filter/filter.yaml","confirm":60}""",
            """{"verb":"stop","restore":true}""",
        ];
        for (int round = 0; round < Fuzzing.Rounds(500); round++)
        {
            byte[] bytes = Encoding.UTF8.GetBytes(samples[random.Next(samples.Length)]);
            for (int change = random.Next(6); change > 0; change--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            using Socket client = Connect();
            await client.SendAsync((byte[])[.. bytes, (byte)'\n'], TestContext.Current.CancellationToken);     // a line may end earlier
            client.Shutdown(SocketShutdown.Send);
            foreach (string line in (await ReadAllAsync(client)).Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                Assert.True(JsonDocument.Parse(line).RootElement.TryGetProperty("ok", out _), $"seed {seed}, round {round}: {line}");
                Assert.DoesNotContain("internal error", line, StringComparison.Ordinal);
            }
        }
    }

    // perl is on every Debian; it stands in for the stranger.
    private async Task<string> CapturedAsync(params string[] who)
    {
        ProcessStartInfo start = new("/usr/bin/setpriv") { RedirectStandardOutput = true, RedirectStandardError = true };
        string[] program =
        [
            "/usr/bin/perl", "-MIO::Socket::UNIX", "-e",
            $$"""
            $SIG{PIPE} = 'IGNORE';
            my $s = IO::Socket::UNIX->new(Peer => '{{SocketPath}}') or die $!;
            syswrite $s, qq({"verb":"status"}\n);
            sysread $s, my $answer, 4096;
            print $answer;
            """,
        ];
        foreach (string argument in who.Concat(program))
        {
            start.ArgumentList.Add(argument);
        }

        using Process process = Process.Start(start)!;
        string output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return output;
    }

    private ControlServer Serve(ControlHandler? handler = null, TimeSpan? patience = null, TimeSpan? writePatience = null)
    {
        ControlAccess access = new(Group: 4242, ProcessRights.User);
        ControlServer server = new(ControlSocket.Bind(SocketPath, access), access, handler ?? Echo)
        {
            Patience = patience ?? TimeSpan.FromMinutes(1),
            WritePatience = writePatience ?? TimeSpan.FromMinutes(1),
        };
        server.Start();
        return server;
    }

    private static Task Echo(ControlRequest request, PeerCredentials peer, ControlReply reply, CancellationToken cancel) =>
        reply.SendAsync(new ControlResponse { Message = request.Verb }, cancel);

    private Socket Connect()
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Connect(new UnixDomainSocketEndPoint(SocketPath));
        return socket;
    }

    private static async Task SendAsync(Socket socket, string text) =>
        await socket.SendAsync(Encoding.UTF8.GetBytes(text), TestContext.Current.CancellationToken);

    private static async Task<string> AskAsync(Socket socket, string line)
    {
        await SendAsync(socket, line + "\n");
        byte[] buffer = new byte[16384];
        int length = 0;
        while (length == 0 || buffer[length - 1] != '\n')
        {
            int got = await socket.ReceiveAsync(buffer.AsMemory(length), TestContext.Current.CancellationToken);
            if (got == 0)
            {
                break;
            }

            length += got;
        }

        return JsonDocument.Parse(buffer.AsMemory(0, length)).RootElement.TryGetProperty("message", out JsonElement message) ? message.GetString()! : "";
    }

    private static async Task<string> ReadAllAsync(Socket socket)
    {
        StringBuilder text = new();
        byte[] buffer = new byte[4096];
        try
        {
            for (int got; (got = await socket.ReceiveAsync(buffer, TestContext.Current.CancellationToken)) > 0;)
            {
                text.Append(Encoding.UTF8.GetString(buffer, 0, got));
            }
        }
        catch (SocketException)
        {
            // Hung up with our bytes unread.
        }

        return text.ToString();
    }
}
