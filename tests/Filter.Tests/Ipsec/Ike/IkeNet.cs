using Filter.Engine.Packets;
using Filter.Ipsec.Ike;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Tests.Ipsec.Ike;

/// <summary>Engines and a network in memory: what is on its way arrives in its time, is lost, doubled, late, or translated, by a seed.</summary>
internal sealed class IkeNet(int seed = 1) : IDisposable
{
    private const long Millisecond = 1_000_000;

    private readonly Random _random = new(seed);
    private readonly List<IkeNode> _nodes = [];
    private readonly PriorityQueue<Action, (long At, long Number)> _underWay = new();
    private long _number;

    internal long Now { get; private set; } = 1_000 * IkeSettings.Second;

    /// <summary>Of a hundred messages of IKE.</summary>
    internal int Lost { get; set; }

    /// <summary>Likewise.</summary>
    internal int Doubled { get; set; }

    /// <summary>Between this, and twice as much.</summary>
    internal long Delay { get; set; } = 5 * Millisecond;

    /// <summary>How much longer some take, so that they come out of order.</summary>
    internal long Spread { get; set; }

    /// <summary>Messages for which it is true are dropped.</summary>
    internal Func<IkeNode, byte[], bool>? Drops { get; set; }

    /// <summary>Who stands before a node, and gives it another address and ports.</summary>
    internal (IkeNode Node, Address Outside)? Translator { get; set; }

    /// <summary>What was sent, in order.</summary>
    internal List<(IkeNode From, IkePath Path, byte[] Message)> Sent { get; } = [];

    internal IkeNode Add(string name, Address address, IpsecConfig config)
    {
        IkeNode node = new(this, name, address, config, (seed * 31) + _nodes.Count);
        _nodes.Add(node);
        return node;
    }

    /// <summary>Two sites as <see cref="IkeSettings"/> has them.</summary>
    internal (IkeNode East, IkeNode West) Sites(
        Func<IkePeer, IkePeer>? east = null, Func<IkePeer, IkePeer>? west = null, Func<IpsecPolicy, IpsecPolicy>? eastPolicy = null, Func<IpsecPolicy, IpsecPolicy>? westPolicy = null) =>
        (Add("east", IkeSettings.East, IkeSettings.EastConfig(east, eastPolicy)), Add("west", IkeSettings.West, IkeSettings.WestConfig(west, westPolicy)));

    internal void Send(IkeNode from, IkePath path, byte[] message)
    {
        Sent.Add((from, path, message));
        if (Drops?.Invoke(from, message) == true || _random.Next(100) < Lost)
        {
            return;
        }

        int copies = _random.Next(100) < Doubled ? 2 : 1;
        for (int i = 0; i < copies; i++)
        {
            Deliver(path, message);
        }
    }

    /// <summary>Brings a message to whoever has its destination.</summary>
    internal void Deliver(IkePath path, byte[] message)
    {
        const ushort translated = 20000;
        IkePath seen = new(path.Remote, path.RemotePort, path.Local, path.LocalPort);
        if (Translator is (IkeNode inner, Address outside))
        {
            seen = seen.Remote == inner.Address ? seen with { Remote = outside, RemotePort = (ushort)(seen.RemotePort + translated) }
                : seen.Local == outside ? seen with { Local = inner.Address, LocalPort = (ushort)(seen.LocalPort >= translated ? seen.LocalPort - translated : seen.LocalPort) }
                : seen;
        }

        After(Way(), () => _nodes.Find(n => n.Address == seen.Local)?.Engine.Receive(seen, message, Now));
    }

    /// <summary>Says something in a node's name and with its keys, past its engine.</summary>
    internal void Forge(IkeNode from, ExchangeType exchange, uint id, bool isResponse, params Payload[] payloads) =>
        Deliver(from.Inner.Path, Sealed(from, exchange, id, isResponse, payloads));

    internal static byte[] Sealed(IkeNode from, ExchangeType exchange, uint id, bool isResponse, params Payload[] payloads)
    {
        IkeSa sa = from.Inner;
        IkeHeader header = new(sa.InitiatorSpi, sa.ResponderSpi, exchange, isResponse, sa.IsInitiator, id);
        return Assert.Single(IkeCodec.Seal(new IkeMessage(header, [.. payloads]), sa.Keys!.Outgoing, null));
    }

    /// <summary>What a node said last, read with the other's keys.</summary>
    internal IkeMessage Heard(IkeNode reader)
    {
        byte[] message = Sent.Last(s => s.From != reader).Message;
        Assert.True(IkeHeader.TryRead(message, out IkeHeader header, out _));
        Assert.True(IkeCodec.TryOpen(message, header, reader.Inner.Keys!.Incoming, new FragmentCollector(), out IkeMessage? read, out IkeFault fault), fault.Text);
        return read!;
    }

    internal void SendPacket(IkeNode from, uint spi, string keys)
    {
        IkeNode to = _nodes.Find(n => n != from)!;
        After(Way(), () => to.ReceivePacket(spi, keys));
    }

    internal void After(long wait, Action action) => _underWay.Enqueue(action, (Now + wait, _number++));

    /// <summary>Lets time pass.</summary>
    internal void Run(double seconds)
    {
        long end = Now + (long)(seconds * IkeSettings.Second);
        while (true)
        {
            long due = _nodes.Count == 0 ? long.MaxValue : _nodes.Min(static n => n.Engine.NextDue);
            long arrives = _underWay.TryPeek(out _, out (long At, long) first) ? first.At : long.MaxValue;
            long next = Math.Min(due, arrives);
            if (next > end)
            {
                Now = end;
                return;
            }

            Now = Math.Max(Now, next);
            if (arrives <= Now)
            {
                _underWay.Dequeue()();
            }

            foreach (IkeNode node in _nodes)
            {
                if (node.Engine.NextDue <= Now)
                {
                    node.Engine.Tick(Now);
                }
            }
        }
    }

    /// <summary>What was told last, by whom; for tests that fail.</summary>
    internal string Story(int lines) => string.Join('\n', _nodes.SelectMany(static n => n.Events.Select(e => (e.At, Line: $"{e.At / 1_000_000} {n.Name} {e.Kind} {e.Text}")))
        .OrderBy(static e => e.At).TakeLast(lines).Select(static e => e.Line));

    /// <summary>Until it is so, or the time is over; whether it is so.</summary>
    internal bool RunUntil(Func<bool> isSo, double seconds = 120)
    {
        const double step = 0.05;
        for (double t = 0; t < seconds; t += step)
        {
            if (isSo())
            {
                return true;
            }

            Run(step);
        }

        return isSo();
    }

    public void Dispose() => _nodes.ForEach(static n => n.Dispose());

    private long Way() => Delay + (long)(_random.NextDouble() * (Delay + Spread));
}
