using System.Collections.Immutable;
using Filter.Engine.Packets;
using Filter.Rules.Syntax;

namespace Filter.Rules.Policy;

/// <summary>A step of a test: a packet that must get a verdict, or time that passes.</summary>
/// <param name="At">Where it stands.</param>
public abstract record TestStep(SourceMark At);

/// <summary>A packet line and what must become of the packet. What is null does not matter.</summary>
/// <param name="At">Where it stands.</param>
/// <param name="Expected">Pass, Drop, Reject, Held or Answered.</param>
/// <param name="Line">The packet line with its place.</param>
public sealed record PacketStep(SourceMark At, Verdict Expected, Located<string> Line) : TestStep(At)
{
    /// <summary>In <see cref="By"/>: no rule, but the default of the packet's direction.</summary>
    public const string DefaultRule = "default";

    /// <summary>The rule that must decide, or <see cref="DefaultRule"/>.</summary>
    public string? By { get; init; }

    /// <summary>Rules that must count it.</summary>
    public ImmutableArray<string> CountedBy { get; init; } = [];

    /// <summary>The drop reason.</summary>
    public DropReason? Reason { get; init; }

    /// <summary>Bypass, Protect or Opened.</summary>
    public IpsecAction? Ipsec { get; init; }
}

/// <summary>Time passes and timers run.</summary>
/// <param name="At">Where it stands.</param>
/// <param name="Nanoseconds">How long; more than 0.</param>
public sealed record PauseStep(SourceMark At, long Nanoseconds) : TestStep(At);

/// <summary>The clock on the wall is set; nothing else notices.</summary>
/// <param name="At">Where it stands.</param>
/// <param name="Minute">The minute of the week that begins, see <see cref="Schedule"/>.</param>
public sealed record ClockStep(SourceMark At, int Minute) : TestStep(At);

/// <summary>Sets that change hold these from now on, and nothing else but what the ruleset itself writes.</summary>
/// <param name="At">Where it stands.</param>
/// <param name="Held">By set.</param>
public sealed record HoldsStep(SourceMark At, ImmutableArray<(LiveSet Set, AddressSet Addresses)> Held) : TestStep(At);

/// <summary>One test: it starts with no flows, and its steps follow one another.</summary>
/// <param name="Name">The conversation's name; a single packet's own line.</param>
/// <param name="At">Where it starts.</param>
/// <param name="IsConversation">Whether it was written as a conversation.</param>
/// <param name="Steps">At least one.</param>
public sealed record TestEntry(string Name, SourceMark At, bool IsConversation, ImmutableArray<TestStep> Steps);
