using System.Globalization;
using Filter.Ipsec.PfKey.Messages;
using Filter.Tests.PfKey;

namespace Filter.Tests.Worlds;

/// <summary>The same messages to Filter and to a Linux kernel: what one answers the other does, but for what is accepted here and told in docs/conformance-pfkey.md.</summary>
[Collection(InNamespaces.Name)]
public sealed class PfKeyKernelTests
{
    /// <summary>Sends each line's message; a line of answers for each, an errno where the send itself failed.</summary>
    private const string Talk = """
        import socket, struct, sys, time
        s = socket.socket(15, socket.SOCK_RAW, 2)
        s.setblocking(False)
        number = 0
        for line in open('/mnt/messages'):
            how, message = line.split()
            message = bytearray.fromhex(message)
            at = 16
            while how == 'N' and at < len(message):
                length, kind = struct.unpack_from('=HH', message, at)
                if kind == 18:
                    struct.pack_into('=I', message, at + 8, number)
                at += length * 8
            heard = []
            try:
                s.send(message)
            except OSError as e:
                heard.append(('send fails with %d' % e.errno).encode().hex())
            quiet = 0
            while quiet < 3:
                try:
                    got = s.recv(70000)
                    heard.append(got.hex())
                    quiet = 0
                    at = 16
                    while got[1] == 14 and not got[2] and at < len(got):
                        length, kind = struct.unpack_from('=HH', got, at)
                        if kind == 18:
                            number = struct.unpack_from('=I', got, at + 8)[0]
                        at += length * 8
                except BlockingIOError:
                    quiet += 1
                    time.sleep(0.005)
            print('answers', *heard)
        """;

    [Fact]
    public void The_kernel_and_Filter_answer_alike()
    {
        using World world = World.WithGuest();
        KernelGuest guest = KernelGuest.Boot(world.Filter, "eth0");
        string folder = Path.Combine(world.Folder, "guest");
        File.WriteAllLines(Path.Combine(folder, "messages"), PfKeyComparison.Script.Select(static step => $"{(PfKeyComparison.AsksByNumber(step.Name) ? 'N' : '-')} {Convert.ToHexStringLower(step.Message)}"));
        File.WriteAllText(Path.Combine(folder, "talk.py"), Talk);
        string[] kernel = [.. guest.Must("modprobe -d /run -a af_key 2>&1; python3 /mnt/talk.py", TimeSpan.FromSeconds(60))
            .Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(static line => line.StartsWith("answers", StringComparison.Ordinal))
            .Select(static line => PfKeyComparison.Words(line.Split(' ')[1..].Select(Convert.FromHexString)))];
        Assert.Equal(PfKeyComparison.Script.Count, kernel.Length);

        using PfKeyTalk filter = new($"{Spelling.Left} 2001:db8::1");
        uint number = 0;
        List<string> wrong = [];
        foreach ((int i, (string name, byte[] message)) in PfKeyComparison.Script.Index())
        {
            byte[] said = PfKeyComparison.AsksByNumber(name) ? WithNumber(message, number) : message;
            filter.Tell(said);
            byte[][] heard = filter.Manager.Raw();
            number = heard is [var answer] && PfKeyReader.TryRead(answer, out PfKeyMessage? read, out _) && read.Header is { Type: PfKeyType.PolicyAdd, Error: PfKeyError.None }
                ? read.Find<PolicyExtension>(PfKeyExtensionType.Policy)!.Id
                : number;
            string ours = PfKeyComparison.Words(heard);
            TestContext.Current.TestOutputHelper?.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}\n  kernel: {kernel[i]}\n  Filter: {ours}"));
            if (PfKeyDifferences.Accepted.TryGetValue(name, out (string Kernel, string Filter) accepted) ? accepted != (kernel[i], ours) : ours != kernel[i])
            {
                wrong.Add($"{name}\n  kernel: {kernel[i]}\n  Filter: {ours}");
            }
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
        Assert.Empty(PfKeyDifferences.Accepted.Keys.Except(PfKeyComparison.Script.Select(static step => step.Name)));
    }

    private static byte[] WithNumber(byte[] message, uint number)
    {
        Assert.True(PfKeyReader.TryRead(message, out PfKeyMessage? read, out _));
        return PfKeyWriter.Write(read with { Extensions = [.. read.Extensions.Select(e => e is PolicyExtension policy ? policy with { Id = number } : e)] });
    }
}
