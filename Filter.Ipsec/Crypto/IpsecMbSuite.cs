using System.Security.Cryptography;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Crypto;

/// <summary>How a job of a suite is put to ipsec-mb.</summary>
internal enum IpsecMbShape : byte
{
    /// <summary>A cipher and a MAC over its output; or a MAC alone.</summary>
    CipherThenMac,

    /// <summary>AES-GCM or ChaCha20-Poly1305: nonce of salt and IV, SPI and number as additional data.</summary>
    Combined,

    /// <summary>AES-CCM: the same with a shorter nonce, MAC first.</summary>
    Ccm,

    /// <summary>AES-GMAC.</summary>
    Gmac,
}

/// <summary>What ipsec-mb has to be told of a suite, and where what it makes of the keys lies.</summary>
internal sealed unsafe class IpsecMbSuite
{
    // IMB_MGR of intel-ipsec-mb.h 1.3.
    private const int ExpandAes128 = 112;
    private const int SubkeysOfCmac = 136;
    private const int ExpandXcbc = 144;
    private const int ScheduleDes = 152;
    private const int Sha1OneBlock = 160;
    private const int Sha256OneBlock = 176;
    private const int Sha384OneBlock = 184;
    private const int Sha512OneBlock = 192;
    private const int Md5OneBlock = 200;
    private const int PrepareGcm128 = 448;

    private const int AesSchedule = 256;
    private const int DesSchedule = 128;
    private const int GcmKey = 1024;
    private const int State = 64;

    private IpsecMbSuite(IpsecSuite suite)
    {
        Suite = suite;
        KeyLength = suite.CipherKeyLength;
        CipherMode = IpsecMbJob.NoCipher;
        HashAlgorithm = IpsecMbJob.NoHash;
    }

    internal IpsecSuite Suite { get; }

    internal IpsecMbShape Shape { get; private set; }

    internal int CipherMode { get; private set; }

    internal int HashAlgorithm { get; private set; }

    internal int KeyLength { get; private set; }

    /// <summary>Whether the cipher's IV is nonce, IV and a counter from 1 (RFC 3686 §4).</summary>
    internal bool IsCtr => CipherMode == IpsecMbJob.Ctr;

    /// <summary>Bytes that what is made of the keys takes.</summary>
    internal int Room { get; private set; }

    internal int EncryptAt { get; private set; }

    internal int DecryptAt { get; private set; }

    /// <summary>Where the MAC's three parts lie: inner and outer state, or schedule and two subkeys.</summary>
    internal int FirstAt { get; private set; }

    internal int SecondAt { get; private set; }

    internal int ThirdAt { get; private set; }

    /// <summary>How the suite is done; null where the library does not have it.</summary>
    internal static IpsecMbSuite? Of(IpsecSuite suite)
    {
        var how = new IpsecMbSuite(suite);
        return how.HasCipher(suite.Cipher) && how.HasMac(suite.Integrity) ? how : null;
    }

    /// <summary>Makes of the keys what the library wants, once for all packets.</summary>
    internal void Prepare(byte* manager, SaKey key)
    {
        byte* prepared = key.Prepared;
        switch (Suite.Cipher?.Kind)
        {
            case CipherKind.AesCbc or CipherKind.AesCtr or CipherKind.AesCcm:
                ExpandAes(manager, key.KeyMaterial, KeyLength, prepared + EncryptAt, prepared + DecryptAt);
                break;
            case CipherKind.AesGcm or CipherKind.AesGmac:
                PrepareGcm(manager, key.KeyMaterial, prepared + EncryptAt);
                break;
            case CipherKind.ChaCha20Poly1305:
                new Span<byte>(key.KeyMaterial, KeyLength).CopyTo(new Span<byte>(prepared + EncryptAt, KeyLength));
                break;
            case CipherKind.DesCbc or CipherKind.TripleDesCbc:
                PrepareDes(manager, key, prepared + EncryptAt);
                break;
        }

        switch (Suite.Integrity?.Kind)
        {
            case null:
                break;
            case IntegrityKind.AesGmac:
                PrepareGcm(manager, key.IntegrityKey, prepared + EncryptAt);
                break;
            case IntegrityKind.AesXcbc:
                ((delegate* unmanaged<byte*, byte*, byte*, byte*, void>)IpsecMb.Function(manager, ExpandXcbc))(
                    key.IntegrityKey, prepared + FirstAt, prepared + SecondAt, prepared + ThirdAt);
                break;
            case IntegrityKind.AesCmac:
                byte* unused = stackalloc byte[AesSchedule];
                ExpandAes(manager, key.IntegrityKey, 16, prepared + FirstAt, unused);
                ((delegate* unmanaged<byte*, byte*, byte*, void>)IpsecMb.Function(manager, SubkeysOfCmac))(
                    prepared + FirstAt, prepared + SecondAt, prepared + ThirdAt);
                CryptographicOperations.ZeroMemory(new Span<byte>(unused, AesSchedule));
                break;
            default:
                HashPads(manager, key, prepared);
                break;
        }

        key.IsPrepared = true;
    }

    private bool HasCipher(CipherAlgorithm? cipher)
    {
        switch (cipher?.Kind)
        {
            case null or CipherKind.Null:
                return true;
            case CipherKind.AesCbc or CipherKind.AesCtr:
                CipherMode = cipher.Kind == CipherKind.AesCbc ? IpsecMbJob.Cbc : IpsecMbJob.Ctr;
                (EncryptAt, DecryptAt) = (Take(AesSchedule), Take(AesSchedule));
                return true;
            case CipherKind.AesCcm:
                (Shape, CipherMode, HashAlgorithm) = (IpsecMbShape.Ccm, IpsecMbJob.Ccm, IpsecMbJob.CcmHash);
                (EncryptAt, DecryptAt) = (Take(AesSchedule), Take(AesSchedule));
                return cipher.KeyLength != 24;
            case CipherKind.AesGcm:
                (Shape, CipherMode, HashAlgorithm) = (IpsecMbShape.Combined, IpsecMbJob.Gcm, IpsecMbJob.GcmHash);
                EncryptAt = DecryptAt = Take(GcmKey);
                return true;
            case CipherKind.ChaCha20Poly1305:
                (Shape, CipherMode, HashAlgorithm) = (IpsecMbShape.Combined, IpsecMbJob.ChaCha20Poly1305, IpsecMbJob.ChaCha20Poly1305Hash);
                EncryptAt = DecryptAt = Take(State);
                return true;
            case CipherKind.AesGmac:
                TakeGmac(cipher.KeyLength);
                return true;
            case CipherKind.DesCbc:
                (CipherMode, EncryptAt) = (IpsecMbJob.Des, Take(DesSchedule));
                DecryptAt = EncryptAt;
                return true;
            case CipherKind.TripleDesCbc:
                // Three pointers, then the schedules that they point to.
                (CipherMode, EncryptAt) = (IpsecMbJob.TripleDes, Take(State + (3 * DesSchedule)));
                DecryptAt = EncryptAt;
                return true;
            default:
                return false;
        }
    }

    private bool HasMac(IntegrityAlgorithm? integrity)
    {
        switch (integrity?.Kind)
        {
            case null:
                return true;
            case IntegrityKind.AesGmac:
                TakeGmac(integrity.KeyLength);
                return true;
            case IntegrityKind.AesXcbc or IntegrityKind.AesCmac:
                HashAlgorithm = integrity.Kind == IntegrityKind.AesXcbc ? IpsecMbJob.Xcbc : IpsecMbJob.Cmac;
                (FirstAt, SecondAt, ThirdAt) = (Take(AesSchedule), Take(16), Take(16));
                return true;
            case IntegrityKind.HmacRipemd160:
                return false;
            default:
                HashAlgorithm = integrity.Kind switch
                {
                    IntegrityKind.HmacSha1 => IpsecMbJob.HmacSha1,
                    IntegrityKind.HmacSha256 => IpsecMbJob.HmacSha256,
                    IntegrityKind.HmacSha384 => IpsecMbJob.HmacSha384,
                    IntegrityKind.HmacSha512 => IpsecMbJob.HmacSha512,
                    _ => IpsecMbJob.HmacMd5,
                };
                (FirstAt, SecondAt) = (Take(State), Take(State));
                return true;
        }
    }

    private void TakeGmac(int keyLength)
    {
        (Shape, KeyLength, EncryptAt) = (IpsecMbShape.Gmac, keyLength, Take(GcmKey));
        HashAlgorithm = IpsecMbJob.Gmac128 + (keyLength / 8) - 2;
    }

    private int Take(int length)
    {
        int at = Room;
        Room += (length + 63) & ~63;
        return at;
    }

    private static void ExpandAes(byte* manager, byte* key, int length, byte* encrypt, byte* decrypt) =>
        ((delegate* unmanaged<byte*, byte*, byte*, void>)IpsecMb.Function(manager, ExpandAes128 + length - 16))(key, encrypt, decrypt);

    private void PrepareGcm(byte* manager, byte* key, byte* prepared) =>
        ((delegate* unmanaged<byte*, byte*, void>)IpsecMb.Function(manager, PrepareGcm128 + KeyLength - 16))(key, prepared);

    private void PrepareDes(byte* manager, SaKey key, byte* prepared)
    {
        var schedule = (delegate* unmanaged<byte*, byte*, int>)IpsecMb.Function(manager, ScheduleDes);
        if (KeyLength == 8)
        {
            schedule(prepared, key.KeyMaterial);
            return;
        }

        for (int i = 0; i < 3; i++)
        {
            byte* one = prepared + State + (i * DesSchedule);
            schedule(one, key.KeyMaterial + (i * 8));
            ((byte**)prepared)[i] = one;
        }
    }

    /// <summary>Hashes the blocks of key xor ipad and key xor opad (RFC 2104).</summary>
    private void HashPads(byte* manager, SaKey key, byte* prepared)
    {
        (int function, int block) = Suite.Integrity!.Kind switch
        {
            IntegrityKind.HmacSha1 => (Sha1OneBlock, 64),
            IntegrityKind.HmacSha256 => (Sha256OneBlock, 64),
            IntegrityKind.HmacSha384 => (Sha384OneBlock, 128),
            IntegrityKind.HmacSha512 => (Sha512OneBlock, 128),
            _ => (Md5OneBlock, 64),
        };
        var hash = (delegate* unmanaged<byte*, byte*, void>)IpsecMb.Function(manager, function);
        byte* pad = stackalloc byte[128];
        foreach ((byte with, int at) in ((byte, int)[])[(0x36, FirstAt), (0x5c, SecondAt)])
        {
            for (int i = 0; i < block; i++)
            {
                pad[i] = (byte)((i < Suite.IntegrityKeyLength ? key.IntegrityKey[i] : 0) ^ with);
            }

            hash(pad, prepared + at);
        }

        CryptographicOperations.ZeroMemory(new Span<byte>(pad, 128));
    }
}
