using Filter.Ipsec.Ike.Crypto;
using Filter.Ipsec.Ike.Payloads;

namespace Filter.Tests.Ike;

/// <summary>Fragments that lie about each other (RFC 7383 §2.6). All are of who has the keys: others' do not reach the collector.</summary>
public sealed class HostileFragmentTests : IDisposable
{
    private readonly IkeCipher _cipher = CodecTests.Cipher("aes-gcm-16-128", null);
    private readonly FragmentCollector _collector = new();
    private readonly IkeHeader _header = CodecTests.Header();

    public void Dispose() => _cipher.Dispose();

    [Theory]
    [InlineData(0, 2)]
    [InlineData(3, 2)]
    [InlineData(1, 0)]
    [InlineData(65535, 1)]
    [InlineData(1, 257)]
    [InlineData(1, 65535)]
    public void A_place_that_cannot_be_is_refused(int number, int total) => Refused(Add(number, total));

    [Fact]
    public void Only_the_first_names_a_payload()
    {
        Refused(Add(2, 3, first: PayloadType.Nonce));
        Refused(Add(1, 3, first: PayloadType.None));
    }

    [Fact]
    public void A_lower_total_is_refused_and_a_higher_one_begins_anew()
    {
        Kept(Add(1, 3));
        Refused(Add(1, 2));
        Kept(Add(2, 3));

        // Cut smaller, since the sender found a smaller MTU: what was there does not count.
        Kept(Add(3, 4));
        Kept(Add(1, 4));
        Kept(Add(2, 4));
        Assert.Equal(4, Whole(Add(4, 4)).Length);
    }

    [Fact]
    public void Another_message_takes_the_place_of_one_that_never_ended()
    {
        Kept(Add(1, 3));
        Kept(Add(2, 3));
        IkeHeader next = _header with { MessageId = 2 };
        Kept(Add(3, 3, next));
        Kept(Add(1, 3, next));
        Assert.Equal(3, Whole(Add(2, 3, next)).Length);
        Assert.False(_collector.IsWaiting);
    }

    [Fact]
    public void A_request_and_an_answer_of_one_number_do_not_mix()
    {
        Kept(Add(1, 2));
        Kept(Add(2, 2, _header with { IsResponse = true }));
        Assert.True(_collector.IsWaiting);
    }

    [Fact]
    public void What_comes_together_is_not_longer_than_a_message_may_be()
    {
        for (int i = 1; i <= 64; i++)
        {
            Kept(Add(i, 100, length: 1024));
        }

        Refused(Add(65, 100, length: 1024));
        Assert.False(_collector.IsWaiting);
    }

    [Fact]
    public void A_fragment_is_read_as_one_only_where_fragments_were_agreed_on()
    {
        byte[] fragment = IkeCodec.Seal(CodecTests.Long(), _cipher, 500)[0];
        Assert.False(IkeCodec.TryOpen(fragment, CodecTests.Head(fragment), _cipher, null, out _, out IkeFault fault));
        Assert.Equal(IkeFaultKind.WrongProtection, fault.Kind);
    }

    [Fact]
    public void A_fragment_whose_place_was_changed_on_its_way_is_forged()
    {
        byte[] fragment = IkeCodec.Seal(CodecTests.Long(), _cipher, 500)[1];
        for (int at = IkeHeader.Length; at < IkeHeader.Length + 8; at++)
        {
            byte[] forged = [.. fragment];
            forged[at] ^= 1;
            Assert.False(IkeCodec.TryOpen(forged, CodecTests.Head(fragment), _cipher, _collector, out _, out IkeFault fault));
            Assert.True(fault.Kind is IkeFaultKind.BadIcv or IkeFaultKind.Malformed, fault.Text);
            Assert.False(_collector.IsWaiting);
        }
    }

    [Fact]
    public void Fragments_whose_payloads_make_no_sense_together_are_malformed()
    {
        byte[][] one = [.. IkeCodec.Seal(CodecTests.Long(), _cipher, 500)], other = [.. IkeCodec.Seal(CodecTests.Long() with { Payloads = [.. CodecTests.Long().Payloads.Reverse()] }, _cipher, 500)];
        IkeFault last = IkeFault.None;
        for (int i = 0; i < one.Length; i++)
        {
            byte[] fragment = i == 0 ? other[0] : one[i];
            IkeCodec.TryOpen(fragment, CodecTests.Head(fragment), _cipher, _collector, out _, out last);
        }

        Assert.Equal(IkeFaultKind.Malformed, last.Kind);
        Assert.False(_collector.IsWaiting);
    }

    private (bool Good, byte[]? Whole, string? Why) Add(int number, int total, IkeHeader? header = null, PayloadType? first = null, int length = 1)
    {
        bool good = _collector.TryAdd(
            header ?? _header, first ?? (number == 1 ? PayloadType.VendorId : PayloadType.None), number, total, new byte[length], out byte[]? whole, out _, out string? why);
        return (good, whole, why);
    }

    private static void Kept((bool Good, byte[]? Whole, string? Why) added)
    {
        Assert.True(added.Good, added.Why);
        Assert.Null(added.Whole);
    }

    private static byte[] Whole((bool Good, byte[]? Whole, string? Why) added)
    {
        Assert.NotNull(added.Whole);
        return added.Whole;
    }

    private static void Refused((bool Good, byte[]? Whole, string? Why) added)
    {
        Assert.False(added.Good);
        Assert.NotEmpty(added.Why!);
    }
}
