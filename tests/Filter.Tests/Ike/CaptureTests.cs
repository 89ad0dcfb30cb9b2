using System.Globalization;
using Filter.Engine.Ports;
using Filter.Ipsec.Ike.Crypto;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Tests.Ike;

/// <summary>What other implementations said, recorded with its keys by the Wireshark project: opened, read, and written again.</summary>
public sealed class CaptureTests
{
    private const int EthernetIpUdp = 14 + 20 + 8;

    /// <summary>AUTH of both ends, as Wireshark reads them; the IDs of 3DES's integrity (HMAC_SHA1_160) are none that a proposal may have here.</summary>
    [Theory]
    [InlineData("ikev2-decrypt-aes128ccm12.pcap", "c335abf2598a6730a4c3ff3a9e3281c24f3899e1d02027f47dc065bc2c1eedca", "c2104394299e1ffe7908ea720ad5d13717a0d454e4fa0a2128ea689411f479c4")]
    [InlineData("ikev2-decrypt-aes192ctr.pcap", "3ec23dcf9348485638407c754547aeb3085290082c49f583fdbae59263a20b4a", "37cc3de8ba560cec4ed39aae24f19e5c94cc55654c060a322ecd1e72f7f791a2")]
    [InlineData("ikev2-decrypt-aes256cbc.pcapng", "e1a8d550064201a7ec024a85758d0673c61c5c510ac13bcd225d6327f50da3d3", "ebbc48efe986d5058f0d52a71f34986d1ab78f63c0fdde69164cd57638b1b048")]
    [InlineData("ikev2-decrypt-aes256ccm16.pcapng", "fa2e74bdc01e30fb0b3ddc9723c9449095969da51f69e560209d2c2b7940210a", "bf368b0105a598390eeb6b230ff279cd21ba70481370b19f0d7c739c69b97999")]
    [InlineData("ikev2-decrypt-aes256gcm16.pcap", "bc404a4c66a36c59a0b3fd700bbc5597176ad2c5e5df5bba82c4a6b6b4ef8b31", "9ab71f14ab553cad873a1aa70b99df155dee77cdcf3694b3b7527acbb9712ded")]
    [InlineData("ikev2-decrypt-aes256gcm8.pcap", "4a66d822d0afbc22ad9a92a2cf4287c920ad8ac3b069a4a7e75fe0a5d499f914", "fba50353f2535dab9804ca772fc7b2d19e85ffb48da87918a9a54bbd9975a078")]
    public void A_recorded_conversation_opens_with_its_keys(string file, string ofInitiator, string ofResponder)
    {
        List<byte[]> datagrams = Datagrams(file);
        IkeMessage answer = Clear(datagrams[1]);
        (IkeCipher initiators, IkeCipher responders) = Ciphers(answer);
        List<string> proofs = [];
        using (initiators)
        using (responders)
        {
            foreach (byte[] datagram in datagrams.Skip(2))
            {
                Assert.True(IkeHeader.TryRead(datagram, out IkeHeader header, out string? why), why);
                Assert.True(IkeCodec.TryOpen(datagram, header, header.FromInitiator ? initiators : responders, null, out IkeMessage? message, out IkeFault fault), fault.Text);
                proofs.AddRange(message!.All<AuthenticationPayload>().Select(static a => Convert.ToHexStringLower(a.Data.Span)));
                WrittenAgain(message);
                if (header.Exchange == ExchangeType.IkeAuth)
                {
                    Assert.NotNull(message.Identity(ofInitiator: header.FromInitiator));
                    Assert.NotNull(message.First<SaPayload>());
                    Assert.Equal(2, message.All<TrafficSelectorPayload>().Count());
                }

                // A bit of it flipped anywhere, and it is nobody's.
                for (int at = 0; at < datagram.Length; at += 7)
                {
                    byte[] forged = [.. datagram];
                    forged[at] ^= 0x10;
                    Assert.False(IkeCodec.TryOpen(forged, header, header.FromInitiator ? initiators : responders, null, out _, out _));
                }
            }
        }

        Assert.Equal([ofInitiator, ofResponder], proofs);
    }

    [Fact]
    public void Messages_in_the_clear_are_written_as_they_were()
    {
        string folder = Path.GetDirectoryName(Wycheproof.Present("wireshark/captures/ikev2-decrypt-aes256cbc.pcapng"))!;
        foreach (string file in Directory.EnumerateFiles(folder, "ikev2-*").Select(static f => Path.GetFileName(f)))
        {
            foreach (byte[] datagram in Datagrams(file).Take(2))
            {
                Assert.Equal(datagram, IkeCodec.Write(Clear(datagram)));
            }
        }
    }

    private static void WrittenAgain(IkeMessage message)
    {
        byte[] clear = IkeCodec.Write(message);
        Assert.True(IkeCodec.TryRead(clear, out IkeMessage? again, out IkeFault fault), fault.Text);
        Assert.Equal(clear, IkeCodec.Write(again));
    }

    private static IkeMessage Clear(byte[] datagram)
    {
        Assert.True(IkeCodec.TryRead(datagram, out IkeMessage? message, out IkeFault fault), fault.Text);
        return message;
    }

    /// <summary>By the keys in Wireshark's table, and the algorithms in the answer.</summary>
    private static (IkeCipher Initiators, IkeCipher Responders) Ciphers(IkeMessage answer)
    {
        string spi = answer.Header.InitiatorSpi.ToString("x16", CultureInfo.InvariantCulture);
        string[] fields = File.ReadLines(Wycheproof.Present("wireshark/config/ikev2_decryption_table.tmpl")).Single(l => l.StartsWith(spi, StringComparison.Ordinal)).Split(',');
        Proposal chosen = answer.First<SaPayload>()!.Proposals.Single();
        Assert.True(IkeSuite.TryOf(chosen, out IkeSuite? suite), chosen.ToString());
        return (new IkeCipher(suite, Convert.FromHexString(fields[2]), Convert.FromHexString(fields[5])), new IkeCipher(suite, Convert.FromHexString(fields[3]), Convert.FromHexString(fields[6])));
    }

    private static List<byte[]> Datagrams(string file)
    {
        using CaptureReader reader = new(Wycheproof.Present($"wireshark/captures/{file}"));
        List<byte[]> datagrams = [];
        while (reader.TryRead(out CapturedFrame frame))
        {
            datagrams.Add(frame.Bytes[EthernetIpUdp..].ToArray());
        }

        return datagrams;
    }
}
