using Filter.Ipsec.Crypto;
using Filter.Rules.Policy;

namespace Filter.Tests.Ipsec;

/// <summary>Every suite, of ESP and AH, on every library that has it.</summary>
public sealed class CryptoSuiteTests : IDisposable
{
    private readonly int _seed = Environment.TickCount;
    private readonly Random _random;
    private readonly CryptoBackend[] _backends = SuitePackets.Backends();

    public CryptoSuiteTests() => _random = new Random(_seed);

    public void Dispose()
    {
        foreach (CryptoBackend backend in _backends)
        {
            backend.Dispose();
        }
    }

    [Fact]
    public void Every_suite_gives_the_same_bytes_on_every_backend_that_has_it_and_each_opens_them()
    {
        foreach (IpsecSuite suite in IpsecSuite.All)
        {
            CryptoBackend[] having = [.. _backends.Where(b => b.Has(suite))];
            Assert.True(having.Count(b => b is not BestBackend) >= 2 || _backends.Length < 4, $"{suite} has nothing to be checked against");
            using SaKey key = SuitePackets.RandomKey(_random, suite);
            for (int round = 0; round < 8; round++)
            {
                CryptoJob[] plain = [.. Enumerable.Range(0, round < 4 ? round + 1 : 9).Select(_ => SuitePackets.Job(_random, key, _random.Next(round == 7 ? 9000 : 300), round % 2 == 1))];
                CryptoJob[] first = SuitePackets.Copy(plain);
                having[0].SealWithIvs(first);
                foreach (CryptoBackend backend in having)
                {
                    string where = $"{suite}{(suite.IsAh ? " of AH" : "")} on {backend.Name}, seed {_seed}, round {round}";
                    CryptoJob[] again = SuitePackets.Copy(plain);
                    backend.SealWithIvs(again);
                    Assert.All(again, job => Assert.True(job.Good, where));
                    for (int i = 0; i < plain.Length; i++)
                    {
                        Assert.True(first[i].Slab.AsSpan().SequenceEqual(again[i].Slab), $"{where}, packet {i}");
                    }

                    backend.Open(again);
                    Assert.All(again, job => Assert.True(job.Good, where));
                    for (int i = 0; i < plain.Length; i++)
                    {
                        SuitePackets.AssertClear(plain[i], again[i], where);
                    }
                }
            }
        }
    }

    [Fact]
    public void A_burst_may_hold_all_suites_at_once()
    {
        SaKey[] keys = [.. IpsecSuite.All.Select(s => SuitePackets.RandomKey(_random, s))];
        foreach (CryptoBackend backend in _backends)
        {
            SaKey[] had = [.. keys.Where(k => backend.Has(k.Suite))];
            for (int round = 0; round < 20; round++)
            {
                CryptoJob[] plain = [.. Enumerable.Range(0, 1 + _random.Next(150)).Select(_ => SuitePackets.Job(_random, had[_random.Next(had.Length)], _random.Next(200), _random.Next(2) == 0))];
                CryptoJob[] jobs = SuitePackets.Copy(plain);
                backend.Seal(jobs);
                Assert.All(jobs, job => Assert.True(job.Good, $"{job.Key.Suite} on {backend.Name}, seed {_seed}"));
                int forged = _random.Next(jobs.Length);
                jobs[forged].Slab[jobs[forged].Icv + _random.Next(jobs[forged].Key.Suite.IcvLength)] ^= 0x10;
                backend.Open(jobs);
                for (int i = 0; i < jobs.Length; i++)
                {
                    Assert.True(jobs[i].Good == (i != forged), $"{jobs[i].Key.Suite} on {backend.Name}, seed {_seed}");
                    if (i != forged)
                    {
                        SuitePackets.AssertClear(plain[i], jobs[i], $"{jobs[i].Key.Suite} on {backend.Name}, seed {_seed}");
                    }
                }
            }
        }

        Array.ForEach(keys, k => k.Dispose());
    }

    [Fact]
    public void A_forged_bit_anywhere_is_found()
    {
        foreach (IpsecSuite suite in IpsecSuite.All)
        {
            using SaKey key = SuitePackets.RandomKey(_random, suite);
            foreach (CryptoBackend backend in _backends.Where(b => b.Has(suite)))
            {
                CryptoJob[] plain = [SuitePackets.Job(_random, key, 20, extended: suite.Number % 2 == 0)];
                int from = plain[0].Header, to = suite.IsAh ? plain[0].End : plain[0].Icv + suite.IcvLength;
                backend.SealWithIvs(plain);
                for (int at = from; at < to; at++)
                {
                    CryptoJob[] forged = SuitePackets.Copy(plain);
                    forged[0].Slab[at] ^= (byte)(1 << _random.Next(8));
                    backend.Open(forged);
                    Assert.False(forged[0].Good, $"{suite} on {backend.Name}, byte {at - from}, seed {_seed}");
                }

                if (plain[0].Extended)
                {
                    CryptoJob[] later = SuitePackets.Copy(plain);
                    later[0].Sequence += 1UL << 32;
                    backend.Open(later);
                    Assert.False(later[0].Good, $"{suite} on {backend.Name}, the high half, seed {_seed}");
                }

                backend.Open(plain);
                Assert.True(plain[0].Good);
            }
        }
    }

    [Fact]
    public void The_native_libraries_allocate_nothing_whatever_the_suite()
    {
        IpsecSuite[] suites = [.. IpsecSuite.All.Where(s => s.Number % 7 == 0 || s.IsCombined || s.IsAh)];
        foreach (CryptoBackend backend in _backends.Where(b => b is IpsecMbBackend or LibcryptoBackend))
        {
            foreach (IpsecSuite suite in suites.Where(backend.Has))
            {
                using SaKey key = SuitePackets.RandomKey(_random, suite);
                CryptoJob[] jobs = [.. Enumerable.Range(0, 9).Select(i => SuitePackets.Job(_random, key, 100 + i, i % 2 == 0))];
                Assert.True(0 == Allocations.Least(() =>
                {
                    backend.Seal(jobs);
                    backend.Open(jobs);
                }), $"{suite} on {backend.Name}");
            }
        }
    }

    [Fact]
    public void More_keys_than_contexts_take_turns_and_a_forgotten_key_is_taken_anew()
    {
        using var backend = new LibcryptoBackend();
        IpsecSuite[] suites = [.. IpsecSuite.All.Where(backend.Has)];
        SaKey[] keys = [.. Enumerable.Range(0, 1500).Select(i => SuitePackets.RandomKey(_random, suites[i % suites.Length]))];
        for (int round = 0; round < 3; round++)
        {
            foreach (SaKey key in keys)
            {
                CryptoJob[] jobs = [SuitePackets.Job(_random, key, 30, extended: false)];
                backend.Seal(jobs);
                Assert.True(jobs[0].Good, $"{key.Suite}, seed {_seed}");
                backend.Open(jobs);
                Assert.True(jobs[0].Good, $"{key.Suite}, seed {_seed}");
                if (round == 1)
                {
                    backend.Forget(key);
                }
            }
        }

        Array.ForEach(keys, k => k.Dispose());
    }

    [Fact]
    public void Counter_modes_take_the_number_as_IV_and_the_others_draw_theirs()
    {
        foreach (IpsecSuite suite in IpsecSuite.All.Where(s => s.IvLength > 0))
        {
            using SaKey key = SuitePackets.RandomKey(_random, suite);
            CryptoJob[] jobs = [.. Enumerable.Range(0, 2).Select(_ => SuitePackets.Job(_random, key, 8, extended: false) with { Sequence = 0x0123456789abcdef })];
            _backends[^1].Seal(jobs);
            string[] ivs = [.. jobs.Select(j => Convert.ToHexStringLower(j.Slab, j.Iv, suite.IvLength))];
            Assert.Equal(suite.IsCounterMode, ivs[0] == "0123456789abcdef");
            Assert.Equal(suite.IsCounterMode, ivs[0] == ivs[1]);
        }
    }
}
