using Filter.Engine.Packets;
using Filter.Ipsec.Databases;
using Filter.Ipsec.Ike;
using Filter.Rules.Policy;

namespace Filter.Tests.Ipsec.Ike;

/// <summary>An engine with what a daemon has around it: a SAD of its children, and the packets that go by them.</summary>
internal sealed class IkeNode : IIkeHost, IDisposable
{
    private readonly IkeNet _net;
    private readonly Dictionary<uint, (ChildSa Child, string Keys)> _inbound = [];
    private readonly List<(ChildSa Child, string Keys)> _outbound = [];
    private readonly Dictionary<ChildSa, long> _opened = [];
    private readonly Random _random;
    private uint _nextSpi;

    internal IkeNode(IkeNet net, string name, Address address, IpsecConfig config, int seed)
    {
        (_net, Name, Address, _random, _nextSpi) = (net, name, address, new Random(seed), (uint)(seed & 0xffff) * 1000 + 1000);
        Engine = new IkeEngine(this, config, new SeededRandom(_random));
    }

    internal string Name { get; }

    internal Address Address { get; set; }

    internal IkeEngine Engine { get; private set; }

    internal List<IkeEvent> Events { get; } = [];

    /// <summary>Packets that came by an SA that was not there, or with other keys.</summary>
    internal int Lost { get; private set; }

    internal int Received { get; private set; }

    internal int Refused { get; private set; }

    /// <summary>Why children are refused; null for not.</summary>
    internal string? NoRoom { get; set; }

    public DateTimeOffset WallTime { get; set; } = DateTimeOffset.UtcNow;

    internal IEnumerable<ChildSa> Children => _outbound.Select(static o => o.Child).Distinct();

    internal int InboundCount => _inbound.Count;

    internal ChildSa Child => Assert.Single(Children);

    internal IkePeerReport Peer => Assert.Single(Engine.Report(_net.Now));

    internal IkeSaReport Sa => Assert.Single(Peer.Sas);

    /// <summary>The newest IKE SA, from within.</summary>
    internal IkeSa Inner => Engine.Candidates(Peer.Sas[^1].Path).First().Sas[^1];

    internal bool IsUp => Engine.Report(_net.Now).Any(static p => p.State == IkePeerState.Up);

    internal IEnumerable<IkeEvent> Told(IkeEventKind kind) => Events.Where(e => e.Kind == kind);

    internal IkeFailure Failure => Told(IkeEventKind.Failed).Last().Failure!;

    /// <summary>What it has, for tests that fail.</summary>
    internal string State => string.Join('\n', _inbound.Values.Select(i =>
        $"{Name} {i.Child} {i.Child.State} {i.Child.Installed}{(i.Child.IsClosing ? " closing" : "")} of {Peer.Sas.Count(sa => sa.Children.Contains(i.Child))}"));

    /// <summary>It starts anew, and has forgotten all.</summary>
    internal void Restart(IpsecConfig config)
    {
        Engine.Dispose();
        _inbound.Clear();
        _outbound.Clear();
        Events.Clear();
        Engine = new IkeEngine(this, config, new SeededRandom(_random));
    }

    internal void Acquire(string policy, string local, string remote, byte protocol = 6, ushort localPort = 40000, ushort remotePort = 443) =>
        Engine.Acquire(policy, new SelectorValues(Address.Parse(local), Address.Parse(remote), protocol, localPort, remotePort), _net.Now);

    /// <summary>Seals a packet by the newest SA of a policy; none is asked for.</summary>
    internal void SendPacket(string policy)
    {
        int at = _outbound.FindLastIndex(o => o.Child.Policy.Name == policy);
        if (at < 0)
        {
            Refused++;
            return;
        }

        _net.SendPacket(this, _outbound[at].Child.OutboundSpi, _outbound[at].Keys);
    }

    internal void ReceivePacket(uint spi, string keys)
    {
        if (_inbound.TryGetValue(spi, out (ChildSa Child, string Keys) there) && there.Keys == keys)
        {
            _opened[there.Child] = _opened.GetValueOrDefault(there.Child) + 1;
            Received++;
        }
        else
        {
            Lost++;
        }
    }

    public void Send(in IkePath path, ReadOnlyMemory<byte> message) => _net.Send(this, path, message.ToArray());

    public Address? LocalFor(Address remote) => Address;

    public uint NewSpi() => ++_nextSpi;

    public string? Install(ChildSa child, ChildDirections which)
    {
        if (NoRoom is not null)
        {
            return NoRoom;
        }

        if ((which & ChildDirections.Inbound) != 0)
        {
            _inbound.Add(child.InboundSpi, (child, Reveal(child.InboundKeys)));
        }

        if ((which & ChildDirections.Outbound) != 0)
        {
            _outbound.Add((child, Reveal(child.OutboundKeys)));
        }

        return null;
    }

    public void Remove(ChildSa child, ChildDirections which)
    {
        if ((which & ChildDirections.Inbound) != 0)
        {
            _inbound.Remove(child.InboundSpi);
            _opened.Remove(child);
        }

        if ((which & ChildDirections.Outbound) != 0)
        {
            _outbound.RemoveAll(o => o.Child == child);
        }
    }

    public long Opened(ChildSa child) => _opened.GetValueOrDefault(child);

    public void Tell(IkeEvent told) => Events.Add(told);

    public void Dispose() => Engine.Dispose();

    private static string Reveal(Filter.Ipsec.Ike.Crypto.DirectionKeys keys)
    {
        Assert.True(keys.Encryption.Reveal().ContainsAnyExcept((byte)0) || keys.Integrity.Reveal().ContainsAnyExcept((byte)0), "installed with keys that are wiped");
        return Convert.ToHexString(keys.Encryption.Reveal()) + Convert.ToHexString(keys.Integrity.Reveal());
    }

    private sealed class SeededRandom(Random random) : IkeRandom
    {
        public override void Fill(Span<byte> bytes) => random.NextBytes(bytes);
    }
}
