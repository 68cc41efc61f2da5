/* TCP connections that this side begins. */
#define _GNU_SOURCE
#include "addon.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

socklen_t numeric_address(const char *host, uint16_t port, struct sockaddr_storage *address) {
  struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM };
  struct addrinfo *found;
  if (getaddrinfo(host, NULL, &hints, &found) != 0) return 0;
  socklen_t length = found->ai_addrlen;
  memcpy(address, found->ai_addr, length);
  freeaddrinfo(found);
  if (address->ss_family == AF_INET6) ((struct sockaddr_in6 *)address)->sin6_port = htons(port);
  else ((struct sockaddr_in *)address)->sin_port = htons(port);
  return length;
}

/* connectTcp(host, port, from): numeric addresses, `from` empty for any; a descriptor that is connected or will be. */
napi_value connect_tcp(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  char host[MAX_NAME];
  char from[MAX_NAME];
  int64_t port;
  struct sockaddr_storage there;
  struct sockaddr_storage here;
  socklen_t here_length = 0;
  if (begin(env, info, 3, arguments) == NULL ||
      !read_name(env, arguments[0], "host must be a numeric address", host) ||
      !read_integer(env, arguments[1], "port", 1, UINT16_MAX, &port) ||
      !read_name(env, arguments[2], "from must be a numeric address", from)) {
    return NULL;
  }
  socklen_t there_length = numeric_address(host, (uint16_t)port, &there);
  if (from[0] != 0) here_length = numeric_address(from, 0, &here);
  if (there_length == 0 || (from[0] != 0 && here_length == 0)) return number(env, -EINVAL);
  int fd = socket(there.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return number(env, -errno);
  if ((here_length == 0 || bind(fd, (struct sockaddr *)&here, here_length) == 0) &&
      (connect(fd, (struct sockaddr *)&there, there_length) == 0 || errno == EINPROGRESS || errno == EINTR)) {
    return number(env, fd);
  }
  int error = errno;
  close(fd);
  return number(env, -error);
}

/* socketError(fd): what became of it, an errno or 0 (SO_ERROR). */
napi_value socket_error(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  int fd;
  int error = 0;
  socklen_t length = sizeof error;
  if (begin(env, info, 1, arguments) == NULL || !read_fd(env, arguments[0], &fd)) return NULL;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return number(env, -errno);
  return number(env, error);
}
