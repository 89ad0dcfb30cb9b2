namespace Filter.Ipsec.Ike.Payloads;

/// <summary>Notify message types, IANA's numbers (RFC 7296 §3.10.1). Below 16384 they are errors, from there on status.</summary>
public enum NotifyType : ushort
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>The critical bit on a payload that is not known; its type is the data.</summary>
    UnsupportedCriticalPayload = 1,

    /// <summary>A message for an SA that is not known.</summary>
    InvalidIkeSpi = 4,

    /// <summary>Another version of IKE.</summary>
    InvalidMajorVersion = 5,

    /// <summary>A type, length or value out of range.</summary>
    InvalidSyntax = 7,

    /// <summary>A message outside of the window.</summary>
    InvalidMessageId = 9,

    /// <summary>An ESP or AH packet for an SPI that is not known.</summary>
    InvalidSpi = 11,

    /// <summary>None of the proposals is wanted.</summary>
    NoProposalChosen = 14,

    /// <summary>Another group is wanted; two bytes of its number are the data.</summary>
    InvalidKePayload = 17,

    /// <summary>The peer has not proved who it is.</summary>
    AuthenticationFailed = 24,

    /// <summary>One address pair for each child only.</summary>
    SinglePairRequired = 34,

    /// <summary>No more children in this IKE SA.</summary>
    NoAdditionalSas = 35,

    /// <summary>No address to give.</summary>
    InternalAddressFailure = 36,

    /// <summary>A configuration payload was expected.</summary>
    FailedCpRequired = 37,

    /// <summary>None of the traffic selectors is wanted.</summary>
    TsUnacceptable = 38,

    /// <summary>A packet does not fit its SA's selectors.</summary>
    InvalidSelectors = 39,

    /// <summary>MOBIKE: addresses that must not be (RFC 4555).</summary>
    UnacceptableAddresses = 40,

    /// <summary>MOBIKE: NAT where there must be none (RFC 4555).</summary>
    UnexpectedNatDetected = 41,

    /// <summary>Mobile IPv6: a home address by which the node is to be called (RFC 5026).</summary>
    UseAssignedHoA = 42,

    /// <summary>A collision: try again in a while (RFC 7296 §2.25).</summary>
    TemporaryFailure = 43,

    /// <summary>A child that is not known (RFC 7296 §2.25).</summary>
    ChildSaNotFound = 44,

    /// <summary>Group domain of interpretation (draft-yeung-g-ikev2).</summary>
    InvalidGroupId = 45,

    /// <summary>Group domain of interpretation (draft-yeung-g-ikev2).</summary>
    AuthorizationFailed = 46,

    /// <summary>A key exchange is missing (RFC 9370).</summary>
    StateNotFound = 47,

    /// <summary>The first IKE SA between the two, as far as the sender knows.</summary>
    InitialContact = 16384,

    /// <summary>How many requests may be under way.</summary>
    SetWindowSize = 16385,

    /// <summary>The responder narrowed, and would take more apart.</summary>
    AdditionalTsPossible = 16386,

    /// <summary>IPComp (RFC 7296 §2.22).</summary>
    IpcompSupported = 16387,

    /// <summary>A hash of the sender's SPIs, address and port.</summary>
    NatDetectionSourceIp = 16388,

    /// <summary>A hash of the receiver's.</summary>
    NatDetectionDestinationIp = 16389,

    /// <summary>What to send back before anything is done (RFC 7296 §2.6).</summary>
    Cookie = 16390,

    /// <summary>Transport mode.</summary>
    UseTransportMode = 16391,

    /// <summary>What kinds of certificate URLs are taken.</summary>
    HttpCertLookupSupported = 16392,

    /// <summary>This SA takes the place of the one whose SPI is named.</summary>
    RekeySa = 16393,

    /// <summary>No padding for traffic flow confidentiality.</summary>
    EspTfcPaddingNotSupported = 16394,

    /// <summary>Fragments that are not the first travel in an SA of their own.</summary>
    NonFirstFragmentsAlso = 16395,

    /// <summary>MOBIKE (RFC 4555).</summary>
    MobikeSupported = 16396,

    /// <summary>MOBIKE: another address (RFC 4555).</summary>
    AdditionalIp4Address = 16397,

    /// <summary>MOBIKE: another address (RFC 4555).</summary>
    AdditionalIp6Address = 16398,

    /// <summary>MOBIKE: no others any more (RFC 4555).</summary>
    NoAdditionalAddresses = 16399,

    /// <summary>MOBIKE: the addresses have changed (RFC 4555).</summary>
    UpdateSaAddresses = 16400,

    /// <summary>MOBIKE: to be sent back (RFC 4555).</summary>
    Cookie2 = 16401,

    /// <summary>MOBIKE: NAT must not be (RFC 4555).</summary>
    NoNatsAllowed = 16402,

    /// <summary>Several authentications (RFC 4739).</summary>
    AuthLifetime = 16403,

    /// <summary>Several authentications (RFC 4739).</summary>
    MultipleAuthSupported = 16404,

    /// <summary>Several authentications (RFC 4739).</summary>
    AnotherAuthFollows = 16405,

    /// <summary>Redirection (RFC 5685).</summary>
    RedirectSupported = 16406,

    /// <summary>Redirection (RFC 5685).</summary>
    Redirect = 16407,

    /// <summary>Redirection (RFC 5685).</summary>
    RedirectedFrom = 16408,

    /// <summary>Session resumption (RFC 5723).</summary>
    TicketLtOpaque = 16409,

    /// <summary>Session resumption (RFC 5723).</summary>
    TicketRequest = 16410,

    /// <summary>Session resumption (RFC 5723).</summary>
    TicketAck = 16411,

    /// <summary>Session resumption (RFC 5723).</summary>
    TicketNack = 16412,

    /// <summary>Session resumption (RFC 5723).</summary>
    TicketOpaque = 16413,

    /// <summary>A link id (RFC 5739).</summary>
    LinkId = 16414,

    /// <summary>Wrapped ESP (RFC 5840).</summary>
    UseWespMode = 16415,

    /// <summary>Robust header compression (RFC 5857).</summary>
    RohcSupported = 16416,

    /// <summary>EAP alone, without a certificate (RFC 5998).</summary>
    EapOnlyAuthentication = 16417,

    /// <summary>An IKE SA without a first child (RFC 6023).</summary>
    ChildlessIkev2Supported = 16418,

    /// <summary>Quick crash detection (RFC 6290).</summary>
    QuickCrashDetection = 16419,

    /// <summary>High availability (RFC 6311).</summary>
    Ikev2MessageIdSyncSupported = 16420,

    /// <summary>High availability (RFC 6311).</summary>
    IpsecReplayCounterSyncSupported = 16421,

    /// <summary>High availability (RFC 6311).</summary>
    Ikev2MessageIdSync = 16422,

    /// <summary>High availability (RFC 6311).</summary>
    IpsecReplayCounterSync = 16423,

    /// <summary>Secure password methods (RFC 6467).</summary>
    SecurePasswordMethods = 16424,

    /// <summary>PSK with a password (RFC 6631).</summary>
    PskPersist = 16425,

    /// <summary>PSK with a password (RFC 6631).</summary>
    PskConfirm = 16426,

    /// <summary>ERP (RFC 6867).</summary>
    ErxSupported = 16427,

    /// <summary>Flow mobility (3GPP TS 24.303).</summary>
    Ifom = 16428,

    /// <summary>Senders of a group (draft-yeung-g-ikev2).</summary>
    SenderRequestId = 16429,

    /// <summary>Message fragmentation (RFC 7383).</summary>
    Ikev2FragmentationSupported = 16430,

    /// <summary>Hashes that signatures may be made of, two bytes each (RFC 7427 §4).</summary>
    SignatureHashAlgorithms = 16431,

    /// <summary>Cloning an IKE SA (RFC 7791).</summary>
    CloneIkeSaSupported = 16432,

    /// <summary>Cloning an IKE SA (RFC 7791).</summary>
    CloneIkeSa = 16433,

    /// <summary>Client puzzles (RFC 8019).</summary>
    Puzzle = 16434,

    /// <summary>Post-quantum PSK (RFC 8784).</summary>
    UsePpk = 16435,

    /// <summary>Post-quantum PSK (RFC 8784).</summary>
    PpkIdentity = 16436,

    /// <summary>Post-quantum PSK (RFC 8784).</summary>
    NoPpkAuth = 16437,

    /// <summary>IKE_INTERMEDIATE (RFC 9242).</summary>
    IntermediateExchangeSupported = 16438,

    /// <summary>Families that may be asked for (RFC 8983).</summary>
    Ip4Allowed = 16439,

    /// <summary>Families that may be asked for (RFC 8983).</summary>
    Ip6Allowed = 16440,

    /// <summary>Several key exchanges: more follow (RFC 9370).</summary>
    AdditionalKeyExchange = 16441,

    /// <summary>Aggregation and fragmentation of ESP (RFC 9347).</summary>
    UseAggfrag = 16442,

    /// <summary>Ways of authentication that are supported (RFC 9593).</summary>
    SupportedAuthMethods = 16443,
}
