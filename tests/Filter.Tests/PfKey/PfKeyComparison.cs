using System.Globalization;
using System.Text;
using Filter.Ipsec.PfKey.Messages;
using static Filter.Tests.PfKey.Spelling;

namespace Filter.Tests.PfKey;

/// <summary>One script of messages, said to Filter and to a kernel's af_key; what each answers, in words that can be compared.</summary>
internal static class PfKeyComparison
{
    private const PfKeySaType Esp = PfKeySaType.Esp, Ah = PfKeySaType.Ah, None = PfKeySaType.Unspecified;

    /// <summary>The messages, in order, each with its name. A policy of number 0 in one that asks by number is the last that was added.</summary>
    internal static IReadOnlyList<(string Name, byte[] Message)> Script { get; } = Make();

    /// <summary>The messages that ask for a policy by its number.</summary>
    internal static bool AsksByNumber(string name) => name.EndsWith("by number", StringComparison.Ordinal);

    /// <summary>
    /// What was answered to one message: each answer's header and what it says of SA, ends and policy; nothing that differs from day to
    /// day. Linux differs from Filter in these throughout, which is told once: it sends keys to everybody, a proxy and a mode that nobody
    /// named, a limit of larval SAs, two answers to a flush, and a count in a reserved field of the header.
    /// </summary>
    internal static string Words(IEnumerable<byte[]> answers) => string.Join(" + ", answers.Select(Words).Where(static words => words.Length > 0)
        .GroupBy(static words => words).SelectMany(static alike => alike.Key.Contains("Flush", StringComparison.Ordinal) ? alike.Take(1) : alike).Order());

    private static string Words(byte[] bytes)
    {
        if (bytes is [(byte)'s', ..] || !PfKeyReader.TryReadHeader(bytes, out PfKeyHeader header))
        {
            return Encoding.ASCII.GetString(bytes);         // the errno of a send that failed
        }

        (bytes[6], bytes[7]) = (0, 0);

        string head = header.Error == PfKeyError.None ? $"{header.Type}" : $"{header.Type} {header.Error}";
        return PfKeyReader.TryRead(bytes, out PfKeyMessage? message, out PfKeyFault fault)
            ? string.Join(' ', message.Extensions.OrderBy(static e => e.Type).Select(e => Words(e, message)).OfType<string>().Prepend(head))
            : header.Error == PfKeyError.None ? $"{head} malformed: {fault.Why}" : head;
    }

    private static string? Words(PfKeyExtension extension, PfKeyMessage message) => extension switch
    {
        KeyExtension when message.Header.Type is not (PfKeyType.Get or PfKeyType.Dump) => null,
        LifetimeExtension when message.Find<SaExtension>(PfKeyExtensionType.Sa) is { State: PfKeySaState.Larval } => null,
        AddressExtension { Type: not (PfKeyExtensionType.AddressSource or PfKeyExtensionType.AddressDestination) } or Sa2Extension { Mode: PfKeyMode.Transport, RequestId: 0 } => null,
        SaExtension sa => string.Create(CultureInfo.InvariantCulture, $"sa={sa.Spi:x}/{sa.State}/{sa.Authentication}/{sa.Encryption}"),
        AddressExtension address => $"{(address.Type == PfKeyExtensionType.AddressSource ? "from" : "to")}={address.Address}",
        KeyExtension key => $"key={Convert.ToHexStringLower(key.Key.Reveal())}",
        LifetimeExtension { Type: PfKeyExtensionType.LifetimeHard } hard => hard.Added == 0 ? null : $"hard={hard.Added}",
        Sa2Extension sa2 => $"{sa2.Mode}/{sa2.RequestId}",
        PolicyExtension policy => $"{policy.Direction}/{policy.Kind}/{policy.Priority}[{string.Join(',', policy.Requests.Select(static r => $"{r.Protocol}/{r.Mode}/{r.Ends?.Source}>{r.Ends?.Destination}"))}]",
        SupportedExtension supported => $"supported={supported.Type == PfKeyExtensionType.SupportedEncryption}:{string.Join(',', supported.Algorithms.Select(static a => a.Id).Order())}",
        _ => null,
    };

    private static List<(string Name, byte[] Message)> Make()
    {
        List<(string Name, byte[] Message)> script = [];
        void Say(string name, PfKeyType type, PfKeySaType of, params PfKeyExtension[] extensions) =>
            script.Add((name, PfKeyWriter.Write(new PfKeyMessage(new PfKeyHeader(type, PfKeyError.None, of, (uint)script.Count + 1, 77), [.. extensions]))));
        void Spoil(string name, Action<byte[]> how, params PfKeyExtension[] extensions)
        {
            Say(name, PfKeyType.Get, Esp, extensions);
            how(script[^1].Message);
        }

        PfKeyExtension[] ends = [From(Left), To(Right)], back = [From(Right), To(Left)], keys = [Encrypts(), Authenticates()];
        PfKeyExtension[] selectors = [From("10.1.0.0/24"), To("10.2.0.0/24")];
        Say("register ESP", PfKeyType.Register, Esp);
        Say("register no type", PfKeyType.Register, None);
        Say("dump nothing", PfKeyType.Dump, None);
        Say("getspi", PfKeyType.GetSpi, Esp, [.. back, new SpiRangeExtension(0x1000, 0x1000), Tunnel(5)]);
        Say("getspi again", PfKeyType.GetSpi, Esp, [.. back, new SpiRangeExtension(0x1000, 0x1000), Tunnel(5)]);
        Say("getspi backwards", PfKeyType.GetSpi, Esp, [.. back, new SpiRangeExtension(0x1001, 0x1000)]);
        Say("getspi without ends", PfKeyType.GetSpi, Esp, new SpiRangeExtension(0x1000, 0x1000));
        Say("getspi of no type", PfKeyType.GetSpi, None, back);
        Say("get larval", PfKeyType.Get, Esp, [Sa(0x1000), .. back]);
        Say("update larval", PfKeyType.Update, Esp, [Sa(0x1000), .. back, .. keys, Tunnel(5), Hard(seconds: 600), Soft(seconds: 500)]);
        Say("update mature", PfKeyType.Update, Esp, [Sa(0x1000), .. back, .. keys, Tunnel(5), Hard(seconds: 900), Soft(seconds: 800)]);
        Say("get", PfKeyType.Get, Esp, [Sa(0x1000), .. back]);
        Say("get of another type", PfKeyType.Get, Ah, [Sa(0x1000), .. back]);
        Say("get at another end", PfKeyType.Get, Esp, [Sa(0x1000), .. ends]);
        Say("get no SA", PfKeyType.Get, Esp, back);
        Say("add", PfKeyType.Add, Esp, [Sa(0x2000), .. ends, .. keys, Tunnel(5)]);
        Say("add again", PfKeyType.Add, Esp, [Sa(0x2000), .. ends, .. keys, Tunnel(5)]);
        Say("add over IPv6", PfKeyType.Add, Esp, [Sa(0x2001), From("2001:db8::1"), To("2001:db8::2"), .. keys]);
        Say("add AH", PfKeyType.Add, Ah, [Sa(0x2002, encryption: 0), .. ends, Authenticates()]);
        Say("dump ESP", PfKeyType.Dump, Esp);
        Say("add AES-GCM", PfKeyType.Add, Esp, [Sa(0x2003, 20, 0), .. ends, Encrypts(20)]);
        Say("add of two families", PfKeyType.Add, Esp, [Sa(0x2004), From(Left), To("2001:db8::2"), .. keys]);
        Say("add larval", PfKeyType.Add, Esp, [Sa(0x2004, state: PfKeySaState.Larval), .. ends, .. keys]);
        Say("add an unknown cipher", PfKeyType.Add, Esp, [Sa(0x2005, 99), .. ends, .. keys]);
        Say("add without a key", PfKeyType.Add, Esp, [Sa(0x2006), .. ends, Authenticates()]);
        Say("add with a short key", PfKeyType.Add, Esp, [Sa(0x2007), .. ends, Encrypts(15), Authenticates()]);
        Say("add without integrity", PfKeyType.Add, Esp, [Sa(0x2008, authentication: 0), .. ends, Encrypts()]);
        Say("add with a hard limit alone", PfKeyType.Add, Esp, [Sa(0x2009), .. ends, .. keys, Hard(seconds: 600)]);
        Say("delete", PfKeyType.Delete, Esp, [Sa(0x2000), .. ends]);
        Say("delete again", PfKeyType.Delete, Esp, [Sa(0x2000), .. ends]);
        Say("update what is gone", PfKeyType.Update, Esp, [Sa(0x2000), .. ends, .. keys]);
        Say("flush AH", PfKeyType.Flush, Ah);
        Say("flush", PfKeyType.Flush, None);
        Say("flush nothing", PfKeyType.Flush, None);
        Say("acquire without a proposal", PfKeyType.Acquire, Esp, ends);
        Say("dump no policies", PfKeyType.PolicyDump, None);
        Say("spdadd", PfKeyType.PolicyAdd, None, [.. selectors, Through(PfKeyDirection.Out, Left, Right)]);
        Say("spdadd again", PfKeyType.PolicyAdd, None, [.. selectors, Through(PfKeyDirection.Out, Left, Right)]);
        Say("spdget by number", PfKeyType.PolicyGet, None, Policy(PfKeyDirection.Out, PfKeyPolicyType.Ipsec));
        Say("spdupdate", PfKeyType.PolicyUpdate, None, [.. selectors, Policy(PfKeyDirection.Out, PfKeyPolicyType.Discard, 9)]);
        Say("spdadd in", PfKeyType.PolicyAdd, None, [To("10.1.0.0/24"), From("10.2.0.0/24"), Through(PfKeyDirection.In, Right, Left)]);
        Say("spddump", PfKeyType.PolicyDump, None);
        Say("spddelete2 by number", PfKeyType.PolicyDeleteById, None, Policy(PfKeyDirection.In, PfKeyPolicyType.Ipsec));
        Say("spddelete", PfKeyType.PolicyDelete, None, [.. selectors, Policy(PfKeyDirection.Out, PfKeyPolicyType.None)]);
        Say("spddelete again", PfKeyType.PolicyDelete, None, [.. selectors, Policy(PfKeyDirection.Out, PfKeyPolicyType.None)]);
        Say("spdadd without a policy", PfKeyType.PolicyAdd, None, selectors);
        Say("spdadd without a direction", PfKeyType.PolicyAdd, None, [.. selectors, Policy(PfKeyDirection.Any, PfKeyPolicyType.None)]);
        Say("spdadd of a socket", PfKeyType.PolicyAdd, None, [.. selectors, Policy(PfKeyDirection.Out, PfKeyPolicyType.Bypass)]);
        Say("spdsetidx", PfKeyType.PolicySetIndex, None, [.. selectors, Policy(PfKeyDirection.Out, PfKeyPolicyType.None)]);
        Say("spdflush", PfKeyType.PolicyFlush, None);
        Say("migrate nothing", PfKeyType.Migrate, None, [.. selectors, Policy(PfKeyDirection.Out, PfKeyPolicyType.Ipsec, 0, TunnelBetween(Left, Right), TunnelBetween(Left, "203.0.113.7"))]);
        Say("promisc", PfKeyType.Promiscuous, None);
        Spoil("version 1", static m => m[0] = 1, [Sa(1), .. ends]);
        Spoil("an unknown type", static m => m[1] = 99, [Sa(1), .. ends]);
        Spoil("an unknown SA type", static m => m[3] = 99, [Sa(1), .. ends]);
        Spoil("a wrong length", static m => m[4]++, [Sa(1), .. ends]);
        Spoil("an extension too long", static m => m[16] = 200, [Sa(1), .. ends]);
        Spoil("an extension of no length", static m => m[16] = 0, [Sa(1), .. ends]);
        Spoil("an extension twice", static m => m[34] = 1, Sa(0x1000), Sa(0x1001), From(Left), To(Right));
        Spoil("an unknown extension", static m => m[18] = 200, [new SpiRangeExtension(1, 2), Sa(1), .. ends]);
        return script;
    }
}
