using System.Numerics;
using Filter.Engine.Flows;
using Filter.Engine.Local;
using Filter.Engine.Packets;
using Filter.Engine.Wire;

namespace Filter.Engine.Path;

/// <content>What Filter says to senders: rejected, too big, not asked for.</content>
public sealed partial class PacketPath<TTrace>
{
    private readonly Rejections _rejections = new(default);
    private UnsolicitedSyns? _unsolicited;
    private AnswerPolicy? _answers;
    private TokenBucket _tooBig;
    private TokenBucket _late;
    private uint _fragmentIdentification = (uint)Random.Shared.NextInt64();

    /// <summary>Puts the ruleset's answers in force. Where they stay as they were, so do the buckets and what waits.</summary>
    private void AdoptAnswers()
    {
        AnswerPolicy answers = Policy.Answers;
        if (answers == _answers)
        {
            return;
        }

        _answers = answers;
        _rejections.Limit(answers.Rate);
        _tooBig = new TokenBucket(answers.Rate);
        _late = new TokenBucket(answers.Rate);
        _unsolicited = answers.UnsolicitedSyns ? _unsolicited ?? new UnsolicitedSyns() : null;
    }

    private void Answer(Burst burst)
    {
        if (_seat is not null)
        {
            CatchUpAnswers();
        }

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
                long suppressed = _rejections.Suppressed;
                _rejections.TryAppend(burst, i);
                if (_rejections.Suppressed != suppressed)
                {
                    Suppress(packet.Key);
                }
            }
            else if (packet.Reason == DropReason.DefaultDeny && _unsolicited is { } waiting && IsUnsolicited(packet)
                && !waiting.TryHold(packet, burst.Now))
            {
                Suppress(packet.Key);
            }
            else if (packet.Verdict == Verdict.Pass && (packet.End - packet.Network > _leastMtu || packet.Assembly != 0) && packet.Ipsec != IpsecAction.Protect && packet.Kind != PacketKind.Link)
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
        // So does what another worker has put together.
        bool again = (packet.Fragmented && packet.Depth > 0 && packet.FragmentHeader == 0) || (packet.Guest & GuestState.PutTogether) != 0;
        uint identification = again && !packet.IsIPv4 ? ++_fragmentIdentification : packet.FragmentId;
        if (whole && (!packet.DontFragment || again) && packet.Offload.Gso == GsoKind.None
            && Segmenter.TryFinishChecksum(ref packet) && Fragmenter.TryCut(burst, index, mtu, identification))
        {
            return;
        }

        bool may = _tooBig.TryTake(burst.Now);
        if (!may)
        {
            Suppress(packet.Key);
        }

        bool told = may && IcmpErrors.TryAppend(burst, index, IcmpErrorKind.TooBig, mtu);
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

    /// <summary>One that could open a connection from outside; what came by an SA is not answered in the clear.</summary>
    private static bool IsUnsolicited(in Packet packet) =>
        packet.Direction == Direction.In && packet.ArrivedBy == 0 && !packet.Fragmented && packet.Key.Protocol switch
        {
            IpProtocol.Tcp => (packet.TcpFlags & (TcpFlags.Syn | TcpFlags.Ack)) == TcpFlags.Syn,
            IpProtocol.Sctp => packet.Chunks == SctpEvents.Init,
            _ => false,
        };

    /// <summary>
    /// Whoever sent a SYN or an INIT that nobody asked for hears so after a while (RFC 6092 REC-34, REC-39, RFC 5382 REQ-4),
    /// unless the connection was opened from inside meanwhile: then the two have met.
    /// </summary>
    private void AnswerUnsolicited(Burst burst)
    {
        while (_unsolicited is { } waiting && waiting.IsDue(burst.Now, out FlowKey key))
        {
            if (Flows.Find(key, out _) == 0)
            {
                if (!_late.TryTake(burst.Now))
                {
                    Suppress(key);
                }
                else if (waiting.Append(burst) is var index and >= 0)
                {
                    IcmpErrors.TryAppend(burst, index, IcmpErrorKind.Unsolicited);
                }
            }

            waiting.Forget();
        }
    }

    private void Suppress(in FlowKey key) => Counters.Limits.Refuse(Limit.Answers, ShareKey.OfSource(key, management: false));
}
