using System.Text.Encodings.Web;
using System.Text.Json;

namespace Filter.Ctl.Output;

/// <summary>How JSON is written everywhere: packet lines stand as they are.</summary>
internal static class Json
{
    /// <summary>For writers.</summary>
    public static JsonWriterOptions Options { get; } = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
}
