namespace Filter.Ipsec.Crypto;

/// <summary>
/// One ESP packet to seal or open where it lies. All places are offsets into <see cref="Slab"/>; what is authenticated
/// runs from <see cref="Header"/> to <see cref="Icv"/>, what is encrypted from <see cref="Text"/> to <see cref="Icv"/>.
/// </summary>
public struct CryptoJob
{
    /// <summary>The SA's keys. One worker uses a key at a time.</summary>
    public EspKey Key;

    /// <summary>The memory that the packet lies in. It must be on the pinned heap: its address is taken for the burst.</summary>
    public byte[] Slab;

    /// <summary>Where the ESP header (SPI) begins: the first authenticated byte.</summary>
    public int Header;

    /// <summary>Where the IV lies; filled by sealing, read by opening.</summary>
    public int Iv;

    /// <summary>Where the encrypted part begins.</summary>
    public int Text;

    /// <summary>Where the encrypted part ends and the ICV begins; written by sealing, compared by opening.</summary>
    public int Icv;

    /// <summary>The packet's number, all 64 bits of it.</summary>
    public ulong Sequence;

    /// <summary>Whether the SA numbers its packets with 64 bits.</summary>
    public bool Extended;

    /// <summary>
    /// The result. After sealing: the packet is sealed. After opening: the ICV is right and the text is clear.
    /// False leaves bytes that must not be looked at.
    /// </summary>
    public bool Good;

    /// <summary>
    /// The high half of an extended sequence number (RFC 4303 §2.2.1), authenticated but not carried. Used where
    /// <see cref="Extended"/> is set.
    /// </summary>
    internal readonly uint SequenceHigh => (uint)(Sequence >> 32);

    /// <summary>Whether every offset lies inside the slab, in order, and the text fits the cipher.</summary>
    internal readonly bool IsBounded =>
        Key is not null && Slab is not null
        && Header >= 0 && Iv >= Header && Text - Iv >= Key.Suite.IvLength && Icv > Text
        && Icv <= Slab.Length - Key.Suite.IcvLength
        && (Icv - Text) % Key.Suite.BlockLength == 0;
}
