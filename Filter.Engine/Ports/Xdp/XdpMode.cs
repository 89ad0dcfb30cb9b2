namespace Filter.Engine.Ports.Xdp;

/// <summary>Who runs the program that hands a NIC's frames to Filter.</summary>
public enum XdpMode : byte
{
    /// <summary>The NIC's own driver, before the kernel makes a packet of the frame.</summary>
    Native,

    /// <summary>The kernel, for whatever NIC (SKB mode): it has made a packet of each frame already.</summary>
    Generic,
}
