/* Sockets that listen, and what they accept. */
#define _GNU_SOURCE
#include "addon.h"
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The listening descriptor, or a negative errno. */
static int listen_at(const struct sockaddr *address, socklen_t length, int backlog) {
  int on = 1;
  int off = 0;
  int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  bool is_unix = address->sa_family == AF_UNIX;
  if ((is_unix || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0) &&
      /* As libuv has it: the IPv6 wildcard takes IPv4 too, whatever the system's default. */
      (address->sa_family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0) &&
      bind(fd, address, length) == 0 && listen(fd, backlog) == 0) {
    return fd;
  }
  int error = errno;
  close(fd);
  return -error;
}

/* listenTcp(host, port, backlog): host is a numeric address. */
napi_value listen_tcp(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  char host[MAX_NAME];
  int64_t port;
  int64_t backlog;
  if (begin(env, info, 3, arguments) == NULL ||
      !read_name(env, arguments[0], "host must be a numeric address", host) ||
      !read_integer(env, arguments[1], "port", 0, UINT16_MAX, &port) ||
      !read_integer(env, arguments[2], "backlog", 1, INT_MAX, &backlog)) {
    return NULL;
  }
  struct sockaddr_storage address;
  socklen_t length = numeric_address(host, (uint16_t)port, &address);
  if (length == 0) return number(env, -EINVAL);
  return number(env, listen_at((struct sockaddr *)&address, length, (int)backlog));
}

/* listenUnix(path, backlog) */
napi_value listen_unix(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  char path[MAX_NAME];
  int64_t backlog;
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  if (begin(env, info, 2, arguments) == NULL ||
      !read_name(env, arguments[0], "path must be the path of a socket", path) ||
      !read_integer(env, arguments[1], "backlog", 1, INT_MAX, &backlog)) {
    return NULL;
  }
  size_t length = strlen(path);
  if (length == 0) return number(env, -EINVAL);
  if (length >= sizeof address.sun_path) return number(env, -ENAMETOOLONG);
  memcpy(address.sun_path, path, length + 1);
  return number(env, listen_at((struct sockaddr *)&address, sizeof address, (int)backlog));
}

/* acceptSocket(fd): a descriptor; -EAGAIN where none waits. */
napi_value accept_socket(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  int fd;
  int accepted;
  if (begin(env, info, 1, arguments) == NULL || !read_fd(env, arguments[0], &fd)) return NULL;
  do accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  while (accepted < 0 && errno == EINTR);
  return number(env, accepted < 0 ? -errno : accepted);
}

/* localPort(fd): 0 for a unix socket. */
napi_value local_port(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  int fd;
  struct sockaddr_storage address = { 0 };
  socklen_t length = sizeof address;
  if (begin(env, info, 1, arguments) == NULL || !read_fd(env, arguments[0], &fd)) return NULL;
  if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) return number(env, -errno);
  if (address.ss_family == AF_INET) return number(env, ntohs(((struct sockaddr_in *)&address)->sin_port));
  if (address.ss_family == AF_INET6) return number(env, ntohs(((struct sockaddr_in6 *)&address)->sin6_port));
  return number(env, 0);
}
