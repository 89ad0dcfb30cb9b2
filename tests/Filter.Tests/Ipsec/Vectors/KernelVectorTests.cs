using System.Buffers.Binary;
using System.Text.Json;
using Filter.Engine.Ports;
using Filter.Engine.Wire;
using Filter.Ipsec.Crypto;
using Filter.Rules.Policy;
using Filter.Tests.Worlds;

namespace Filter.Tests.Ipsec.Vectors;

/// <summary>What a Linux kernel and scapy said to each other, opened by every library.</summary>
public sealed class KernelVectorTests
{
    private static readonly string s_kernel = Path.Combine(Repository.Root, "..", "shared", "peers", "examples", "kernel-vectors");

    [Fact]
    public void Every_packet_of_a_Linux_kernel_opens_on_every_library_with_its_number_padding_and_inner_protocol()
    {
        Assert.SkipUnless(Directory.Exists(s_kernel), "../shared/peers/examples/kernel-vectors is absent");
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(s_kernel, "kernel-matrix-sas.json")));
        Dictionary<uint, JsonElement> bySpi = document.RootElement.EnumerateArray()
            .SelectMany(static sa => sa.GetProperty("spi").EnumerateArray().Select(spi => (Spi: spi.GetUInt32(), Sa: sa)))
            .ToDictionary(static pair => pair.Spi, static pair => pair.Sa);
        Dictionary<uint, uint> last = [];
        int[] opened = new int[2];
        using var answers = new KnownAnswers();
        using var reader = new CaptureReader(Path.Combine(s_kernel, "kernel-matrix.pcap"));
        while (reader.TryRead(out CapturedFrame captured))
        {
            byte[] ip = captured.Bytes[14..].ToArray();
            bool v4 = captured.Bytes[12] == 8;
            int protocol = ip[v4 ? 9 : 6], at = v4 ? (ip[0] & 15) * 4 : 40;
            int end = v4 ? BinaryPrimitives.ReadUInt16BigEndian(ip.AsSpan(2)) : 40 + BinaryPrimitives.ReadUInt16BigEndian(ip.AsSpan(4));
            if (protocol is not (IpProtocol.Esp or IpProtocol.Ah))
            {
                continue;
            }

            bool ah = protocol == IpProtocol.Ah;
            uint spi = BinaryPrimitives.ReadUInt32BigEndian(ip.AsSpan(at + (ah ? 4 : 0)));
            uint sequence = BinaryPrimitives.ReadUInt32BigEndian(ip.AsSpan(at + (ah ? 8 : 4)));
            JsonElement sa = bySpi[spi];
            string what = $"{sa}, number {sequence}";
            Assert.True(sequence == last.GetValueOrDefault(spi) + 1, what);
            last[spi] = sequence;
            Assert.True((sa.GetProperty("proto").GetString() == "ah") == ah && sa.GetProperty("v").GetInt32() == (v4 ? 4 : 6), what);

            IpsecSuite suite = SuiteOf(sa);
            using var key = new SaKey(suite, Convert.FromHexString(sa.GetProperty("ck").GetString()!), Convert.FromHexString(sa.GetProperty("ak").GetString()!));
            var job = new CryptoJob { Key = key, Slab = Pinned(ip.AsSpan(0, end)), Sequence = sequence };
            if (ah)
            {
                // What changes on the way is zero (RFC 4302 §3.3.3.1); no packet of these has options.
                job.Slab.AsSpan(1, v4 ? 1 : 3).Clear();
                job.Slab.AsSpan(v4 ? 6 : 7, v4 ? 3 : 1).Clear();
                job.Slab.AsSpan(v4 ? 10 : 0, v4 ? 2 : 0).Clear();
                job.Slab[0] &= v4 ? (byte)0xff : (byte)0xf0;
                (job.Icv, job.End) = (at + 12, end);
            }
            else
            {
                (job.Header, job.Iv, job.Text, job.Icv) = (at, at + 8, at + 8 + suite.IvLength, end - suite.IcvLength);
            }

            foreach (CryptoBackend backend in answers.Backends.Where(b => b.Has(suite)))
            {
                string where = $"{what} on {backend.Name}";
                CryptoJob[] jobs = SuitePackets.Copy([job]);
                backend.Open(jobs);
                Assert.True(jobs[0].Good, where);
                byte[] clear = jobs[0].Slab;
                int next = ah ? clear[at] : clear[job.Icv - 1];
                int inner = ah ? at + ((clear[at + 1] + 2) * 4) : job.Text, innerEnd = ah ? end : job.Icv - 2 - clear[job.Icv - 2];
                for (int i = innerEnd; !ah && i < job.Icv - 2; i++)
                {
                    Assert.True(clear[i] == i - innerEnd + 1, where);
                }

                AssertInner(clear.AsSpan(inner..innerEnd), next, sa.GetProperty("mode").GetString() == "tunnel", where);
                opened[ah ? 1 : 0]++;
            }
        }

        Assert.Equal(bySpi.Keys.Order(), last.Keys.Order());
        Assert.All(opened, static count => Assert.True(count > 0));
    }

    /// <summary>In a tunnel a packet of exactly that length, else a protocol that the peer spoke.</summary>
    private static void AssertInner(ReadOnlySpan<byte> inner, int next, bool tunnel, string where)
    {
        if (!tunnel)
        {
            Assert.True(next is IpProtocol.Udp or IpProtocol.Tcp or IpProtocol.Icmp or IpProtocol.IcmpV6, $"{where}: {next}");
            return;
        }

        Assert.True(next is IpProtocol.IPv4 or IpProtocol.IPv6, $"{where}: {next}");
        int length = next == IpProtocol.IPv4 ? BinaryPrimitives.ReadUInt16BigEndian(inner[2..]) : 40 + BinaryPrimitives.ReadUInt16BigEndian(inner[4..]);
        Assert.True(inner[0] >> 4 == (next == IpProtocol.IPv4 ? 4 : 6) && length == inner.Length, where);
    }

    private static byte[] Pinned(ReadOnlySpan<byte> bytes)
    {
        byte[] slab = GC.AllocateUninitializedArray<byte>(bytes.Length, pinned: true);
        bytes.CopyTo(slab);
        return slab;
    }

    private static IpsecSuite SuiteOf(JsonElement sa)
    {
        string? integrity = sa.GetProperty("auth").GetString() switch
        {
            null => null,
            "md5" => "hmac-md5-96",
            "sha1" => "hmac-sha1-96",
            "sha256" => "hmac-sha2-256-128",
            "sha384" => "hmac-sha2-384-192",
            "sha512" => "hmac-sha2-512-256",
            "rmd160" => "hmac-ripemd160-96",
            "aescmac" => "aes-cmac-96",
            string other => throw new ArgumentException(other),
        };
        string? cipher = sa.GetProperty("enc").GetString() switch
        {
            null => null,
            "aes128-cbc" => "aes-cbc-128",
            "aes192-cbc" => "aes-cbc-192",
            "aes256-cbc" => "aes-cbc-256",
            "aes128-ctr" => "aes-ctr-128",
            "3des" => "3des-cbc",
            "des" => "des-cbc",
            "blowfish128" => "blowfish-cbc-128",
            "cast128" => "cast-cbc-128",
            "null" => "null",
            "aes128-gcm16" => "aes-gcm-16-128",
            "aes256-gcm16" => "aes-gcm-16-256",
            "aes128-ccm16" => "aes-ccm-16-128",
            "chacha20poly1305" => "chacha20-poly1305",
            string other => throw new ArgumentException(other),
        };
        string name = string.Join('+', new[] { cipher, integrity }.OfType<string>());
        return IpsecSuite.All.Single(s => s.IsAh == cipher is null && s.Name == name);
    }
}
