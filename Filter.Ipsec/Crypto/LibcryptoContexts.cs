using Filter.Rules.Policy;

namespace Filter.Ipsec.Crypto;

/// <summary>
/// A bounded cache of keyed contexts: a million SAs cannot each keep theirs, and taking a key anew costs a quarter of a
/// microsecond. Each key has one place, which it takes from whoever was there.
/// </summary>
internal sealed unsafe class LibcryptoContexts : IDisposable
{
    private const int Places = 512;

    private readonly Entry[] _entries = new Entry[Places];

    ~LibcryptoContexts() => Free();

    /// <summary>The contexts of a key for one direction, keyed; both 0 after a refusal. That of AES-XCBC is a cipher's.</summary>
    internal bool TryGet(SaKey key, bool encrypt, out nint cipher, out nint mac)
    {
        ref Entry entry = ref _entries[key.Id % Places];
        if (entry.Owner != key.Id || entry.Encrypts != encrypt)
        {
            entry.Owner = 0;
            if (!Rekey(ref entry, key, encrypt))
            {
                (cipher, mac) = (0, 0);
                return false;
            }

            entry.Owner = key.Id;
            entry.Encrypts = encrypt;
        }

        (cipher, mac) = (entry.Cipher, key.Suite.Integrity is { Kind: IntegrityKind.AesXcbc } ? entry.Xcbc : entry.Mac);
        return true;
    }

    internal void Forget(SaKey key)
    {
        ref Entry entry = ref _entries[key.Id % Places];
        if (entry.Owner == key.Id)
        {
            Free(ref entry);
        }
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private static bool Rekey(ref Entry entry, SaKey key, bool encrypt)
    {
        LibcryptoSuite how = LibcryptoSuite.Of(key.Suite)!;
        return (how.Cipher == 0 || RekeyCipher(ref entry, key, how, encrypt))
            && (how.Mac == 0 || RekeyMac(ref entry, key, how))
            && (how.Xcbc == 0 || RekeyXcbc(ref entry, key, how));
    }

    private static bool RekeyCipher(ref Entry entry, SaKey key, LibcryptoSuite how, bool encrypt)
    {
        entry.Cipher = entry.Cipher == 0 ? Libcrypto.EVP_CIPHER_CTX_new() : entry.Cipher;
        int direction = encrypt ? 1 : 0;
        nint context = entry.Cipher;
        if (context == 0 || Libcrypto.EVP_CipherInit_ex(context, how.Cipher, 0, null, null, direction) != 1)
        {
            return false;
        }

        CipherAlgorithm? cipher = key.Suite.Cipher;
        bool shaped = cipher?.Kind switch
        {
            CipherKind.AesCcm => Libcrypto.EVP_CIPHER_CTX_ctrl(context, Libcrypto.SetIvLength, 11, null) == 1
                && Libcrypto.EVP_CIPHER_CTX_ctrl(context, Libcrypto.SetTag, key.IcvLength, null) == 1,
            CipherKind.CastCbc or CipherKind.BlowfishCbc => Libcrypto.EVP_CIPHER_CTX_set_key_length(context, how.KeyLength) == 1,
            _ => true,
        };
        return shaped
            && Libcrypto.EVP_CipherInit_ex(context, 0, 0, key.CombinedKey, null, direction) == 1
            && Libcrypto.EVP_CIPHER_CTX_set_padding(context, 0) == 1;
    }

    private static bool RekeyXcbc(ref Entry entry, SaKey key, LibcryptoSuite how)
    {
        entry.Xcbc = entry.Xcbc == 0 ? Libcrypto.EVP_CIPHER_CTX_new() : entry.Xcbc;
        return entry.Xcbc != 0 && LibcryptoXcbc.Rekey(entry.Xcbc, how.Xcbc, key);
    }

    private static bool RekeyMac(ref Entry entry, SaKey key, LibcryptoSuite how)
    {
        if (entry.MacOf != how.Mac)
        {
            if (entry.Mac != 0)
            {
                Libcrypto.EVP_MAC_CTX_free(entry.Mac);
            }

            entry.Mac = Libcrypto.EVP_MAC_CTX_new(how.Mac);
            entry.MacOf = how.Mac;
        }

        if (entry.Mac == 0)
        {
            return false;
        }

        fixed (byte* name = how.MacParameter, value = how.MacAlgorithm)
        {
            Libcrypto.Parameter* parameters = stackalloc Libcrypto.Parameter[2];
            parameters[0] = new Libcrypto.Parameter
            {
                Key = name, Type = Libcrypto.Parameter.Utf8String, Data = value, Size = (nuint)how.MacAlgorithm.Length - 1,
            };
            parameters[1] = default;
            return Libcrypto.EVP_MAC_init(entry.Mac, key.IntegrityKey, (nuint)key.Suite.IntegrityKeyLength, parameters) == 1;
        }
    }

    private static void Free(ref Entry entry)
    {
        // All free what they hold wiped.
        if (entry.Cipher != 0)
        {
            Libcrypto.EVP_CIPHER_CTX_free(entry.Cipher);
        }

        if (entry.Mac != 0)
        {
            Libcrypto.EVP_MAC_CTX_free(entry.Mac);
        }

        if (entry.Xcbc != 0)
        {
            Libcrypto.EVP_CIPHER_CTX_free(entry.Xcbc);
        }

        entry = default;
    }

    private void Free()
    {
        foreach (ref Entry entry in _entries.AsSpan())
        {
            Free(ref entry);
        }
    }

    private struct Entry
    {
        internal ulong Owner;
        internal nint Cipher;
        internal nint Mac;
        internal nint MacOf;
        internal nint Xcbc;
        internal bool Encrypts;
    }
}
