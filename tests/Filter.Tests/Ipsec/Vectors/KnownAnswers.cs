using System.Buffers.Binary;
using Filter.Ipsec.Crypto;
using Filter.Rules.Policy;

namespace Filter.Tests.Ipsec.Vectors;

/// <summary>
/// Puts published cases through the seam, in every suite that can express one and on every library that has the suite.
/// Each method says in how many ways a case was expressed; 0 where the seam cannot say it.
/// </summary>
internal sealed class KnownAnswers : IDisposable
{
    /// <summary>Packets begin at an odd place, so that no library gets by on alignment.</summary>
    private const int Start = 5;

    private readonly CryptoBackend[] _backends = SuitePackets.Backends();

    /// <summary>The suites that had a case.</summary>
    internal HashSet<IpsecSuite> Covered { get; } = [];

    internal IReadOnlyList<CryptoBackend> Backends => _backends;

    public void Dispose() => Array.ForEach(_backends, static b => b.Dispose());

    /// <summary>
    /// A cipher that authenticates: the additional data is SPI and number, with the high half between where it has twelve
    /// bytes. All but CCM cut their tag where a suite has a shorter ICV.
    /// </summary>
    internal int Combined(string from, CipherKind kind, byte[] key, byte[] nonce, byte[] additional, byte[] plain, byte[] text, byte[] tag, bool valid = true)
    {
        if (additional.Length is not (8 or 12) || text.Length == 0 || text.Length % 4 != 0)
        {
            return 0;
        }

        bool extended = additional.Length == 12;
        ulong sequence = extended ? (ulong)BinaryPrimitives.ReadUInt32BigEndian(additional.AsSpan(4)) << 32 : 0;
        int said = 0;
        foreach (IpsecSuite suite in IpsecSuite.All.Where(s => s.IsCombined && s.Cipher!.Kind == kind && s.CipherKeyLength == key.Length))
        {
            bool cut = kind != CipherKind.AesCcm && valid && tag.Length > suite.IcvLength;
            if (nonce.Length != suite.SaltLength + suite.IvLength || (tag.Length != suite.IcvLength && !cut))
            {
                continue;
            }

            byte[] head = [.. additional.AsSpan(0, 4), .. additional.AsSpan(additional.Length - 4), .. nonce.AsSpan(suite.SaltLength)];
            using var keys = new SaKey(suite, [.. key, .. nonce.AsSpan(0, suite.SaltLength)], []);
            var job = new CryptoJob { Key = keys, Header = Start, Iv = Start + 8, Text = Start + 16, Icv = Start + 16 + text.Length, Sequence = sequence, Extended = extended };
            said += Check(from, job, [.. head, .. plain], [.. head, .. text, .. tag.AsSpan(0, suite.IcvLength)], valid);
        }

        return said;
    }

    /// <summary>
    /// The text alone of a cipher that authenticates, which hangs neither on additional data nor on the tag's length: filled
    /// up to what ESP's text is a multiple of, so that the tag is another one.
    /// </summary>
    internal int CombinedText(string from, CipherKind kind, byte[] key, byte[] nonce, byte[] plain, byte[] text)
    {
        int said = 0;
        foreach (IpsecSuite suite in IpsecSuite.All.Where(s => s.IsCombined && s.Cipher!.Kind == kind && s.CipherKeyLength == key.Length))
        {
            if (nonce.Length != suite.SaltLength + suite.IvLength || text.Length == 0)
            {
                continue;
            }

            using var keys = new SaKey(suite, [.. key, .. nonce.AsSpan(0, suite.SaltLength)], []);
            int at = Start + 16;
            byte[] filled = [.. plain, .. new byte[-plain.Length & 3]];
            CryptoJob job = Laid(
                new CryptoJob { Key = keys, Header = Start, Iv = Start + 8, Text = at, Icv = at + filled.Length },
                [1, 2, 3, 4, 5, 6, 7, 8, .. nonce.AsSpan(suite.SaltLength), .. filled, .. new byte[suite.IcvLength]]);
            said += Both(from, job, text, filled);
        }

        return said;
    }

    /// <summary>AES-GMAC of ESP (RFC 4543): SPI, number and IV begin the message, and the text stays as it is.</summary>
    internal int Gmac(string from, byte[] key, byte[] nonce, byte[] message, byte[] tag)
    {
        if (message.Length % 4 != 0 || message.Length < 20 || nonce.Length != 12 || !message.AsSpan(8, 8).SequenceEqual(nonce.AsSpan(4)))
        {
            return 0;
        }

        IpsecSuite suite = IpsecSuite.All.Single(s => s is { IsAh: false, Cipher.Kind: CipherKind.AesGmac } && s.CipherKeyLength == key.Length);
        using var keys = new SaKey(suite, [.. key, .. nonce.AsSpan(0, 4)], []);
        var job = new CryptoJob { Key = keys, Header = Start, Iv = Start + 8, Text = Start + 16, Icv = Start + message.Length };
        return Check(from, job, message, [.. message, .. tag], valid: true);
    }

    /// <summary>
    /// An integrity algorithm over a packet that is the message, whose last bytes are taken as text, with and without its
    /// last four as the number's high half; and as AH, where the message has zeros for an ICV. A shorter HMAC key is filled up
    /// with zeros, as HMAC itself does (RFC 2104 §2). Of an unsound case whose tag is longer than the ICV, what stands in the
    /// part that is kept decides.
    /// </summary>
    internal int Mac(string from, IntegrityKind kind, byte[] key, byte[] message, byte[] tag, bool valid = true)
    {
        int said = 0;
        foreach (IpsecSuite suite in IpsecSuite.All.Where(s => s.Integrity?.Kind == kind))
        {
            bool hmac = kind is not (IntegrityKind.AesCmac or IntegrityKind.AesXcbc);
            if (tag.Length < suite.IcvLength || (hmac ? key.Length > suite.IntegrityKeyLength : key.Length != suite.IntegrityKeyLength))
            {
                continue;
            }

            byte[] material = [.. Enumerable.Range(0, suite.KeyMaterialLength).Select(static i => (byte)((i * 37) + 11))];
            using var keys = new SaKey(suite, material, [.. key, .. new byte[suite.IntegrityKeyLength - key.Length]]);
            foreach (bool extended in new[] { false, true })
            {
                if (extended && message.Length < 4)
                {
                    continue;
                }

                byte[] carried = extended ? message[..^4] : message, icv = tag[..suite.IcvLength];
                var job = new CryptoJob { Key = keys, Header = Start, Extended = extended };
                job.Sequence = extended ? (ulong)BinaryPrimitives.ReadUInt32BigEndian(message.AsSpan(message.Length - 4)) << 32 : 0;
                said += suite.IsAh
                    ? Ah(from, job, carried, icv, valid)
                    : Esp(from, job, carried, icv, valid, tag.Length > suite.IcvLength);
            }
        }

        return said;
    }

    /// <summary>A cipher without integrity, beside every integrity algorithm; a lone block of ECB is one of CBC under an IV of zeros.</summary>
    internal int Cipher(string from, CipherKind kind, byte[] key, byte[] iv, byte[] plain, byte[] text)
    {
        int said = 0;
        foreach (IpsecSuite suite in IpsecSuite.All.Where(s => s is { IsAh: false, IsCombined: false } && s.Cipher!.Kind == kind && s.CipherKeyLength == key.Length))
        {
            if (iv.Length != suite.SaltLength + suite.IvLength || text.Length == 0 || text.Length % suite.BlockLength != 0
                || DesKeys.WhyNot(suite.Cipher, key) is not null)
            {
                continue;
            }

            using var keys = new SaKey(suite, [.. key, .. iv.AsSpan(0, suite.SaltLength)], new byte[suite.IntegrityKeyLength]);
            int at = Start + 8 + suite.IvLength;
            byte[] head = [1, 2, 3, 4, 5, 6, 7, 8, .. iv.AsSpan(suite.SaltLength)];
            CryptoJob job = Laid(new CryptoJob { Key = keys, Header = Start, Iv = Start + 8, Text = at, Icv = at + text.Length }, [.. head, .. plain, .. new byte[suite.IcvLength]]);
            said += Both(from, job, text, plain);
            Covered.Add(suite);
        }

        return said;
    }

    /// <summary>Seals and opens: of the sealed text the beginning is looked at, as far as it was published; of the clear all.</summary>
    private int Both(string from, CryptoJob job, byte[] text, byte[] plain)
    {
        int said = 0;
        foreach (CryptoBackend backend in _backends.Where(b => b.Has(job.Key.Suite)))
        {
            string where = $"{from}: {job.Key.Suite} on {backend.Name}";
            CryptoJob[] jobs = SuitePackets.Copy([job]);
            backend.SealWithIvs(jobs);
            Assert.True(jobs[0].Good, where);
            Assert.True(jobs[0].Slab.AsSpan(job.Text, text.Length).SequenceEqual(text), where);
            backend.Open(jobs);
            Assert.True(jobs[0].Good, where);
            Assert.True(jobs[0].Slab.AsSpan(job.Text, plain.Length).SequenceEqual(plain), where);
            said++;
        }

        return said;
    }

    private int Esp(string from, CryptoJob job, byte[] message, byte[] icv, bool valid, bool longer)
    {
        IpsecSuite suite = job.Key.Suite;
        job.Icv = Start + message.Length;
        job.Text = job.Icv - suite.BlockLength;
        job.Iv = job.Text - suite.IvLength;
        if (job.Iv < Start + 8)
        {
            return 0;
        }

        int said = 0;
        foreach (CryptoBackend backend in _backends.Where(b => b.Has(suite)))
        {
            string where = $"{from}: {suite} on {backend.Name}{(job.Extended ? ", high half" : "")}";
            CryptoJob[] jobs = [Laid(job, [.. message, .. icv])];
            backend.Open(jobs);
            if (!valid && longer && jobs[0].Good)
            {
                continue;
            }

            Assert.True(jobs[0].Good == valid, where);
            if (valid)
            {
                jobs[0].Slab.AsSpan(job.Icv, icv.Length).Clear();
                backend.SealWithIvs(jobs);
                Assert.True(jobs[0].Good, where);
                Assert.True(jobs[0].Slab.AsSpan(Start).SequenceEqual([.. message, .. icv]), where);
            }

            said++;
        }

        Covered.Add(suite);
        return said;
    }

    private int Ah(string from, CryptoJob job, byte[] message, byte[] icv, bool valid)
    {
        int zeros = message.Length < 8 ? -1 : message.AsSpan(8).IndexOf(new byte[icv.Length]);
        if (zeros < 0 || !valid)
        {
            return 0;
        }

        job.Icv = Start + 8 + zeros;
        job.End = Start + message.Length;
        byte[] whole = [.. message, .. new byte[4]];
        icv.CopyTo(whole, 8 + zeros);
        return Check(from, job, [.. message, .. new byte[4]], whole, valid: true);
    }

    /// <summary>Seals the plain packet into the sealed one and back, on every library; of an unsound one only that it does not open.</summary>
    private int Check(string from, CryptoJob job, byte[] plain, byte[] sealedPacket, bool valid)
    {
        int said = 0;
        IpsecSuite suite = job.Key.Suite;
        foreach (CryptoBackend backend in _backends.Where(b => b.Has(suite)))
        {
            string where = $"{from}: {suite}{(suite.IsAh ? " of AH" : "")} on {backend.Name}";
            CryptoJob[] jobs = [Laid(job, sealedPacket)];
            backend.Open(jobs);
            Assert.True(jobs[0].Good == valid, where);
            if (valid)
            {
                // AH's ICV reads as zero wherever it is looked at.
                Assert.True(suite.IsAh || jobs[0].Slab.AsSpan(Start, plain.Length).SequenceEqual(plain), where);
                jobs = [Laid(job, [.. plain, .. new byte[sealedPacket.Length - plain.Length]])];
                backend.SealWithIvs(jobs);
                Assert.True(jobs[0].Good, where);
                Assert.True(jobs[0].Slab.AsSpan(Start).SequenceEqual(sealedPacket), where);
            }

            said++;
        }

        Covered.Add(suite);
        return said;
    }

    private static CryptoJob Laid(CryptoJob job, byte[] packet)
    {
        byte[] slab = GC.AllocateArray<byte>(Start + packet.Length, pinned: true);
        packet.CopyTo(slab, Start);
        return job with { Slab = slab };
    }
}
