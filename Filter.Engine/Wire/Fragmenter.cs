using System.Buffers.Binary;
using Filter.Engine.Packets;

namespace Filter.Engine.Wire;

/// <summary>Cuts an IP packet into fragments (RFC 791 §3.2, RFC 8200 §4.5).</summary>
public static class Fragmenter
{
    private const int MoreFragments = 0x2000;
    private const int OffsetMask = 0x1fff;

    /// <summary>
    /// Appends fragments of at most <paramref name="mtu"/> bytes to the burst, each with all that was decided of the
    /// packet, and finishes that: it leaves by no port. Whether it may be fragmented is the caller's question.
    /// </summary>
    /// <param name="burst">The burst.</param>
    /// <param name="index">The packet: parsed, checksums finished, no super-frame.</param>
    /// <param name="mtu">Most bytes of IP packet.</param>
    /// <param name="identification">What IPv6 fragments share; IPv4 ones share the packet's own.</param>
    /// <returns>False where the burst has no room, or the MTU none for eight bytes of payload; nothing was changed then.</returns>
    public static bool TryCut(Burst burst, int index, int mtu, uint identification)
    {
        ref Packet whole = ref burst.Packets[index];
        ReadOnlySpan<byte> datagram = whole.Datagram;
        bool isIPv4 = IpHeader.IsIPv4(datagram);
        int split = IpHeader.SplitForFragments(datagram, out int nextHeaderAt);
        int header = split + (isIPv4 ? 0 : IpHeader.FragmentHeaderLength);
        int most = (mtu - header) & ~7;
        if (most <= 0)
        {
            return false;
        }

        byte protocol = datagram[nextHeaderAt];
        int payload = split;
        if (!isIPv4 && protocol == IpProtocol.Fragment)
        {
            // An atomic fragment (RFC 6946): its header is replaced.
            protocol = datagram[split];
            payload += IpHeader.FragmentHeaderLength;
        }

        int before = burst.Count;
        for (int at = payload; at < datagram.Length; at += most)
        {
            bool last = at + most >= datagram.Length;
            ReadOnlySpan<byte> part = datagram[at..(last ? datagram.Length : at + most)];
            if (!Segmenter.TryAppendPiece(burst, index, whole.Network + header + part.Length, out int piece))
            {
                burst.Trim(before);
                return false;
            }

            ref Packet fragment = ref burst.Packets[piece];
            fragment.Bytes.Clear();
            whole.Bytes[..(whole.Network + split)].CopyTo(fragment.Bytes);
            Span<byte> bytes = fragment.Datagram;
            part.CopyTo(bytes[header..]);
            fragment.Fragmented = true;
            fragment.FragmentOffset = at - payload;
            fragment.MoreFragments = !last;
            fragment.Transport = (ushort)(whole.Network + header);
            fragment.Payload = fragment.Transport;
            if (isIPv4)
            {
                FinishIPv4(bytes, at - payload, last);
            }
            else
            {
                bytes[nextHeaderAt] = IpProtocol.Fragment;
                bytes[split] = protocol;
                bytes[split + 1] = 0;
                BinaryPrimitives.WriteUInt16BigEndian(bytes[(split + 2)..], (ushort)((at - payload) | (last ? 0 : 1)));
                BinaryPrimitives.WriteUInt32BigEndian(bytes[(split + 4)..], identification);
                fragment.FragmentHeader = (ushort)(whole.Network + split);
                fragment.FragmentId = identification;
                IpHeader.SetLength(bytes);
            }
        }

        whole.Egress = 0;
        whole.Done = true;
        return true;
    }

    private static void FinishIPv4(Span<byte> datagram, int offset, bool last)
    {
        // The packet may itself be a fragment: its offset counts on, and more follow it if more followed.
        int field = BinaryPrimitives.ReadUInt16BigEndian(datagram[6..]);
        int units = (field & OffsetMask) + (offset / 8);
        int flags = field & ~OffsetMask;
        BinaryPrimitives.WriteUInt16BigEndian(datagram[6..], (ushort)((last ? flags : flags | MoreFragments) | units));
        if (offset > 0)
        {
            BlankFirstOnlyOptions(datagram[IpHeader.IPv4Length..IpHeader.Length(datagram)]);
        }

        IpHeader.SetLength(datagram);
    }

    /// <summary>Options without the copied flag stand in the first fragment alone (RFC 791 §3.1); here as no-operations.</summary>
    private static void BlankFirstOnlyOptions(Span<byte> options)
    {
        while (!options.IsEmpty && options[0] != 0)
        {
            int length = options[0] == 1 || options.Length < 2 ? 1 : Math.Clamp((int)options[1], 2, options.Length);
            if ((options[0] & 0x80) == 0)
            {
                options[..length].Fill(1);
            }

            options = options[length..];
        }
    }
}
