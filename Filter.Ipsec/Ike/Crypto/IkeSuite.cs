using System.Diagnostics.CodeAnalysis;
using Filter.Ipsec.Ike.Payloads;
using Filter.Rules.Policy;

namespace Filter.Ipsec.Ike.Crypto;

/// <summary>The algorithms of one IKE SA: the proposal that was chosen.</summary>
public sealed record IkeSuite
{
    /// <param name="encryption">The cipher.</param>
    /// <param name="integrity">Null where the cipher authenticates.</param>
    /// <param name="prf">What makes keys.</param>
    /// <param name="group">How the secret is agreed on.</param>
    /// <exception cref="ArgumentException">They do not go together, or one is not an IKE SA's.</exception>
    public IkeSuite(IkeTransform encryption, IkeTransform? integrity, IkeTransform prf, IkeTransform group)
    {
        if (!IkeTransforms.TrySuite(encryption, integrity, out IpsecSuite? protection) || protection.IsAh || !Crypto.Prf.TryOf(prf.Id, out Prf? function))
        {
            throw new ArgumentException($"{encryption} with {integrity?.Name ?? "nothing"} and {prf} is no suite of an IKE SA", nameof(encryption));
        }

        (Encryption, Integrity, PrfTransform, Group, Protection, Prf) = (encryption, integrity, prf, group, protection, function);
        Name = string.Join('+', new[] { encryption, integrity, prf, group }.OfType<IkeTransform>());
    }

    /// <summary>The cipher.</summary>
    public IkeTransform Encryption { get; }

    /// <summary>The integrity algorithm; null where the cipher authenticates.</summary>
    public IkeTransform? Integrity { get; }

    /// <summary>What makes keys, as it was negotiated.</summary>
    public IkeTransform PrfTransform { get; }

    /// <summary>How the secret is agreed on.</summary>
    public IkeTransform Group { get; }

    /// <summary>What makes keys.</summary>
    public Prf Prf { get; }

    /// <summary>As rulesets write it: <c>aes-gcm-16-256+prf-hmac-sha2-256+x25519</c>.</summary>
    public string Name { get; }

    /// <summary>The suite of ESP with the same algorithms: IKE encrypts and authenticates in the same way.</summary>
    internal IpsecSuite Protection { get; }

    /// <summary>What a proposal with one transform of each type says; false where it says something else, or what Filter does not know.</summary>
    public static bool TryOf(Proposal chosen, [NotNullWhen(true)] out IkeSuite? suite)
    {
        suite = null;
        IkeTransform?[] known = new IkeTransform?[(int)IkeTransformType.SequenceNumbers];
        foreach (Transform transform in chosen.Transforms)
        {
            // Of an authenticating cipher, NONE may be said for integrity (RFC 7296 §3.3).
            if (transform is { Type: IkeTransformType.Integrity, Id: 0 })
            {
                continue;
            }

            if (transform.Known is not { } one || (int)one.Type >= known.Length || known[(int)one.Type] is not null || !IkeTransforms.All.Contains(one))
            {
                return false;
            }

            known[(int)one.Type] = one;
        }

        IkeTransform? encryption = known[(int)IkeTransformType.Encryption], integrity = known[(int)IkeTransformType.Integrity];
        if (encryption is null || known[(int)IkeTransformType.Prf] is not { } prf || known[(int)IkeTransformType.KeyExchange] is not { } group
            || !IkeTransforms.TrySuite(encryption, integrity, out _))
        {
            return false;
        }

        suite = new IkeSuite(encryption, integrity, prf, group);
        return true;
    }

    /// <inheritdoc/>
    public override string ToString() => Name;
}
