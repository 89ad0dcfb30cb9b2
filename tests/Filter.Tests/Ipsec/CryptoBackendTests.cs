using System.Security.Cryptography;
using System.Text.Json;
using Filter.Ipsec.Crypto;
using Filter.Rules.Policy;

namespace Filter.Tests.Ipsec;

public sealed class CryptoBackendTests
{
    private static readonly string s_vectors = Path.GetFullPath(Path.Combine(Worlds.Repository.Root, "../shared/vectors"));

    private static readonly IpsecSuite[] s_suites = [IpsecSuite.AesCbc128HmacSha256, IpsecSuite.AesCbc192HmacSha256, IpsecSuite.AesCbc256HmacSha256];

    public static TheoryData<string> Backends => ["libcrypto", "ipsec-mb", "best"];

    /// <summary>RFC 3602 §4, cases 1 to 4; NIST SP 800-38A F.2.3 and F.2.5 for the longer keys.</summary>
    public static TheoryData<string, string, string, string, string> AesCbcVectors
    {
        get
        {
            var all = new TheoryData<string, string, string, string, string>();
            foreach (string backend in new[] { "libcrypto", "ipsec-mb" })
            {
                all.Add(backend, "06a9214036b8a15b512e03d534120006", "3dafba429d9eb430b422da802c9fac41",
                    Convert.ToHexStringLower("Single block msg"u8), "e353779c1079aeb82708942dbe77181a");
                all.Add(backend, "c286696d887c9aa0611bbb3e2025a45a", "562e17996d093d28ddb3ba695a2e6f58",
                    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                    "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1");
                all.Add(backend, "6c3ea0477630ce21a2ce334aa746c2cd", "c782dc4c098c66cbd9cd27d825682c81",
                    Convert.ToHexStringLower("This is a 48-byte message (exactly 3 AES blocks)"u8),
                    "d0a02b3836451753d493665d33f0e8862dea54cdb293abc7506939276772f8d5021c19216bad525c8579695d83ba2684");
                all.Add(backend, "56e47a38c5598974bc46903dba290349", "8ce82eefbea0da3c44699ed7db51b7d9",
                    "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf",
                    "c30e32ffedc0774e6aff6af0869f71aa0f3af07a9a31a9c684db207eb0ef8e4e35907aa632c3ffdf868bb7b29d3d46ad83ce9f9a102ee99d49a53e87f4c3da55");
                all.Add(backend, "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b", "000102030405060708090a0b0c0d0e0f",
                    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
                    "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a");
                all.Add(backend, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", "000102030405060708090a0b0c0d0e0f",
                    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
                    "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d");
            }

            return all;
        }
    }

    [Theory]
    [MemberData(nameof(AesCbcVectors))]
    public void AES_CBC_gives_the_published_text(string backendName, string key, string iv, string plain, string sealedText)
    {
        using CryptoBackend backend = Make(backendName);
        byte[] cipherKey = Convert.FromHexString(key);
        using var keys = new SaKey(s_suites.First(s => s.CipherKeyLength == cipherKey.Length), cipherKey, new byte[32]);
        byte[] text = Convert.FromHexString(plain);
        byte[] slab = GC.AllocateArray<byte>(8 + 16 + text.Length + 16, pinned: true);
        Convert.FromHexString(iv).CopyTo(slab, 8);
        text.CopyTo(slab, 24);
        CryptoJob[] jobs = [Job(keys, slab, 0, text.Length)];

        backend.SealWithIvs(jobs);
        Assert.True(jobs[0].Good);
        Assert.Equal(sealedText, Convert.ToHexStringLower(slab.AsSpan(24, text.Length)));

        backend.Open(jobs);
        Assert.True(jobs[0].Good);
        Assert.Equal(plain, Convert.ToHexStringLower(slab.AsSpan(24, text.Length)));
    }

    /// <summary>
    /// RFC 4868 §2.7.2.1, AUTH256-3 and -4: fifty bytes, taken as a packet whose ICV is the published one.
    /// </summary>
    [Theory]
    [InlineData("libcrypto", false, "cdcb1220d1ecccea91e53aba3092f962")]
    [InlineData("libcrypto", true, "372efcf9b40b35c2115b1346903d2ef4")]
    [InlineData("ipsec-mb", false, "cdcb1220d1ecccea91e53aba3092f962")]
    [InlineData("ipsec-mb", true, "372efcf9b40b35c2115b1346903d2ef4")]
    public void HMAC_SHA2_256_128_takes_the_published_ICV(string backendName, bool fourth, string icv)
    {
        using CryptoBackend backend = Make(backendName);
        byte[] integrityKey = new byte[32];
        for (int i = 0; i < 32; i++)
        {
            integrityKey[i] = (byte)(fourth ? i + 1 : 0xaa);
        }

        using var keys = new SaKey(IpsecSuite.AesCbc128HmacSha256, new byte[16], integrityKey);
        byte[] slab = GC.AllocateArray<byte>(66, pinned: true);
        slab.AsSpan(0, 50).Fill((byte)(fourth ? 0xcd : 0xdd));
        Convert.FromHexString(icv).CopyTo(slab, 50);
        CryptoJob[] jobs = [new CryptoJob { Key = keys, Slab = slab, Header = 0, Iv = 18, Text = 34, Icv = 50 }];

        backend.Open(jobs);

        Assert.True(jobs[0].Good);
    }

    [Fact]
    public void Every_HMAC_of_Wycheproof_agrees_with_the_oracle_that_the_other_tests_use()
    {
        string path = Path.Combine(s_vectors, "wycheproof/hmac_sha256_test.json");
        if (!File.Exists(path))
        {
            Assert.Skip($"{path} is absent");
        }

        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(path));
        int asked = 0;
        foreach (JsonElement group in document.RootElement.GetProperty("testGroups").EnumerateArray())
        {
            int tagLength = group.GetProperty("tagSize").GetInt32() / 8;
            foreach (JsonElement test in group.GetProperty("tests").EnumerateArray())
            {
                byte[] key = Convert.FromHexString(test.GetProperty("key").GetString()!);
                byte[] mac = HMACSHA256.HashData(key, Convert.FromHexString(test.GetProperty("msg").GetString()!));
                bool same = mac.AsSpan(0, tagLength).SequenceEqual(Convert.FromHexString(test.GetProperty("tag").GetString()!));
                Assert.Equal(test.GetProperty("result").GetString() == "valid", same);
                asked++;
            }
        }

        Assert.True(asked > 100);
    }

    [Theory]
    [MemberData(nameof(Backends))]
    public void Every_burst_and_size_gives_the_bytes_of_the_oracle_and_comes_back(string backendName)
    {
        using CryptoBackend backend = Make(backendName);
        int seed = Environment.TickCount;
        var random = new Random(seed);
        SaKey[] keys = [.. Enumerable.Range(0, 9).Select(i => RandomKey(random, s_suites[i % 3], out _, out _))];
        using var done = new Disposal(keys);
        for (int round = 0; round < 60; round++)
        {
            int count = 1 + random.Next(round < 30 ? 8 : 200);
            var jobs = new CryptoJob[count];
            var plain = new byte[count][];
            for (int i = 0; i < count; i++)
            {
                int length = 16 * (1 + random.Next(round % 10 == 0 ? 600 : 95));
                int start = random.Next(40);
                byte[] slab = GC.AllocateArray<byte>(start + 24 + length + 16 + random.Next(3), pinned: true);
                random.NextBytes(slab);
                plain[i] = slab.AsSpan(start + 24, length).ToArray();
                jobs[i] = Job(keys[random.Next(keys.Length)], slab, start, length);
                jobs[i].Extended = random.Next(4) == 0;
                jobs[i].Sequence = (ulong)random.NextInt64();
            }

            backend.Seal(jobs);
            using (var oracle = new LibcryptoBackend())
            {
                foreach (CryptoJob job in jobs)
                {
                    Assert.True(job.Good, $"seed {seed}");
                    CryptoJob again = job;
                    again.Slab = [.. job.Slab];
                    CryptoJob[] one = [again];
                    oracle.Open(one);
                    Assert.True(one[0].Good, $"seed {seed}");
                }
            }

            backend.Open(jobs);
            for (int i = 0; i < count; i++)
            {
                Assert.True(jobs[i].Good, $"seed {seed}, burst of {count}, packet {i}");
                Assert.True(plain[i].AsSpan().SequenceEqual(jobs[i].Slab.AsSpan(jobs[i].Text, plain[i].Length)), $"seed {seed}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Backends))]
    public void What_is_sealed_is_what_dotnet_would_have_sealed(string backendName)
    {
        using CryptoBackend backend = Make(backendName);
        var random = new Random(3);
        foreach (IpsecSuite suite in s_suites)
        {
            using SaKey keys = RandomKey(random, suite, out byte[] cipherKey, out byte[] integrityKey);
            var jobs = new CryptoJob[5];
            var plain = new byte[5][];
            for (int i = 0; i < 5; i++)
            {
                byte[] slab = GC.AllocateArray<byte>(24 + (16 * (i + 1)) + 16, pinned: true);
                random.NextBytes(slab);
                plain[i] = slab[24..^16];
                jobs[i] = Job(keys, slab, 0, plain[i].Length);
            }

            backend.Seal(jobs);

            using var aes = Aes.Create();
            aes.Key = cipherKey;
            for (int i = 0; i < 5; i++)
            {
                byte[] slab = jobs[i].Slab;
                Assert.Equal(plain[i], aes.DecryptCbc(slab.AsSpan(24, plain[i].Length), slab.AsSpan(8, 16), PaddingMode.None));
                Assert.Equal(HMACSHA256.HashData(integrityKey, slab.AsSpan(0, jobs[i].Icv))[..16], slab[jobs[i].Icv..]);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Backends))]
    public void A_forged_packet_is_not_good_and_its_neighbours_are(string backendName)
    {
        using CryptoBackend backend = Make(backendName);
        var random = new Random(5);
        using SaKey keys = RandomKey(random, IpsecSuite.AesCbc256HmacSha256, out _, out _);
        for (int bit = 0; bit < (24 + 48 + 16) * 8; bit += 5)
        {
            var jobs = new CryptoJob[bit % 2 == 0 ? 1 : 7];
            for (int i = 0; i < jobs.Length; i++)
            {
                jobs[i] = Job(keys, GC.AllocateArray<byte>(24 + 48 + 16, pinned: true), 0, 48);
            }

            backend.Seal(jobs);
            int forged = bit % jobs.Length;
            jobs[forged].Slab[bit / 8] ^= (byte)(1 << (bit % 8));
            backend.Open(jobs);

            for (int i = 0; i < jobs.Length; i++)
            {
                Assert.Equal(i != forged, jobs[i].Good);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Backends))]
    public void A_job_outside_its_slab_is_refused_and_nothing_is_touched(string backendName)
    {
        using CryptoBackend backend = Make(backendName);
        using SaKey keys = RandomKey(new Random(1), IpsecSuite.AesCbc128HmacSha256, out _, out _);
        byte[] slab = GC.AllocateArray<byte>(100, pinned: true);
        CryptoJob[] jobs =
        [
            new() { Key = keys, Slab = slab, Header = -1, Iv = 8, Text = 24, Icv = 40 },
            new() { Key = keys, Slab = slab, Header = 9, Iv = 8, Text = 24, Icv = 40 },
            new() { Key = keys, Slab = slab, Header = 0, Iv = 8, Text = 23, Icv = 39 },
            new() { Key = keys, Slab = slab, Header = 0, Iv = 8, Text = 24, Icv = 41 },
            new() { Key = keys, Slab = slab, Header = 0, Iv = 8, Text = 24, Icv = 24 },
            new() { Key = keys, Slab = slab, Header = 0, Iv = 8, Text = 24, Icv = 88 },
            new() { Key = keys, Slab = slab, Header = 0, Iv = int.MaxValue - 3, Text = 24, Icv = 40 },
            default,
        ];

        backend.Seal(jobs);
        Assert.All(jobs, job => Assert.False(job.Good));
        backend.Open(jobs);
        Assert.All(jobs, job => Assert.False(job.Good));
        Assert.All(slab, b => Assert.Equal(0, b));
    }

    [Theory]
    [MemberData(nameof(Backends))]
    public void A_burst_allocates_nothing(string backendName)
    {
        using CryptoBackend backend = Make(backendName);
        using SaKey keys = RandomKey(new Random(1), IpsecSuite.AesCbc128HmacSha256, out _, out _);
        var jobs = new CryptoJob[32];
        for (int i = 0; i < jobs.Length; i++)
        {
            jobs[i] = Job(keys, GC.AllocateArray<byte>(2000, pinned: true), 0, 1408);
        }

        Assert.Equal(0, Allocations.Least(() =>
        {
            backend.Seal(jobs);
            backend.Open(jobs);
            backend.Seal(jobs.AsSpan(0, 1));
            backend.Open(jobs.AsSpan(0, 1));
        }));
    }

    [Fact]
    public void IVs_of_equal_packets_differ()
    {
        using CryptoBackend backend = CryptoBackend.CreateBest();
        using SaKey keys = RandomKey(new Random(1), IpsecSuite.AesCbc128HmacSha256, out _, out _);
        var jobs = new CryptoJob[150];
        for (int i = 0; i < jobs.Length; i++)
        {
            jobs[i] = Job(keys, GC.AllocateArray<byte>(56, pinned: true), 0, 16);
        }

        backend.Seal(jobs);

        Assert.Equal(jobs.Length, jobs.Select(j => Convert.ToHexString(j.Slab, 8, 16)).Distinct().Count());
    }

    [Fact]
    public void A_key_tells_nothing_of_itself_and_keeps_its_suites_lengths()
    {
        using SaKey one = RandomKey(new Random(1), IpsecSuite.AesCbc128HmacSha256, out byte[] cipherKey, out byte[] integrityKey);
        using var same = new SaKey(IpsecSuite.AesCbc128HmacSha256, cipherKey, integrityKey);
        integrityKey[31] ^= 1;
        using var other = new SaKey(IpsecSuite.AesCbc128HmacSha256, cipherKey, integrityKey);

        Assert.True(one.SameAs(same));
        Assert.False(one.SameAs(other));
        Assert.DoesNotContain(Convert.ToHexStringLower(cipherKey)[..8], one.ToString(), StringComparison.OrdinalIgnoreCase);
        Assert.Throws<ArgumentException>(() => new SaKey(IpsecSuite.AesCbc256HmacSha256, cipherKey, integrityKey));
        Assert.Throws<ArgumentException>(() => new SaKey(IpsecSuite.AesCbc128HmacSha256, cipherKey, integrityKey.AsSpan(0, 31)));
    }

    private static CryptoJob Job(SaKey key, byte[] slab, int start, int textLength) =>
        new() { Key = key, Slab = slab, Header = start, Iv = start + 8, Text = start + 24, Icv = start + 24 + textLength };

    private static SaKey RandomKey(Random random, IpsecSuite suite, out byte[] cipherKey, out byte[] integrityKey)
    {
        cipherKey = new byte[suite.CipherKeyLength];
        integrityKey = new byte[suite.IntegrityKeyLength];
        random.NextBytes(cipherKey);
        random.NextBytes(integrityKey);
        return new SaKey(suite, cipherKey, integrityKey);
    }

    private static CryptoBackend Make(string name)
    {
        switch (name)
        {
            case "libcrypto":
                return new LibcryptoBackend();
            case "best":
                return CryptoBackend.CreateBest();
            default:
                if (!IpsecMbBackend.TryCreate(out IpsecMbBackend? backend))
                {
                    Assert.Skip("libIPSec_MB.so.1 of version 1.3 is absent");
                }

                return backend;
        }
    }

    private sealed class Disposal(IEnumerable<IDisposable> these) : IDisposable
    {
        public void Dispose()
        {
            foreach (IDisposable one in these)
            {
                one.Dispose();
            }
        }
    }
}
