using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Filter.Rules.Syntax;

/// <summary>
/// YAML into a located tree, in bounded time and memory whatever the bytes are. Nothing of the parser behind it comes
/// through: no exception, no duplicate key, no tag, no second document, no bomb of anchors.
/// </summary>
public static class TreeReader
{
    /// <summary>The most nodes a file may have, each use of an anchor counted with all that it stands for.</summary>
    public const int MostNodes = 4_000_000;

    /// <summary>Reads a file's bytes. Null, with at least one error in <paramref name="found"/>, if they are not one YAML document.</summary>
    /// <param name="file">The name that messages give the file.</param>
    /// <param name="bytes">All of the file.</param>
    /// <param name="found">Where findings go.</param>
    public static Node? Read(string file, ReadOnlySpan<byte> bytes, Diagnostics found)
    {
        if (SourceText.TryDecode(file, bytes, found) is not { } source)
        {
            return null;
        }

        Reading reading = new(source, found);
        Node? root = reading.Document();
        return found.HasErrors ? null : root;
    }

    private sealed class Reading
    {
        private readonly SourceText _source;
        private readonly Diagnostics _found;
        private readonly Parser _parser;
        private readonly Dictionary<string, Node> _anchors = new(StringComparer.Ordinal);
        private long _nodes;

        public Reading(SourceText source, Diagnostics found)
        {
            _source = source;
            _found = found;
            _parser = new Parser(new StringReader(source.Text));
        }

        public Node? Document()
        {
            try
            {
                if (!Skip<StreamStart>() || !Skip<DocumentStart>())
                {
                    _found.Error(new(_source.File, 1, 1), "the file is empty", "a ruleset starts with 'filter: 1'");
                    return null;
                }

                Node root = Any(0);
                if (Skip<DocumentEnd>() && _parser.Current is DocumentStart second)
                {
                    _found.Error(Mark(second.Start), "a second document starts here", "a ruleset is one YAML document");
                }

                return root;
            }
            catch (Refused)
            {
                return null;            // the reason is among the findings
            }
            catch (YamlException e)
            {
                Explain(Mark(e.Start), e.Message);
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                // The parser's own asserts: InvalidOperationException and others, without a place.
                Explain(_parser.Current is { } last ? Mark(last.End) : new SourceMark(_source.File, 1, 1), e.Message);
            }

            return null;
        }

        private Node Any(int depth)
        {
            ParsingEvent now = _parser.Current!;
            SourceMark at = Mark(now.Start);
            if (depth > SourceText.DeepestNesting)
            {
                throw Refuse(at, $"lists and mappings are nested deeper than {SourceText.DeepestNesting} levels");
            }

            if (++_nodes > MostNodes)
            {
                throw Refuse(at, $"the file has more than {MostNodes:N0} values");
            }

            if (now is NodeEvent { Tag.IsEmpty: false } tagged)
            {
                _found.Error(at, $"the tag {Wording.Quote(tagged.Tag.IsNonSpecific ? "!" : tagged.Tag.Value)} means nothing here", tagged.Tag.IsNonSpecific || tagged.Tag.Value.StartsWith('!') ? "leave it out; what is not meant stands behind 'not': [ lan, not printers ]" : "leave it out");
            }

            Node node;
            switch (now)
            {
                case Scalar scalar:
                    node = new ScalarNode(at, scalar.Value, scalar.Style is not ScalarStyle.Plain);
                    break;
                case SequenceStart:
                    node = List(at, depth);
                    break;
                case MappingStart:
                    node = Map(at, depth);
                    break;
                case AnchorAlias alias:
                    _parser.MoveNext();
                    return Aliased(at, alias.Value.Value);
                default:
                    throw Refuse(at, "a value is missing here");
            }

            _parser.MoveNext();
            if (now is NodeEvent { Anchor.IsEmpty: false } named)
            {
                _anchors[named.Anchor.Value] = node;
            }

            return node;
        }

        private ListNode List(SourceMark at, int depth)
        {
            ListNode list = new(at);
            _parser.MoveNext();
            while (_parser.Current is not SequenceEnd)
            {
                list.Add(Any(depth + 1));
            }

            return list;
        }

        private MapNode Map(SourceMark at, int depth)
        {
            MapNode map = new(at);
            _parser.MoveNext();
            while (_parser.Current is not MappingEnd)
            {
                Node key = Any(depth + 1);
                Node value = Any(depth + 1);
                if (key is not ScalarNode name)
                {
                    _found.Error(key.At, $"{key.Kind} cannot be a key", "put quotes around a key that starts with a bracket");
                }
                else if (!map.TryAdd(name, value))
                {
                    int first = map.FindKey(name.Text)!.At.Line;
                    _found.Error(name.At, $"the key {Wording.Quote(name.Text)} is already given in line {first}", "keep one of the two");
                }
            }

            return map;
        }

        private Node Aliased(SourceMark at, string name)
        {
            if (!_anchors.TryGetValue(name, out Node? node))
            {
                throw Refuse(at, $"no anchor {Wording.Quote("&" + name)} is complete above this line", "an alias repeats a value that an anchor named before");
            }

            _nodes += node.Weight;
            return _nodes <= MostNodes ? node : throw Refuse(at, $"with all its aliases written out the file has more than {MostNodes:N0} values");
        }

        private bool Skip<T>()
            where T : ParsingEvent
        {
            if (_parser.Current is null)
            {
                _parser.MoveNext();
            }

            return _parser.Current is T && _parser.MoveNext() && _parser.Current is not StreamEnd;
        }

        private Refused Refuse(SourceMark at, string message, string? hint = null)
        {
            _found.Error(at, message, hint);
            return new Refused();
        }

        private void Explain(SourceMark at, string message)
        {
            if (_source.OpenBrackets is [.., var open])
            {
                bool list = _source.Line(open.Line)[(open.Column - 1)..] is ['[', ..];
                _found.Error(open, $"'{(list ? '[' : '{')}' is never closed", $"add the missing '{(list ? ']' : '}')}'");
                return;
            }

            (string what, string? hint) = ParserWords.Explain(message, _source.Line(at.Line), at.Column);
            _found.Error(at, what, hint);
        }

        private SourceMark Mark(Mark mark) =>
            new(_source.File, (int)Math.Clamp(mark.Line, 1, int.MaxValue), (int)Math.Clamp(mark.Column, 1, int.MaxValue));
    }

    /// <summary>Leaves the reader from any depth; never leaves this file.</summary>
    private sealed class Refused : Exception;
}
