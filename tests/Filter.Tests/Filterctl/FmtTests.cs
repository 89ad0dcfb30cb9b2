using System.Diagnostics;
using System.Runtime.Versioning;

namespace Filter.Tests.Filterctl;

/// <summary>fmt writes a file whole or not at all, and names what it changed.</summary>
[SupportedOSPlatform("linux")]
public sealed class FmtTests
{
    private const string Messy = "filter:   1\nsets: {a: [any]}   # why\n", Neat = "filter: 1\nsets: { a: [ any ] }  # why\n";

    [Fact]
    public void A_file_is_laid_out_once_and_then_left_alone()
    {
        using Scratch folder = new();
        string file = folder.Write("a.yaml", Messy);

        Typed first = Typed.Run("fmt", file);
        Assert.Equal((0, file + "\n", Neat), (first.Status, first.Out, File.ReadAllText(file)));
        Assert.Equal(new Typed(0, "", ""), Typed.Run("fmt", file));
        Assert.Equal([file], Directory.GetFileSystemEntries(folder.Folder));
    }

    [Fact]
    public void Check_names_what_would_change_and_changes_nothing()
    {
        using Scratch folder = new();
        string messy = folder.Write("a.yaml", Messy), neat = folder.Write("b.yaml", Neat);

        Assert.Equal(new Typed(1, messy + "\n", ""), Typed.Run("fmt", "--check", messy, neat));
        Assert.Equal(Messy, File.ReadAllText(messy));
        Assert.Equal(new Typed(0, "", ""), Typed.Run("fmt", "--check", neat));
    }

    [Fact]
    public void Mode_and_link_of_a_file_stay()
    {
        using Scratch folder = new();
        string file = folder.Write("a.yaml", Messy);
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead);
        File.CreateSymbolicLink(folder["link.yaml"], "a.yaml");

        Assert.Equal(0, Typed.Run("fmt", folder["link.yaml"]).Status);
        Assert.Equal("a.yaml", new FileInfo(folder["link.yaml"]).LinkTarget);
        Assert.Equal(Neat, File.ReadAllText(file));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead, File.GetUnixFileMode(file));
    }

    [Fact]
    public void A_broken_file_is_told_of_and_the_next_one_is_laid_out()
    {
        using Scratch folder = new();
        string broken = folder.Write("a.yaml", "filter: 1\nrules: [ x\n"), messy = folder.Write("b.yaml", Messy);

        Typed ran = Typed.Run("fmt", broken, messy, folder["none.yaml"]);
        Assert.Equal(1, ran.Status);
        Assert.Contains($"{broken}:2:8: error: '[' is never closed", ran.Error, StringComparison.Ordinal);
        Assert.Contains("none.yaml:1:1: error: there is no such file", ran.Error, StringComparison.Ordinal);
        Assert.Equal("filter: 1\nrules: [ x\n", File.ReadAllText(broken));
        Assert.Equal(Neat, File.ReadAllText(messy));
    }

    [Fact]
    public void Included_files_are_laid_out_where_that_is_asked_for()
    {
        using Scratch folder = new();
        string main = folder.Write("main.yaml", "filter: 1\ninclude: sets.yaml\nrules:\n  - group: g\n    rules:\n      - include: [ more.yaml, main.yaml ]\n");
        string sets = folder.Write("sets.yaml", Messy), more = folder.Write("more.yaml", Messy);

        Assert.Equal(new Typed(0, "", ""), Typed.Run("fmt", main));
        Assert.Equal(new Typed(1, $"{sets}\n{more}\n", ""), Typed.Run("fmt", main, "--includes", "--check"));
        Assert.Equal(0, Typed.Run("fmt", main, "--includes").Status);
        Assert.Equal((Neat, Neat), (File.ReadAllText(sets), File.ReadAllText(more)));
    }

    [Fact]
    public void Stdin_goes_to_stdout_laid_out()
    {
        ProcessStartInfo start = new(Path.Combine(AppContext.BaseDirectory, "filterctl"), ["fmt", "--stdin"]) { RedirectStandardInput = true, RedirectStandardOutput = true };
        using Process process = Process.Start(start)!;
        process.StandardInput.Write(Messy);
        process.StandardInput.Close();

        Assert.Equal(Neat, process.StandardOutput.ReadToEnd());
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    [Theory]
    [InlineData("fmt")]
    [InlineData("fmt", "--stdin", "a.yaml")]
    public void Either_files_or_stdin(params string[] args) => Assert.Equal(2, Typed.Run(args).Status);
}
