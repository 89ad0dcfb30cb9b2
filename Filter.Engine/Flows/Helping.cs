using System.Runtime.CompilerServices;
using Filter.Engine.Algs;

namespace Filter.Engine.Flows;

/// <summary>What is kept of a flow in which a helper reads along, beside the flow's own record.</summary>
public struct Helping
{
    /// <summary>Most expectations of one flow that are open at a time; the oldest is given up first.</summary>
    public const int MostOpen = 16;

    /// <summary>Who reads along, or did until the flow showed that it is not for them.</summary>
    public HelperKind Kind;

    /// <summary>Where the reading of FTP stands.</summary>
    public FtpState Ftp;

    /// <summary>Where the reading of SIP stands.</summary>
    public SipState Sip;

    /// <summary>The flow's latest expectations, oldest at <see cref="Oldest"/>; some may be another flow's by now.</summary>
    public Numbers Expected;

    /// <summary>Where the next one goes.</summary>
    public int Oldest;

    /// <summary>The flow it belongs to.</summary>
    internal int Flow;

    /// <summary>The next free record.</summary>
    internal int Next;

    /// <summary>Numbers of expectations; 0 for none.</summary>
    [InlineArray(MostOpen)]
    public struct Numbers
    {
        private int _number;
    }
}

/// <summary>The helped flows' side records: fixed in number, allocated at construction.</summary>
public sealed class HelpingTable
{
    private readonly Helping[] _records;
    private int _unused = 1;
    private int _free;
    private int _hand;

    /// <summary>Room for <paramref name="capacity"/> helped flows.</summary>
    public HelpingTable(int capacity) => _records = new Helping[capacity + 1];

    /// <summary>The record of that number.</summary>
    public ref Helping this[int number] => ref _records[number];

    /// <summary>A fresh record's number; 0 where none is left, or nobody is to read along.</summary>
    internal int Add(HelperKind kind, int flow)
    {
        if (kind == HelperKind.None)
        {
            return 0;
        }

        int number = _free;
        if (number != 0)
        {
            _free = _records[number].Next;
        }
        else if (_unused < _records.Length)
        {
            number = _unused++;
        }

        _records[number] = number == 0 ? default : new Helping { Kind = kind, Flow = flow };
        return number;
    }

    /// <summary>The flow whose record's turn it is to be looked at, where one must be given up; 0 for none.</summary>
    internal int Turn()
    {
        _hand = _hand + 1 >= _unused ? 1 : _hand + 1;
        return _records[_hand].Flow;
    }

    /// <summary>Gives a record back.</summary>
    public void Remove(int number)
    {
        _records[number].Flow = 0;
        _records[number].Next = _free;
        _free = number;
    }
}
