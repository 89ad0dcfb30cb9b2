using System.Buffers.Binary;
using Filter.Ipsec.Ike.Crypto;
using Filter.Ipsec.Ike.Payloads;

namespace Filter.Tests.Ike;

/// <summary>What strangers send: oversized, looping, empty, cut off, critical, lying. Each is refused with its reason, and nothing throws.</summary>
public sealed class HostilePayloadTests
{
    private const byte Critical = 0x80;

    [Fact]
    public void A_message_is_as_long_as_its_datagram_and_not_shorter_than_a_header()
    {
        byte[] good = Message(PayloadType.None);
        Assert.Equal(IkeFaultKind.None, Fault(good));
        Assert.Equal(IkeFaultKind.Malformed, Fault(good[..27]));
        Assert.Equal(IkeFaultKind.Malformed, Fault([]));
        Assert.Equal(IkeFaultKind.Malformed, Fault([.. good, 0]));
        good[27]++;
        Assert.Equal(IkeFaultKind.Malformed, Fault(good));
        good[24] = 0xff;
        Assert.Equal(IkeFaultKind.Malformed, Fault(good));
    }

    [Fact]
    public void An_initiator_without_an_SPI_is_none()
    {
        byte[] message = Message(PayloadType.None);
        message.AsSpan(0, 8).Clear();
        Assert.Equal(IkeFaultKind.Malformed, Fault(message));
    }

    [Theory]
    [InlineData(0x10)]
    [InlineData(0x30)]
    [InlineData(0xf0)]
    public void Another_version_is_told_from_what_is_malformed(byte version)
    {
        byte[] message = Message(PayloadType.None);
        message[17] = version;
        Assert.Equal(IkeFaultKind.WrongVersion, Fault(message));
    }

    /// <summary>RFC 7296 §2.5: another minor version is read as ours, and reserved flags as if they were not.</summary>
    [Fact]
    public void A_later_minor_version_and_flags_that_nobody_knows_are_passed_over()
    {
        byte[] message = Message(PayloadType.None);
        message[17] = 0x2f;
        message[19] = 0xd7;
        Assert.Equal(IkeFaultKind.None, Fault(message));
    }

    [Theory]
    [InlineData("2b000000", "a payload that has no length, and so would never end")]
    [InlineData("2b000003", "one that ends within its own header")]
    [InlineData("2b00ffff", "one longer than the message")]
    [InlineData("2b0000", "half a header")]
    [InlineData("2b000004", "another that is said to follow, and does not")]
    [InlineData("00000004ff", "a byte behind the last")]
    public void A_chain_of_payloads_ends_where_the_message_does(string bytes, string what) =>
        Assert.True(Fault(Message(PayloadType.VendorId, Convert.FromHexString(bytes))) == IkeFaultKind.Malformed, what);

    [Fact]
    public void More_payloads_than_anybody_has_are_too_many()
    {
        byte[] vendor = [(byte)PayloadType.VendorId, 0, 0, 4];
        byte[] Many(int count) => Message(PayloadType.VendorId, [.. Enumerable.Repeat(vendor, count - 1).SelectMany(static v => v), 0, 0, 0, 4]);
        Assert.Equal(IkeFaultKind.None, Fault(Many(128)));
        Assert.Equal(IkeFaultKind.TooMany, Fault(Many(129)));
        Assert.Equal(IkeFaultKind.TooMany, Fault(Many(16_000)));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(32)]
    [InlineData(49)]
    [InlineData(54)]
    [InlineData(255)]
    public void An_unknown_payload_is_passed_over_unless_it_is_critical(byte type)
    {
        Assert.Equal(IkeFaultKind.None, Fault(Message((PayloadType)type, [0, 0, 0, 5, 1])));
        Assert.False(IkeCodec.TryRead(Message((PayloadType)type, [0, Critical, 0, 5, 1]), out IkeMessage? message, out IkeFault fault));
        Assert.Null(message);
        Assert.Equal((IkeFaultKind.UnsupportedCritical, type), (fault.Kind, fault.Payload));
    }

    /// <summary>RFC 7296 §2.5: of those that are known the flag is ignored.</summary>
    [Fact]
    public void The_critical_flag_says_nothing_of_payloads_that_are_known() =>
        Assert.Equal(IkeFaultKind.None, Fault(Message(PayloadType.Nonce, [0, Critical, 0, 20, .. new byte[16]])));

    [Fact]
    public void Of_what_comes_once_there_are_not_two()
    {
        byte[] nonce = [0, 0, 0, 20, .. new byte[16]];
        Assert.Equal(IkeFaultKind.None, Fault(Message(PayloadType.Nonce, nonce)));
        Assert.Equal(IkeFaultKind.Malformed, Fault(Message(PayloadType.Nonce, [(byte)PayloadType.Nonce, .. nonce[1..], .. nonce])));
    }

    [Theory]
    [InlineData(PayloadType.Encrypted)]
    [InlineData(PayloadType.EncryptedFragment)]
    public void What_is_encrypted_is_not_read_as_if_it_were_clear(PayloadType type) =>
        Assert.Equal(IkeFaultKind.WrongProtection, Fault(Message(type, [0, 0, 0, 8, 1, 2, 3, 4])));

    [Theory]
    [InlineData(PayloadType.Sa, "")]
    [InlineData(PayloadType.Sa, "00000008010100")]
    [InlineData(PayloadType.Sa, "0000000001010000")]
    [InlineData(PayloadType.Sa, "000000ff01010000")]
    [InlineData(PayloadType.Sa, "0100000801010000")]
    [InlineData(PayloadType.Sa, "0200000801010000")]
    [InlineData(PayloadType.Sa, "0000000801010001")]
    [InlineData(PayloadType.Sa, "0000000801010900")]
    [InlineData(PayloadType.Sa, "000000100101040001020304aabbccdd")]
    [InlineData(PayloadType.Sa, "00000008010300000000")]
    [InlineData(PayloadType.Sa, "0000001001010001030000080100000c")]
    [InlineData(PayloadType.Sa, "0000001001010001000000000100000c")]
    [InlineData(PayloadType.Sa, "0000001001010001000000070100000c")]
    [InlineData(PayloadType.Sa, "00000010010100010000000c0100000c")]
    [InlineData(PayloadType.Sa, "00000012010100010000000a0100000c800e")]
    [InlineData(PayloadType.Sa, "00000014010100010000000c0100000c000effff")]
    [InlineData(PayloadType.Sa, "0000001401010001000000080100000c00000000")]
    [InlineData(PayloadType.KeyExchange, "")]
    [InlineData(PayloadType.KeyExchange, "001f0000")]
    [InlineData(PayloadType.IdInitiator, "010000")]
    [InlineData(PayloadType.IdInitiator, "01000000c00002")]
    [InlineData(PayloadType.IdResponder, "05000000c0000201")]
    [InlineData(PayloadType.IdResponder, "02000000")]
    [InlineData(PayloadType.IdResponder, "0b000000")]
    [InlineData(PayloadType.IdResponder, "0d00000001")]
    [InlineData(PayloadType.IdInitiator, "0900000030800000")]
    [InlineData(PayloadType.IdInitiator, "090000003005310331")]
    [InlineData(PayloadType.Certificate, "")]
    [InlineData(PayloadType.Certificate, "04")]
    [InlineData(PayloadType.CertificateRequest, "")]
    [InlineData(PayloadType.CertificateRequest, "0401")]
    [InlineData(PayloadType.Authentication, "02000000")]
    [InlineData(PayloadType.Nonce, "")]
    [InlineData(PayloadType.Nonce, "000102030405060708090a0b0c0d0e")]
    [InlineData(PayloadType.Notify, "000000")]
    [InlineData(PayloadType.Notify, "03ff4009")]
    [InlineData(PayloadType.Notify, "03044009010203")]
    [InlineData(PayloadType.Delete, "010000")]
    [InlineData(PayloadType.Delete, "01000001")]
    [InlineData(PayloadType.Delete, "0304ffff00000001")]
    [InlineData(PayloadType.Delete, "0308000100000001")]
    [InlineData(PayloadType.Delete, "0304000100000001ff")]
    [InlineData(PayloadType.Delete, "0904000100000001")]
    [InlineData(PayloadType.TsInitiator, "")]
    [InlineData(PayloadType.TsInitiator, "00000000")]
    [InlineData(PayloadType.TsInitiator, "0100000007000000")]
    [InlineData(PayloadType.TsInitiator, "01000000070000070000ffff")]
    [InlineData(PayloadType.TsInitiator, "01000000070000ff0000ffff0000000000000000")]
    [InlineData(PayloadType.TsInitiator, "02000000070000100000ffff0000000000000000")]
    [InlineData(PayloadType.TsInitiator, "01000000070000100000ffff0000000000000000ff")]
    [InlineData(PayloadType.TsResponder, "01000000070000100000ffff0a0000010a000000")]
    [InlineData(PayloadType.TsResponder, "0100000007000010000200010a0000010a000001")]
    [InlineData(PayloadType.TsResponder, "01000000080000280000ffff00000000000000000000ffff0a00000000000000000000000000ffff0aff0000")]
    [InlineData(PayloadType.TsResponder, "01000000080000100000ffff0a0000010a000001")]
    [InlineData(PayloadType.Configuration, "010000")]
    [InlineData(PayloadType.Configuration, "01000000000100")]
    [InlineData(PayloadType.Configuration, "0100000000010004c00002")]
    public void A_malformed_payload_names_its_type_and_its_fault(PayloadType type, string body)
    {
        byte[] bytes = Convert.FromHexString(body);
        Assert.False(IkeCodec.TryRead(Message(type, [0, 0, 0, (byte)(4 + bytes.Length), .. bytes]), out _, out IkeFault fault));
        Assert.Equal((IkeFaultKind.Malformed, (byte)type), (fault.Kind, fault.Payload));
        Assert.NotEmpty(fault.Text);
    }

    [Fact]
    public void A_nonce_is_not_longer_than_a_nonce_may_be()
    {
        byte[] Of(int length) => Message(PayloadType.Nonce, [0, 0, (byte)((4 + length) >> 8), (byte)(4 + length), .. new byte[length]]);
        Assert.Equal(IkeFaultKind.None, Fault(Of(256)));
        Assert.Equal(IkeFaultKind.Malformed, Fault(Of(257)));
    }

    [Fact]
    public void Thousands_of_proposals_and_transforms_are_not_read_to_the_end()
    {
        byte[] empty = [2, 0, 0, 8, 1, 1, 0, 0];
        byte[] proposals = [.. Enumerable.Repeat(empty, 8000).SelectMany(static p => p)];
        proposals[^8] = 0;
        Assert.Equal(IkeFaultKind.Malformed, Fault(Message(PayloadType.Sa, [0, 0, (byte)((4 + proposals.Length) >> 8), unchecked((byte)(4 + proposals.Length)), .. proposals])));
    }

    /// <summary>Types that are not known cannot be meant, and do not stand in the way of those that are.</summary>
    [Fact]
    public void Selectors_of_types_that_are_not_known_are_left_out_and_said_to_be()
    {
        byte[] body = Convert.FromHexString("020000000a00000800000000070000100000ffff0a0000000aff0000");
        Assert.True(IkeCodec.TryRead(Message(PayloadType.TsInitiator, [0, 0, 0, (byte)(4 + body.Length), .. body]), out IkeMessage? message, out _));
        TrafficSelectorPayload selectors = message.Selectors(ofInitiator: true)!;
        Assert.Single(selectors.Selectors);
        Assert.True(selectors.HasUnknownTypes);
    }

    [Fact]
    public void A_transform_with_an_attribute_that_is_not_known_can_be_chosen_by_nobody()
    {
        byte[] body = Convert.FromHexString("0000001801010001000000100100000c800e0100800f0001");
        Assert.True(IkeCodec.TryRead(Message(PayloadType.Sa, [0, 0, 0, (byte)(4 + body.Length), .. body]), out IkeMessage? message, out IkeFault fault), fault.Text);
        Transform transform = message.First<SaPayload>()!.Proposals[0].Transforms[0];
        Assert.Equal((256, true), (transform.KeyBits, transform.HasUnknownAttribute));
        Assert.Null(transform.Known);
    }

    [Fact]
    public void What_is_sealed_and_malformed_is_told_from_what_is_forged()
    {
        using IkeCipher cipher = CodecTests.Cipher("aes-cbc-128", "hmac-sha2-256-128");
        byte[] datagram = IkeCodec.Seal(CodecTests.Everything(), cipher, null)[0];

        // The type of the first payload inside is authenticated, and wrong here by the sender's own fault.
        byte[] wrongType = Resealed(datagram, cipher, static text => { }, first: PayloadType.Nonce);
        Assert.Equal(IkeFaultKind.Malformed, Opened(wrongType, cipher));
        Assert.Equal(IkeFaultKind.Malformed, Opened(Resealed(datagram, cipher, static text => text[^1] = 0xff), cipher));
        byte[] forged = [.. datagram];
        forged[^1] ^= 1;
        Assert.Equal(IkeFaultKind.BadIcv, Opened(forged, cipher));
    }

    [Fact]
    public void An_encrypted_payload_too_short_for_its_own_fields_is_refused()
    {
        using IkeCipher cipher = CodecTests.Cipher("aes-gcm-16-256", null);
        for (int length = 0; length < 25; length++)
        {
            byte[] message = Message(PayloadType.Encrypted, [0, 0, 0, (byte)(4 + length), .. new byte[length]]);
            Assert.Equal(IkeFaultKind.Malformed, Opened(message, cipher));
        }

        Assert.Equal(IkeFaultKind.WrongProtection, Opened(Message(PayloadType.None), cipher));
        Assert.Equal(IkeFaultKind.WrongProtection, Opened(Message(PayloadType.VendorId, [0, 0, 0, 4]), cipher));
        Assert.Equal(IkeFaultKind.Malformed, Opened(Message(PayloadType.Encrypted), cipher));
        Assert.Equal(IkeFaultKind.Malformed, Opened(Message(PayloadType.Encrypted, [0, 0, 0, 40, .. new byte[36], 0]), cipher));
    }

    internal static byte[] Message(PayloadType first, params byte[] payloads)
    {
        byte[] message = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, (byte)first, 0x20, (byte)ExchangeType.Informational, 8, 0, 0, 0, 0, 0, 0, 0, 0, .. payloads];
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(24), message.Length);
        return message;
    }

    private static IkeFaultKind Fault(byte[] datagram)
    {
        bool good = IkeCodec.TryRead(datagram, out IkeMessage? message, out IkeFault fault);
        Assert.Equal(good, message is not null);
        Assert.Equal(good, fault.Kind == IkeFaultKind.None);
        return fault.Kind;
    }

    private static IkeFaultKind Opened(byte[] datagram, IkeCipher cipher)
    {
        Assert.False(IkeCodec.TryOpen(datagram, CodecTests.Head(datagram), cipher, new FragmentCollector(), out IkeMessage? message, out IkeFault fault));
        Assert.Null(message);
        return fault.Kind;
    }

    /// <summary>Opened, changed and sealed again by who has the keys.</summary>
    private static byte[] Resealed(byte[] datagram, IkeCipher cipher, Action<Span<byte>> change, PayloadType? first = null)
    {
        byte[] message = [.. datagram];
        int ivAt = IkeHeader.Length + Payload.HeaderLength;
        Assert.True(Filter.Ipsec.Crypto.MessageSealer.Current.TryOpen(cipher.Key, message, ivAt));
        change(message.AsSpan((ivAt + 16)..^16));
        message[IkeHeader.Length] = (byte)(first ?? (PayloadType)message[IkeHeader.Length]);
        Filter.Ipsec.Crypto.MessageSealer.Current.Seal(cipher.Key, message, ivAt);
        return message;
    }
}
