using BenchmarkDotNet.Running;
using Filter.Bench;
using Filter.Bench.Engine;
using Filter.Bench.Report;

if (args is ["flood", var device, var receiver, var target, var count, var rate])
{
    SynFlood.Run(device, receiver, target, int.Parse(count), int.Parse(rate));
}
else if (args is ["pump", var from, var to, var source, var destination, var length, var flows, var seconds, var pace])
{
    Pump.Run(from, to, source, destination, int.Parse(length), int.Parse(flows), double.Parse(seconds, System.Globalization.CultureInfo.InvariantCulture), int.Parse(pace));
}
else if (args is ["rules", ..])
{
    RulesBench.Run(args.Length > 1 ? args[1] : "");
    AnalysisBench.Run(args.Length > 1 ? args[1] : "");
    ReloadDelay.Run();
}
else if (args is ["engine", ..])
{
    EngineBench.Run(args.Length > 1 ? [.. args[1..].Select(int.Parse)] : [10_000, 1_000_000]);
}
else if (args is ["ipsec", "policies"])
{
    PolicyBench.Run();
}
else if (args is ["ipsec"])
{
    IpsecBench.Run();
}
else if (args is ["report", var folder])
{
    Reporting.Run(folder);
}
else if (args is ["check", var program, var baseline, .. var more])
{
    return InstructionCheck.Run(program, baseline, accept: more is ["--accept"]);
}
else if (args is ["analysis", ..])
{
    AnalysisBench.Run(args.Length > 1 ? args[1] : "");
}
else if (args is ["reload", ..])
{
    ReloadDelay.Run(args.Length > 1 ? int.Parse(args[1]) : 10_000, args.Length > 2 ? int.Parse(args[2]) : 100_000, args.Length > 3 ? int.Parse(args[3]) : 100);
}
else
{
    BenchmarkSwitcher.FromAssembly(typeof(SynFlood).Assembly).Run(args);
}

return 0;
