using System.Buffers.Binary;
using System.Security.Cryptography;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Crypto;

/// <summary>All keys of one IKE SA (RFC 7296 §2.14). Wiped by <see cref="Dispose"/>.</summary>
public sealed class IkeKeys : IDisposable
{
    private readonly bool _isInitiator;
    private readonly ulong _initiatorSpi;
    private readonly ulong _responderSpi;

    private IkeKeys(IkeSuite suite, bool isInitiator, ReadOnlySpan<byte> seed, ReadOnlySpan<byte> seedOfKeys, ulong initiatorSpi, ulong responderSpi)
    {
        (Suite, _isInitiator, _initiatorSpi, _responderSpi) = (suite, isInitiator, initiatorSpi, responderSpi);
        int prf = suite.Prf.Length, encryption = suite.Protection.KeyMaterialLength, integrity = suite.Protection.IntegrityKeyLength;
        byte[] all = GC.AllocateUninitializedArray<byte>((3 * prf) + (2 * (integrity + encryption)), pinned: true);
        suite.Prf.Expand(seed, seedOfKeys, all);

        // SK_d, SK_ai, SK_ar, SK_ei, SK_er, SK_pi, SK_pr, in this order.
        ReadOnlySpan<byte> left = all;
        SkD = new SecretKey(Take(ref left, prf));
        ReadOnlySpan<byte> ai = Take(ref left, integrity), ar = Take(ref left, integrity);
        ReadOnlySpan<byte> ei = Take(ref left, encryption), er = Take(ref left, encryption);
        OfInitiator = new IkeCipher(suite, ei, ai);
        OfResponder = new IkeCipher(suite, er, ar);
        SkPi = new SecretKey(Take(ref left, prf));
        SkPr = new SecretKey(Take(ref left, prf));
        CryptographicOperations.ZeroMemory(all);
    }

    /// <summary>The algorithms.</summary>
    public IkeSuite Suite { get; }

    /// <summary>SK_d: what keys of children and of the next IKE SA come from.</summary>
    public SecretKey SkD { get; }

    /// <summary>SK_pi: goes into the initiator's AUTH.</summary>
    public SecretKey SkPi { get; }

    /// <summary>SK_pr: goes into the responder's AUTH.</summary>
    public SecretKey SkPr { get; }

    /// <summary>Of what we send.</summary>
    public IkeCipher Outgoing => _isInitiator ? OfInitiator : OfResponder;

    /// <summary>Of what the peer sends.</summary>
    public IkeCipher Incoming => _isInitiator ? OfResponder : OfInitiator;

    /// <summary>SK_pi or SK_pr, whichever is ours.</summary>
    public SecretKey OurSkP => _isInitiator ? SkPi : SkPr;

    /// <summary>SK_pi or SK_pr, whichever is the peer's.</summary>
    public SecretKey PeersSkP => _isInitiator ? SkPr : SkPi;

    private IkeCipher OfInitiator { get; }

    private IkeCipher OfResponder { get; }

    /// <summary>The keys of a first IKE SA: SKEYSEED = prf(Ni | Nr, g^ir) (RFC 7296 §2.14).</summary>
    /// <param name="suite">What was chosen.</param>
    /// <param name="isInitiator">We began it.</param>
    /// <param name="shared">g^ir; the caller wipes it.</param>
    /// <param name="ni">The initiator's nonce.</param>
    /// <param name="nr">The responder's nonce.</param>
    /// <param name="initiatorSpi">SPIi.</param>
    /// <param name="responderSpi">SPIr.</param>
    public static IkeKeys Derive(
        IkeSuite suite, bool isInitiator, SecretKey shared, ReadOnlySpan<byte> ni, ReadOnlySpan<byte> nr, ulong initiatorSpi, ulong responderSpi)
    {
        const int half = 8;
        byte[] nonces = suite.Prf.IsFixed ? [.. ni[..half], .. nr[..half]] : [.. ni, .. nr];
        byte[] seed = suite.Prf.Compute(nonces, shared.Reveal());
        return FromSeed(suite, isInitiator, seed, ni, nr, initiatorSpi, responderSpi);
    }

    /// <summary>The keys of an IKE SA that takes another's place: SKEYSEED = prf(SK_d, g^ir | Ni | Nr), by the old SA's PRF (RFC 7296 §2.18).</summary>
    /// <param name="old">Whose place it takes.</param>
    /// <param name="suite">What was chosen.</param>
    /// <param name="isInitiator">We began the exchange.</param>
    /// <param name="shared">The new g^ir; the caller wipes it.</param>
    /// <param name="ni">The initiator's nonce.</param>
    /// <param name="nr">The responder's nonce.</param>
    /// <param name="initiatorSpi">The new SPIi.</param>
    /// <param name="responderSpi">The new SPIr.</param>
    public static IkeKeys DeriveRekeyed(
        IkeKeys old, IkeSuite suite, bool isInitiator, SecretKey shared, ReadOnlySpan<byte> ni, ReadOnlySpan<byte> nr, ulong initiatorSpi, ulong responderSpi)
    {
        byte[] fresh = [.. shared.Reveal(), .. ni, .. nr];
        byte[] seed = old.Suite.Prf.Compute(old.SkD.Reveal(), fresh);
        CryptographicOperations.ZeroMemory(fresh);
        return FromSeed(suite, isInitiator, seed, ni, nr, initiatorSpi, responderSpi);
    }

    /// <summary>The keys of a child: KEYMAT = prf+(SK_d, [g^ir |] Ni | Nr) (RFC 7296 §2.17).</summary>
    /// <param name="suite">Of ESP or AH.</param>
    /// <param name="ni">The nonce of who began this exchange, not the IKE SA.</param>
    /// <param name="nr">The nonce of the other.</param>
    /// <param name="shared">The g^ir of this exchange; null where there was none.</param>
    public ChildKeys DeriveChild(IpsecSuite suite, ReadOnlySpan<byte> ni, ReadOnlySpan<byte> nr, SecretKey? shared = null)
    {
        int encryption = suite.KeyMaterialLength, integrity = suite.IntegrityKeyLength;
        byte[] seed = [.. shared is null ? [] : shared.Reveal(), .. ni, .. nr];
        byte[] all = GC.AllocateUninitializedArray<byte>(2 * (encryption + integrity), pinned: true);
        Suite.Prf.Expand(SkD.Reveal(), seed, all);
        CryptographicOperations.ZeroMemory(seed);
        ReadOnlySpan<byte> left = all;
        var fromInitiator = new DirectionKeys(new SecretKey(Take(ref left, encryption)), new SecretKey(Take(ref left, integrity)));
        var fromResponder = new DirectionKeys(new SecretKey(Take(ref left, encryption)), new SecretKey(Take(ref left, integrity)));
        CryptographicOperations.ZeroMemory(all);
        return new ChildKeys(suite, fromInitiator, fromResponder);
    }

    /// <summary>
    /// A line of Wireshark's `ikev2_decryption_table`, by which it reads what was said; null where Wireshark does not know the algorithms.
    /// For root who asks for it.
    /// </summary>
    public string? ExportForWireshark() => WiresharkKeys.LineOf(Suite, _initiatorSpi, _responderSpi, OfInitiator.Reveal(), OfResponder.Reveal());

    /// <summary>Overwrites all keys with zeros.</summary>
    public void Dispose()
    {
        SkD.Wipe();
        SkPi.Wipe();
        SkPr.Wipe();
        OfInitiator.Dispose();
        OfResponder.Dispose();
    }

    private static IkeKeys FromSeed(
        IkeSuite suite, bool isInitiator, byte[] seed, ReadOnlySpan<byte> ni, ReadOnlySpan<byte> nr, ulong initiatorSpi, ulong responderSpi)
    {
        byte[] seedOfKeys = [.. ni, .. nr, .. stackalloc byte[2 * sizeof(ulong)]];
        BinaryPrimitives.WriteUInt64BigEndian(seedOfKeys.AsSpan(^16), initiatorSpi);
        BinaryPrimitives.WriteUInt64BigEndian(seedOfKeys.AsSpan(^8), responderSpi);
        var keys = new IkeKeys(suite, isInitiator, seed, seedOfKeys, initiatorSpi, responderSpi);
        CryptographicOperations.ZeroMemory(seed);
        return keys;
    }

    private static ReadOnlySpan<byte> Take(ref ReadOnlySpan<byte> from, int count)
    {
        ReadOnlySpan<byte> taken = from[..count];
        from = from[count..];
        return taken;
    }
}
