using Filter.Ipsec.Ike.Crypto;
using Filter.Ipsec.Ike.Payloads;

namespace Filter.Tests.Ike;

/// <summary>Messages with bytes changed, cut off and doubled, in the clear and under a good ICV: nothing throws, and what is read can be written.</summary>
public sealed class MessageFuzzTests
{
    [Fact]
    public void Whatever_is_changed_is_read_or_refused()
    {
        Random random = Fuzzing.Seeded(out int seed);
        using IkeCipher cipher = CodecTests.Cipher("aes-gcm-16-128", null);
        byte[] clear = IkeCodec.Write(CodecTests.Everything());
        int read = 0, refused = 0;
        for (int round = 0; round < Fuzzing.Rounds(20_000); round++)
        {
            byte[] message = Changed(clear, random);
            try
            {
                if (IkeCodec.TryRead(message, out IkeMessage? understood, out IkeFault fault))
                {
                    read++;
                    if (understood.All<TrafficSelectorPayload>().Any(static ts => ts.HasUnknownTypes))
                    {
                        continue;
                    }

                    byte[] again = IkeCodec.Write(understood);
                    Assert.True(IkeCodec.TryRead(again, out IkeMessage? twice, out fault), fault.Text);
                    Assert.Equal(again, IkeCodec.Write(twice));
                    Assert.True(understood.ToString().Length > 0);
                }
                else
                {
                    refused++;
                    Assert.NotEqual(IkeFaultKind.None, fault.Kind);
                    Assert.NotEmpty(fault.Text);
                }

                byte[] forged = Changed(IkeCodec.Seal(CodecTests.Everything(), cipher, random.Next(2) == 0 ? null : 300)[0], random);
                if (IkeHeader.TryRead(forged, out IkeHeader header, out _))
                {
                    Assert.True(!IkeCodec.TryOpen(forged, header, cipher, new FragmentCollector(), out IkeMessage? opened, out _) || opened is null or { Payloads.Length: > 0 });
                }
            }
            catch (Exception e)
            {
                Assert.Fail($"seed {seed}, round {round}: {e}");
            }
        }

        Assert.True(read > 0 && refused > 0);
    }

    /// <summary>Most changes leave the header's length right, so that what stands behind is reached.</summary>
    private static byte[] Changed(byte[] message, Random random)
    {
        byte[] changed = [.. message];
        for (int i = random.Next(4); i > 0; i--)
        {
            changed[random.Next(16, changed.Length)] = random.Next(3) == 0 ? (byte)random.Next(256) : (byte)(random.Next(8) * 4);
        }

        if (random.Next(8) == 0)
        {
            changed = changed[..random.Next(changed.Length)];
        }
        else if (random.Next(8) == 0)
        {
            changed = [.. changed, .. changed.AsSpan(random.Next(changed.Length))];
        }

        if (changed.Length >= IkeHeader.Length && random.Next(8) != 0)
        {
            System.Buffers.Binary.BinaryPrimitives.WriteInt32BigEndian(changed.AsSpan(24), changed.Length);
        }

        return changed;
    }
}
