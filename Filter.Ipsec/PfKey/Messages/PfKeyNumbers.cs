namespace Filter.Ipsec.PfKey.Messages;

/// <summary>What a message is about: sadb_msg_type (RFC 2367 §3.1; from 11 KAME's and Linux's).</summary>
public enum PfKeyType : byte
{
    /// <summary>None.</summary>
    Reserved = 0,

    /// <summary>SADB_GETSPI: a larval SA with an SPI of its own.</summary>
    GetSpi = 1,

    /// <summary>SADB_UPDATE: a larval SA gets its keys, or a mature one other lifetimes.</summary>
    Update = 2,

    /// <summary>SADB_ADD: a whole SA.</summary>
    Add = 3,

    /// <summary>SADB_DELETE.</summary>
    Delete = 4,

    /// <summary>SADB_GET: one SA, with its keys.</summary>
    Get = 5,

    /// <summary>SADB_ACQUIRE: an SA is wanted.</summary>
    Acquire = 6,

    /// <summary>SADB_REGISTER: whoever sends it negotiates SAs of a type.</summary>
    Register = 7,

    /// <summary>SADB_EXPIRE: a limit was reached.</summary>
    Expire = 8,

    /// <summary>SADB_FLUSH: all SAs of a type go.</summary>
    Flush = 9,

    /// <summary>SADB_DUMP: all SAs of a type.</summary>
    Dump = 10,

    /// <summary>SADB_X_PROMISC: everything that anybody says, keys included.</summary>
    Promiscuous = 11,

    /// <summary>SADB_X_PCHANGE.</summary>
    PolicyChange = 12,

    /// <summary>SADB_X_SPDUPDATE: a policy, in the place of one with its selectors.</summary>
    PolicyUpdate = 13,

    /// <summary>SADB_X_SPDADD: a policy, where there is none with its selectors.</summary>
    PolicyAdd = 14,

    /// <summary>SADB_X_SPDDELETE: the policy with these selectors goes.</summary>
    PolicyDelete = 15,

    /// <summary>SADB_X_SPDGET: the policy of a number.</summary>
    PolicyGet = 16,

    /// <summary>SADB_X_SPDACQUIRE.</summary>
    PolicyAcquire = 17,

    /// <summary>SADB_X_SPDDUMP: all policies.</summary>
    PolicyDump = 18,

    /// <summary>SADB_X_SPDFLUSH: all policies that came by PF_KEY go.</summary>
    PolicyFlush = 19,

    /// <summary>SADB_X_SPDSETIDX: a policy that is told by its selectors alone; here what an addition is.</summary>
    PolicySetIndex = 20,

    /// <summary>SADB_X_SPDEXPIRE: a policy's life has ended.</summary>
    PolicyExpire = 21,

    /// <summary>SADB_X_SPDDELETE2: the policy of a number goes.</summary>
    PolicyDeleteById = 22,

    /// <summary>SADB_X_NAT_T_NEW_MAPPING: the far end has turned up at another port.</summary>
    NewMapping = 23,

    /// <summary>SADB_X_MIGRATE: tunnels lead elsewhere (RFC 4555's wish).</summary>
    Migrate = 24,
}

/// <summary>What an extension holds: sadb_ext_type (RFC 2367 §2.3; from 17 KAME's and Linux's).</summary>
public enum PfKeyExtensionType : ushort
{
    /// <summary>None.</summary>
    Reserved = 0,

    /// <summary>SPI, window, state, algorithms, flags.</summary>
    Sa = 1,

    /// <summary>What an SA has carried, and since when.</summary>
    LifetimeCurrent = 2,

    /// <summary>What ends it.</summary>
    LifetimeHard = 3,

    /// <summary>What is told.</summary>
    LifetimeSoft = 4,

    /// <summary>The source.</summary>
    AddressSource = 5,

    /// <summary>The destination.</summary>
    AddressDestination = 6,

    /// <summary>Whom the source stands for.</summary>
    AddressProxy = 7,

    /// <summary>The integrity key.</summary>
    KeyAuthentication = 8,

    /// <summary>The encryption key, with its salt.</summary>
    KeyEncryption = 9,

    /// <summary>Who the source is.</summary>
    IdentitySource = 10,

    /// <summary>Who the destination is.</summary>
    IdentityDestination = 11,

    /// <summary>Sensitivity labels.</summary>
    Sensitivity = 12,

    /// <summary>What an acquire would take.</summary>
    Proposal = 13,

    /// <summary>Integrity algorithms that there are.</summary>
    SupportedAuthentication = 14,

    /// <summary>Ciphers that there are.</summary>
    SupportedEncryption = 15,

    /// <summary>Of which SPIs one is wanted.</summary>
    SpiRange = 16,

    /// <summary>What key managers say to each other.</summary>
    KeyManagerPrivate = 17,

    /// <summary>A policy: action, direction, number, priority, and what protects.</summary>
    Policy = 18,

    /// <summary>Mode and request number of an SA.</summary>
    Sa2 = 19,

    /// <summary>ESP in UDP.</summary>
    NatType = 20,

    /// <summary>The source's port of UDP around ESP.</summary>
    NatSourcePort = 21,

    /// <summary>The destination's port of UDP around ESP.</summary>
    NatDestinationPort = 22,

    /// <summary>An end's address before it was translated.</summary>
    NatOriginalAddress = 23,

    /// <summary>A security module's label.</summary>
    SecurityContext = 24,

    /// <summary>The two ends that key managers speak from.</summary>
    KeyManagerAddress = 25,

    /// <summary>Which SAs a dump lists.</summary>
    Filter = 26,
}

/// <summary>Whose SA: sadb_msg_satype (RFC 2367 §3.5).</summary>
public enum PfKeySaType : byte
{
    /// <summary>Any, or none.</summary>
    Unspecified = 0,

    /// <summary>AH.</summary>
    Ah = 2,

    /// <summary>ESP.</summary>
    Esp = 3,

    /// <summary>RSVP, and what follows up to 8: not IPsec.</summary>
    Rsvp = 5,

    /// <summary>IPComp.</summary>
    IpComp = 9,
}

/// <summary>How far an SA's life has come: sadb_sa_state (RFC 2367 §3.2).</summary>
public enum PfKeySaState : byte
{
    /// <summary>It has an SPI and no keys.</summary>
    Larval = 0,

    /// <summary>It carries.</summary>
    Mature = 1,

    /// <summary>It has reached its soft limit.</summary>
    Dying = 2,

    /// <summary>It has reached its hard limit.</summary>
    Dead = 3,
}

/// <summary>sadb_sa_flags (RFC 2367 §3.2, and Linux's).</summary>
[Flags]
public enum PfKeySaFlags : uint
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>Perfect forward secrecy: of the key exchange, nothing to us.</summary>
    Pfs = 1,

    /// <summary>Sequence numbers of 64 bits (OpenBSD's bit and its meaning; Linux has none).</summary>
    ExtendedSequence = 0x400,

    /// <summary>The path's MTU is not looked for: DF is never set.</summary>
    NoPathMtu = 0x2000_0000,

    /// <summary>The outer DSCP is written into the inner header.</summary>
    DecapsulateDscp = 0x4000_0000,

    /// <summary>ECN is not copied.</summary>
    NoEcn = 0x8000_0000,
}

/// <summary>Modes of sadb_x_sa2 and of requests.</summary>
public enum PfKeyMode : byte
{
    /// <summary>Whatever there is.</summary>
    Any = 0,

    /// <summary>Transport.</summary>
    Transport = 1,

    /// <summary>Tunnel.</summary>
    Tunnel = 2,

    /// <summary>Bound end to end tunnel; unknown here.</summary>
    Beet = 3,
}

/// <summary>sadb_x_policy_type.</summary>
public enum PfKeyPolicyType : ushort
{
    /// <summary>Dropped.</summary>
    Discard = 0,

    /// <summary>In the clear.</summary>
    None = 1,

    /// <summary>Protected.</summary>
    Ipsec = 2,

    /// <summary>As the SPD says; of sockets alone.</summary>
    Entrust = 3,

    /// <summary>In the clear, whatever the SPD says; of sockets alone.</summary>
    Bypass = 4,
}

/// <summary>sadb_x_policy_dir.</summary>
public enum PfKeyDirection : byte
{
    /// <summary>Either.</summary>
    Any = 0,

    /// <summary>What comes in.</summary>
    In = 1,

    /// <summary>What goes out.</summary>
    Out = 2,

    /// <summary>What came in and is forwarded.</summary>
    Forward = 3,
}

/// <summary>sadb_x_ipsecrequest_level.</summary>
public enum PfKeyLevel : byte
{
    /// <summary>As the system has it.</summary>
    Default = 0,

    /// <summary>Where there is an SA.</summary>
    Use = 1,

    /// <summary>An SA must be there.</summary>
    Require = 2,

    /// <summary>An SA of just this policy must be there.</summary>
    Unique = 3,
}

/// <summary>Errors as sadb_msg_errno has them: Linux's numbers.</summary>
public enum PfKeyError : byte
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>EPERM: it belongs to the ruleset.</summary>
    NotPermitted = 1,

    /// <summary>ENOENT: there is no such policy.</summary>
    NoEntry = 2,

    /// <summary>ESRCH: there is no such SA.</summary>
    NoSuch = 3,

    /// <summary>EIO: the daemon could not do it.</summary>
    Failed = 5,

    /// <summary>EBUSY: a dump goes on already.</summary>
    Busy = 16,

    /// <summary>EEXIST: there is one already.</summary>
    Exists = 17,

    /// <summary>EINVAL: what was said makes no sense.</summary>
    Invalid = 22,

    /// <summary>ENOSPC: there is no room for more.</summary>
    NoSpace = 28,

    /// <summary>ENOSYS: there is no such algorithm here.</summary>
    NoAlgorithm = 38,

    /// <summary>EMSGSIZE: the message's length is not what it says.</summary>
    MessageSize = 90,

    /// <summary>EPROTONOSUPPORT: no such protocol here.</summary>
    NotSupported = 93,

    /// <summary>EOPNOTSUPP: not done here.</summary>
    NotDone = 95,

    /// <summary>EADDRNOTAVAIL: neither end is ours.</summary>
    NotOurs = 99,

    /// <summary>ENOBUFS: what was told meanwhile is lost.</summary>
    NoBuffers = 105,
}
