using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Ipsec;
using Filter.Ipsec.Databases;
using Filter.Ipsec.PfKey;
using Filter.Ipsec.PfKey.Messages;
using Filter.Rules.Policy;
using Filter.Tests.Ipsec;

namespace Filter.Tests.PfKey;

/// <summary>A gateway whose SAs and policies key managers have, driven by messages and time alone.</summary>
internal sealed class PfKeyTalk : IPfKeyHost, IDisposable
{
    private readonly Address[] _own;
    private IpsecConfig _config;
    private PfKeyTime _now = new(1_000 * PfKeySa.Second, 1_700_000_000);
    private uint _sequence;

    /// <summary>A gateway with addresses of its own, blanks between them, and a ruleset that lets everything else pass in the clear.</summary>
    internal PfKeyTalk(string own, bool legacy = false, IpsecConfig? config = null)
    {
        _own = [.. own.Split(' ').Select(Address.Parse)];
        _config = config ?? Gateway.Config([Gateway.Policy(1, IpsecAction.Bypass)]);
        Gateway = new Gateway(_config, own: _own);
        Engine = new PfKeyEngine(this, legacy);
        Engine.Begin();
        Manager = Join();
    }

    internal Gateway Gateway { get; }

    internal PfKeyEngine Engine { get; }

    /// <summary>Who speaks where a test names nobody.</summary>
    internal Hearer Manager { get; }

    /// <summary>The reason of the last refusal.</summary>
    internal string? Why { get; private set; }

    public IpsecStage Stage => Gateway.Stage;

    public AddressSet Own => AddressSet.Of(_own.Select(static own => new AddressRange(own, own)));

    internal IEnumerable<string> Policies => Stage.Databases.Spd!.Entries.Select(static entry => entry.Name);

    internal Hearer Join()
    {
        Hearer hearer = new();
        Engine.Join(hearer);
        return hearer;
    }

    /// <summary>The manager says something; gives what it hears first.</summary>
    internal PfKeyMessage Say(PfKeyType type, PfKeySaType of, params PfKeyExtension[] extensions) => Say(Manager, type, of, extensions);

    internal PfKeyMessage Say(Hearer who, PfKeyType type, PfKeySaType of, params PfKeyExtension[] extensions)
    {
        Tell(who, new PfKeyHeader(type, PfKeyError.None, of, ++_sequence, 77), extensions);
        PfKeyMessage answer = who.Next();
        Assert.Equal((type, 77U), (answer.Header.Type, answer.Header.Process));
        return answer;
    }

    /// <summary>Says something that must be done.</summary>
    internal PfKeyMessage Must(PfKeyType type, PfKeySaType of, params PfKeyExtension[] extensions)
    {
        PfKeyMessage answer = Say(type, of, extensions);
        Assert.True(answer.Header.Error == PfKeyError.None, $"{type}: {answer.Header.Error}: {Why}");
        return answer;
    }

    /// <summary>Says something that must not be; the answer is its header alone.</summary>
    internal PfKeyError Fails(PfKeyType type, PfKeySaType of, params PfKeyExtension[] extensions)
    {
        PfKeyMessage answer = Say(type, of, extensions);
        Assert.Empty(answer.Extensions);
        Assert.Null(Manager.TryNext());
        return answer.Header.Error;
    }

    internal void Tell(Hearer who, PfKeyHeader header, params PfKeyExtension[] extensions) => Engine.Receive(who, PfKeyWriter.Write(new PfKeyMessage(header, [.. extensions])), _now);

    internal void Tell(byte[] bytes) => Engine.Receive(Manager, bytes, _now);

    /// <summary>Time passes.</summary>
    internal void Pass(int seconds)
    {
        _now = new PfKeyTime(_now.Nanoseconds + (seconds * PfKeySa.Second), _now.Wall + seconds);
        Gateway.Burst.Now = _now.Nanoseconds;
        Engine.Tick(_now);
    }

    /// <summary>What the stage told meanwhile reaches the engine.</summary>
    internal void Look()
    {
        while (Stage.Events.TryRead(out IpsecEvent told))
        {
            Engine.Hear(told, _now);
        }
    }

    /// <summary>Another ruleset comes in force.</summary>
    internal void Reload(IpsecConfig config)
    {
        _config = config;
        Stage.Adopt(IpsecDatabases.Build(config with { Policies = [.. Brought, .. config.Policies] }, _own, Stage.Databases));
        Engine.Tick(_now);
    }

    private ImmutableArray<IpsecPolicy> Brought { get; set; } = [];

    public T Hold<T>(Func<IpsecStage, T> change) => change(Stage);

    public PfKeyError Adopt(ImmutableArray<IpsecPolicy> policies, Action<IpsecStage> then)
    {
        Brought = policies;
        Stage.Adopt(IpsecDatabases.Build(_config with { Policies = [.. policies, .. _config.Policies] }, _own, Stage.Databases));
        then(Stage);
        return PfKeyError.None;
    }

    public void Refused(PfKeyHeader header, PfKeyError error, string why) => Why = why;

    public void Dispose() => Gateway.Dispose();

    /// <summary>One with a socket; what it is sent waits here.</summary>
    internal sealed class Hearer : PfKeyListener
    {
        private readonly Queue<byte[]> _heard = [];

        public override void Send(byte[] message) => _heard.Enqueue(message);

        public override bool SendAll(IEnumerable<byte[]> messages)
        {
            foreach (byte[] message in messages)
            {
                Send(message);
            }

            return true;
        }

        internal PfKeyMessage Next() => TryNext() ?? throw new InvalidOperationException("it hears nothing");

        internal PfKeyMessage? TryNext()
        {
            if (!_heard.TryDequeue(out byte[]? bytes))
            {
                return null;
            }

            Assert.True(PfKeyReader.TryRead(bytes, out PfKeyMessage? message, out PfKeyFault fault), fault.Why);
            return message;
        }

        /// <summary>All that it heard, as bytes.</summary>
        internal byte[][] Raw()
        {
            byte[][] all = [.. _heard];
            _heard.Clear();
            return all;
        }

        /// <summary>It did not listen so far.</summary>
        internal void Forget() => _heard.Clear();

        internal List<PfKeyMessage> All()
        {
            List<PfKeyMessage> all = [];
            while (TryNext() is { } next)
            {
                all.Add(next);
            }

            return all;
        }
    }
}
