using System.Collections.Immutable;
using Filter.Ipsec.PfKey.Messages;
using Filter.Rules.Policy;

namespace Filter.Ipsec.PfKey;

/// <summary>PF_KEY's numbers of algorithms (RFC 2367 §3.5, and Linux's), and the suites that they come to.</summary>
internal static class PfKeyAlgorithms
{
    private static readonly (byte Id, CipherKind Kind, int Icv)[] s_ciphers =
    [
        (2, CipherKind.DesCbc, 0), (3, CipherKind.TripleDesCbc, 0), (6, CipherKind.CastCbc, 0), (7, CipherKind.BlowfishCbc, 0), (11, CipherKind.Null, 0),
        (12, CipherKind.AesCbc, 0), (13, CipherKind.AesCtr, 0), (14, CipherKind.AesCcm, 8), (15, CipherKind.AesCcm, 12), (16, CipherKind.AesCcm, 16),
        (18, CipherKind.AesGcm, 8), (19, CipherKind.AesGcm, 12), (20, CipherKind.AesGcm, 16), (22, CipherKind.CamelliaCbc, 0), (23, CipherKind.AesGmac, 16),
    ];

    private static readonly (byte Id, IntegrityKind Kind)[] s_integrity =
    [
        (2, IntegrityKind.HmacMd5), (3, IntegrityKind.HmacSha1), (5, IntegrityKind.HmacSha256), (6, IntegrityKind.HmacSha384), (7, IntegrityKind.HmacSha512),
        (8, IntegrityKind.HmacRipemd160), (9, IntegrityKind.AesXcbc),
    ];

    /// <summary>The suite of an SA's numbers and the lengths of its keys; null where there is none.</summary>
    /// <param name="type">ESP or AH.</param>
    /// <param name="encryption">SADB_EALG_*; 0 for none.</param>
    /// <param name="encryptionBits">Bits of its key, and the salt behind it.</param>
    /// <param name="authentication">SADB_AALG_*; 0 for none.</param>
    /// <param name="authenticationBits">Bits of its key.</param>
    public static IpsecSuite? Find(PfKeySaType type, byte encryption, int encryptionBits, byte authentication, int authenticationBits)
    {
        foreach (IpsecSuite suite in IpsecSuite.All)
        {
            if (suite.IsAh == (type == PfKeySaType.Ah) && Numbers(suite) is { } numbers
                && numbers == (encryption, authentication)
                && suite.KeyMaterialLength * 8 == encryptionBits && suite.IntegrityKeyLength * 8 == authenticationBits)
            {
                return suite;
            }
        }

        return null;
    }

    /// <summary>Whether both numbers name something here, whatever their keys are like.</summary>
    public static bool Knows(PfKeySaType type, byte encryption, byte authentication) =>
        (type == PfKeySaType.Ah ? encryption == 0 : s_ciphers.Any(c => c.Id == encryption))
        && (authentication == 0 || s_integrity.Any(i => i.Id == authentication));

    /// <summary>PF_KEY's numbers of a suite; null where it has none for it.</summary>
    public static (byte Encryption, byte Authentication)? Numbers(IpsecSuite suite)
    {
        byte encryption = 0, authentication = 0;
        if (suite.Cipher is { } cipher && (encryption = s_ciphers.FirstOrDefault(c => c.Kind == cipher.Kind && c.Icv == cipher.IcvLength).Id) == 0)
        {
            return null;
        }

        if (suite.Integrity is { } integrity && (authentication = s_integrity.FirstOrDefault(i => i.Kind == integrity.Kind).Id) == 0)
        {
            return null;
        }

        return (encryption, authentication);
    }

    /// <summary>What is there to register for.</summary>
    public static ImmutableArray<PfKeyExtension> Supported(PfKeySaType type, bool legacy)
    {
        List<PfKeyExtension> supported =
        [
            new SupportedExtension(
                PfKeyExtensionType.SupportedAuthentication,
                [.. from one in s_integrity
                    from algorithm in IntegrityAlgorithm.All
                    where algorithm.Kind == one.Kind && (legacy || !algorithm.IsLegacy)
                    select new PfKeyAlgorithm(one.Id, 0, (ushort)(algorithm.KeyLength * 8), (ushort)(algorithm.KeyLength * 8))]),
        ];
        if (type == PfKeySaType.Esp)
        {
            supported.Add(new SupportedExtension(
                PfKeyExtensionType.SupportedEncryption,
                [.. from one in s_ciphers
                    let lengths = Lengths(one.Kind, one.Icv, legacy)
                    where lengths.Length > 0
                    select new PfKeyAlgorithm(one.Id, IvLengthOf(one.Kind, one.Icv), (ushort)lengths.Min(), (ushort)lengths.Max())]));
        }

        return [.. supported];
    }

    /// <summary>What an acquire would take, best first: each pair of algorithms once, with the lengths that its keys may have.</summary>
    public static ProposalExtension Proposal(PfKeySaType type, bool legacy) => new(
        32,
        [.. from suite in IpsecSuite.All
            where suite.IsAh == (type == PfKeySaType.Ah) && (legacy || !suite.IsLegacy)
            let numbers = Numbers(suite)
            where numbers is not null
            group suite by numbers.Value into alike
            select new PfKeyCombination(
                alike.Key.Authentication, alike.Key.Encryption, Bits(alike, static s => s.IntegrityKeyLength), Bits(alike, static s => s.KeyMaterialLength), default, default)]);

    private static (ushort Least, ushort Most) Bits(IEnumerable<IpsecSuite> alike, Func<IpsecSuite, int> length) =>
        ((ushort)(alike.Min(length) * 8), (ushort)(alike.Max(length) * 8));

    private static int[] Lengths(CipherKind kind, int icv, bool legacy) =>
        [.. CipherAlgorithm.All.Where(c => c.Kind == kind && c.IcvLength == icv && (legacy || !c.IsLegacy)).Select(static c => (c.KeyLength + c.SaltLength) * 8)];

    private static byte IvLengthOf(CipherKind kind, int icv) => (byte)CipherAlgorithm.All.First(c => c.Kind == kind && c.IcvLength == icv).IvLength;
}
