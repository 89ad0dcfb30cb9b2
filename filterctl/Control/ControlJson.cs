using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Filter.Ctl.Control;

/// <summary>JSON of the control socket and of the verbs that ask it, generated at build time.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    MaxDepth = 8)]
[JsonSerializable(typeof(ControlRequest))]
[JsonSerializable(typeof(ControlResponse))]
[JsonSerializable(typeof(LogLine))]
internal sealed partial class ControlJson : JsonSerializerContext
{
    /// <summary>
    /// As <see cref="Default"/>, but a packet line's '>' stands as it is. Nothing of this is ever put
    /// into a web page.
    /// </summary>
    public static ControlJson Plain => Relaxed.Context;

    // Its own class: the generated Default must be initialized first.
    private static class Relaxed
    {
        public static readonly ControlJson Context =
            new(new JsonSerializerOptions(Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
    }
}
