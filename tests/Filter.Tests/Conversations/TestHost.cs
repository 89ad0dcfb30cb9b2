using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>One end of a conversation in a <see cref="TestNet"/>.</summary>
/// <param name="net">Where it lives.</param>
/// <param name="port">The port behind which it stands.</param>
/// <param name="self">Its address and port, as packet lines write them.</param>
/// <param name="peer">The other end.</param>
/// <param name="protocol">What they speak.</param>
internal sealed class TestHost(TestNet net, string port, string self, string peer, string protocol)
{
    private readonly Address _address = PacketLine.Parse($"{protocol} {self} > {peer}").Source;

    /// <summary>Sends its peer a packet.</summary>
    /// <param name="words">Flags and keys of the packet line: <c>SYN seq=99</c>.</param>
    public void Sends(string words = "") => net.Sends($"{port}: {protocol} {self} > {peer} {words}");

    /// <summary>The next packet that reaches this host is from its peer, and is this one.</summary>
    public void Hears(string words = "") =>
        Assert.Equal(TestNet.Normal($"{protocol} {peer} > {self} {words}"), net.Take(port, _address)?.ToString());

    /// <summary>The next packet that reaches this host is this one, whoever sent it.</summary>
    public void HearsLine(string line) => Assert.Equal(TestNet.Normal(line), net.Take(port, _address)?.ToString());

    /// <summary>No more packets reached this host.</summary>
    public void HearsNothing() => Assert.Null(net.Take(port, _address)?.ToString());

    /// <summary>Sends, and the other end hears the same.</summary>
    public void Reaches(TestHost other, string words = "")
    {
        Sends(words);
        other.Hears(words);
    }
}
