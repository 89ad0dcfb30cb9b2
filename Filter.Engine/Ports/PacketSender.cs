using Filter.Engine.Packets;

namespace Filter.Engine.Ports;

/// <summary>A packet socket that only sends: the companion of a NIC's port for the thread of another worker.</summary>
internal sealed class PacketSender : PacketPort
{
    /// <summary>A socket of its own on the same device.</summary>
    internal PacketSender(string device, string driver)
        : base(device, driver)
    {
        try
        {
            Bind(hears: false);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override int PollHandle => -1;

    /// <inheritdoc/>
    public override Port? Companion() => null;

    /// <inheritdoc/>
    public override int Receive(Burst burst) => 0;
}
