/* Socket pairs, their peers, close, ioctl. */
#define _GNU_SOURCE
#include "addon.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void set_buffers(int fd, int size) {
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0) {
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  }
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  }
}

/* socketPair(bufferSize): [a, b]; 0 leaves the buffers as the system makes them. */
napi_value socket_pair(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  int64_t size;
  int fds[2];
  napi_value result;
  struct instance *self = begin(env, info, 1, arguments);
  if (self == NULL || !read_integer(env, arguments[0], "bufferSize", 0, INT_MAX / 2, &size)) return NULL;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return number(env, -errno);
  for (int i = 0; i < 2 && size > 0; i++) set_buffers(fds[i], (int)size);
  if (napi_create_array_with_length(env, 2, &result) != napi_ok) {
    close(fds[0]);
    close(fds[1]);
    return NULL;
  }
  for (uint32_t i = 0; i < 2; i++) napi_set_element(env, result, i, number(env, fds[i]));
  return result;
}

/* peerPid(fd): 0 where the process is not seen from here. */
napi_value peer_pid(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  int fd;
  struct ucred peer;
  socklen_t length = sizeof peer;
  if (begin(env, info, 1, arguments) == NULL || !read_fd(env, arguments[0], &fd)) return NULL;
  return number(env, getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 ? peer.pid : -errno);
}

/* closeFd(fd) */
napi_value close_fd(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  int fd;
  if (begin(env, info, 1, arguments) == NULL || !read_fd(env, arguments[0], &fd)) return NULL;
  /* Linux has closed the descriptor when it says EINTR. */
  return number(env, close(fd) == 0 || errno == EINTR ? 0 : -errno);
}

/* closeHandle(handle), of a ring or a netlink socket. A handle that is closed already is no error. */
napi_value close_handle(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  int64_t handle;
  struct instance *self = begin(env, info, 1, arguments);
  if (self == NULL || !read_handle(env, arguments[0], &handle)) return NULL;
  struct slot *slot = handle_find(self, handle, KIND_FD);
  if (slot == NULL) return NULL;
  close(slot->fd);
  handle_remove(self, slot);
  return NULL;
}

/* More than any ioctl without pointers in its argument reads or writes (_IOC_SIZE has 14 bits). */
#define MIN_ARGUMENT 16384

struct ioctl_work {
  struct work work;
  int fd;
  unsigned long request;
  unsigned long value;
  napi_ref target;
  uint8_t *bytes;
  size_t length;
  int result;
};

static void ioctl_run(struct work *work) {
  struct ioctl_work *job = (struct ioctl_work *)work;
  int result = job->bytes == NULL ? ioctl(job->fd, job->request, job->value)
                                  : ioctl(job->fd, job->request, job->bytes);
  job->result = result < 0 ? -errno : result;
}

static napi_value ioctl_result(napi_env env, struct work *work) {
  struct ioctl_work *job = (struct ioctl_work *)work;
  napi_value target;
  uint8_t *bytes;
  size_t length;
  if (job->target != NULL && napi_get_reference_value(env, job->target, &target) == napi_ok && target != NULL &&
      read_bytes(env, target, "argument", &bytes, &length)) {
    /* 0 when it was detached meanwhile. */
    if (length > job->length) length = job->length;
    if (length > 0) memcpy(bytes, job->bytes, length);
  }
  return number(env, job->result);
}

static void ioctl_drop(napi_env env, struct work *work) {
  struct ioctl_work *job = (struct ioctl_work *)work;
  if (job->target != NULL) napi_delete_reference(env, job->target);
  if (job->fd >= 0) close(job->fd);
  free(job->bytes);
  free(job);
}

/* ioctl(fd, request, argument): argument is an integer or a Uint8Array, which is copied in and back. */
napi_value control(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  int fd;
  int64_t request;
  int64_t value = 0;
  uint8_t *bytes = NULL;
  size_t length = 0;
  napi_valuetype type;
  struct instance *self = begin(env, info, 3, arguments);
  if (self == NULL || !read_fd(env, arguments[0], &fd) ||
      !read_integer(env, arguments[1], "request", 0, UINT32_MAX, &request) ||
      napi_typeof(env, arguments[2], &type) != napi_ok) {
    return NULL;
  }
  bool by_value = type != napi_object;
  if (by_value ? !read_integer(env, arguments[2], "argument", 0, UINT32_MAX, &value)
               : !read_bytes(env, arguments[2], "argument", &bytes, &length)) {
    return NULL;
  }

  struct ioctl_work *job = calloc(1, sizeof *job);
  if (job == NULL) return number(env, -ENOMEM);
  job->work = (struct work){ .run = ioctl_run, .result = ioctl_result, .drop = ioctl_drop };
  job->request = (unsigned long)request;
  job->value = (unsigned long)value;
  job->length = length;
  /* A duplicate: the number may mean another file by the time a thread is free. */
  job->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  int error = job->fd < 0 ? errno : 0;
  if (error == 0 && !by_value) {
    job->bytes = calloc(1, length > MIN_ARGUMENT ? length : MIN_ARGUMENT);
    if (job->bytes == NULL || napi_create_reference(env, arguments[2], 1, &job->target) != napi_ok) error = ENOMEM;
    else if (length > 0) memcpy(job->bytes, bytes, length);
  }
  if (error != 0) {
    ioctl_drop(env, &job->work);
    return number(env, -error);
  }
  return work_start(env, &job->work, "blockbraid.ioctl");
}
