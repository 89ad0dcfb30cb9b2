#!/usr/bin/python3
"""forge.py DEVICE MAC: a peer of Filter that knows its keys and does with them what no good peer does. Scapy makes its packets.

Lines on stdin, each answered when it is done:
  sa FAMILY MODE SUITE SPI KEY MAC-KEY SPI KEY MAC-KEY   the SAs to Filter and from it, of AH where the suite encrypts
     [esn] [udp]                                         nothing; with numbers of 64 bits, and in UDP
  FORGERY                                                sends what is written below under this name, then a frame
                                                         that is not IP, by which Filter's progress can be seen"""
import hashlib, hmac, itertools, sys, struct
from scapy.all import Ether, IP, IPv6, ICMP, ICMPv6EchoRequest, ICMPv6EchoReply, IPv6ExtHdrFragment, TCP, UDP, Raw, conf, fragment, raw
from scapy.layers.ipsec import ESP, SecurityAssociation, _ESPPlain

CIPHERS = {'aes-cbc': 'AES-CBC', 'aes-gcm-16': 'AES-GCM', 'aes-ctr': 'AES-CTR', 'null': 'NULL', 'chacha20-poly1305': 'CHACHA20-POLY1305'}
MACS = {'hmac-sha2-256-128': 'SHA2-256-128', 'hmac-sha1-96': 'HMAC-SHA1-96'}
LINK = {4: ('192.0.2.2', '192.0.2.1'), 6: ('2001:db8:1::2', '2001:db8:1::1')}
INNER = {4: ('10.2.0.1', '10.1.0.1'), 6: ('2001:db8:b::1', '2001:db8:a::1')}
STRANGER = {4: '10.66.0.1', 6: '2001:db8:66::1'}
BARRIER = 0x88b5                # IEEE 802: for experiments; Filter drops it, and counts it apart

device, box = sys.argv[1:3]
identification = itertools.count(1)
wire = conf.L2socket(iface=device)


def header(family, src, dst, protocol, payload, **fields):
    """An IP packet of these bytes, its lengths and checksums right."""
    fields = {'tc' if k == 'tos' and family == 6 else k: v for k, v in fields.items()}
    h = IP(src=src, dst=dst, proto=protocol, id=next(identification) & 0xffff, **fields) if family == 4 else IPv6(src=src, dst=dst, nh=protocol, **fields)
    return raw(h / Raw(payload))


def echo(family, src, dst, size=33):
    """An echo request, whole."""
    data = bytes(i & 255 for i in range(size))
    if family == 4:
        return raw(IP(src=src, dst=dst) / ICMP(id=77, seq=1) / data)
    return raw(IPv6(src=src, dst=dst) / ICMPv6EchoRequest(id=77, seq=1, data=data))


class Way:
    """One direction of an SA and its peer's addresses."""

    def __init__(self, family, mode, suite, options, spi, key, mac_key):
        cipher, _, mac = suite.partition('+')
        self.family, self.tunnel, self.seq = family, mode == 'tunnel', 0
        self.esn, self.udp = 'esn' in options, 'udp' in options
        self.src, self.dst = LINK[family]
        self.inner = INNER[family] if self.tunnel else LINK[family]
        self.ah = suite in MACS
        if self.ah:
            self.spi, self.key, self.icv = int(spi), bytes.fromhex(mac_key), 16
            return
        name = next(v for k, v in CIPHERS.items() if cipher.startswith(k))
        self.sa = SecurityAssociation(ESP, spi=int(spi), crypt_algo=name, crypt_key=bytes.fromhex(key),
                                      auth_algo=MACS[mac] if mac else None, auth_key=bytes.fromhex(mac_key) if mac else None)
        self.icv = self.sa.crypt_algo.icv_size or self.sa.auth_algo.icv_size

    def esp(self, data, protocol, seq=None, padding=None, pad_length=None, spi=None):
        """An ESP packet whose ICV is good, whatever it holds."""
        self.seq = self.seq + 1 if seq is None else seq
        plain = _ESPPlain(spi=self.sa.spi if spi is None else spi, seq=self.seq, iv=self.sa.crypt_algo.generate_iv(), data=data, nh=protocol)
        plain = self.sa.crypt_algo.pad(plain)
        if padding is not None:
            plain.padding = padding(len(plain.padding))
        if pad_length is not None:
            plain.padlen = pad_length
        plain.seq &= 0xffffffff
        sealed = self.sa.crypt_algo.encrypt(self.sa, plain, self.sa.crypt_key, self.sa.crypt_icv_size, self.esn, self.seq >> 32)
        if self.esn and self.sa.auth_key:
            # RFC 4303 §2.2.1: the upper half is under the ICV, though it is not sent. Scapy knows that of combined modes alone.
            return raw(sealed) + hmac.new(self.sa.auth_key, raw(sealed) + struct.pack('!L', self.seq >> 32), hashlib.sha256).digest()[:self.icv]
        self.sa.auth_algo.sign(sealed, self.sa.auth_key)
        return raw(sealed)

    def authenticated(self, data, protocol, seq=None, words=None, cut=None):
        """A packet with AH (RFC 4302) whose ICV is good. WORDS is the length that it says, CUT how many bytes of AH there are."""
        self.seq = self.seq + 1 if seq is None else seq
        length = 12 + self.icv + (4 if self.family == 6 else 0)
        ah = struct.pack('!BBHLL', protocol, length // 4 - 2 if words is None else words, 0, self.spi, self.seq & 0xffffffff)
        rest = bytes(length - 12)
        if cut is not None:
            ah, rest = (ah + rest)[:min(cut, 12)], bytes(max(0, cut - 12))
        packet = bytearray(header(self.family, self.src, self.dst, 51, ah + rest + data))
        at = len(packet) - len(data) - len(rest)
        blank = bytearray(packet)
        for field in (1, 6, 7, 8, 10, 11) if self.family == 4 else (1, 2, 3, 7):       # what routers change
            blank[field] = 0
        icv = hmac.new(self.key, bytes(blank) + (struct.pack('!L', self.seq >> 32) if self.esn else b''), hashlib.sha256).digest()
        packet[at:at + min(self.icv, len(rest))] = icv[:min(self.icv, len(rest))]
        return bytes(packet)

    def ip(self, esp, **fields):
        if self.udp:
            return self.datagram(esp, **fields)
        return header(self.family, self.src, self.dst, 50, esp, **fields)

    def datagram(self, inside, length=None, **fields):
        """UDP between the ports that both agreed on, with the checksum that IPv6 wants."""
        ip = IP(src=self.src, dst=self.dst, id=next(identification) & 0xffff, **fields) if self.family == 4 else IPv6(src=self.src, dst=self.dst, **fields)
        return raw(ip / UDP(sport=4500, dport=4500, len=length) / Raw(inside))

    def inside(self, packet, tunnel=None):
        """What ESP carries of an IP packet, and the number that says what it is."""
        if self.tunnel if tunnel is None else tunnel:
            return packet, 4 if packet[0] >> 4 == 4 else 41
        return (packet[20:], packet[9]) if self.family == 4 else (packet[40:], packet[6])

    def seal(self, packet=None, **how):
        """A good packet, unless HOW says otherwise."""
        if self.ah:
            return self.authenticated(*self.inside(packet or echo(self.family, *self.inner)), **how)
        return self.ip(self.esp(*self.inside(packet or echo(self.family, *self.inner)), **how))

    def damaged(self, at):
        """One bit is wrong of what is sealed; what is around it knows nothing of that."""
        if self.ah:
            return flipped(self.seal(), at)
        return self.ip(flipped(self.esp(*self.inside(echo(self.family, *self.inner))), at))


FORGERIES = {}


def forgery(function):
    FORGERIES[function.__name__.replace('_', '-')] = function
    return function


# --- good ones, so that what is dropped below is dropped for its own fault --------------------------------------

@forgery
def nothing_wrong(to):
    for size in (0, 1, 33, 1200):
        yield to.seal(echo(to.family, *to.inner, size))


@forgery
def dummies(to):
    """RFC 4303 §2.6: no packet at all, whatever the bytes say."""
    yield to.ip(to.esp(b'\x45' * 64, 59))
    yield to.ip(to.esp(b'', 59))


@forgery
def filler_behind_the_packet(to):
    """RFC 4303 §2.7: TFC padding, which only the inner length tells from the packet."""
    yield to.seal(echo(to.family, *to.inner) + bytes(100))


@forgery
def pieces_of_a_sealed_packet(to):
    yield from pieces(to, to.seal(echo(to.family, *to.inner, 1000)))


@forgery
def right_edge_and_window(to):
    for seq in (1000, 1000 - 63, 1001, 1001 - 63):
        yield to.seal(seq=seq)


# --- wrong on the outside -------------------------------------------------------------------------------------------

@forgery
def a_wrong_icv(to):
    yield to.damaged(-1)
    yield to.damaged(-to.icv)


@forgery
def a_flipped_bit_inside(to):
    at = len(to.ip(b''))
    yield flipped(to.seal(), at + 8)            # in the IV
    yield flipped(to.seal(), at + 30)           # in the text
    yield flipped(to.seal(), at + 7)            # in the sequence number: it counts as another


@forgery
def replays(to):
    packet = to.seal()
    for _ in range(4):
        yield packet


@forgery
def left_of_the_window(to):
    yield to.seal(seq=1000)
    yield to.seal(seq=1000 - 64)
    yield to.seal(seq=1)
    yield to.seal(seq=937)                      # the last that fits
    yield to.seal(seq=937)


@forgery
def forgeries_that_would_move_the_window(to):
    yield flipped(to.seal(seq=0xfffffff0), -1)
    yield to.seal(seq=5)


@forgery
def number_zero(to):
    yield to.seal(seq=0)


@forgery
def unknown_spis(to):
    for spi in (0, 1, 255, to.sa.spi ^ 1, 0xffffffff):
        yield to.seal(spi=spi)


@forgery
def cut_short(to):
    esp = to.esp(*to.inside(echo(to.family, *to.inner)))
    for length in (8, 9, 8 + to.sa.crypt_algo.iv_size, 8 + to.sa.crypt_algo.iv_size + to.icv, len(esp) - 1):
        yield to.ip(esp[:length])


@forgery
def less_than_a_header(to):
    for length in (0, 1, 4, 7):
        yield to.ip(to.esp(b'', 59)[:length])


@forgery
def an_icv_of_another_length(to):
    packet = to.esp(*to.inside(echo(to.family, *to.inner)))
    yield to.ip(packet[:-4])
    yield to.ip(packet + bytes(4))


@forgery
def a_block_less(to):
    """Aligned as it should be, and all of it there, but for a block of the text."""
    packet = to.esp(*to.inside(echo(to.family, *to.inner, 100)))
    yield to.ip(packet[:-to.icv - 16] + packet[-to.icv:])


@forgery
def overlapping_pieces(to):
    """RFC 5722: the whole datagram is given up."""
    packet = to.seal(echo(to.family, *to.inner, 1000))
    first, *rest = pieces(to, packet)
    yield first
    yield moved_back(to, rest[0])
    yield from rest


# --- wrong inside, and the ICV is good ------------------------------------------------------------------------------

@forgery
def padding_that_does_not_count(to):
    yield to.seal(echo(to.family, *to.inner, 37), padding=lambda n: bytes(n))
    yield to.seal(echo(to.family, *to.inner, 37), padding=lambda n: bytes(range(2, n + 2)))


@forgery
def padding_longer_than_the_packet(to):
    yield to.seal(pad_length=255)
    yield to.ip(to.esp(b'', 59, pad_length=17))


@forgery
def the_other_mode(to):
    packet = echo(to.family, *to.inner)
    yield to.ip(to.esp(*to.inside(packet, tunnel=not to.tunnel)))


@forgery
def a_stranger_inside(to):
    yield to.seal(echo(to.family, STRANGER[to.family], to.inner[1]))
    yield to.seal(echo(to.family, to.inner[0], STRANGER[to.family]))


@forgery
def the_other_end_of_the_link_inside(to):
    yield to.seal(echo(to.family, *LINK[to.family]))


@forgery
def another_version_inside(to):
    packet = echo(to.family, *to.inner)
    yield to.ip(to.esp(packet, 41 if to.family == 4 else 4))


@forgery
def an_inner_length_that_lies(to):
    packet = bytearray(echo(to.family, *to.inner))
    at, value = (2, len(packet) + 20) if to.family == 4 else (4, len(packet))
    struct.pack_into('!H', packet, at, value)
    yield to.seal(bytes(packet))
    yield to.ip(to.esp(bytes(packet[:10]), 4 if to.family == 4 else 41))


@forgery
def congestion_that_cannot_be_told(to):
    """RFC 6040 §4.2: marked on its way, and the inner packet cannot carry the mark."""
    yield to.ip(to.esp(*to.inside(echo(to.family, *to.inner))), tos=3)


@forgery
def nested_too_deep(to):
    packet = echo(to.family, *to.inner)
    for _ in range(4):
        packet = to.seal(packet)
    yield packet


# --- AH -------------------------------------------------------------------------------------------------------------

@forgery
def zero_length_ah(to):
    """Eight bytes, twelve: no room for an ICV, whatever follows."""
    data = to.inside(echo(to.family, *to.inner))
    yield to.authenticated(*data, words=0)
    yield to.authenticated(*data, words=0, cut=8)
    yield to.authenticated(*data, words=1, cut=12)


@forgery
def ah_lengths_that_lie(to):
    data = to.inside(echo(to.family, *to.inner))
    for words in (3, 4, 7, 9, 255):
        yield to.authenticated(*data, words=words)


@forgery
def ah_around_nothing(to):
    yield to.authenticated(b'', 59)
    yield to.authenticated(b'', 4 if to.family == 4 else 41)


# --- numbers of 64 bits ---------------------------------------------------------------------------------------------

EDGE = 1 << 32


@forgery
def half_way(to):
    yield to.seal(seq=EDGE // 2)


@forgery
def across_the_edge(to):
    for seq in (EDGE - 16, EDGE - 1, EDGE, EDGE + 1, EDGE - 6, EDGE + 40):
        yield to.seal(seq=seq)


@forgery
def replays_across_the_edge(to):
    yield from (first := [to.seal(seq=seq) for seq in (EDGE - 16, EDGE - 1, EDGE, EDGE + 3)])
    yield from first


@forgery
def within_the_window_across_the_edge(to):
    for seq in (EDGE - 48, EDGE + 16, EDGE + 16 - 63):
        yield to.seal(seq=seq)


@forgery
def left_of_the_window_across_the_edge(to):
    """It would be one of the next four thousand million, and the ICV is not that one's."""
    yield to.seal(seq=EDGE + 16 - 64)
    yield to.seal(seq=EDGE - 48)


@forgery
def a_wrong_upper_half(to):
    yield to.seal(seq=EDGE - 1)
    yield to.seal(seq=7 * EDGE + 5)
    yield to.seal(seq=5)
    yield to.seal(seq=EDGE + 5)


# --- in UDP ---------------------------------------------------------------------------------------------------------

@forgery
def bare_where_udp_is_agreed(to):
    to.udp = False
    yield to.seal()
    to.udp = True


@forgery
def keep_alives(to):
    for _ in range(3):
        yield to.datagram(b'\xff')


@forgery
def a_datagram_that_lies(to):
    """Shorter than its ESP, longer than its packet, shorter than itself."""
    esp = to.esp(*to.inside(echo(to.family, *to.inner)))
    yield header(to.family, to.src, to.dst, 17, to.datagram(esp[:-4])[20 if to.family == 4 else 40:] + esp[-4:])
    yield to.datagram(esp, length=8 + len(esp) + 4)
    yield to.datagram(esp, length=7)


# --- not protected at all -------------------------------------------------------------------------------------------

@forgery
def clear(to):
    yield echo(to.family, *to.inner)
    src, dst = to.inner
    ip = IP(src=src, dst=dst) if to.family == 4 else IPv6(src=src, dst=dst)
    yield raw(ip / TCP(sport=4000, dport=22, flags='S'))
    yield raw(ip / UDP(sport=53, dport=4000) / b'answer')


# --- pieces ---------------------------------------------------------------------------------------------------------

def pieces(to, packet, size=512):
    if to.family == 4:
        return [raw(piece) for piece in fragment(IP(packet), fragsize=size)]
    ip, load, number = IPv6(packet), packet[40:], next(identification)
    return [header(6, ip.src, ip.dst, 44, raw(IPv6ExtHdrFragment(nh=ip.nh, id=number, offset=at // 8, m=int(at + size < len(load)))) + load[at:at + size])
            for at in range(0, len(load), size)]


def moved_back(to, piece):
    """The same piece, eight bytes nearer to the datagram's start."""
    piece = bytearray(piece)
    at = 6 if to.family == 4 else 42
    value, = struct.unpack_from('!H', piece, at)
    struct.pack_into('!H', piece, at, value - (1 if to.family == 4 else 8))
    if to.family == 6:
        return bytes(piece)
    ip = IP(bytes(piece))
    del ip.chksum
    return raw(ip)


def flipped(packet, at):
    packet = bytearray(packet)
    packet[at] ^= 0x10
    return bytes(packet)


def transmit(packet):
    wire.send(Ether(src=wire_mac, dst=box, type=0x0800 if packet[0] >> 4 == 4 else 0x86dd) / Raw(packet))


wire_mac = open('/sys/class/net/%s/address' % device).read().strip()
ways = None
print('ready', flush=True)
for line in sys.stdin:
    words = line.split()
    if words[0] == 'sa':
        family, mode, suite = int(words[1]), words[2], words[3]
        ways = Way(family, mode, suite, words[10:], *words[4:7]), Way(family, mode, suite, words[10:], *words[7:10])
    else:
        for one in FORGERIES[words[0]](ways[0]):
            transmit(one)
        wire.send(Ether(src=wire_mac, dst=box, type=BARRIER) / Raw(bytes(46)))
    print('done', flush=True)
