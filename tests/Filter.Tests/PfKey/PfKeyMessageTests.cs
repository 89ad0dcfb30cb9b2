using System.Runtime.InteropServices;
using Filter.Engine.Packets;
using Filter.Ipsec.PfKey;
using Filter.Ipsec.PfKey.Messages;
using static Filter.Tests.PfKey.Spelling;

namespace Filter.Tests.PfKey;

/// <summary>Bytes of messages: what is written is read back, and what is malformed is an error with its number.</summary>
public sealed class PfKeyMessageTests
{
    private static readonly PfKeyHeader s_header = new(PfKeyType.Add, PfKeyError.None, PfKeySaType.Esp, 5, 77);

    /// <summary>One of each extension.</summary>
    internal static PfKeyExtension[] OneOfEach =>
    [
        Sa(0x1234), new LifetimeExtension(PfKeyExtensionType.LifetimeCurrent, 1, 2, 3, 4), Hard(5, 6, 7), Soft(8, 9, 10),
        From("2001:db8::1", 17, 500), To("2001:db8::2/64"), At(PfKeyExtensionType.AddressProxy, "10.0.0.0/8"),
        Authenticates(), Encrypts(17), Identity(PfKeyExtensionType.IdentitySource, "a.example"), Identity(PfKeyExtensionType.IdentityDestination, "b.example"),
        new OpaqueExtension(PfKeyExtensionType.Sensitivity, [.. new byte[12]]), PfKeyAlgorithms.Proposal(PfKeySaType.Esp, legacy: true),
        .. PfKeyAlgorithms.Supported(PfKeySaType.Esp, legacy: true), new SpiRangeExtension(256, 0x1000), new OpaqueExtension(PfKeyExtensionType.KeyManagerPrivate, [1, 2, 3, 4]),
        Policy(PfKeyDirection.Out, PfKeyPolicyType.Ipsec, 9, new PfKeyRequest(51, PfKeyMode.Transport, PfKeyLevel.Require, 3, null), TunnelBetween("2001:db8::1", "2001:db8::2", 4)),
        new Sa2Extension(PfKeyMode.Tunnel, 7, 8), new NatTypeExtension(2), new NatPortExtension(PfKeyExtensionType.NatSourcePort, 4500),
        new NatPortExtension(PfKeyExtensionType.NatDestinationPort, 4501), At(PfKeyExtensionType.NatOriginalAddress, "10.0.0.1"),
        new KeyManagerAddressExtension(Address.Parse("2001:db8::3"), Address.Parse("2001:db8::4")), new OpaqueExtension(PfKeyExtensionType.Filter, [.. new byte[36]]),
    ];

    [Fact]
    public void What_is_written_is_read_back()
    {
        PfKeyExtension[] all = OneOfEach;
        byte[] bytes = PfKeyWriter.Write(new PfKeyMessage(s_header, [.. all]));

        Assert.True(PfKeyReader.TryRead(bytes, out PfKeyMessage? read, out PfKeyFault fault), fault.Why);
        Assert.Equal(s_header, read.Header);
        Assert.Equal(all.Select(static e => e.Type), read.Extensions.Select(static e => e.Type));
        Assert.Equal(Enumerable.Range(1, 26).Except([24]), read.Extensions.Select(static e => (int)e.Type).Order());
        Assert.Equal(bytes, PfKeyWriter.Write(read));
        Assert.Equal("2001:db8::2/64", read.Find<AddressExtension>(PfKeyExtensionType.AddressDestination)!.Prefix.ToString().Replace("2001:db8::/", "2001:db8::2/", StringComparison.Ordinal));
        PfKeyRequest tunnel = read.Find<PolicyExtension>(PfKeyExtensionType.Policy)!.Requests[1];
        Assert.Equal((Address.Parse("2001:db8::1"), Address.Parse("2001:db8::2")), tunnel.Ends);
    }

    [Fact]
    public void Bytes_lie_as_RFC_2367_has_them()
    {
        byte[] bytes = PfKeyWriter.Write(new PfKeyMessage(s_header, [Sa(0x01020304), From("192.0.2.1", 6, 80), Encrypts(5, 9)]));

        Assert.Equal(0, bytes.Length % 8);
        Assert.Equal((2, 3, 0, 3), (bytes[0], bytes[1], bytes[2], bytes[3]));
        Assert.Equal(bytes.Length / 8, MemoryMarshal.Read<ushort>(bytes.AsSpan(4)));
        Assert.Equal((2, 1), (MemoryMarshal.Read<ushort>(bytes.AsSpan(16)), MemoryMarshal.Read<ushort>(bytes.AsSpan(18))));
        Assert.Equal("01020304", Convert.ToHexString(bytes.AsSpan(20, 4)));         // an SPI is in network order
        Assert.Equal("0620000002000050C0000201", Convert.ToHexString(bytes.AsSpan(36, 12)));   // protocol, prefix, and a sockaddr_in
        Assert.Equal((2, 9, 40), (MemoryMarshal.Read<ushort>(bytes.AsSpan(56)), bytes[58], MemoryMarshal.Read<ushort>(bytes.AsSpan(60))));
        Assert.Equal("090C0F1215000000", Convert.ToHexString(bytes.AsSpan(64, 8)));    // a key is padded to 64 bits
    }

    [Theory]
    [InlineData(0, 1, PfKeyError.Invalid)]         // version 1
    [InlineData(1, 0, PfKeyError.Invalid)]         // no type
    [InlineData(1, 25, PfKeyError.Invalid)]        // an unknown type
    [InlineData(3, 10, PfKeyError.Invalid)]        // an unknown type of SA
    [InlineData(4, 3, PfKeyError.MessageSize)]     // a length that is not the message's
    [InlineData(6, 1, PfKeyError.Invalid)]         // a reserved field
    [InlineData(16, 0, PfKeyError.Invalid)]        // an extension of no length
    [InlineData(16, 9, PfKeyError.Invalid)]        // one longer than the message
    [InlineData(16, 1, PfKeyError.Invalid)]        // one shorter than its kind
    [InlineData(18, 0, PfKeyError.Invalid)]        // of type 0
    [InlineData(18, 6, PfKeyError.Invalid)]        // twice the same
    [InlineData(25, 9, PfKeyError.Invalid)]        // a state that is none
    [InlineData(37, 33, PfKeyError.Invalid)]       // more bits than an IPv4 address has
    [InlineData(40, 17, PfKeyError.Invalid)]       // a family of neither
    public void A_byte_that_must_not_be_is_an_error_with_its_number(int at, byte value, PfKeyError error)
    {
        byte[] bytes = PfKeyWriter.Write(new PfKeyMessage(s_header, [Sa(0x1234), From("192.0.2.1"), To("192.0.2.2")]));
        Assert.True(PfKeyReader.TryRead(bytes, out _, out _));
        bytes[at] = value;

        Assert.False(PfKeyReader.TryRead(bytes, out PfKeyMessage? none, out PfKeyFault fault));
        Assert.Null(none);
        Assert.Equal(error, fault.Error);
        Assert.NotEmpty(fault.Why);
    }

    [Fact]
    public void An_unknown_extension_is_passed_over()
    {
        byte[] bytes = [.. PfKeyWriter.Write(new PfKeyMessage(s_header, [Sa(0x1234)])), 2, 0, 0xff, 0x7f, .. new byte[12]];
        bytes[4] += 2;

        Assert.True(PfKeyReader.TryRead(bytes, out PfKeyMessage? read, out _));
        Assert.Single(read.Extensions);
    }

    [Fact]
    public void Every_message_cut_short_and_every_byte_changed_is_read_or_refused()
    {
        foreach (PfKeyExtension extension in OneOfEach)
        {
            byte[] whole = PfKeyWriter.Write(new PfKeyMessage(s_header, [extension]));
            for (int length = 0; length < whole.Length; length++)
            {
                Assert.False(PfKeyReader.TryRead(whole.AsSpan(0, length), out _, out PfKeyFault fault));
                Assert.Equal(PfKeyError.MessageSize, fault.Error);
            }

            for (int at = PfKeyHeader.Length; at < whole.Length; at++)
            {
                foreach (byte value in (byte[])[0, 1, 2, 7, 8, 0x7f, 0x80, 0xff])
                {
                    byte[] changed = [.. whole];
                    changed[at] = value;
                    if (PfKeyReader.TryRead(changed, out PfKeyMessage? read, out _))
                    {
                        Assert.True(PfKeyReader.TryRead(PfKeyWriter.Write(read), out _, out PfKeyFault fault), fault.Why);
                    }
                }
            }
        }
    }

    [Fact]
    public void A_key_is_wiped_with_its_message_and_shown_by_nothing()
    {
        byte[] bytes = PfKeyWriter.Write(new PfKeyMessage(s_header, [Encrypts(16, 0x41)]));
        Assert.True(PfKeyReader.TryRead(bytes, out PfKeyMessage? read, out _));
        KeyExtension key = read.Find<KeyExtension>(PfKeyExtensionType.KeyEncryption)!;

        Assert.DoesNotContain("41", key.ToString(), StringComparison.Ordinal);
        read.Dispose();
        Assert.All(key.Key.Reveal().ToArray(), static b => Assert.Equal(0, b));
    }

    /// <summary>Random messages, and random changes of good ones, are answered or refused, and the engine stays whole.</summary>
    [Fact]
    public void Whatever_comes_is_answered_and_ends_nothing()
    {
        Random random = Fuzzing.Seeded(out int seed);
        using PfKeyTalk talk = new(Left, legacy: true);
        for (int round = 0; round < Fuzzing.Rounds(20_000); round++)
        {
            byte[] message = PfKeyScript.RandomMessage(random);
            talk.Tell(message);
            if (round % 500 == 0)
            {
                talk.Pass(30);
                talk.Manager.Forget();
            }
        }

        talk.Manager.Forget();
        Assert.True(talk.Must(PfKeyType.Flush, PfKeySaType.Unspecified).Header.Error == PfKeyError.None, $"seed {seed}");
        talk.Must(PfKeyType.PolicyFlush, PfKeySaType.Unspecified);
        Assert.Equal(0, talk.Stage.Sad.Count);
    }
}
