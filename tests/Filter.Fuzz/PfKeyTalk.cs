using System.Buffers.Binary;
using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Engine.Ports;
using Filter.Ipsec;
using Filter.Ipsec.Crypto;
using Filter.Ipsec.Databases;
using Filter.Ipsec.PfKey;
using Filter.Ipsec.PfKey.Messages;
using Filter.Rules.Policy;

namespace Filter.Fuzz;

/// <summary>
/// A key manager that says anything: an input is a list of messages, each two bytes (its length) and its own. Each is answered or
/// refused; what is answered can be read; a flush at the end leaves nothing.
/// </summary>
internal sealed class PfKeyTalk : PfKeyListener, IPfKeyHost, IDisposable
{
    private static readonly IpsecConfig s_config = new([], []);
    private static readonly Address[] s_own = [Address.Parse("192.0.2.1")];

    private readonly IpsecStage _stage = new(
        [new MemoryPort(1500, 0) { Name = "outside", Number = 0, Side = Side.Unprotected }, new MemoryPort(1500, 0) { Name = "inside", Number = 1, Side = Side.Protected }],
        new BouncyCastleBackend(), IpsecDatabases.Build(s_config, s_own));

    /// <inheritdoc/>
    public IpsecStage Stage => _stage;

    /// <inheritdoc/>
    public AddressSet Own { get; } = AddressSet.Of(s_own.Select(static own => new AddressRange(own, own)));

    /// <summary>Says an input's messages; throws where an answer cannot be read, or something is left.</summary>
    public static void Run(byte[] input)
    {
        using PfKeyTalk talk = new();
        PfKeyEngine engine = new(talk, legacy: true);
        engine.Begin();
        engine.Join(talk);
        long now = PfKeyEngine.LarvalLife;
        for (int at = 0; at + 2 <= input.Length;)
        {
            int length = Math.Min(BinaryPrimitives.ReadUInt16BigEndian(input.AsSpan(at)), input.Length - at - 2);
            engine.Receive(talk, input.AsSpan(at + 2, length), new PfKeyTime(now, 1));
            engine.Tick(new PfKeyTime(now += 1_000_000_000, now / 1_000_000_000));
            at += 2 + length;
        }

        foreach (PfKeyType flush in (PfKeyType[])[PfKeyType.Flush, PfKeyType.PolicyFlush])
        {
            engine.Receive(talk, PfKeyWriter.Write(new PfKeyMessage(new PfKeyHeader(flush, PfKeyError.None, PfKeySaType.Unspecified, 1, 1), [])), new PfKeyTime(now, 1));
        }

        if (talk._stage.Sad.Count != 0)
        {
            throw new InvalidOperationException("SAs are left after a flush");
        }
    }

    /// <summary>Inputs to begin with: one of each message, with what it needs, and a whole conversation.</summary>
    public static IEnumerable<byte[]> Seeds()
    {
        Address near = s_own[0], far = Address.Parse("198.51.100.1");
        AddressExtension source = new(PfKeyExtensionType.AddressSource, far), destination = new(PfKeyExtensionType.AddressDestination, near);
        PfKeyRequest tunnel = new(50, PfKeyMode.Tunnel, PfKeyLevel.Require, 1, (far, near));
        PfKeyExtension[] parts =
        [
            new SaExtension(0x1000, 32, PfKeySaState.Mature, 3, 12, PfKeySaFlags.None), source, destination,
            new KeyExtension(PfKeyExtensionType.KeyAuthentication, 160, new SecretKey(new byte[20])), new KeyExtension(PfKeyExtensionType.KeyEncryption, 128, new SecretKey(new byte[16])),
            new LifetimeExtension(PfKeyExtensionType.LifetimeHard, 1, 2, 3, 4), new SpiRangeExtension(0x1000, 0x1000), new Sa2Extension(PfKeyMode.Tunnel, 0, 1),
            new PolicyExtension(PfKeyPolicyType.Ipsec, PfKeyDirection.In, 1, 0, [tunnel]), new NatTypeExtension(2),
            new NatPortExtension(PfKeyExtensionType.NatSourcePort, 4500), new NatPortExtension(PfKeyExtensionType.NatDestinationPort, 4500),
        ];
        List<byte> all = [];
        for (PfKeyType type = PfKeyType.GetSpi; type <= PfKeyType.Migrate; type++)
        {
            byte[] message = PfKeyWriter.Write(new PfKeyMessage(new PfKeyHeader(type, PfKeyError.None, PfKeySaType.Esp, 1, 1), [.. parts]));
            byte[] record = [(byte)(message.Length >> 8), (byte)message.Length, .. message];
            all.AddRange(record);
            yield return record;
        }

        yield return [.. all];
    }

    /// <inheritdoc/>
    public void Dispose() => _stage.Dispose();

    /// <inheritdoc/>
    public T Hold<T>(Func<IpsecStage, T> change) => change(_stage);

    /// <inheritdoc/>
    public PfKeyError Adopt(ImmutableArray<IpsecPolicy> policies, Action<IpsecStage> then)
    {
        _stage.Adopt(IpsecDatabases.Build(s_config with { Policies = policies }, s_own, _stage.Databases));
        then(_stage);
        return PfKeyError.None;
    }

    /// <inheritdoc/>
    public void Refused(PfKeyHeader header, PfKeyError error, string why)
    {
        if (error == PfKeyError.None || why.Length == 0)
        {
            throw new InvalidOperationException("refused without a reason");
        }
    }

    /// <inheritdoc/>
    public override void Send(byte[] message)
    {
        if (message[2] == 0 && !PfKeyReader.TryRead(message, out _, out PfKeyFault fault))
        {
            throw new InvalidOperationException($"an answer cannot be read: {fault.Why}");
        }
    }

    /// <inheritdoc/>
    public override bool SendAll(IEnumerable<byte[]> messages)
    {
        foreach (byte[] message in messages)
        {
            Send(message);
        }

        return true;
    }
}
