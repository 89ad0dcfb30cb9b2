using Filter.Engine.Flows.Trackers;
using Filter.Engine.Packets;

namespace Filter.Tests.Conversations;

/// <summary>
/// The state table of TCP, cell by cell: which phase follows, for each phase, direction and event. Written down here a
/// second time, from RFC 9293 and RFC 5961, so that no row changes by itself; then walked, so that each row is real.
/// </summary>
public sealed class TcpRowsTests
{
    /// <summary>- is invalid, = stays; > is the opener's direction, &lt; the answerer's.</summary>
    private const string Rows = """
        phase       dir  Syn       SynAck      StraySynAck Ack         Fin     LastAck  Reset Abort     StrayReset Alive
        Closed      >    SynSent   -           -           Established -       -        -     -         -          -
        Closed      <    -         -           -           -           -       -        -     -         -          -
        SynSent     >    =         -           -           -           -       -        Reset Reset     =          -
        SynSent     <    BothSent  SynReceived =           =           -       -        Reset -         -          -
        BothSent    >    =         SynReceived =           =           -       -        Reset Reset     =          -
        BothSent    <    =         SynReceived =           =           -       -        Reset Reset     =          -
        SynReceived >    =         =           =           Established Closing -        Reset Reset     =          -
        SynReceived <    =         =           =           =           Closing -        Reset Reset     =          -
        Established >    =         =           =           =           Closing -        Reset Resetting =          -
        Established <    =         =           =           =           Closing -        Reset Resetting =          -
        Closing     >    =         =           =           =           =       TimeWait Reset Resetting =          -
        Closing     <    =         =           =           =           =       TimeWait Reset Resetting =          -
        TimeWait    >    -         -           -           =           =       -        Reset -         -          -
        TimeWait    <    -         -           -           =           =       -        Reset -         -          -
        Resetting   >    =         -           -           =           =       -        Reset =         =          Established
        Resetting   <    =         =           =           =           =       -        Reset =         =          Established
        Reset       >    -         -           -           =           =       -        =     =         =          -
        Reset       <    -         -           -           -           -       -        =     =         =          -
        """;

    /// <summary>How a conversation comes to a phase: c is the opener with number 99, s the answerer with number 9.</summary>
    private static readonly Dictionary<TcpPhase, string[]> s_ways = new()
    {
        [TcpPhase.SynSent] = ["c SYN seq=99"],
        [TcpPhase.BothSent] = ["c SYN seq=99", "s SYN seq=9"],
        [TcpPhase.SynReceived] = ["c SYN seq=99", "s SYN,ACK seq=9 ack=100"],
        [TcpPhase.Established] = ["c SYN seq=99", "s SYN,ACK seq=9 ack=100", "c ACK seq=100 ack=10"],
        [TcpPhase.Closing] = ["c SYN seq=99", "s SYN,ACK seq=9 ack=100", "c ACK seq=100 ack=10", "c FIN,ACK seq=100 ack=10"],
        [TcpPhase.TimeWait] =
        [
            "c SYN seq=99", "s SYN,ACK seq=9 ack=100", "c ACK seq=100 ack=10", "c FIN,ACK seq=100 ack=10",
            "s FIN,ACK seq=10 ack=101", "c ACK seq=101 ack=11",
        ],
        [TcpPhase.Resetting] =
            ["c SYN seq=99", "s SYN,ACK seq=9 ack=100", "c ACK seq=100 ack=10", "s ACK seq=10 ack=100 len=5", "s RST seq=15"],
        [TcpPhase.Reset] = ["c SYN seq=99", "s SYN,ACK seq=9 ack=100", "c ACK seq=100 ack=10", "s RST seq=10"],
    };

    /// <summary>A segment that is the event in that phase and direction; where one needs more before it, that too.</summary>
    private static readonly (string Cells, string[] Says)[] s_segments =
    [
        ("SynSent > Syn", ["c SYN seq=99"]),
        ("SynSent > Reset", ["s ACK seq=700 ack=4000", "c RST seq=100"]),
        ("SynSent > Abort", ["c RST seq=100"]),
        ("SynSent > StrayReset", ["c RST seq=4000"]),
        ("SynSent > Ack", ["c ACK seq=100 ack=10"]),
        ("SynSent > Fin", ["c FIN,ACK seq=100 ack=10"]),
        ("SynSent > StraySynAck", ["c SYN,ACK seq=99 ack=10"]),
        ("SynSent < Syn", ["s SYN seq=9"]),
        ("SynSent < SynAck", ["s SYN,ACK seq=9 ack=100"]),
        ("SynSent < StraySynAck", ["s SYN,ACK seq=9 ack=5000"]),
        ("SynSent < Ack", ["s ACK seq=9 ack=5000"]),
        ("SynSent < Fin", ["s FIN,ACK seq=9 ack=100"]),
        ("SynSent < Reset", ["s RST,ACK seq=0 ack=100"]),
        ("SynSent < StrayReset", ["s RST seq=0"]),
        ("BothSent > Syn", ["c SYN seq=99"]),
        ("BothSent > SynAck", ["c SYN,ACK seq=99 ack=10"]),
        ("BothSent > StraySynAck", ["c SYN,ACK seq=99 ack=5000"]),
        ("BothSent > Ack", ["c ACK seq=100 ack=10"]),
        ("BothSent > Fin", ["c FIN,ACK seq=100 ack=10"]),
        ("BothSent > Reset", ["c RST,ACK seq=0 ack=10"]),
        ("BothSent > Abort", ["c RST seq=100"]),
        ("BothSent > StrayReset", ["c RST seq=5000"]),
        ("BothSent < Syn", ["s SYN seq=9"]),
        ("BothSent < SynAck", ["s SYN,ACK seq=9 ack=100"]),
        ("BothSent < StraySynAck", ["s SYN,ACK seq=9 ack=5000"]),
        ("BothSent < Ack", ["s ACK seq=10 ack=100"]),
        ("BothSent < Fin", ["s FIN,ACK seq=10 ack=100"]),
        ("BothSent < Reset", ["s RST,ACK seq=0 ack=100"]),
        ("BothSent < Abort", ["s RST seq=10"]),
        ("BothSent < StrayReset", ["s RST seq=5000"]),
        ("SynReceived Established Closing > Syn", ["c SYN seq=7000"]),
        ("SynReceived Established Closing > SynAck", ["c SYN,ACK seq=99 ack=10"]),
        ("SynReceived Established Closing > StraySynAck", ["c SYN,ACK seq=99 ack=5000"]),
        ("SynReceived Established > Ack", ["c ACK seq=100 ack=10"]),
        ("Closing > Ack", ["c ACK seq=101 ack=10"]),
        ("SynReceived Established Closing > Fin", ["c FIN,ACK seq=100 ack=10"]),
        ("Closing > LastAck", ["s FIN,ACK seq=10 ack=101", "c ACK seq=101 ack=11"]),
        ("SynReceived Established > Reset", ["c RST seq=100"]),
        ("Closing > Reset", ["s ACK seq=10 ack=101", "c RST seq=101"]),
        ("SynReceived > Abort", ["c ACK seq=100 ack=10 len=0", "c RST seq=100"]),
        ("Established > Abort", ["c ACK seq=100 ack=10 len=5", "c RST seq=105"]),
        ("Closing > Abort", ["c RST seq=101"]),
        ("SynReceived Established Closing > StrayReset", ["c RST seq=4000"]),
        ("SynReceived Established Closing < Syn", ["s SYN seq=7000"]),
        ("SynReceived Established Closing < SynAck", ["s SYN,ACK seq=9 ack=100"]),
        ("SynReceived Established Closing < StraySynAck", ["s SYN,ACK seq=9 ack=5000"]),
        ("SynReceived Established < Ack", ["s ACK seq=10 ack=100"]),
        ("Closing < Ack", ["s ACK seq=10 ack=101"]),
        ("SynReceived Established Closing < Fin", ["s FIN,ACK seq=10 ack=100"]),
        ("Closing < LastAck", ["s FIN,ACK seq=10 ack=100", "c FIN,ACK seq=100 ack=11", "s ACK seq=11 ack=101"]),
        ("Established Closing < Reset", ["s RST seq=10"]),
        ("SynReceived < Reset", ["c SYN,ACK seq=99 ack=10", "s RST seq=10"]),
        ("SynReceived < Abort", ["s RST seq=10"]),
        ("Established < Abort", ["s ACK seq=10 ack=100 len=5", "s RST seq=15"]),
        ("Closing < Abort", ["s ACK seq=10 ack=101 len=5", "s RST seq=15"]),
        ("SynReceived Established Closing < StrayReset", ["s RST seq=4000"]),
        ("TimeWait > SynAck", ["c SYN,ACK seq=99 ack=10"]),
        ("TimeWait > StraySynAck", ["c SYN,ACK seq=99 ack=5000"]),
        ("TimeWait > Ack", ["s FIN,ACK seq=10 ack=101", "c ACK seq=101 ack=11"]),
        ("TimeWait > Fin", ["c FIN,ACK seq=100 ack=10"]),
        ("TimeWait > Reset", ["c RST seq=101"]),
        ("TimeWait > StrayReset", ["c RST seq=4000"]),
        ("TimeWait < SynAck", ["s SYN,ACK seq=9 ack=100"]),
        ("TimeWait < StraySynAck", ["s SYN,ACK seq=9 ack=5000"]),
        ("TimeWait < Ack", ["c FIN,ACK seq=100 ack=10", "s ACK seq=11 ack=101"]),
        ("TimeWait < Fin", ["s FIN,ACK seq=10 ack=101"]),
        ("TimeWait < Reset", ["s RST seq=11"]),
        ("TimeWait < StrayReset", ["s RST seq=4000"]),
        ("Resetting > Syn", ["c SYN seq=7000"]),
        ("Resetting > SynAck", ["c SYN,ACK seq=99 ack=10"]),
        ("Resetting > StraySynAck", ["c SYN,ACK seq=99 ack=5000"]),
        ("Resetting > Ack", ["c ACK seq=100 ack=10"]),
        ("Resetting > Fin", ["c FIN,ACK seq=100 ack=10"]),
        ("Resetting > Reset", ["c RST seq=100"]),
        ("Resetting > Abort", ["c ACK seq=100 ack=10 len=5", "c RST seq=105"]),
        ("Resetting > StrayReset", ["c RST seq=4000"]),
        ("Resetting > Alive", ["s ACK seq=15 ack=100", "c ACK seq=100 ack=10 len=5", "c RST seq=105", "c ACK seq=105 ack=15"]),
        ("Resetting < Syn", ["s ACK seq=15 ack=100", "c ACK seq=100 ack=10 len=5", "c RST seq=105", "s SYN seq=7000"]),
        ("Resetting < SynAck", ["s SYN,ACK seq=9 ack=100"]),
        ("Resetting < StraySynAck", ["s SYN,ACK seq=9 ack=5000"]),
        ("Resetting < Reset", ["c ACK seq=100 ack=15", "s RST seq=15"]),
        ("Resetting < Abort", ["s RST seq=15"]),
        ("Resetting < StrayReset", ["s RST seq=4000"]),
        ("Resetting < Alive", ["s ACK seq=15 ack=100"]),
        ("Reset > SynAck", ["c SYN,ACK seq=99 ack=10"]),
        ("Reset > StraySynAck", ["c SYN,ACK seq=99 ack=5000"]),
        ("Reset > Ack", ["c ACK seq=100 ack=10 len=5"]),
        ("Reset > Fin", ["c FIN,ACK seq=100 ack=10"]),
        ("Reset > Reset", ["c RST seq=100"]),
        ("Reset > StrayReset", ["c RST seq=4000"]),
        ("Reset < SynAck", ["s SYN,ACK seq=9 ack=100"]),
        ("Reset < StraySynAck", ["s SYN,ACK seq=9 ack=5000"]),
        ("Reset < Ack", ["s ACK seq=10 ack=100"]),
        ("Reset < Fin", ["s FIN,ACK seq=10 ack=100"]),
        ("Reset < Reset", ["s RST seq=10"]),
        ("Reset < StrayReset", ["s RST seq=4000"]),
    ];

    public static TheoryData<TcpPhase, bool, TcpEvent> Walkable
    {
        get
        {
            var cells = new TheoryData<TcpPhase, bool, TcpEvent>();
            foreach ((string cell, _) in s_segments)
            {
                string[] words = cell.Split(' ');
                foreach (string phase in words[..^2])
                {
                    cells.Add(Enum.Parse<TcpPhase>(phase), words[^2] == "<", Enum.Parse<TcpEvent>(words[^1]));
                }
            }

            return cells;
        }
    }

    [Fact]
    public void Every_cell_of_the_table_is_as_it_is_written_here()
    {
        Dictionary<(TcpPhase, bool, TcpEvent), TcpPhase> written = Written();
        foreach (TcpPhase phase in Enum.GetValues<TcpPhase>())
        {
            foreach (TcpEvent what in Enum.GetValues<TcpEvent>())
            {
                Assert.Equal((phase, '>', what, written[(phase, false, what)]), (phase, '>', what, TcpRows.Next(phase, false, what)));
                Assert.Equal((phase, '<', what, written[(phase, true, what)]), (phase, '<', what, TcpRows.Next(phase, true, what)));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Walkable))]
    public void A_segment_moves_its_connection_as_the_table_says(TcpPhase phase, bool reply, TcpEvent what)
    {
        foreach (int family in (ReadOnlySpan<int>)[4, 6])
        {
            var net = new TestNet(Nets.Open);
            (TestHost client, TestHost server) = net.Between(Nets.At(family, 1, 40000), Nets.At(family, 2, 443));
            string[] says = [.. s_ways[phase], .. s_segments.Single(one => IsCell(one.Cells, phase, reply, what)).Says];
            foreach (string segment in says[..^1])
            {
                Say(segment, client, server);
            }

            net.ExpectsNoDrops();
            bool passes = Written()[(phase, reply, what)] != TcpPhase.Closed;
            Say(says[^1], client, server);
            if (passes)
            {
                Assert.Equal(Written()[(phase, reply, what)], (TcpPhase)net.Path.Flows[1].State);
                net.ExpectsNoDrops();
            }
            else
            {
                net.Expects(DropReason.InvalidState, 1);
                Assert.Equal(phase, (TcpPhase)net.Path.Flows[1].State);
            }
        }
    }

    private static bool IsCell(string cells, TcpPhase phase, bool reply, TcpEvent what)
    {
        string[] words = cells.Split(' ');
        return words.AsSpan(..^2).Contains(phase.ToString()) && words[^2] == (reply ? "<" : ">") && words[^1] == what.ToString();
    }

    private static void Say(string segment, TestHost client, TestHost server) =>
        (segment[0] == 'c' ? client : server).Sends(segment[2..]);

    private static Dictionary<(TcpPhase, bool, TcpEvent), TcpPhase> Written()
    {
        var written = new Dictionary<(TcpPhase, bool, TcpEvent), TcpPhase>();
        string[][] lines = [.. Rows.Split('\n').Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))];
        foreach (string[] words in lines.Skip(1))
        {
            TcpPhase phase = Enum.Parse<TcpPhase>(words[0]);
            for (int i = 2; i < words.Length; i++)
            {
                written[(phase, words[1] == "<", Enum.Parse<TcpEvent>(lines[0][i]))] =
                    words[i] == "-" ? TcpPhase.Closed : words[i] == "=" ? phase : Enum.Parse<TcpPhase>(words[i]);
            }
        }

        return written;
    }
}
