using BenchmarkDotNet.Running;
using Filter.Bench;

if (args is ["flood", var device, var receiver, var target, var count, var rate])
{
    SynFlood.Run(device, receiver, target, int.Parse(count), int.Parse(rate));
}
else if (args is ["rules", ..])
{
    RulesBench.Run(args.Length > 1 ? args[1] : "");
}
else
{
    BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
}
