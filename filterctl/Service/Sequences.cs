using Filter.Ipsec;
using Filter.Ipsec.Databases;
using Filter.Rules.Policy;

namespace Filter.Ctl.Service;

/// <summary>
/// The file of reserved sequence numbers, held by one daemon at a time. Only rulesets whose SAs check
/// for replays need it.
/// </summary>
internal sealed class Sequences(string directory) : IDisposable
{
    private FileStream? _lock;
    private SequenceReserve? _reserve;
    private bool _complained;

    /// <summary>The file, for a ruleset that has a use for it; else null. Opened when first needed.</summary>
    /// <exception cref="Refusal">It is damaged, another daemon holds it, or it can't be written.</exception>
    public SequenceReserve? For(Ruleset ruleset)
    {
        if (ruleset.Ipsec is not { } ipsec || !ipsec.Sas.Any(static sa => sa.Settings.ReplayWindow > 0))
        {
            return null;
        }

        try
        {
            Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            _lock ??= new FileStream(Path.Combine(directory, "sequences.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            return _reserve ??= new SequenceReserve(Path.Combine(directory, "sequences"));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            throw new Refusal($"sequence numbers can't be reserved in {directory}: {failure.Message}");
        }
    }

    /// <summary>Reserves more for SAs that need it soon.</summary>
    public void Renew(IpsecStage? stage, ServiceLog log)
    {
        if (stage is null || _reserve is null)
        {
            return;
        }

        try
        {
            _reserve.Renew(stage.Sad.All.OfType<OutboundSa>().Where(static sa => sa.IsOfRuleset));
            _complained = false;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            if (!_complained)
            {
                log.Line($"sequence numbers can't be reserved: {failure.Message}; SAs with a replay window end when theirs are used up");
            }

            _complained = true;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _lock?.Dispose();
}
