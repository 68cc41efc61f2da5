/* Connected sockets in the event loop of Node, without a stream of Node's around them: JavaScript says when to read or
 * write, and where to. */
#define _GNU_SOURCE
#include "addon.h"
#include "callback.h"
#include "uv.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* IOV_MAX of Linux. */
#define MAX_PIECES 1024

/* Beside libuv's: it polls no more. */
#define STOPPED 4

struct stream {
  struct instance *instance;
  struct callback callback;
  int fd;
  /* A uv_poll_t, of the size that libuv says. */
  void *poll;
};

static void on_event(void *poll, int status, int events) {
  struct stream *stream = uv_handle_get_data(poll);
  napi_env env = stream->callback.env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  /* libuv stops to poll what is in error. */
  napi_value argument = number(env, status < 0 ? UV_READABLE | STOPPED : events);
  callback_call(&stream->callback, 1, &argument);
  napi_close_handle_scope(env, scope);
}

static void on_closed(void *poll) {
  struct stream *stream = uv_handle_get_data(poll);
  struct instance *self = stream->instance;
  free(poll);
  free(stream);
  instance_closed(self);
}

/* Gives back the descriptor, which is the caller's now. */
static int let_go(struct instance *self, struct slot *slot) {
  struct stream *stream = slot->object;
  int fd = stream->fd;
  handle_remove(self, slot);
  uv_poll_stop(stream->poll);
  callback_close(&stream->callback);
  self->closing++;
  uv_close(stream->poll, on_closed);
  return fd;
}

void stream_end(struct instance *self, struct slot *slot) {
  close(let_go(self, slot));
}

/* What vanished without a word is noticed within minutes. Not TCP: all of this fails, and nothing is lost. */
static void prepare_tcp(int fd, int keep_alive) {
  int on = 1;
  int interval = 1;
  int count = 10;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (keep_alive == 0 || setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) != 0) return;
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &keep_alive, sizeof keep_alive);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

/* streamOpen(fd, keepAlive, callback): the descriptor is the stream's from then on; with an errno it is not. */
napi_value stream_open(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  int fd;
  int64_t keep_alive;
  napi_valuetype type;
  struct uv_loop_s *loop;
  int socket_type;
  socklen_t size = sizeof socket_type;
  struct instance *self = begin(env, info, 3, arguments);
  if (self == NULL || !read_fd(env, arguments[0], &fd) ||
      !read_integer(env, arguments[1], "keepAlive", 0, SHRT_MAX, &keep_alive)) {
    return NULL;
  }
  if (napi_typeof(env, arguments[2], &type) != napi_ok || type != napi_function) {
    return wrong(env, "callback must be a function");
  }
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return number(env, -ENOSYS);
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &socket_type, &size) != 0) return number(env, -errno);

  struct stream *stream = calloc(1, sizeof *stream);
  void *poll = calloc(1, uv_handle_size(UV_POLL));
  int64_t handle = -1;
  int error = ENOMEM;
  if (stream == NULL || poll == NULL) goto no_memory;
  *stream = (struct stream){ .instance = self, .fd = fd, .poll = poll };
  handle = handle_add(self, KIND_STREAM, stream, -1);
  if (handle < 0 || callback_open(env, arguments[2], "blockbraid.stream", &stream->callback) != napi_ok) goto no_handle;
  /* Makes it non-blocking. */
  error = -uv_poll_init(loop, poll, fd);
  if (error != 0) goto no_poll;
  uv_handle_set_data(poll, stream);
  prepare_tcp(fd, (int)keep_alive);
  return number(env, handle);

no_poll:
  callback_close(&stream->callback);
no_handle:
  if (handle >= 0) handle_remove(self, handle_find(self, handle, KIND_STREAM));
no_memory:
  free(poll);
  free(stream);
  return number(env, -error);
}

/* The stream of arguments[0]; NULL where it is closed, or, with an exception, where that is no handle. */
static struct stream *find(napi_env env, napi_callback_info info, size_t count, napi_value *arguments,
                           struct slot **slot, struct instance **self) {
  int64_t handle;
  *self = begin(env, info, count, arguments);
  if (*self == NULL || !read_handle(env, arguments[0], &handle)) return NULL;
  *slot = handle_find(*self, handle, KIND_STREAM);
  return *slot == NULL ? NULL : (*slot)->object;
}

/* What a call with a closed stream gives; nothing where an exception is pending. */
static napi_value closed(napi_env env) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  return pending ? NULL : number(env, -EBADF);
}

/* streamPoll(stream, events): calls back while it is readable (1), writable (2) or both; 0 for neither. */
napi_value stream_poll(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct slot *slot;
  struct instance *self;
  int64_t events;
  struct stream *stream = find(env, info, 2, arguments, &slot, &self);
  if (stream == NULL) return closed(env);
  if (!read_integer(env, arguments[1], "events", 0, UV_READABLE | UV_WRITABLE, &events)) return NULL;
  return number(env, events == 0 ? uv_poll_stop(stream->poll) : uv_poll_start(stream->poll, (int)events, on_event));
}

static bool read_range(napi_env env, const napi_value *arguments, struct iovec *range) {
  uint8_t *bytes;
  size_t length;
  int64_t start;
  int64_t end;
  if (!read_bytes(env, arguments[0], "bytes", &bytes, &length) ||
      !read_integer(env, arguments[1], "start", 0, (int64_t)length, &start) ||
      !read_integer(env, arguments[2], "end", start, (int64_t)length, &end)) {
    return false;
  }
  *range = (struct iovec){ .iov_base = bytes + start, .iov_len = (size_t)(end - start) };
  return true;
}

/* streamReceive(stream, bytes, start, end): how many came, 0 where no more will, or a negative errno. */
napi_value stream_receive(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  struct slot *slot;
  struct instance *self;
  struct iovec room;
  ssize_t count;
  struct stream *stream = find(env, info, 4, arguments, &slot, &self);
  if (stream == NULL) return closed(env);
  if (!read_range(env, arguments + 1, &room)) return NULL;
  do count = recv(stream->fd, room.iov_base, room.iov_len, MSG_DONTWAIT);
  while (count < 0 && errno == EINTR);
  return number(env, count < 0 ? -errno : count);
}

static napi_value send_pieces(napi_env env, struct stream *stream, struct iovec *pieces, size_t count) {
  struct msghdr message = { .msg_iov = pieces, .msg_iovlen = count };
  ssize_t sent;
  do sent = sendmsg(stream->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return number(env, sent < 0 ? -errno : sent);
}

/* streamSend(stream, bytes, start, end): how many were taken, or a negative errno. */
napi_value stream_send(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  struct slot *slot;
  struct instance *self;
  struct iovec piece;
  struct stream *stream = find(env, info, 4, arguments, &slot, &self);
  if (stream == NULL) return closed(env);
  if (!read_range(env, arguments + 1, &piece)) return NULL;
  return send_pieces(env, stream, &piece, 1);
}

/* streamSendViews(stream, views, from, to): the same for some of an array of Uint8Arrays, the first MAX_PIECES of them. */
napi_value stream_send_views(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  struct slot *slot;
  struct instance *self;
  uint32_t length;
  int64_t from;
  int64_t to;
  struct iovec pieces[MAX_PIECES];
  struct stream *stream = find(env, info, 4, arguments, &slot, &self);
  if (stream == NULL) return closed(env);
  if (napi_get_array_length(env, arguments[1], &length) != napi_ok) return wrong(env, "views must be an array");
  if (!read_integer(env, arguments[2], "from", 0, length, &from) ||
      !read_integer(env, arguments[3], "to", from, length, &to)) {
    return NULL;
  }
  size_t count = 0;
  for (int64_t at = from; at < to && count < MAX_PIECES; at++, count++) {
    napi_value view;
    uint8_t *bytes;
    size_t size;
    if (napi_get_element(env, arguments[1], (uint32_t)at, &view) != napi_ok ||
        !read_bytes(env, view, "view", &bytes, &size)) {
      return NULL;
    }
    pieces[count] = (struct iovec){ .iov_base = bytes, .iov_len = size };
  }
  return send_pieces(env, stream, pieces, count);
}

/* streamShutdown(stream): FIN behind what was sent. */
napi_value stream_shutdown(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  struct slot *slot;
  struct instance *self;
  struct stream *stream = find(env, info, 1, arguments, &slot, &self);
  if (stream == NULL) return closed(env);
  return number(env, shutdown(stream->fd, SHUT_WR) == 0 ? 0 : -errno);
}

/* streamClose(stream, reset): by RST where it is TCP and that is wanted. One that is closed already is no error. */
napi_value stream_close(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct slot *slot;
  struct instance *self;
  bool reset;
  struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
  struct stream *stream = find(env, info, 2, arguments, &slot, &self);
  if (stream == NULL || !read_boolean(env, arguments[1], "reset", &reset)) return NULL;
  if (reset) setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  stream_end(self, slot);
  return NULL;
}

/* streamRelease(stream): closes the stream and gives its descriptor. */
napi_value stream_release(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  struct slot *slot;
  struct instance *self;
  if (find(env, info, 1, arguments, &slot, &self) == NULL) return closed(env);
  return number(env, let_go(self, slot));
}
