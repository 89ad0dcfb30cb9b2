using System.Security.Cryptography;
using Filter.Engine.Packets;
using Filter.Engine.Wire;
using Filter.Ipsec.Databases;
using Filter.Ipsec.PfKey.Messages;
using Filter.Rules.Policy;

namespace Filter.Ipsec.PfKey;

/// <content>SAs: one comes, changes, is looked at, goes (RFC 2367 §3.1.1 to §3.1.5, §3.1.9, §3.1.10).</content>
public sealed partial class PfKeyEngine
{
    /// <summary>SPIs that are the IANA's (RFC 4303 §2.1) end before this.</summary>
    private const uint FirstSpi = 256;

    private const int Tries = 64;

    private PfKeyFault GetSpi(PfKeyMessage message, in PfKeyTime now)
    {
        if (!TryGetEnds(message, out AddressExtension source, out AddressExtension destination))
        {
            return NoEnds();
        }

        if (TypeFault(message.Header.SaType) is { IsFault: true } wrong)
        {
            return wrong;
        }

        if (_host.Stage is not { } stage)
        {
            return NoIpsec();
        }

        SpiRangeExtension range = message.Find<SpiRangeExtension>(PfKeyExtensionType.SpiRange) ?? new SpiRangeExtension(FirstSpi, uint.MaxValue);
        if (range.Least < FirstSpi || range.Most < range.Least)
        {
            return new(PfKeyError.Invalid, "no SPI is in that range");
        }

        if (_sas.Count >= MostSas)
        {
            return new(PfKeyError.NoSpace, "there are too many SAs");
        }

        if (FreeSpi(stage, range, message.Header.SaType, destination.Address) is not { } spi)
        {
            return new(PfKeyError.NoEntry, "all SPIs of that range are taken");
        }

        PfKeySa larval = new()
        {
            Type = message.Header.SaType, Spi = spi, Source = source, Destination = destination, Told = Beside(message), Added = now.Wall,
            LarvalUntil = now.Nanoseconds + LarvalLife, Sequence = message.Header.Sequence,
        };
        _sas.Add(KeyOf(larval), larval);
        Tell(message.Header, Describe(larval, now, keys: false));
        return default;
    }

    private PfKeyFault Add(PfKeyMessage message, in PfKeyTime now)
    {
        PfKeyFault fault = TryMake(message, larval: null, now, out PfKeySa? made);
        if (fault.IsFault)
        {
            return fault;
        }

        if (_sas.Count >= MostSas || _sas.ContainsKey(KeyOf(made!)))
        {
            made!.Sa!.Dispose();
            return _sas.Count >= MostSas ? new(PfKeyError.NoSpace, "there are too many SAs") : new(PfKeyError.Exists, "there already is such an SA");
        }

        return Install(message.Header, made!, now);
    }

    private PfKeyFault Update(PfKeyMessage message, in PfKeyTime now)
    {
        if (!TryGetEnds(message, out _, out AddressExtension destination) || message.Find<SaExtension>(PfKeyExtensionType.Sa) is not { } said)
        {
            return NoEnds();
        }

        if (!_sas.TryGetValue((message.Header.SaType, said.Spi, destination.Address), out PfKeySa? there))
        {
            return Absent(message.Header.SaType, said.Spi, destination.Address);
        }

        if (there.Sa is null)
        {
            PfKeyFault fault = TryMake(message, there, now, out PfKeySa? made);
            if (fault.IsFault)
            {
                return fault;
            }

            _sas.Remove(KeyOf(there));
            fault = Install(message.Header, made!, now);
            if (fault.IsFault)
            {
                _sas.Add(KeyOf(there), there);
            }

            return fault;
        }

        // A mature one has its keys: other limits are all that it may get.
        PfKeyExtensionType[] limits = [PfKeyExtensionType.LifetimeHard, PfKeyExtensionType.LifetimeSoft];
        there.Told = [.. there.Told.Where(told => !limits.Contains(told.Type)), .. message.Extensions.Where(told => limits.Contains(told.Type))];
        _host.Hold(stage =>
        {
            there.Sa.Adopt(there.Sa.Settings with
            {
                Hard = PfKeySa.LifetimeOf(there.Limit(PfKeyExtensionType.LifetimeHard)), Soft = PfKeySa.LifetimeOf(there.Limit(PfKeyExtensionType.LifetimeSoft)),
            });
            return stage.Assign(there.Sa, [.. there.Sa.Policies.Select(static entry => entry.Name)]);
        });
        Tell(message.Header, Describe(there, now, keys: false));
        return default;
    }

    private PfKeyFault Install(in PfKeyHeader header, PfKeySa made, in PfKeyTime now)
    {
        bool clashes = _host.Hold(stage => stage.Add(made.Sa!, PoliciesOf(made, stage))) is not null;
        if (clashes)
        {
            made.Sa!.Dispose();
            return new(PfKeyError.Exists, "there already is an SA that receives with this SPI");
        }

        _sas.Add(KeyOf(made), made);
        _known.Add(made.Sa!, made);
        Tell(header, Describe(made, now, keys: false));
        return default;
    }

    private PfKeyFault Delete(PfKeyMessage message)
    {
        if (!TryGetEnds(message, out AddressExtension source, out AddressExtension destination) || message.Find<SaExtension>(PfKeyExtensionType.Sa) is not { } said)
        {
            return NoEnds();
        }

        if (!_sas.TryGetValue((message.Header.SaType, said.Spi, destination.Address), out PfKeySa? there))
        {
            return Absent(message.Header.SaType, said.Spi, destination.Address);
        }

        Remove([there]);
        Tell(message.Header, [SaOf(there) with { State = PfKeySaState.Dead }, source, destination]);
        return default;
    }

    private PfKeyFault Get(PfKeyListener from, PfKeyMessage message, in PfKeyTime now)
    {
        if (!TryGetEnds(message, out _, out AddressExtension destination) || message.Find<SaExtension>(PfKeyExtensionType.Sa) is not { } said)
        {
            return NoEnds();
        }

        PfKeySa? there = _sas.GetValueOrDefault((message.Header.SaType, said.Spi, destination.Address))
            ?? Others(message.Header.SaType).FirstOrDefault(sa => sa.Spi == said.Spi && sa.Destination.Address == destination.Address);
        if (there is null)
        {
            return new(PfKeyError.NoSuch, "there is no such SA");
        }

        from.Send(Bytes(message.Header, there, now));
        return default;
    }

    private PfKeyFault Dump(PfKeyListener from, PfKeyMessage message, PfKeyTime now)
    {
        PfKeyHeader header = message.Header;
        if (header.SaType is not (PfKeySaType.Unspecified or PfKeySaType.Esp or PfKeySaType.Ah))
        {
            return TypeFault(header.SaType);
        }

        PfKeySa[] all = [.. _sas.Values.Where(sa => header.SaType == PfKeySaType.Unspecified || sa.Type == header.SaType), .. Others(header.SaType)];
        if (all.Length == 0)
        {
            return new(PfKeyError.NoEntry, "there are no SAs");
        }

        // Numbers count down to 0, which is the last one's (RFC 2367 §3.1.10).
        bool begun = from.SendAll(all.Select((sa, i) => Bytes(header with { SaType = sa.Type, Sequence = (uint)(all.Length - 1 - i) }, sa, now)));
        return begun ? default : new(PfKeyError.Busy, "a dump goes on already");
    }

    private PfKeyFault Flush(PfKeyMessage message)
    {
        if (message.Header.SaType is not (PfKeySaType.Unspecified or PfKeySaType.Esp or PfKeySaType.Ah))
        {
            return TypeFault(message.Header.SaType);
        }

        Remove([.. _sas.Values.Where(sa => message.Header.SaType == PfKeySaType.Unspecified || sa.Type == message.Header.SaType)]);
        Tell(message.Header, []);
        return default;
    }

    private void Remove(PfKeySa[] gone)
    {
        foreach (PfKeySa sa in gone)
        {
            _sas.Remove(KeyOf(sa));
        }

        SecurityAssociation[] carried = [.. gone.Select(static sa => sa.Sa).OfType<SecurityAssociation>()];
        foreach (SecurityAssociation sa in carried)
        {
            _known.Remove(sa);
        }

        if (carried.Length > 0)
        {
            _host.Hold(stage =>
            {
                Array.ForEach(carried, sa => stage.Remove(sa));
                return true;
            });
        }
    }

    /// <summary>One that somebody else has brought may be looked at, and that is all.</summary>
    private PfKeyFault Absent(PfKeySaType type, uint spi, Address destination) =>
        Others(type).Any(sa => sa.Spi == spi && sa.Destination.Address == destination)
            ? new(PfKeyError.NotPermitted, "that SA did not come by PF_KEY")
            : new(PfKeyError.NoSuch, "there is no such SA");

    /// <summary>SAs that others have brought.</summary>
    private IEnumerable<PfKeySa> Others(PfKeySaType type) =>
        from sa in _host.Stage?.Sad.All ?? []
        let its = sa.Protocol == IpProtocol.Ah ? PfKeySaType.Ah : PfKeySaType.Esp
        where !_known.ContainsKey(sa) && (type == PfKeySaType.Unspecified || type == its)
        let ends = sa is OutboundSa ? (From: sa.Local, To: sa.Remote) : (From: sa.Remote, To: sa.Local)
        select new PfKeySa
        {
            Type = its, Spi = sa.Spi, Sa = sa, Added = 0, IsOthers = true,
            Source = new AddressExtension(PfKeyExtensionType.AddressSource, Shown(ends.From, ends.To)),
            Destination = new AddressExtension(PfKeyExtensionType.AddressDestination, Shown(ends.To, ends.From)),
            Told = [new Sa2Extension(sa.Mode == IpsecMode.Tunnel ? PfKeyMode.Tunnel : PfKeyMode.Transport, 0, 0)],
        };

    /// <summary>An end that is not named is all zeros of the other's family.</summary>
    private static Address Shown(Address end, Address other) => end == default && (other == default || other.IsIPv4) ? Address.FromIPv4(0) : end;

    private uint? FreeSpi(IpsecStage stage, SpiRangeExtension range, PfKeySaType type, Address destination)
    {
        ulong size = (ulong)range.Most - range.Least + 1;
        HashSet<uint> taken = [];
        for (int i = 0; i < Tries; i++)
        {
            uint spi = (uint)(range.Least + (size <= Tries ? (ulong)i % size : (ulong)RandomNumberGenerator.GetInt32(int.MaxValue) * size / int.MaxValue));
            if (taken.Add(spi) && !_sas.ContainsKey((type, spi, destination)) && stage.Sad.Find(spi, ProtocolOf(type), destination) is null)
            {
                return spi;
            }
        }

        return null;
    }

    private static byte ProtocolOf(PfKeySaType type) => type == PfKeySaType.Ah ? IpProtocol.Ah : IpProtocol.Esp;

    private static PfKeyFault TypeFault(PfKeySaType type) => type switch
    {
        PfKeySaType.Esp or PfKeySaType.Ah => default,
        PfKeySaType.IpComp => new(PfKeyError.NotSupported, "IPComp is not spoken here"),
        _ => new(PfKeyError.Invalid, "no IPsec protocol has that type"),
    };

    private static byte[] Bytes(PfKeyHeader header, PfKeySa sa, in PfKeyTime now)
    {
        using PfKeyMessage message = new(header with { Error = PfKeyError.None }, [.. Describe(sa, now, keys: true)]);
        return PfKeyWriter.Write(message);
    }

    private static SaExtension SaOf(PfKeySa sa)
    {
        if (sa.Said is { } said)
        {
            return said with { State = sa.State };
        }

        (byte encryption, byte authentication) = sa.Sa is { } carried ? PfKeyAlgorithms.Numbers(carried.Suite) ?? default : default;
        byte window = (byte)Math.Min(sa.Sa?.Settings.ReplayWindow ?? 0, byte.MaxValue);
        return new SaExtension(sa.Spi, window, sa.State, authentication, encryption, PfKeySaFlags.None);
    }

    /// <summary>What is said of an SA, in the order that Linux has.</summary>
    private static IEnumerable<PfKeyExtension> Describe(PfKeySa sa, PfKeyTime now, bool keys)
    {
        yield return SaOf(sa);
        foreach (PfKeyExtension told in sa.Told.Where(static told => told is LifetimeExtension))
        {
            yield return told;
        }

        yield return sa.Current(now.Wall, now.Nanoseconds);
        yield return sa.Source;
        yield return sa.Destination;
        if (keys && !sa.IsOthers && sa.Sa?.LendKeys() is var (encryption, integrity))
        {
            if (integrity.Length > 0)
            {
                yield return new KeyExtension(PfKeyExtensionType.KeyAuthentication, (ushort)(integrity.Length * 8), integrity);
            }

            if (encryption.Length > 0)
            {
                yield return new KeyExtension(PfKeyExtensionType.KeyEncryption, (ushort)(encryption.Length * 8), encryption);
            }
        }

        foreach (PfKeyExtension told in sa.Told.Where(static told => told is not LifetimeExtension))
        {
            yield return told;
        }
    }

    /// <summary>What a message says of an SA beside its number, ends and keys.</summary>
    private static PfKeyExtension[] Beside(PfKeyMessage message) =>
        [.. message.Extensions.Where(static told => told.Type is not (
            PfKeyExtensionType.Sa or PfKeyExtensionType.AddressSource or PfKeyExtensionType.AddressDestination or PfKeyExtensionType.KeyAuthentication
            or PfKeyExtensionType.KeyEncryption or PfKeyExtensionType.LifetimeCurrent or PfKeyExtensionType.SpiRange))];
}
