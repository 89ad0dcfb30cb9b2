using System.Collections.Concurrent;
using System.Security.Cryptography;

namespace Filter.Ipsec.Crypto;

/// <summary>
/// A key pair of ours that a secret is agreed on with, by libcrypto: Diffie-Hellman over safe primes, over the curves of NIST, X25519 and
/// X448. That a point lies on its curve is looked at when the peer's value is read.
/// </summary>
internal sealed unsafe class LibcryptoAgreement : IDisposable
{
    /// <summary>The longest public value, of 8192 bits.</summary>
    private const int Longest = 1024;

    /// <summary>What keys of a group are generated from, made once for the process; 0 where the library, as it is installed, has not the group.</summary>
    private static readonly ConcurrentDictionary<(string Type, string? Group), nint> s_parameters = new();

    private readonly string _type;
    private readonly bool _hasParameters;
    private nint _key;

    private LibcryptoAgreement(string type, bool hasParameters, nint key) => (_type, _hasParameters, _key) = (type, hasParameters, key);

    ~LibcryptoAgreement() => Free();

    /// <summary>Generates a key pair.</summary>
    /// <param name="type">As libcrypto calls it: <c>X25519</c>, <c>EC</c>, <c>DH</c>.</param>
    /// <param name="group">As libcrypto calls it: <c>P-256</c>, <c>modp_2048</c>; null where the type is the group.</param>
    /// <returns>The pair; null where the library does not do it.</returns>
    internal static LibcryptoAgreement? TryGenerate(string type, string? group)
    {
        if (!Libcrypto.IsPresent)
        {
            return null;
        }

        nint context;
        if (group is null)
        {
            context = LibcryptoPkey.EVP_PKEY_CTX_new_from_name(0, type, 0);
        }
        else
        {
            nint parameters = s_parameters.GetOrAdd((type, group), static key => MakeParameters(key.Type, key.Group!));
            context = parameters == 0 ? 0 : LibcryptoPkey.EVP_PKEY_CTX_new_from_pkey(0, parameters, 0);
        }

        nint made = 0;
        bool good = context != 0 && LibcryptoPkey.EVP_PKEY_keygen_init(context) == 1 && LibcryptoPkey.EVP_PKEY_generate(context, &made) == 1;
        LibcryptoPkey.EVP_PKEY_CTX_free(context);
        return good ? new LibcryptoAgreement(type, group is not null, made) : null;
    }

    /// <summary>Our public value, as libcrypto encodes it: of points with the 4 before both coordinates.</summary>
    internal byte[] PublicValue()
    {
        Span<byte> bytes = stackalloc byte[Longest];
        nuint length;
        fixed (byte* to = bytes)
        {
            if (LibcryptoPkey.EVP_PKEY_get_octet_string_param(_key, "encoded-pub-key", to, (nuint)bytes.Length, &length) != 1)
            {
                throw new CryptographicException($"no public value of {_type}");
            }
        }

        return bytes[..(int)length].ToArray();
    }

    /// <summary>Agrees on a secret; false where the peer's value is none of the group, or the secret would be zero.</summary>
    /// <param name="peers">The peer's public value, as libcrypto encodes it.</param>
    /// <param name="secret">Filled.</param>
    internal bool TryAgree(ReadOnlySpan<byte> peers, Span<byte> secret)
    {
        nint peer = 0, context = 0;
        try
        {
            fixed (byte* value = peers, to = secret)
            {
                if (_hasParameters)
                {
                    peer = LibcryptoPkey.EVP_PKEY_new();
                    if (LibcryptoPkey.EVP_PKEY_copy_parameters(peer, _key) != 1
                        || LibcryptoPkey.EVP_PKEY_set1_encoded_public_key(peer, value, (nuint)peers.Length) != 1)
                    {
                        return false;
                    }
                }
                else
                {
                    peer = LibcryptoPkey.EVP_PKEY_new_raw_public_key_ex(0, _type, 0, value, (nuint)peers.Length);
                }

                context = peer == 0 ? 0 : LibcryptoPkey.EVP_PKEY_CTX_new_from_pkey(0, _key, 0);
                nuint length = (nuint)secret.Length;
                return context != 0
                    && LibcryptoPkey.EVP_PKEY_derive_init(context) == 1
                    && (_type != "DH" || LibcryptoPkey.EVP_PKEY_CTX_set_dh_pad(context, 1) == 1)
                    && LibcryptoPkey.EVP_PKEY_derive_set_peer_ex(context, peer, 0) == 1
                    && LibcryptoPkey.EVP_PKEY_derive(context, to, &length) == 1
                    && length == (nuint)secret.Length;
            }
        }
        finally
        {
            LibcryptoPkey.EVP_PKEY_CTX_free(context);
            LibcryptoPkey.EVP_PKEY_free(peer);
        }
    }

    /// <summary>Frees the pair, wiped.</summary>
    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private static nint MakeParameters(string type, string group)
    {
        nint context = LibcryptoPkey.EVP_PKEY_CTX_new_from_name(0, type, 0), made = 0;
        bool good = context != 0
            && LibcryptoPkey.EVP_PKEY_paramgen_init(context) == 1
            && LibcryptoPkey.EVP_PKEY_CTX_set_group_name(context, group) == 1
            && LibcryptoPkey.EVP_PKEY_generate(context, &made) == 1;
        LibcryptoPkey.EVP_PKEY_CTX_free(context);
        return good ? made : 0;
    }

    private void Free()
    {
        LibcryptoPkey.EVP_PKEY_free(_key);
        _key = 0;
    }
}
