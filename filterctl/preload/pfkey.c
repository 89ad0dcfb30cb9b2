/*
 * Gives a program Filter's PF_KEY socket where it asks the kernel for one: socket(PF_KEY, SOCK_RAW, PF_KEY_V2) becomes a Unix socket of
 * packets in sequence that is connected to the daemon. Loaded by LD_PRELOAD (filterctl pfkey-run); all else passes through.
 *
 * The kernel's socket has answered a message when send returns, and programs rely on it: a send by ours returns once the daemon has
 * taken the message off the socket, which it does when its answer is there. Whose a descriptor is, the kernel says (getpeername): so
 * it may have been inherited, duplicated, or passed from another process, whatever that one's rights and root are.
 *
 * Key managers exempt their UDP sockets from the kernel's policies, and have the kernel take ESP out of UDP. Filter does both by
 * itself. A kernel without IPsec says that it cannot, which is no reason to give up.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PF_KEY_VERSION 2
#define IP_IPSEC_POLICY_OPTION 16
#define IPV6_IPSEC_POLICY_OPTION 34
#define UDP_ENCAP_OPTION 100
#define MOST_LOOKS 20000 /* of 100 microseconds: two seconds */

static const char *path_of_socket(void) {
  const char *path = getenv("FILTER_PFKEY");
  return path && *path ? path : "/run/filter/pfkey";
}

static int address_of(struct sockaddr_un *address) {
  const char *path = path_of_socket();
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if (strlen(path) >= sizeof address->sun_path) {
    return -1;
  }
  strcpy(address->sun_path, path);
  return 0;
}

static int connect_to_filter(int flags) {
  struct sockaddr_un address;
  if (address_of(&address) < 0) {
    errno = EAFNOSUPPORT;
    return -1;
  }
  int (*real)(int, int, int) = (int (*)(int, int, int))dlsym(RTLD_NEXT, "socket");
  int fd = real(AF_UNIX, SOCK_SEQPACKET | (flags & SOCK_CLOEXEC), 0);
  if (fd < 0) {
    return -1;
  }
  int room = 256 * 1024;
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    int why = errno == EACCES || errno == EPERM ? EPERM : EAFNOSUPPORT;
    close(fd);
    errno = why;
    return -1;
  }
  if (flags & SOCK_NONBLOCK) {
    int on = 1;
    ioctl(fd, FIONBIO, &on);
  }
  return fd;
}

static int is_ours(int fd) {
  struct sockaddr_un peer, ours;
  socklen_t length = sizeof peer;
  int kept = errno;
  memset(&peer, 0, sizeof peer);
  int is = getpeername(fd, (struct sockaddr *)&peer, &length) == 0 && peer.sun_family == AF_UNIX && address_of(&ours) == 0
    && strncmp(peer.sun_path, ours.sun_path, sizeof ours.sun_path) == 0;
  errno = kept;
  return is;
}

/* Waits until nothing that was sent is left in the socket. */
static ssize_t answered(int fd, ssize_t sent) {
  if (sent > 0 && is_ours(fd)) {
    int kept = errno, left = 0;
    for (int i = 0; i < MOST_LOOKS && ioctl(fd, SIOCOUTQ, &left) == 0 && left > 0; i++) {
      struct pollfd gone = {.fd = fd, .events = 0};
      if (poll(&gone, 1, 0) > 0 && (gone.revents & (POLLHUP | POLLERR))) {
        break; /* the daemon has ended */
      }
      struct timespec pause = {.tv_nsec = 100 * 1000};
      nanosleep(&pause, NULL);
    }
    errno = kept;
  }
  return sent;
}

int socket(int domain, int type, int protocol) {
  static int (*real)(int, int, int);
  if (domain == PF_KEY && (type & 0xf) == SOCK_RAW && protocol == PF_KEY_VERSION) {
    return connect_to_filter(type);
  }
  if (!real) {
    real = (int (*)(int, int, int))dlsym(RTLD_NEXT, "socket");
  }
  return real(domain, type, protocol);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t length) {
  static int (*real)(int, int, int, const void *, socklen_t);
  if (!real) {
    real = (int (*)(int, int, int, const void *, socklen_t))dlsym(RTLD_NEXT, "setsockopt");
  }
  int done = real(fd, level, name, value, length);
  int of_ipsec = (level == IPPROTO_IP && name == IP_IPSEC_POLICY_OPTION) || (level == IPPROTO_IPV6 && name == IPV6_IPSEC_POLICY_OPTION)
    || (level == IPPROTO_UDP && name == UDP_ENCAP_OPTION);
  return done < 0 && of_ipsec && (errno == EOPNOTSUPP || errno == ENOPROTOOPT) ? 0 : done;
}

ssize_t write(int fd, const void *bytes, size_t length) {
  static ssize_t (*real)(int, const void *, size_t);
  if (!real) {
    real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  }
  return answered(fd, real(fd, bytes, length));
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  static ssize_t (*real)(int, const struct iovec *, int);
  if (!real) {
    real = (ssize_t (*)(int, const struct iovec *, int))dlsym(RTLD_NEXT, "writev");
  }
  return answered(fd, real(fd, parts, count));
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
  static ssize_t (*real)(int, const void *, size_t, int);
  if (!real) {
    real = (ssize_t (*)(int, const void *, size_t, int))dlsym(RTLD_NEXT, "send");
  }
  return answered(fd, real(fd, bytes, length, flags));
}

ssize_t sendto(int fd, const void *bytes, size_t length, int flags, const struct sockaddr *to, socklen_t its) {
  static ssize_t (*real)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
  if (!real) {
    real = (ssize_t (*)(int, const void *, size_t, int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "sendto");
  }
  return answered(fd, real(fd, bytes, length, flags, to, its));
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  static ssize_t (*real)(int, const struct msghdr *, int);
  if (!real) {
    real = (ssize_t (*)(int, const struct msghdr *, int))dlsym(RTLD_NEXT, "sendmsg");
  }
  return answered(fd, real(fd, message, flags));
}
