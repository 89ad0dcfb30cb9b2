using Filter.Rules;
using Filter.Tests.Filterctl;

namespace Filter.Tests.Rules.Policy;

/// <summary>Certificates, CRLs and keys come from files that anybody may have broken: each is a finding, and none more.</summary>
public sealed class IkeCredentialFuzzTests : IDisposable
{
    private const int Rounds = 60;

    private readonly Scratch _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("gw.pem")]
    [InlineData("gw.key")]
    [InlineData("ed.key")]
    [InlineData("small.key")]
    [InlineData("ca.pem")]
    [InlineData("old.crl")]
    public void What_is_changed_cut_or_put_in_is_read_or_refused(string broken)
    {
        foreach (string file in Directory.GetFiles(Path.Combine(SampleFiles.Root, "rules/broken/ike")))
        {
            Write(Path.GetFileName(file), File.ReadAllBytes(file));
        }

        byte[] good = File.ReadAllBytes(_folder[broken]), der = DerOf(good);
        Random random = new(broken.Length);
        for (int round = 0; round < Rounds; round++)
        {
            byte[] bytes = [.. round % 2 == 0 ? good : der];
            for (int i = random.Next(1, 4); i > 0; i--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            Write(broken, random.Next(4) == 0 ? bytes[..random.Next(bytes.Length)] : bytes);
            RulesetReading reading = Read();
            Assert.True(reading.Ruleset is not null || reading.ErrorCount > 0);
            reading.Ruleset?.WipeKeys();
        }
    }

    private RulesetReading Read() => RulesetFile.Parse("f.yaml", """
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
          self: { tap: filter0, side: protected, addresses: [ 192.0.2.1/24 ] }
        ipsec:
          policies: [ { protect: a, remote: 10.2.0.0/16, ike: a }, { protect: b, remote: 10.3.0.0/16, ike: b }, { protect: c, remote: 10.4.0.0/16, ike: c } ]
          ike:
            peers:
              a: { remote: 198.51.100.1, certificate: gw.pem, key-file: gw.key, trust: ca.pem, crl: old.crl }
              b: { remote: 198.51.100.2, identity: b.example.com, key-file: ed.key, peer-key: ed.pub }
              c: { remote: 198.51.100.3, identity: c.example.com, key-file: small.key, peer-key: small.pub }
        """, _folder.Folder);

    private static byte[] DerOf(byte[] pem)
    {
        string text = System.Text.Encoding.ASCII.GetString(pem);
        return Convert.FromBase64String(text[System.Security.Cryptography.PemEncoding.Find(text).Base64Data]);
    }

    private void Write(string name, byte[] bytes)
    {
        File.WriteAllBytes(_folder[name], bytes);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(_folder[name], UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }
    }
}
