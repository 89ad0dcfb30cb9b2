using Filter.Engine.Packets;
using Filter.Ipsec.Protocols;

namespace Filter.Tests.Ipsec;

public sealed class MutableFieldsTests
{
    private const string Fixed4 = "45ff00540123c0ff4033ffff0a0100050a020009";

    [Theory]
    [InlineData("01010100", "01010100")]                                    // padding
    [InlineData("8204aabb", "8204aabb")]                                    // security
    [InlineData("8504aabb", "8504aabb")]                                    // extended security
    [InlineData("8604aabb", "8604aabb")]                                    // commercial security
    [InlineData("94040000", "94040000")]                                    // router alert
    [InlineData("9504aabb", "9504aabb")]                                    // multi-destination delivery
    [InlineData("4408050001020304", "0000000000000000")]                    // time stamp
    [InlineData("0707040000000001", "0000000000000001")]                    // record route, then padding
    [InlineData("5204aabb94040000", "0000000094040000")]                    // traceroute, then router alert
    [InlineData("1e04aabb", "00000000")]                                    // unknown
    [InlineData("00aabbcc", "00aabbcc")]                                    // what follows the end of options
    [InlineData("8203aa01", "8203aa01")]
    public void Of_IPv4_the_options_that_hops_change_are_zero_whole(string options, string expected)
    {
        string first = $"4{5 + (options.Length / 8)}";
        byte[] header = Convert.FromHexString(first + Fixed4[2..] + options);

        MutableFields.Blank(header);

        Assert.Equal(first + "000054012300000033" + "0000" + "0a0100050a020009" + expected, Convert.ToHexStringLower(header));
    }

    [Theory]
    [InlineData("8307040a030003 00", "0a030003")]                           // loose, not yet begun
    [InlineData("890b040a0300030a040004 00", "0a040004")]                   // strict, two hops to go
    [InlineData("8307080a030003 00", "0a020009")]                           // at its end: the destination is there
    public void A_source_route_is_zero_and_its_end_is_the_destination(string options, string destination)
    {
        options = options.Replace(" ", "", StringComparison.Ordinal);
        byte[] header = Convert.FromHexString($"4{5 + (options.Length / 8)}" + Fixed4[2..] + options);

        MutableFields.Blank(header);

        Assert.Equal(destination, Convert.ToHexStringLower(header.AsSpan(16, 4)));
        Assert.All(header[20..], static b => Assert.Equal(0, b));
    }

    [Theory]
    [InlineData("3e04aabbccdd", "3e0400000000")]                            // may change on the way: the data, not what it is
    [InlineData("1e04aabbccdd", "1e04aabbccdd")]                            // may not
    [InlineData("0000003e0100", "0000003e0100")]
    [InlineData("05020000 3e00", "050200003e00")]                           // router alert
    public void Of_IPv6_option_data_that_may_change_is_zero(string options, string expected)
    {
        foreach (byte kind in new byte[] { 0, 60 })
        {
            byte[] header = [.. Header(kind), 51, 0, .. Convert.FromHexString(options.Replace(" ", "", StringComparison.Ordinal))];

            MutableFields.Blank(header);

            Assert.Equal("60000000" + Convert.ToHexStringLower(Header(kind).AsSpan(4, 3)) + "00", Convert.ToHexStringLower(header.AsSpan(0, 8)));
            Assert.Equal("3300" + expected, Convert.ToHexStringLower(header.AsSpan(40)));
        }
    }

    [Fact]
    public void A_mobile_node_is_known_by_its_home_address_both_ways()
    {
        Address care = Address.Parse("2001:db8:1::5"), home = Address.Parse("2001:db8:77::1"), far = Address.Parse("2001:db8:2::9");
        byte[] sent = [.. Header(60), 43, 2, 1, 2, 0, 0, 0xc9, 16, .. Bytes(home), .. new byte[] { 51, 2, 2, 1, 0, 0, 0, 0 }, .. Bytes(home)];

        MutableFields.Blank(sent);

        Assert.Equal((home, care), (Address.ReadIPv6(sent.AsSpan(8)), Address.ReadIPv6(sent.AsSpan(48))));
        Assert.Equal((home, far, (byte)0), (Address.ReadIPv6(sent.AsSpan(24)), Address.ReadIPv6(sent.AsSpan(72)), sent[67]));
    }

    [Fact]
    public void Whatever_the_chain_says_it_ends_within_the_headers()
    {
        Random random = Fuzzing.Seeded(out int seed);
        for (int round = 0; round < Fuzzing.Rounds(20_000); round++)
        {
            byte[] headers = new byte[random.Next(2) == 0 ? 20 + (4 * random.Next(11)) : 40 + (8 * random.Next(12))];
            random.NextBytes(headers);
            headers[0] = (byte)((headers.Length >= 40 && random.Next(2) == 0 ? 0x60 : 0x45) | (headers[0] & 15));
            headers[6] = random.Next(2) == 0 ? (byte)(random.Next(4) switch { 0 => 0, 1 => 43, 2 => 44, _ => 60 }) : headers[6];
            try
            {
                MutableFields.Blank(headers);
            }
            catch (Exception e)
            {
                Assert.Fail($"seed {seed}, round {round}: {e}");
            }
        }
    }

    private static byte[] Header(byte next)
    {
        byte[] header = new byte[40];
        Convert.FromHexString("6babcdef0018").CopyTo(header, 0);
        header[6] = next;
        header[7] = 61;
        Address.Parse("2001:db8:1::5").Write(header.AsSpan(8));
        Address.Parse("2001:db8:2::9").Write(header.AsSpan(24));
        return header;
    }

    private static byte[] Bytes(Address address)
    {
        byte[] bytes = new byte[16];
        address.Write(bytes);
        return bytes;
    }
}
