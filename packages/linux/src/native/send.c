/* Bytes to a socket at once, without waiting: what does not fit is left to the caller. */
#define _GNU_SOURCE
#include "addon.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* IOV_MAX of Linux. */
#define MAX_PIECES 1024

static int64_t send_pieces(int fd, struct iovec *pieces, size_t count) {
  struct msghdr message = { .msg_iov = pieces, .msg_iovlen = count };
  ssize_t sent;
  do sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : sent;
}

/* send(fd, bytes, start, end): how many were taken, or a negative errno: -EAGAIN where there is no room. */
napi_value send_bytes(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  int fd;
  uint8_t *bytes;
  size_t length;
  int64_t start;
  int64_t end;
  if (begin(env, info, 4, arguments) == NULL || !read_fd(env, arguments[0], &fd) ||
      !read_bytes(env, arguments[1], "bytes", &bytes, &length) ||
      !read_integer(env, arguments[2], "start", 0, (int64_t)length, &start) ||
      !read_integer(env, arguments[3], "end", start, (int64_t)length, &end)) {
    return NULL;
  }
  struct iovec piece = { .iov_base = bytes + start, .iov_len = (size_t)(end - start) };
  return number(env, send_pieces(fd, &piece, 1));
}

/* sendViews(fd, views, count): the same for the first `count` of an array of Uint8Arrays; at most MAX_PIECES are looked at. */
napi_value send_views(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  int fd;
  int64_t count;
  uint32_t length;
  struct iovec pieces[MAX_PIECES];
  if (begin(env, info, 3, arguments) == NULL || !read_fd(env, arguments[0], &fd)) return NULL;
  if (napi_get_array_length(env, arguments[1], &length) != napi_ok) return wrong(env, "views must be an array");
  if (!read_integer(env, arguments[2], "count", 0, length, &count)) return NULL;
  if (count > MAX_PIECES) count = MAX_PIECES;
  for (uint32_t i = 0; i < count; i++) {
    napi_value view;
    uint8_t *bytes;
    size_t size;
    if (napi_get_element(env, arguments[1], i, &view) != napi_ok || !read_bytes(env, view, "view", &bytes, &size)) {
      return NULL;
    }
    pieces[i] = (struct iovec){ .iov_base = bytes, .iov_len = size };
  }
  return number(env, send_pieces(fd, pieces, (size_t)count));
}
