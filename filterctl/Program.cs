using Filter.Ctl;
using Filter.Ctl.Output;

return CommandLine.Run(args, Screen.OfProcess());
