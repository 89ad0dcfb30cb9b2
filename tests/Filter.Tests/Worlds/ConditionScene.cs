namespace Filter.Tests.Worlds;

/// <summary>client – Filter – server, where the rules ask for what addresses and ports do not say.</summary>
public sealed class ConditionScene : BridgeScene
{
    protected override string Ruleset => World.Write("conditions.yaml", $$"""
        filter: 1
        ports:
          outside: { nic: eth0, side: unprotected }
          inside: { nic: eth1, side: protected }
        rules:
          - allow: segment
            service: [ nd, mld ]
          - drop: large-pings
            service: icmp
            size: 1001-65535
            each-packet: true
          - count: marked
            dscp: ef
            each-packet: true
          - drop: pieces
            fragment: true
            service: udp
            each-packet: true
          - group: the client's own card
            from: inside
            source-mac: {{World.Client.Mac("eth0")}}
            rules:
              - allow: pings
                service: ping
              - allow: datagrams
                service: udp

        """);
}
