using System.Reflection;

namespace Filter.Tests;

/// <summary>The house has one line of imports: filterctl → Ipsec → Rules → Engine, never back.</summary>
public sealed class ImportLineTests
{
    private static readonly string[] s_line = ["Filter.Engine", "Filter.Rules", "Filter.Ipsec", "filterctl"];

    [Fact]
    public void Each_house_imports_only_those_before_it_in_the_line()
    {
        for (int i = 0; i < s_line.Length; i++)
        {
            string[] later = s_line[i..];
            IEnumerable<string?> imports = Assembly.Load(s_line[i]).GetReferencedAssemblies().Select(a => a.Name);
            Assert.DoesNotContain(imports, later.Contains);
        }
    }
}
