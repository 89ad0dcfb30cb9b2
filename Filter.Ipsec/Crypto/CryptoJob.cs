namespace Filter.Ipsec.Crypto;

/// <summary>
/// One packet to seal or open where it lies. All places are offsets into <see cref="Slab"/>.
/// <para>
/// ESP: what is authenticated runs from <see cref="Header"/> to <see cref="Icv"/>, what is encrypted from
/// <see cref="Text"/> to <see cref="Icv"/>, and the <see cref="Iv"/> stands between.
/// </para>
/// <para>
/// AH: what is authenticated runs from <see cref="Header"/> to <see cref="End"/>, and the ICV lies within. The caller has
/// zeroed what changes on the way; the ICV's own place, and that of an IV before it, is taken as zero whatever stands
/// there (RFC 4302 §3.3.3).
/// </para>
/// </summary>
public struct CryptoJob
{
    /// <summary>The SA's keys. One worker uses a key at a time.</summary>
    public SaKey Key;

    /// <summary>The memory that the packet lies in. It must be on the pinned heap: its address is taken for the burst.</summary>
    public byte[] Slab;

    /// <summary>The first authenticated byte: of ESP its header (SPI), of AH the IP header.</summary>
    public int Header;

    /// <summary>Where the IV lies; filled by sealing, read by opening. Of no meaning where the suite has none.</summary>
    public int Iv;

    /// <summary>ESP: where the encrypted part begins.</summary>
    public int Text;

    /// <summary>Where the ICV lies, and in ESP the encrypted part ends; written by sealing, compared by opening.</summary>
    public int Icv;

    /// <summary>
    /// AH: one behind the last authenticated byte. With <see cref="Extended"/>, four bytes of the slab from here on are
    /// borrowed and given back as they were.
    /// </summary>
    public int End;

    /// <summary>
    /// The packet's number, all 64 bits of it. In counter modes it is the IV of what is sealed, so it must not come twice
    /// under one key, whether or not the SA numbers its packets with 64 bits.
    /// </summary>
    public ulong Sequence;

    /// <summary>
    /// Whether the number's high half, which packets do not carry, is authenticated too (RFC 4303 §2.2.1): behind
    /// everything else, or between SPI and low half where the cipher authenticates (RFC 4106 §5).
    /// </summary>
    public bool Extended;

    /// <summary>
    /// The result. After sealing: the packet is sealed. After opening: the ICV is right and the text is clear.
    /// False leaves bytes that must not be looked at.
    /// </summary>
    public bool Good;

    /// <summary>The half of the number that packets do not carry.</summary>
    internal readonly uint SequenceHigh => (uint)(Sequence >> 32);

    /// <summary>Whether every offset lies inside the slab, in order, and the text fits the cipher.</summary>
    internal readonly bool IsBounded => Key is { } key && Slab is { } slab && (key.Suite.IsAh ? IsBoundedAh(key, slab) : IsBoundedEsp(key, slab));

    private readonly bool IsBoundedEsp(SaKey key, byte[] slab) =>
        Header >= 0 && Iv - Header >= HeaderLength && Text - Iv >= key.IvLength && Icv > Text
        && Icv <= slab.Length - key.IcvLength
        && ((Icv - Text) & (key.BlockLength - 1)) == 0;

    private readonly bool IsBoundedAh(SaKey key, byte[] slab) =>
        Header >= 0 && Icv - Header >= HeaderLength && (key.IvLength == 0 || (Iv >= Header && Icv - Iv >= key.IvLength))
        && End <= slab.Length - (Extended ? sizeof(uint) : 0) && Icv <= End - key.IcvLength;

    /// <summary>SPI and number: less than that stands before no IV.</summary>
    private const int HeaderLength = 8;
}
