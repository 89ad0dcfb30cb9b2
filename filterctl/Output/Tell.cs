using System.Globalization;
using System.Text;
using System.Text.Json;
using Filter.Ctl.Control;

namespace Filter.Ctl.Output;

/// <summary>What verbs of analysis share in how they speak.</summary>
internal static class Tell
{
    /// <summary>"1 rule", "2 rules".</summary>
    public static string Count(long count, string one, string? many = null) =>
        string.Create(CultureInfo.InvariantCulture, $"{count:N0} {(count == 1 ? one : many ?? one + "s")}");

    /// <summary>Writes one JSON object to the screen.</summary>
    public static void Object(Screen screen, Action<Utf8JsonWriter> write)
    {
        using MemoryStream text = new();
        using (Utf8JsonWriter writer = new(text, Json.Options))
        {
            writer.WriteStartObject();
            write(writer);
            writer.WriteEndObject();
        }

        screen.Line(Encoding.UTF8.GetString(text.ToArray()));
    }

    /// <summary>Writes a witness as a property, or null.</summary>
    public static void Write(this Utf8JsonWriter writer, string name, WitnessReport? witness)
    {
        if (witness is null)
        {
            writer.WriteNull(name);
            return;
        }

        writer.WriteStartObject(name);
        writer.WriteString("line"u8, witness.Line);
        if (witness.Minute is { } minute)
        {
            writer.WriteNumber("minute"u8, minute);
        }

        writer.WriteStartArray("given"u8);
        foreach (string given in witness.Given)
        {
            writer.WriteStringValue(given);
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }
}
