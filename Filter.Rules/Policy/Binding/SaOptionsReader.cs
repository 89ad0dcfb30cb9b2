using Filter.Rules.Syntax;

namespace Filter.Rules.Policy.Binding;

/// <summary>Reads what an SA may say beside its ends, its suite and its keys.</summary>
/// <param name="found">Where findings go.</param>
internal sealed class SaOptionsReader(Diagnostics found)
{
    private const byte Ah = 51;
    private const int LongestPacket = 65535;
    private const long MostPackets = 100_000_000_000_000;
    private const long LongestKeepAlive = 3_600_000_000_000;

    private static readonly string[] s_udpKeys = ["port", "remote-port", "keep-alive"];
    private static readonly string[] s_lifetimeKeys = ["soft", "hard"];
    private static readonly string[] s_limitKeys = ["bytes", "packets", "time"];
    private static readonly string[] s_outerKeys = ["df", "dscp", "ecn", "ttl"];
    private static readonly string[] s_paddingKeys = ["to", "dummies"];

    /// <summary>The keys.</summary>
    public static string[] Keys { get; } = ["replay", "esn", "udp", "lifetime", "dscp", "outer", "padding", "fragment", "mss", "ah-align"];

    /// <summary>The settings with all that is said of them.</summary>
    public SaSettings Read(Fields fields, SaSettings settings)
    {
        RefuseOfTunnels(fields, settings.Mode);
        (SaLifetime soft, SaLifetime hard) = Lifetime(fields["lifetime"]);
        return settings with
        {
            ReplayWindow = Window(fields["replay"]),
            ExtendedSequence = ExtendedSequence(fields),
            Encapsulation = Encapsulation(fields, settings.Protocol),
            Soft = soft,
            Hard = hard,
            Dscps = Dscps(fields["dscp"]),
            Outer = Outer(fields["outer"], settings.Remote),
            Padding = Padding(fields, settings.Protocol),
            FragmentAfterSealing = Values.Word(fields["fragment"], "'fragment'", found, ("before", false), ("after", true)) ?? false,
            ClampMss = Values.Word(fields["mss"], "'mss'", found, ("clamp", true)) ?? false,
            AhAlignment = AhAlignment(fields, settings),
        };
    }

    private static void RefuseOfTunnels(Fields fields, IpsecMode mode)
    {
        if (mode == IpsecMode.Transport)
        {
            fields.Refuse("belongs to a tunnel: in transport mode there is no outer header", "leave it out, or write mode: tunnel", "outer");
            fields.Refuse("belongs to a tunnel: in transport mode the padding could not be told from the data (RFC 4303 §2.7)", "leave it out, or write mode: tunnel", "padding");
            fields.Refuse("belongs to a tunnel: transport mode seals whole packets (RFC 4303 §3.3.4)", "leave it out, or write mode: tunnel", "fragment");
        }
    }

    private int Window(Node? node) =>
        node is ScalarNode { Text: "off" } ? 0
        : (int)(Values.Number(node, "'replay' is off, or its window", 32, 65536, found) ?? SaSettings.OrdinaryWindow);

    private bool ExtendedSequence(Fields fields)
    {
        bool extended = Values.Flag(fields["esn"], "'esn'", found);
        if (extended && fields["replay"] is ScalarNode { Text: "off" })
        {
            found.Error(fields.KeyAt("esn"), "'esn' needs a replay window: the upper half of the number is not sent, but follows from it (RFC 4303 §2.2.1)", "leave out replay: off, or esn: true");
        }

        return extended;
    }

    private UdpEncapsulation? Encapsulation(Fields fields, byte protocol)
    {
        if (fields["udp"] is not { } node || Fields.Of(node, "'udp'", found, s_udpKeys) is not { } udp)
        {
            return null;
        }

        if (protocol == Ah)
        {
            found.Error(fields.KeyAt("udp"), "AH does not pass what translates addresses: they are under its ICV (RFC 3948 §1)", "write protocol: esp, or leave out 'udp'");
        }

        UdpEncapsulation usual = new(4500, 4500);
        long local = Values.Number(udp["port"], "'port'", 1, ushort.MaxValue, found) ?? usual.LocalPort;
        long remote = Values.Number(udp["remote-port"], "'remote-port'", 1, ushort.MaxValue, found) ?? usual.RemotePort;
        long keepAlive = Times.OffOr(udp["keep-alive"], "'keep-alive'", 1_000_000_000, LongestKeepAlive, found) ?? usual.KeepAlive;
        return new UdpEncapsulation((ushort)local, (ushort)remote, keepAlive);
    }

    private (SaLifetime Soft, SaLifetime Hard) Lifetime(Node? node)
    {
        if (node is null || Fields.Of(node, "'lifetime'", found, s_lifetimeKeys) is not { } fields)
        {
            return default;
        }

        SaLifetime soft = Limits(fields["soft"], "'soft'"), hard = Limits(fields["hard"], "'hard'");
        foreach ((string what, long early, long late) in (ReadOnlySpan<(string, long, long)>)
            [("bytes", soft.Bytes, hard.Bytes), ("packets", soft.Packets, hard.Packets), ("time", soft.Nanoseconds, hard.Nanoseconds)])
        {
            if (early > 0 && late > 0 && early >= late)
            {
                found.Error((fields["soft"] as MapNode)!.FindKey(what)!.At, $"the soft limit of '{what}' is not below the hard one", "the soft limit asks for a new SA, which needs time before the hard one ends this");
            }
        }

        return (soft, hard);
    }

    private SaLifetime Limits(Node? node, string what) =>
        node is null || Fields.Of(node, what, found, s_limitKeys) is not { } fields ? default
        : new SaLifetime(
            Bytes(fields["bytes"]) ?? 0,
            Values.Number(fields["packets"], "'packets'", 1, MostPackets, found) ?? 0,
            Values.Duration(fields["time"], "'time'", found) ?? 0);

    /// <summary>A number of bytes, with or without its unit: <c>500 MB</c>.</summary>
    private long? Bytes(Node? node)
    {
        if (Values.Text(node, "'bytes'", found) is not { } text)
        {
            return null;
        }

        string[] words = text.Value.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        long unit = words.Length == 1 ? 1 : words.Length != 2 ? 0 : words[1] switch
        {
            "kB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "TB" => 1_000_000_000_000,
            _ => 0,
        };
        if (unit > 0 && Values.TryNumber(words[0], out long count) && count > 0 && count <= (long.MaxValue >> 2) / unit)
        {
            return count * unit;
        }

        found.Error(text.At, $"{Wording.Quote(text.Value)} is not a number of bytes", "write 500000, 500 kB, 500 MB, 1 GB or 2 TB");
        return null;
    }

    private ulong Dscps(Node? node)
    {
        ulong dscps = 0;
        foreach (Node entry in Values.Each(node))
        {
            dscps |= Values.Text(entry, "an entry of 'dscp'", found) is { } text ? DscpWords.Read(text, found) : 0;
        }

        if (node is ListNode { Items.Count: 0 })
        {
            found.Error(node.At, "'dscp' is an empty list, which matches nothing", "leave the key out to match everything");
        }

        return dscps;
    }

    private OuterHeader Outer(Node? node, Engine.Packets.Address? remote)
    {
        OuterHeader outer = OuterHeader.Default;
        if (node is null || Fields.Of(node, "'outer'", found, s_outerKeys) is not { } fields)
        {
            return outer;
        }

        if (remote is { IsIPv4: false })
        {
            fields.Refuse("is a bit of IPv4, and the outer header is IPv6", "leave it out: routers do not cut IPv6", "df");
        }

        byte? dscp = null;
        if (fields["dscp"] is { } written && written is not ScalarNode { Text: "copy" } && Values.Text(written, "'dscp'", found) is { } text)
        {
            ulong bit = DscpWords.Read(text, found);
            dscp = bit == 0 ? null : (byte)System.Numerics.BitOperations.TrailingZeroCount(bit);
        }

        return new OuterHeader(
            Values.Word(fields["df"], "'df'", found, ("copy", DontFragmentBit.Copy), ("set", DontFragmentBit.Set), ("clear", DontFragmentBit.Clear)) ?? outer.DontFragment,
            dscp,
            (byte)(Values.Number(fields["ttl"], "'ttl'", 1, 255, found) ?? outer.HopLimit),
            Values.Word(fields["ecn"], "'ecn'", found, ("copy", true), ("off", false)) ?? outer.CopyEcn);
    }

    private TrafficPadding Padding(Fields fields, byte protocol)
    {
        if (fields["padding"] is not { } node || Fields.Of(node, "'padding'", found, s_paddingKeys) is not { } padding)
        {
            return default;
        }

        if (protocol == Ah)
        {
            found.Error(fields.KeyAt("padding"), "AH hides nothing, so there is nothing that padding could hide", "write protocol: esp, or leave out 'padding'");
        }

        return new TrafficPadding(
            (int)(Values.Number(padding["to"], "'to' is the length of inner packets, and", 1, LongestPacket, found) ?? 0),
            Times.OffOr(padding["dummies"], "'dummies'", 10_000_000, long.MaxValue, found) ?? 0);
    }

    private int AhAlignment(Fields fields, SaSettings settings)
    {
        int? said = Values.Word(fields["ah-align"], "'ah-align'", found, ("4", 4), ("8", 8));
        if (said is not null && settings.Protocol != Ah)
        {
            found.Error(fields.KeyAt("ah-align"), "'ah-align' says how AH is padded, and this SA is ESP", "write protocol: ah, or leave out 'ah-align'");
        }
        else if (said == 4 && settings.Remote is { IsIPv4: false })
        {
            found.Error(fields["ah-align"]!.At, "over IPv6 AH is padded to 8 bytes always (RFC 4302 §2.6)", "leave out 'ah-align'");
        }

        return said ?? SaSettings.OrdinaryAhAlignment;
    }
}
