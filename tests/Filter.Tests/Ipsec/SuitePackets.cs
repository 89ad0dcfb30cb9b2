using Filter.Ipsec.Crypto;
using Filter.Rules.Policy;

namespace Filter.Tests.Ipsec;

/// <summary>Packets and keys of any suite, for tests of the crypto seam.</summary>
internal static class SuitePackets
{
    /// <summary>Each library of this machine alone, and then all together.</summary>
    internal static CryptoBackend[] Backends()
    {
        List<CryptoBackend> all = [new BouncyCastleBackend()];
        if (Libcrypto.IsPresent)
        {
            all.Add(new LibcryptoBackend());
        }

        if (IpsecMbBackend.TryCreate(out IpsecMbBackend? batched))
        {
            all.Add(batched);
        }

        return [.. all, CryptoBackend.CreateBest()];
    }

    internal static SaKey RandomKey(Random random, IpsecSuite suite)
    {
        byte[] material = new byte[suite.KeyMaterialLength], integrity = new byte[suite.IntegrityKeyLength];
        random.NextBytes(material);
        random.NextBytes(integrity);
        return new SaKey(suite, material, integrity);
    }

    /// <summary>A packet of random bytes, somewhere in its slab, with about as many bytes in it.</summary>
    internal static CryptoJob Job(Random random, SaKey key, int length, bool extended)
    {
        IpsecSuite suite = key.Suite;
        int start = random.Next(40);
        byte[] slab;
        if (suite.IsAh)
        {
            int ah = start + 20, icv = ah + 12 + suite.IvLength, end = icv + suite.IcvLength + length;
            slab = Slab(random, end + 4);
            return new CryptoJob { Key = key, Slab = slab, Header = start, Iv = ah + 12, Icv = icv, End = end, Sequence = (ulong)random.NextInt64(), Extended = extended };
        }

        int text = start + 8 + suite.IvLength;
        int textLength = ((length / suite.BlockLength) + 1) * suite.BlockLength;
        slab = Slab(random, text + textLength + suite.IcvLength + random.Next(3));
        return new CryptoJob
        {
            Key = key, Slab = slab, Header = start, Iv = start + 8, Text = text, Icv = text + textLength,
            Sequence = (ulong)random.NextInt64(), Extended = extended,
        };
    }

    internal static CryptoJob[] Copy(CryptoJob[] jobs) => [.. jobs.Select(static job =>
    {
        byte[] slab = GC.AllocateUninitializedArray<byte>(job.Slab.Length, pinned: true);
        job.Slab.CopyTo(slab, 0);
        return job with { Slab = slab };
    })];

    /// <summary>All but IV and ICV is as it was before sealing.</summary>
    internal static void AssertClear(in CryptoJob before, in CryptoJob after, string where)
    {
        ReadOnlySpan<byte> was = before.Slab, now = after.Slab;
        if (before.Key.Suite.IsAh)
        {
            int from = before.Key.Suite.IvLength > 0 ? before.Iv : before.Icv, to = before.Icv + before.Key.Suite.IcvLength;
            Assert.True(was[..from].SequenceEqual(now[..from]) && was[to..].SequenceEqual(now[to..]), where);
            return;
        }

        Assert.True(was[..before.Iv].SequenceEqual(now[..before.Iv]) && was[before.Text..before.Icv].SequenceEqual(now[before.Text..before.Icv]), where);
    }

    private static byte[] Slab(Random random, int length)
    {
        byte[] slab = GC.AllocateUninitializedArray<byte>(length, pinned: true);
        random.NextBytes(slab);
        return slab;
    }
}
