/* A generic netlink socket. Messages are built and read in TypeScript; here one goes out and its answers come in,
 * both on the thread pool, since the kernel handles a request inside of send(). The structures are written out:
 * headers of the kernel may not be installed. */
#define _GNU_SOURCE
#include "addon.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NETLINK_GENERIC 16
#define NETLINK_CAP_ACK 10
#define NETLINK_EXT_ACK 11
#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif
#define NLMSG_ERROR 2
#define NLMSG_DONE 3
#define MAX_ANSWER (4u << 20)

struct netlink_address {
  uint16_t family;
  uint16_t padding;
  uint32_t port;
  uint32_t groups;
};

struct netlink_header {
  uint32_t length;
  uint16_t type;
  uint16_t flags;
  uint32_t sequence;
  uint32_t port;
};

/* netlinkOpen(): handle */
napi_value netlink_open(napi_env env, napi_callback_info info) {
  struct instance *self = begin(env, info, 0, NULL);
  if (self == NULL) return NULL;
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
  if (fd < 0) return number(env, -errno);
  struct netlink_address own = { .family = AF_NETLINK };
  int on = 1;
  int error = bind(fd, (struct sockaddr *)&own, sizeof own) == 0 ? 0 : errno;
  /* Old kernels do without: the answers are only shorter. */
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  int64_t handle = error == 0 ? handle_add(self, KIND_FD, NULL, fd) : -1;
  if (handle < 0) {
    close(fd);
    return number(env, -(error == 0 ? ENOMEM : error));
  }
  return number(env, handle);
}

struct netlink_work {
  struct work work;
  int fd;
  int timeout;
  int error;
  uint8_t *request;
  size_t request_length;
  uint32_t sequence;
  uint8_t *answer;
  size_t length;
  size_t capacity;
};

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static int make_room(struct netlink_work *job, size_t more) {
  if (job->length + more <= job->capacity) return 0;
  size_t capacity = job->capacity == 0 ? 8192 : job->capacity;
  while (capacity < job->length + more) capacity *= 2;
  if (capacity > MAX_ANSWER) return EMSGSIZE;
  uint8_t *answer = realloc(job->answer, capacity);
  if (answer == NULL) return ENOMEM;
  job->answer = answer;
  job->capacity = capacity;
  return 0;
}

/* Keeps of a datagram, which stands behind the answer so far, what belongs to the request. */
static bool keep(struct netlink_work *job, size_t received) {
  uint8_t *bytes = job->answer + job->length;
  size_t at = 0;
  while (at + sizeof(struct netlink_header) <= received) {
    struct netlink_header header;
    memcpy(&header, bytes + at, sizeof header);
    if (header.length < sizeof header || header.length > received - at) break;
    size_t aligned = (header.length + 3u) & ~3u;
    if (header.sequence == job->sequence) {
      size_t whole = aligned > received - at ? received - at : aligned;
      memmove(job->answer + job->length, bytes + at, whole);
      job->length += whole;
      if (header.type == NLMSG_ERROR || header.type == NLMSG_DONE) return true;
    }
    if (aligned > received - at) break;
    at += aligned;
  }
  return false;
}

static int receive(struct netlink_work *job, bool *done) {
  struct netlink_address sender = { 0 };
  struct iovec vector = { 0 };
  struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
  ssize_t size = recvmsg(job->fd, &message, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
  if (size < 0) return errno;
  int error = make_room(job, (size_t)size);
  if (error != 0) return error;
  vector.iov_base = job->answer + job->length;
  vector.iov_len = job->capacity - job->length;
  message = (struct msghdr){ .msg_name = &sender, .msg_namelen = sizeof sender, .msg_iov = &vector, .msg_iovlen = 1 };
  size = recvmsg(job->fd, &message, MSG_DONTWAIT);
  if (size < 0) return errno;
  /* Port 0 is the kernel; other processes may send too. */
  if (sender.port == 0 && (message.msg_flags & MSG_TRUNC) == 0) *done = keep(job, (size_t)size);
  return 0;
}

static void request_run(struct work *work) {
  struct netlink_work *job = (struct netlink_work *)work;
  struct netlink_address kernel = { .family = AF_NETLINK };
  ssize_t sent;
  do {
    sent = sendto(job->fd, job->request, job->request_length, 0, (struct sockaddr *)&kernel, sizeof kernel);
  } while (sent < 0 && errno == EINTR);
  job->error = sent < 0 ? errno : 0;
  int64_t end = now() + job->timeout;
  bool done = false;
  while (job->error == 0 && !done) {
    int64_t left = end - now();
    struct pollfd readable = { .fd = job->fd, .events = POLLIN };
    int ready = poll(&readable, 1, left > 0 ? (int)left : 0);
    if (ready == 0) job->error = ETIMEDOUT;
    else job->error = ready < 0 ? errno : receive(job, &done);
    if (job->error == EINTR || job->error == EAGAIN) job->error = 0;
  }
}

static napi_value request_result(napi_env env, struct work *work) {
  struct netlink_work *job = (struct netlink_work *)work;
  napi_value buffer = NULL;
  if (job->error != 0) return number(env, -job->error);
  if (napi_create_buffer_copy(env, job->length, job->answer, NULL, &buffer) != napi_ok) return number(env, -ENOMEM);
  return buffer;
}

static void request_drop(napi_env env, struct work *work) {
  (void)env;
  struct netlink_work *job = (struct netlink_work *)work;
  if (job->fd >= 0) close(job->fd);
  free(job->request);
  free(job->answer);
  free(job);
}

/* netlinkRequest(handle, message, timeout): the answers up to the acknowledgement, as one Buffer */
napi_value netlink_request(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  int64_t handle;
  int64_t timeout;
  uint8_t *bytes;
  size_t length;
  struct netlink_header header;
  struct instance *self = begin(env, info, 3, arguments);
  if (self == NULL || !read_handle(env, arguments[0], &handle) ||
      !read_bytes(env, arguments[1], "message", &bytes, &length) ||
      !read_integer(env, arguments[2], "timeout", 0, INT32_MAX, &timeout)) {
    return NULL;
  }
  if (length < sizeof header || length > MAX_ANSWER) return wrong(env, "message must be a netlink message");
  memcpy(&header, bytes, sizeof header);
  if (header.length != length) return wrong(env, "message must be a single netlink message");
  struct slot *slot = handle_find(self, handle, KIND_FD);
  if (slot == NULL) return number(env, -EBADF);

  struct netlink_work *job = calloc(1, sizeof *job);
  if (job == NULL) return number(env, -ENOMEM);
  job->work = (struct work){ .run = request_run, .result = request_result, .drop = request_drop };
  job->timeout = (int)timeout;
  job->sequence = header.sequence;
  job->request_length = length;
  job->request = malloc(length);
  job->fd = fcntl(slot->fd, F_DUPFD_CLOEXEC, 0);
  int error = job->fd < 0 ? errno : ENOMEM;
  if (job->request == NULL || job->fd < 0) {
    request_drop(env, &job->work);
    return number(env, -error);
  }
  memcpy(job->request, bytes, length);
  return work_start(env, &job->work, "blockbraid.netlink");
}
