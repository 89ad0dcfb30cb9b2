namespace Filter.Tests.Oracle;

/// <summary>The generator: what is spoken, by whom, and who meddles, drawn from a seed.</summary>
internal static class Conversations
{
    /// <summary>So many conversations of all kinds, in both families; half of TCP's attacked, if asked.</summary>
    public static IReadOnlyList<Conversation> Make(Random random, int count, bool bothMayOpen, bool attacked)
    {
        var made = new Conversation[count];
        for (int number = 0; number < count; number++)
        {
            int family = random.Next(2) == 0 ? 4 : 6;
            made[number] = random.Next(10) switch
            {
                0 => DatagramScript.Udp(number, family, bothMayOpen, random),
                1 => IcmpScript.Queries(number, family, bothMayOpen, random),
                2 => IcmpScript.Errors(number, family, bothMayOpen, random),
                3 => FragmentScript.Write(number, family, bothMayOpen, random),
                _ => TcpScript.Write(number, family, bothMayOpen, attacked && random.Next(2) == 0, random),
            };
        }

        return made;
    }
}
