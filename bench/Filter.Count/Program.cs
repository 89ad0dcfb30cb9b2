using System.Runtime.InteropServices;
using Filter.Bench;
using Filter.Bench.Engine;
using Filter.Count;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Rules.Policy;

// The walk, row by row, for a tool that counts instructions: prints the runtime, then of each row how many packets it had and its
// name. `./dev bench check` runs it, and says what came of it.
const int bursts = 400, warmUp = 20, flows = 10_000, sas = 1_000, sealedSize = 576;

Console.WriteLine($"{RuntimeInformation.FrameworkDescription}");
var random = new Random(1);
var engine = new EnginePath(4 * flows);
engine.Establish(0, flows);
int next = flows;

Row("parse", Established, Parse);
Row("lookup, 10,000 flows", Parsed, engine.Path.Flows.Find);
Row("packet of an established flow, 10,000 flows", Established, engine.Path.Walk);
Row("new flow, 1,000 rules", Unknown, engine.Path.Walk, Forget);
Row("denied packet, 1,000 rules", Unasked, engine.Path.Walk);

// A suite whose IV is the packet's number: random ones are the library's.
IpsecSuite suite = IpsecSuite.TryFind("aes-gcm-16-128", out IpsecSuite? found) ? found : throw new InvalidOperationException("no such suite");
using var path = new SealedPath(suite, sealedSize, sas, tunnel: false, static () => new NoCrypto());
Row("packet sealed, without its cryptography", path.Fill, path.Seal);
Row("packet opened, without its cryptography", Arrived, burst => path.Open(burst));

void Row(string name, Func<Burst> fill, Action<Burst> work, Action<Burst>? after = null)
{
    for (int i = 0; i < warmUp; i++)
    {
        Burst burst = fill();
        work(burst);
        after?.Invoke(burst);
    }

    int packets = 0;
    for (int i = 0; i < bursts; i++)
    {
        Burst burst = fill();
        packets += burst.Count;
        Counted.Work(work, burst);
        after?.Invoke(burst);
    }

    Counted.EndOfRow(name, packets);
}

Burst Established()
{
    Traffic.Fill(engine.Burst, random, flows);
    return engine.Burst;
}

Burst Parsed()
{
    Burst burst = Established();
    Parse(burst);
    return burst;
}

Burst Unknown()
{
    Traffic.Fill(engine.Burst, ref next);
    return engine.Burst;
}

Burst Unasked()
{
    Traffic.Fill(engine.Burst, ref next, unasked: true);
    return engine.Burst;
}

Burst Arrived()
{
    Burst burst = path.Fill();
    path.Seal(burst);
    return path.Carry(burst);
}

void Parse(Burst burst)
{
    for (int i = 0; i < burst.Count; i++)
    {
        if (Parser.Parse(ref burst.Packets[i]) != DropReason.None)
        {
            throw new InvalidOperationException("a packet that does not parse");
        }
    }
}

void Forget(Burst burst)
{
    for (int i = 0; i < burst.Count; i++)
    {
        engine.Path.Flows.Remove(burst.Packets[i].Flow);
    }
}
