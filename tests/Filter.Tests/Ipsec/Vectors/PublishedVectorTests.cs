using System.Text;
using Filter.Rules.Policy;

namespace Filter.Tests.Ipsec.Vectors;

/// <summary>The known answers of RFCs and standards, in every suite that has the algorithm, on every library.</summary>
public sealed class PublishedVectorTests
{
    /// <summary>draft-mcgrew-gcm-test-01 (the cases of RFC 4106): key, nonce, additional data, text, sealed text, tag.</summary>
    private static readonly string[][] s_gcm =
    [
        ["4c80cdefbb5d10da906ac73c3613a634", "2e443b684956ed7e3b244cfe", "000043218765432100000000", "45000048699a000080114db7c0a80102c0a801010a9bf15638d301000001000000000000045f736970045f756470037369700963796265726369747902646b000021000101020201", "fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34cfa2436f14a3f3cf65925bf1f4a13c5d15b21e1884f5ff6247aeabb786b93bce61bc17d768fd9732", "459018148f6cbe722fd04796562dfdb4"],
        ["feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", "0000a5f80000000a", "4500003e698f000080114dccc0a80102c0a801010a980035002a2343b2d001000001000000000000037369700963796265726369747902646b00000100010001", "deb22cd9b07c72c16e3a65beeb8df304a5a5897d33ae530f1ba76d5d114d2a5c3de81827c10e9a4f51330d0eec416642cfbb85a5b47e48a4ec3b9ba95d918bd1", "83b70d3aa8bc6ee4c309e9d85a41ad4a"],
        ["abbccddef00112233445566778899aababbccddef00112233445566778899aab", "112233440102030405060708", "4a2cbfe300000002", "4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee0000000007002400020bf0000020405b40101040201020201", "ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763748a637985771d347f0545659f14e99def842d8e", "b335f4eecfdbf831824b4c4915956c96"],
        ["feffe9928665731c6d6a8f9467308308feffe9928665731c", "cafebabefacedbaddecaf888", "0000a5f80000000a", "45000028a4ad4000400678800a01038f0a010612802306b8cb712602dd6bb03e501016d075680001", "a5b1f8066029aea40e598b8122de02420938b3ab33f828e687b8858b5bfbdbd0315b27452144cc77", "95457b9652037f5318027b5b4cd7a636"],
        ["abbccddef00112233445566778899aab", "decaf888cafedebaceface74", "000001000000000000000001", "4500004933ba00007f119106c3fb1d10c2b1d326c02831ce0035dd7b800302d500004e20001e8c18d75b81dc91baa0476b91b924b280389d92c963bac046ec959b6266c04722b14923010101", "18a6fd42f72cbf4ab2a2ea901f73d814e3e7f243d95412e1c349c1d2fbec168f9190feebaf2cb01984e65863965d7472b79da345e0e780191f0d2f0e0f496c226f2127b27db35724e7845d68", "651f57e65f354f75ff17015769623436"],
        ["abbccddef00112233445566778899aababbccddef00112233445566778899aab", "73616c74616e640169766563", "17405e67156f3126dd0db99b", "45080028732c00004006e9f90a0106120a01038f06b88023dd6bafbecb71260250101f646d540001", "f2d69ecdbd5a0d5b8d5ef38bad4da58d1f278fde98ef67549d524a3018d9a57ff4d3a31ce673119e", "451626c2415771e3b7eebca614c89b35"],
        ["7d773d00c144c525ac619d18c84a3f47", "d966426743457e9182443bc6", "335467aeffffffff", "01020201", "437f866b", "cb3f699fe9b0822bac961c4504bef270"],
        ["6c6567616c697a656d6172696a75616e61616e64646f69746265666f72656961", "7475726e333021696765746d", "796b6963ffffffffffffffff", "45000030da3a00008001df3bc0a80005c0a800010800c6cd020007006162636465666768696a6b6c6d6e6f707172737401020201", "f97ab2aa356d8edce17644ac8c78e25dd24dedbb29ebf1b64a274b39b49c3a864cd3d78ca4ae68a32b42458fb57dbe821dcc63b9", "d0937ba2945f669368661a329fb4c053"],
    ];

    /// <summary>Wycheproof aes_ccm, cases 262, 298, 334: RFC 3610's own have a nonce that ESP does not.</summary>
    private static readonly string[][] s_ccm =
    [
        ["82841ef7fbae35546525fbbebf4718fb", "b5cd818f73a36ed025b6cf", "44f48c2a20456358", "8c2c823bb39941b1c6b75bbc82f05ba4", "b287c637a7554362c80d6b24d50ddfb3", "3967277da0f856f8f0ad49282894d2bb"],
        ["0a3bf0a926fb14a3b716bfa021a208da0330e57bed36828a", "a0ba36edc43d935ee94213", "3fcd93ccb8e97956", "9ab6c109c8069d054ccbb5c33c6e70d0", "27d1e353233755a2fe28231637739c46", "b9b74765ed3d53031bf3c7349e74340e"],
        ["60d6841e9e6218a2c8605a7794e74fb215dcf3a70a0015d497ed16564f2a83a0", "4c93f591af92f16596554e", "7cb0eb9aa21fe859", "c0d1e635586b0ef835c01479a32175a3", "0c266113544d7a901ce721e1ead6d8f9", "8a149eaa05c8722b2663c345a6a5418c"],
    ];

    /// <summary>RFC 3686 §6, all nine: key, nonce and IV, text, sealed text.</summary>
    private static readonly string[][] s_ctr =
    [
        ["ae6852f8121067cc4bf7a5765577f39e", "000000300000000000000000", "53696e676c6520626c6f636b206d7367", "e4095d4fb7a7b3792d6175a3261311b8"],
        ["7e24067817fae0d743d6ce1f32539163", "006cb6dbc0543b59da48d90b", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "5104a106168a72d9790d41ee8edad388eb2e1efc46da57c8fce630df9141be28"],
        ["7691be035e5020a8ac6e618529f9a0dc", "00e0017b27777f3f4a1786f0", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223", "c1cf48a89f2ffdd9cf4652e9efdb72d74540a42bde6d7836d59a5ceaaef3105325b2072f"],
        ["16af5b145fc9f579c175f93e3bfb0eed863d06ccfdb78515", "0000004836733c147d6d93cb", "53696e676c6520626c6f636b206d7367", "4b55384fe259c9c84e7935a003cbe928"],
        ["7c5cb2401b3dc33c19e7340819e0f69c678c3db8e6f6a91a", "0096b03b020c6eadc2cb500d", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "453243fc609b23327edfaafa7131cd9f8490701c5ad4a79cfc1fe0ff42f4fb00"],
        ["02bf391ee8ecb159b959617b0965279bf59b60a786d3e0fe", "0007bdfd5cbd60278dcc0912", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223", "96893fc55e5c722f540b7dd1ddf7e758d288bc95c69165884536c811662f2188abee0935"],
        ["776beff2851db06f4c8a0542c8696f6c6a81af1eec96b4d37fc1d689e6c1c104", "00000060db5672c97aa8f0b2", "53696e676c6520626c6f636b206d7367", "145ad01dbf824ec7560863dc71e3e0c0"],
        ["f6d66d6bd52d59bb0796365879eff886c66dd51a5b6a99744b50590c87a23884", "00faac24c1585ef15a43d875", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "f05e231b3894612c49ee000b804eb2a9b8306b508f839d6a5530831d9344af1c"],
        ["ff7a617ce69148e4f1726e2f43581de2aa62d9f805532edff1eed687fb54153d", "001cc5b751a51d70a1c11148", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223", "eb6c52821d0bbbf7ce7594462aca4faab407df866569fd07f48cc0b583d6071f1ec0e6b8"],
    ];

    /// <summary>RFC 3602 §4 and NIST SP 800-38A F.2: key, IV, text, sealed text.</summary>
    private static readonly string[][] s_aesCbc =
    [
        ["06a9214036b8a15b512e03d534120006", "3dafba429d9eb430b422da802c9fac41", "53696e676c6520626c6f636b206d7367", "e353779c1079aeb82708942dbe77181a"],
        ["c286696d887c9aa0611bbb3e2025a45a", "562e17996d093d28ddb3ba695a2e6f58", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1"],
        ["8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b", "000102030405060708090a0b0c0d0e0f", "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51", "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a"],
        ["603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", "000102030405060708090a0b0c0d0e0f", "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51", "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"],
    ];

    /// <summary>RFC 3713 §A, one block for each length of key.</summary>
    private static readonly string[][] s_camellia =
    [
        ["0123456789abcdeffedcba9876543210", "0123456789abcdeffedcba9876543210", "67673138549669730857065648eabe43"],
        ["0123456789abcdeffedcba98765432100011223344556677", "0123456789abcdeffedcba9876543210", "b4993401b3e996f84ee5cee7d79b09b9"],
        ["0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff", "0123456789abcdeffedcba9876543210", "9acc237dff16d76c20ef7c919e3a7509"],
    ];

    /// <summary>RFC 2144 §B.1, one block for each length of key.</summary>
    private static readonly string[][] s_cast =
    [
        ["0123456712345678234567893456789a", "0123456789abcdef", "238b4fe5847e44b2"],
        ["01234567123456782345", "0123456789abcdef", "eb6a711a2c02271b"],
        ["0123456712", "0123456789abcdef", "7ac816d16e9b302e"],
    ];

    /// <summary>Eric Young's cases, which come with Schneier's description: key, text, sealed text.</summary>
    private static readonly string[][] s_blowfish =
    [
        ["f0e1d2c3b4", "fedcba9876543210", "b39e44481bdb1e6e"],
        ["f0e1d2c3b4a59687", "fedcba9876543210", "e87a244e2cc85e82"],
        ["f0e1d2c3b4a5968778695a4b3c2d1e0f", "fedcba9876543210", "93142887ee3be15c"],
        ["f0e1d2c3b4a5968778695a4b3c2d1e0f0011223344556677", "fedcba9876543210", "05044b62fa52d080"],
        ["3000000000000000", "1000000000000001", "7d856f9a613063f2"],
        ["0123456789abcdef", "1111111111111111", "61f9c3802281b096"],
    ];

    [Fact]
    public void AES_GCM_CCM_GMAC_and_ChaCha20_Poly1305_answer_as_published()
    {
        using var answers = new KnownAnswers();
        Combined(answers);
    }

    [Fact]
    public void Ciphers_answer_as_published()
    {
        using var answers = new KnownAnswers();
        Ciphers(answers);
    }

    [Fact]
    public void Integrity_algorithms_answer_as_published()
    {
        using var answers = new KnownAnswers();
        Integrity(answers);
    }

    /// <summary>
    /// What is named here has no published case that this seam can say: AH's HMACs and CMAC are held against a Linux kernel's
    /// packets (<see cref="KernelVectorTests"/>), and all of them against each other library.
    /// </summary>
    [Fact]
    public void Every_suite_has_a_published_case_but_those_that_nobody_published_any_for()
    {
        using var answers = new KnownAnswers();
        Combined(answers);
        Ciphers(answers);
        Integrity(answers);

        Assert.Equal(
            [
                "aes-ccm-12-128", "aes-ccm-12-192", "aes-ccm-12-256", "aes-ccm-8-128", "aes-ccm-8-192", "aes-ccm-8-256", "aes-gmac-192", "aes-gmac-256",
                "hmac-sha2-256-128 of AH", "hmac-sha2-384-192 of AH", "hmac-sha2-512-256 of AH", "hmac-sha1-96 of AH", "aes-cmac-96 of AH", "hmac-md5-96 of AH",
                "hmac-ripemd160-96 of AH", "aes-gmac-128 of AH", "aes-gmac-192 of AH", "aes-gmac-256 of AH",
            ],
            IpsecSuite.All.Where(s => !answers.Covered.Contains(s)).Select(static s => s.IsAh ? $"{s} of AH" : s.Name));
    }

    private static void Combined(KnownAnswers answers)
    {
        foreach (string[] one in s_gcm)
        {
            Said(answers.Combined("draft-mcgrew-gcm-test", CipherKind.AesGcm, Hex(one[0]), Hex(one[1]), Hex(one[2]), Hex(one[3]), Hex(one[4]), Hex(one[5])));
        }

        foreach (string[] one in s_ccm)
        {
            Said(answers.Combined("Wycheproof", CipherKind.AesCcm, Hex(one[0]), Hex(one[1]), Hex(one[2]), Hex(one[3]), Hex(one[4]), Hex(one[5])));
        }

        // The same draft's case of RFC 4543.
        Said(answers.Gmac(
            "draft-mcgrew-gcm-test", Hex("4c80cdefbb5d10da906ac73c3613a634"), Hex("22433c640000000000000000"),
            Hex("0000432100000007000000000000000045000030da3a00008001df3bc0a80005c0a800010800c6cd020007006162636465666768696a6b6c6d6e6f707172737401020201"),
            Hex("f2a9a836e155106aa8dcd618e4099aaa")));

        // A whole ESP packet: RFC 7634, appendix A.
        Said(answers.Combined(
            "RFC 7634", CipherKind.ChaCha20Poly1305, Hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"),
            Hex("a0a1a2a31011121314151617"), Hex("0102030400000005"),
            Hex("45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec100007362708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363701020204"),
            Hex("24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c614ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3cbec163fac469b502773f6fb94e664da9165b82829f641e0"),
            Hex("76aaa8266b7fb0f7b11b369907e1ad43")));
    }

    private static void Ciphers(KnownAnswers answers)
    {
        foreach ((CipherKind kind, string[][] cases) in new[] { (CipherKind.AesCtr, s_ctr), (CipherKind.AesCbc, s_aesCbc) })
        {
            foreach (string[] one in cases)
            {
                Said(answers.Cipher("RFC 3602, 3686", kind, Hex(one[0]), Hex(one[1]), Hex(one[2]), Hex(one[3])));
            }
        }

        foreach ((CipherKind kind, string[][] cases) in new[] { (CipherKind.CamelliaCbc, s_camellia), (CipherKind.CastCbc, s_cast), (CipherKind.BlowfishCbc, s_blowfish) })
        {
            foreach (string[] one in cases)
            {
                // Blowfish goes round its key, so a key said twice over is the same key.
                int most = kind == CipherKind.BlowfishCbc ? 56 / Hex(one[0]).Length : 1;
                int said = Enumerable.Range(1, most).Sum(times => answers.Cipher(
                    $"{kind}", kind, Hex(string.Concat(Enumerable.Repeat(one[0], times))), new byte[one[1].Length / 2], Hex(one[1]), Hex(one[2])));
                Said(said);
            }
        }

        // FIPS 81, table C1; SP 800-67 B.1, a block at a time.
        Said(answers.Cipher(
            "FIPS 81", CipherKind.DesCbc, Hex("0123456789abcdef"), Hex("1234567890abcdef"), "Now is the time for all "u8.ToArray(),
            Hex("e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6")));
        foreach (string[] one in new[] { new[] { "The qufc", "a826fd8ce53b855f" }, ["k brown ", "cce21c8112256fe6"], ["fox jump", "68d5c05dd9b6b900"] })
        {
            Said(answers.Cipher(
                "SP 800-67", CipherKind.TripleDesCbc, Hex("0123456789abcdef23456789abcdef01456789abcdef0123"), new byte[8], Encoding.ASCII.GetBytes(one[0]), Hex(one[1])));
        }
    }

    private static void Integrity(KnownAnswers answers)
    {
        void Say(string from, IntegrityKind kind, byte[] key, byte[] message, string tag) => Said(answers.Mac(from, kind, key, message, Hex(tag)));

        byte[] Jefe(int times) => Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("Jefe", times)));
        byte[] question = "what do ya want for nothing?"u8.ToArray(), truncation = "Test With Truncation"u8.ToArray(), dd = Repeat(0xdd, 50), cd = Repeat(0xcd, 50);
        Say("RFC 2202", IntegrityKind.HmacMd5, Jefe(1), question, "750c783e6ab0b503eaa86e310a5db738");
        Say("RFC 2202", IntegrityKind.HmacMd5, Repeat(0xaa, 16), dd, "56be34521d144c88dbb8c733f0e8b3f6");
        Say("RFC 2202", IntegrityKind.HmacMd5, Repeat(0x0c, 16), truncation, "56461ef2342edc00f9bab995690efd4c");
        Say("RFC 2202", IntegrityKind.HmacSha1, Jefe(1), question, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        Say("RFC 2202", IntegrityKind.HmacSha1, Repeat(0xaa, 20), dd, "125d7342b9ac11cd91a39af48aa17b4f63f175d3");
        Say("RFC 2202", IntegrityKind.HmacSha1, Repeat(0x0c, 20), truncation, "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04");
        Say("RFC 2286", IntegrityKind.HmacRipemd160, Jefe(1), question, "dda6c0213a485a9e24f4742064a7f033b43c4069");
        Say("RFC 2286", IntegrityKind.HmacRipemd160, Repeat(0xaa, 20), dd, "b0b105360de759960ab4f35298e116e295d8e7c1");
        Say("RFC 2286", IntegrityKind.HmacRipemd160, Repeat(0x0c, 20), truncation, "7619693978f91d90539ae786500ff3d8e0518e39");

        // RFC 4868 §2.7.2, cases 2 to 4 of each.
        Say("RFC 4868", IntegrityKind.HmacSha256, Jefe(8), question, "167f928588c5cc2eef8e3093caa0e87c");
        Say("RFC 4868", IntegrityKind.HmacSha256, Repeat(0xaa, 32), dd, "cdcb1220d1ecccea91e53aba3092f962");
        Say("RFC 4868", IntegrityKind.HmacSha256, Count(1, 32), cd, "372efcf9b40b35c2115b1346903d2ef4");
        Say("RFC 4868", IntegrityKind.HmacSha384, Jefe(12), question, "2c7353974f1842fd66d53c452ca42122b28c0b594cfb184d");
        Say("RFC 4868", IntegrityKind.HmacSha384, Repeat(0xaa, 48), dd, "809f439be00274321d4a538652164b53554a508184a0c316");
        Say("RFC 4868", IntegrityKind.HmacSha384, [.. Count(1, 32), .. Count(10, 16)], cd, "5b540085c6e6358096532b2493609ed1cb298f774f87bb5c");
        Say("RFC 4868", IntegrityKind.HmacSha512, Jefe(16), question, "cb370917ae8a7ce28cfd1d8f4705d6141c173b2a9362c15df235dfb251b15454");
        Say("RFC 4868", IntegrityKind.HmacSha512, Repeat(0xaa, 64), dd, "2ee7acd783624ca9398710f3ee05ae41b9f9b0510c87e49e586cc9bf961733d8");
        Say("RFC 4868", IntegrityKind.HmacSha512, Count(1, 64), cd, "5e6688e5a3daec826ca32eaea224eff5e700628947470e13ad01302561bab108");

        // RFC 3566 §4, cases 3 to 7; RFC 4493 §4, examples 2 to 4, which RFC 4494 cuts to 96 bits.
        Say("RFC 3566", IntegrityKind.AesXcbc, Count(0, 16), Count(0, 16), "d2a246fa349b68a79998a4394ff7a263");
        Say("RFC 3566", IntegrityKind.AesXcbc, Count(0, 16), Count(0, 20), "47f51b4564966215b8985c63055ed308");
        Say("RFC 3566", IntegrityKind.AesXcbc, Count(0, 16), Count(0, 32), "f54f0ec8d2b9f3d36807734bd5283fd4");
        Say("RFC 3566", IntegrityKind.AesXcbc, Count(0, 16), Count(0, 34), "becbb3bccdb518a30677d5481fb6b4d8");
        Say("RFC 3566", IntegrityKind.AesXcbc, Count(0, 16), new byte[1000], "f0dafee895db30253761103b5d84528f");
        byte[] text = Hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710");
        Say("RFC 4493", IntegrityKind.AesCmac, Hex("2b7e151628aed2a6abf7158809cf4f3c"), text[..16], "070a16b46b4d4144f79bdd9dd04a287c");
        Say("RFC 4493", IntegrityKind.AesCmac, Hex("2b7e151628aed2a6abf7158809cf4f3c"), text[..40], "dfa66747de9ae63030ca32611497c827");
        Say("RFC 4493", IntegrityKind.AesCmac, Hex("2b7e151628aed2a6abf7158809cf4f3c"), text, "51f0bebf7e3b9d92fc49741779363cfe");
    }

    private static void Said(int ways) => Assert.True(ways > 0, "the case could not be said");

    private static byte[] Hex(string hex) => Convert.FromHexString(hex);

    private static byte[] Repeat(byte value, int times) => [.. Enumerable.Repeat(value, times)];

    private static byte[] Count(int first, int count) => [.. Enumerable.Range(first, count).Select(static i => (byte)i)];
}
