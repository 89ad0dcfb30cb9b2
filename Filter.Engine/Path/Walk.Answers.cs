using System.Numerics;
using Filter.Engine.Local;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Engine.Path;

/// <content>What Filter says to senders: rejected, too big.</content>
public sealed partial class PacketPath<TTrace>
{
    /// <summary>Answers a second, at most: an error must not become an amplifier (RFC 4443 §2.4 (f)).</summary>
    private static readonly RateLimit s_answers = new(1_000_000_000 / 200, 200);

    private readonly Rejections _rejections = new(s_answers);
    private TokenBucket _tooBig = new(s_answers);
    private uint _fragmentIdentification = (uint)Random.Shared.NextInt64();

    private void Answer(Burst burst)
    {
        int count = burst.Count;
        for (int i = 0; i < count; i++)
        {
            ref Packet packet = ref burst.Packets[i];
            if (packet.Own)
            {
                continue;
            }

            if (packet.Verdict == Verdict.Reject)
            {
                _rejections.TryAppend(burst, i);
            }
            else if (packet.Verdict == Verdict.Pass && packet.Ipsec != IpsecAction.Protect && packet.Kind != PacketKind.Link)
            {
                CheckSize(burst, i);
            }
        }
    }

    /// <summary>
    /// A far port may take less than the near one gave. What is too big is cut where its sender lets it
    /// be, else its sender is told. Sealing checks its own sizes.
    /// </summary>
    private void CheckSize(Burst burst, int index)
    {
        ref Packet packet = ref burst.Packets[index];
        int mtu = int.MaxValue;
        for (int ports = packet.Egress; ports != 0; ports &= ports - 1)
        {
            mtu = Math.Min(mtu, _mtus[BitOperations.TrailingZeroCount(ports)]);
        }

        bool whole = packet.Assembly == 0;
        int length = whole ? packet.End - packet.Network : _reassembler.Longest(packet.Assembly);
        if (length <= mtu || (!whole && !packet.DontFragment)
            || (packet.Offload.Gso != GsoKind.None
                && packet.Payload - packet.Network + packet.Offload.SegmentSize <= mtu))
        {
            return;
        }

        // What left its sender in fragments and was sealed as a whole, in transport mode, becomes fragments again:
        // Filter stands in for that sender (RFC 4303 §3.3.4).
        bool again = packet.Fragmented && packet.Depth > 0 && packet.FragmentHeader == 0;
        uint identification = again && !packet.IsIPv4 ? ++_fragmentIdentification : packet.FragmentId;
        if (whole && (!packet.DontFragment || again) && packet.Offload.Gso == GsoKind.None
            && Segmenter.TryFinishChecksum(ref packet) && Fragmenter.TryCut(burst, index, mtu, identification))
        {
            return;
        }

        bool told = _tooBig.TryTake(burst.Now) && IcmpErrors.TryAppend(burst, index, IcmpErrorKind.TooBig, mtu);
        ref Packet late = ref burst.Packets[index];
        if (told)
        {
            late.Finish(Verdict.Answered, DropReason.TooBig);
        }
        else
        {
            late.Drop(DropReason.TooBig);
        }

        Tell(late, "size", $"{length} bytes, the far port takes {mtu}");
    }
}
