namespace Filter.Ipsec.Databases;

/// <summary>Who brought an SA, and so who takes it away.</summary>
public enum SaOrigin : byte
{
    /// <summary>A person, by `filterctl sa add`, or a program that calls the stage.</summary>
    Hand,

    /// <summary>It stands in a ruleset, and goes with it.</summary>
    Ruleset,

    /// <summary>IKE agreed on it with a peer.</summary>
    Ike,

    /// <summary>Another key manager, by PF_KEY.</summary>
    KeyManager,
}
