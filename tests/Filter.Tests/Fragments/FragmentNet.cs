using Filter.Engine.Fragments;
using Filter.Engine.Packets;
using Filter.Engine.Path;
using Filter.Engine.Wire;

namespace Filter.Tests.Fragments;

/// <summary>What became of one frame.</summary>
internal sealed record Fate(Verdict Verdict, DropReason Reason, byte[]? Whole);

/// <summary>A reassembler between two ports, with a walk of its own that passes all that is whole.</summary>
internal sealed class FragmentNet(FragmentLimits? limits = null)
{
    public PathCounters Counters { get; } = new();
    public Reassembler Reassembler => field ??= new Reassembler(limits ?? new FragmentLimits(), Counters);
    public Burst Burst { get; } = new();
    public long Now { get; set; } = 1_000_000_000;
    public byte Ingress { get; set; }

    /// <summary>What becomes of whole datagrams.</summary>
    public Verdict Says { get; set; } = Verdict.Pass;
    public IpsecAction Ipsec { get; set; } = IpsecAction.Bypass;

    /// <summary>What left by the far port in the last burst, and its numbers in the input.</summary>
    public List<byte[]> Sent { get; } = [];
    public List<long> SentNumbers { get; } = [];

    public Fate Send(byte[] frame) => Send([frame])[0];

    /// <summary>Sends frames as one burst.</summary>
    public Fate[] Send(params byte[][] frames)
    {
        Burst.Reset();
        Burst.Now = Now;
        foreach (byte[] frame in frames)
        {
            Frames.Append(Burst, frame, Ingress, ++Counters.In);
        }

        Reassembler.Complete(Burst, 0);
        var fates = new Fate[frames.Length];
        for (int i = 0; i < frames.Length; i++)
        {
            Judge(ref Burst.Packets[i]);
            fates[i] = new Fate(Burst.Packets[i].Verdict, Burst.Packets[i].Reason, Whole(Burst.Packets[i]));
        }

        Reassembler.Release(Burst);
        Sent.Clear();
        SentNumbers.Clear();
        for (int i = 0; i < Burst.Count; i++)
        {
            ref Packet packet = ref Burst.Packets[i];
            if (i < frames.Length)
            {
                Counters.Count(packet);
            }

            if (packet.Egress != 0)
            {
                Assert.Equal(Verdict.Pass, packet.Verdict);
                Sent.Add(packet.Bytes.ToArray());
                SentNumbers.Add(packet.Number);
            }
        }

        AssertBalance();
        return fates;
    }

    public void Expire()
    {
        Reassembler.Expire(Now, int.MaxValue);
        AssertBalance();
    }

    private void Judge(ref Packet packet)
    {
        if (packet.Done)
        {
            return;
        }

        DropReason why = packet.Kind == PacketKind.Unknown ? Parser.Parse(ref packet) : DropReason.None;
        if (why != DropReason.None || Says == Verdict.Drop)
        {
            packet.Drop(why == DropReason.None ? DropReason.Denied : why);
        }
        else
        {
            packet.Egress = 2;
            packet.Ipsec = Ipsec;
            packet.Verdict = Verdict.Pass;
            packet.Done = true;
        }
    }

    private static byte[]? Whole(in Packet packet) =>
        packet.Assembly == 0 ? null : packet.Slab.AsSpan(packet.Start, packet.Length).ToArray();

    private void AssertBalance()
    {
        Assert.Equal(Counters[Verdict.Held], Reassembler.HeldNow);
        Assert.Equal(Counters.In, Enum.GetValues<Verdict>().Sum(verdict => Counters[verdict]));
        Assert.Equal(Counters[Verdict.Drop], Enum.GetValues<DropReason>().Sum(reason => Counters[reason]));
    }
}
