namespace Filter.Engine.Ports;
/// <summary>x</summary>
public static class NicGate { /// <summary>m</summary>
 public const int Mark = 0x46494c54; }
