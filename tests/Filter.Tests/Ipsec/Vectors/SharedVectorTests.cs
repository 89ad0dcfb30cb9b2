using System.Text;
using System.Text.Json;
using Filter.Rules.Policy;
using Filter.Tests.Worlds;

namespace Filter.Tests.Ipsec.Vectors;

/// <summary>The case collections of Wycheproof, ipsec-mb and OpenSSL: whatever of them ESP or AH can say.</summary>
public sealed class SharedVectorTests : IDisposable
{
    private static readonly string s_vectors = Path.GetFullPath(Path.Combine(Repository.Root, "../shared/vectors"));

    private readonly KnownAnswers _answers = new();

    public void Dispose() => _answers.Dispose();

    /// <summary>
    /// The unsound cases of these files have no additional data, or more than ESP has, so none can be said: forged tags are
    /// <see cref="CryptoSuiteTests"/>'s.
    /// </summary>
    [Theory]
    [InlineData("wycheproof/aes_gcm_test.json", CipherKind.AesGcm)]
    [InlineData("wycheproof/aes_ccm_test.json", CipherKind.AesCcm)]
    [InlineData("wycheproof/chacha20_poly1305_test.json", CipherKind.ChaCha20Poly1305)]
    [InlineData("intel-ipsec-mb/gcm_test.json", CipherKind.AesGcm)]
    [InlineData("intel-ipsec-mb/chacha20_poly1305_test.json", CipherKind.ChaCha20Poly1305)]
    public void Ciphers_that_authenticate_answer_as_published(string file, CipherKind kind)
    {
        int said = 0, texts = 0;
        foreach (JsonElement one in Cases(file))
        {
            bool valid = IsValid(one);
            string from = NameOf(file, one);
            byte[] key = Hex(one, "key"), nonce = Hex(one, "iv"), plain = Hex(one, "msg"), text = Hex(one, "ct");
            said += Math.Sign(_answers.Combined(from, kind, key, nonce, Hex(one, "aad"), plain, text, Hex(one, "tag"), valid));
            texts += valid ? Math.Sign(_answers.CombinedText(from, kind, key, nonce, plain, text)) : 0;
        }

        TestContext.Current.SendDiagnosticMessage($"{file}: {said} cases said, {texts} texts");
        Assert.True(texts > 0, $"{file} says nothing that ESP could");
        Assert.True(said > 0 || file.StartsWith("intel", StringComparison.Ordinal), $"{file} has no packet that ESP could say");
    }

    [Theory]
    [InlineData("wycheproof/hmac_sha1_test.json", IntegrityKind.HmacSha1)]
    [InlineData("wycheproof/hmac_sha256_test.json", IntegrityKind.HmacSha256)]
    [InlineData("wycheproof/hmac_sha384_test.json", IntegrityKind.HmacSha384)]
    [InlineData("wycheproof/hmac_sha512_test.json", IntegrityKind.HmacSha512)]
    [InlineData("wycheproof/aes_cmac_test.json", IntegrityKind.AesCmac)]
    [InlineData("intel-ipsec-mb/hmac_md5_test.json", IntegrityKind.HmacMd5)]
    [InlineData("intel-ipsec-mb/hmac_sha1_test.json", IntegrityKind.HmacSha1)]
    [InlineData("intel-ipsec-mb/hmac_sha256_test.json", IntegrityKind.HmacSha256)]
    [InlineData("intel-ipsec-mb/hmac_sha512_test.json", IntegrityKind.HmacSha512)]
    [InlineData("intel-ipsec-mb/cmac_128_test.json", IntegrityKind.AesCmac)]
    [InlineData("intel-ipsec-mb/xcbc_test.json", IntegrityKind.AesXcbc)]
    public void Integrity_algorithms_answer_as_published(string file, IntegrityKind kind)
    {
        int said = 0, unsound = 0;
        foreach (JsonElement one in Cases(file))
        {
            bool valid = IsValid(one);
            int ways = _answers.Mac(NameOf(file, one), kind, Hex(one, "key"), Hex(one, "msg"), Hex(one, "tag"), valid);
            said += Math.Sign(ways);
            unsound += valid ? 0 : Math.Sign(ways);
        }

        Tell(file, said, unsound);
        Assert.True(unsound > 0 || file.StartsWith("intel", StringComparison.Ordinal));
    }

    /// <summary>Wycheproof's own padding is put on first: with it its sound cases are plain CBC.</summary>
    [Theory]
    [InlineData("wycheproof/aes_cbc_pkcs5_test.json", CipherKind.AesCbc)]
    [InlineData("intel-ipsec-mb/cbc_test.json", CipherKind.AesCbc)]
    [InlineData("intel-ipsec-mb/ctr_test.json", CipherKind.AesCtr)]
    [InlineData("intel-ipsec-mb/des_test.json", CipherKind.DesCbc)]
    [InlineData("intel-ipsec-mb/des3_test.json", CipherKind.TripleDesCbc)]
    public void Ciphers_answer_as_published(string file, CipherKind kind)
    {
        int said = 0;
        foreach (JsonElement one in Cases(file).Where(IsValid))
        {
            byte[] plain = Hex(one, "msg"), text = Hex(one, "ct");
            int padding = text.Length - plain.Length;
            plain = [.. plain, .. Enumerable.Repeat((byte)padding, padding)];
            said += Math.Sign(_answers.Cipher(NameOf(file, one), kind, Hex(one, "key"), Hex(one, "iv"), plain, text));
        }

        Tell(file, said, 0);
    }

    [Theory]
    [InlineData("openssl/evpciph_aes_common.txt")]
    [InlineData("openssl/evpciph_aes_ccm_cavs.txt")]
    [InlineData("openssl/evpciph_camellia.txt")]
    [InlineData("openssl/evpciph_cast5.txt")]
    [InlineData("openssl/evpciph_bf.txt")]
    [InlineData("openssl/evpciph_des.txt")]
    [InlineData("openssl/evpciph_des3_common.txt")]
    [InlineData("openssl/evpciph_chacha.txt")]
    [InlineData("openssl/evpmac_common.txt")]
    public void The_cases_of_OpenSSL_answer_as_published(string file)
    {
        int said = 0, unsound = 0;
        foreach (Dictionary<string, string> one in Stanzas(file))
        {
            // A wrong result of anything but decryption is an error of OpenSSL's own interface.
            bool valid = !one.TryGetValue("Result", out string? result);
            if (!valid && (one.GetValueOrDefault("Operation") != "DECRYPT" || result is not ("CIPHERUPDATE_ERROR" or "CIPHERFINAL_ERROR")))
            {
                continue;
            }

            int ways = Say($"{file}: {string.Join(", ", one)}", one, valid);
            said += Math.Sign(ways);
            unsound += valid ? 0 : Math.Sign(ways);
        }

        Tell(file, said, unsound);
    }

    private int Say(string from, Dictionary<string, string> one, bool valid)
    {
        byte[] Bytes(string name) => one.TryGetValue(name, out string? value)
            ? value.StartsWith('"') ? Encoding.ASCII.GetBytes(value.Trim('"')) : Convert.FromHexString(value)
            : [];

        if (one.TryGetValue("MAC", out string? mac))
        {
            IntegrityKind? integrity = (mac, one.GetValueOrDefault("Algorithm")) switch
            {
                ("HMAC", "MD5") => IntegrityKind.HmacMd5,
                ("HMAC", "SHA1") => IntegrityKind.HmacSha1,
                ("HMAC", "SHA256") => IntegrityKind.HmacSha256,
                ("HMAC", "SHA384") => IntegrityKind.HmacSha384,
                ("HMAC", "SHA512") => IntegrityKind.HmacSha512,
                ("CMAC", "AES-128-CBC") => IntegrityKind.AesCmac,
                _ => null,
            };
            return integrity is { } kind && valid && !one.ContainsKey("XOF") ? _answers.Mac(from, kind, Bytes("Key"), Bytes("Input"), Bytes("Output")) : 0;
        }

        string name = one.GetValueOrDefault("Cipher", "").ToUpperInvariant();
        byte[] iv = Bytes("IV"), plain = Bytes("Plaintext"), text = Bytes("Ciphertext");
        CipherKind? combined = name switch
        {
            "AES-128-GCM" or "AES-192-GCM" or "AES-256-GCM" => CipherKind.AesGcm,
            "AES-128-CCM" or "AES-192-CCM" or "AES-256-CCM" => CipherKind.AesCcm,
            "CHACHA20-POLY1305" => CipherKind.ChaCha20Poly1305,
            _ => null,
        };
        if (combined is { } authenticating)
        {
            return _answers.Combined(from, authenticating, Bytes("Key"), iv, Bytes("AAD"), plain, text, Bytes("Tag"), valid)
                + (valid ? _answers.CombinedText(from, authenticating, Bytes("Key"), iv, plain, text) : 0);
        }

        CipherKind? cipher = name.Split('-') switch
        {
            ["AES", _, "CBC" or "ECB"] => CipherKind.AesCbc,
            ["AES", _, "CTR"] => CipherKind.AesCtr,
            ["CAMELLIA", _, "CBC" or "ECB"] => CipherKind.CamelliaCbc,
            ["CAST5", "CBC" or "ECB"] => CipherKind.CastCbc,
            ["BF", "CBC" or "ECB"] => CipherKind.BlowfishCbc,
            ["DES", "CBC" or "ECB"] => CipherKind.DesCbc,
            ["DES", "EDE3", "CBC" or "ECB"] => CipherKind.TripleDesCbc,
            _ => null,
        };
        if (cipher is not { } plainCipher || !valid)
        {
            return 0;
        }

        if (plainCipher == CipherKind.AesCtr)
        {
            // ESP counts from 1, so only cases whose counter does are its.
            return iv is [.., 0, 0, 0, 1] ? _answers.Cipher(from, plainCipher, Bytes("Key"), iv[..12], plain, text) : 0;
        }

        if (!name.EndsWith("-ECB", StringComparison.Ordinal))
        {
            return _answers.Cipher(from, plainCipher, Bytes("Key"), iv, plain, text);
        }

        int block = name[0] == 'A' || name.StartsWith("CAM", StringComparison.Ordinal) ? 16 : 8;
        return plain.Chunk(block).Zip(text.Chunk(block)).Sum(pair => _answers.Cipher(from, plainCipher, Bytes("Key"), new byte[block], pair.First, pair.Second));
    }

    private static void Tell(string file, int said, int unsound)
    {
        TestContext.Current.SendDiagnosticMessage($"{file}: {said} cases said, {unsound} of them unsound");
        Assert.True(said > 0, $"{file} says nothing that ESP or AH could");
    }

    private static IEnumerable<JsonElement> Cases(string file)
    {
        string path = Present(file);
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
        return [.. document.RootElement.GetProperty("testGroups").EnumerateArray().SelectMany(static g => g.GetProperty("tests").EnumerateArray()).Select(static t => t.Clone())];
    }

    private static IEnumerable<Dictionary<string, string>> Stanzas(string file)
    {
        Dictionary<string, string> stanza = [];
        foreach (string line in File.ReadLines(Present(file)).Append(""))
        {
            int equals = line.IndexOf('=', StringComparison.Ordinal);
            if (line.Length == 0)
            {
                yield return stanza;
                stanza = [];
            }
            else if (line[0] != '#' && equals > 0)
            {
                stanza[line[..equals].Trim()] = line[(equals + 1)..].Trim();
            }
        }
    }

    private static string Present(string file)
    {
        string path = Path.Combine(s_vectors, file);
        Assert.SkipUnless(File.Exists(path), $"../shared/vectors/{file} is absent");
        return path;
    }

    private static string NameOf(string file, JsonElement one) => $"{file} {one.GetProperty("tcId")}";

    private static bool IsValid(JsonElement one) => one.GetProperty("result").GetString() != "invalid";

    private static byte[] Hex(JsonElement one, string name) => Convert.FromHexString(one.GetProperty(name).GetString()!);
}
