/* io_uring: set-up and enter. The queues are handled in TypeScript, on the mapped memory. The interface is written
 * out: headers of the kernel may be missing or old. */
#define _GNU_SOURCE
#include "addon.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#endif
#ifndef SYS_io_uring_enter
#define SYS_io_uring_enter 426
#endif

#define SETUP_CQSIZE (1u << 3)
#define SETUP_SUBMIT_ALL (1u << 7)
#define SETUP_COOP_TASKRUN (1u << 8)
#define SETUP_SQE128 (1u << 10)
#define SETUP_SINGLE_ISSUER (1u << 12)
#define FEATURE_SINGLE_MMAP (1u << 0)
#define OFFSET_RINGS 0
#define OFFSET_ENTRIES 0x10000000

struct uring_parameters {
  uint32_t sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd, reserved[3];
  struct {
    uint32_t head, tail, ring_mask, ring_entries, flags, dropped, array, reserved;
    uint64_t address;
  } sq;
  struct {
    uint32_t head, tail, ring_mask, ring_entries, overflow, cqes, flags, reserved;
    uint64_t address;
  } cq;
};

/* Flags that only make it faster, and come with newer kernels: dropped until one takes it. */
static const uint32_t optional_flags[] = { SETUP_SUBMIT_ALL | SETUP_COOP_TASKRUN | SETUP_SINGLE_ISSUER,
                                           SETUP_SUBMIT_ALL | SETUP_COOP_TASKRUN, SETUP_SUBMIT_ALL, 0 };

static int setup(uint32_t entries, bool wide, uint32_t completions, struct uring_parameters *parameters) {
  uint32_t flags = (wide ? SETUP_SQE128 : 0) | (completions > 0 ? SETUP_CQSIZE : 0);
  long fd = -1;
  for (size_t i = 0; i < sizeof optional_flags / sizeof *optional_flags; i++) {
    memset(parameters, 0, sizeof *parameters);
    parameters->flags = flags | optional_flags[i];
    parameters->cq_entries = completions;
    fd = syscall(SYS_io_uring_setup, entries, parameters);
    if (fd >= 0 || errno != EINVAL) break;
  }
  return fd < 0 ? -errno : (int)fd;
}

static napi_value map_part(napi_env env, struct instance *self, int fd, size_t length, off_t offset, int *error) {
  void *address = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
  if (address == MAP_FAILED) {
    *error = errno;
    return NULL;
  }
  madvise(address, length, MADV_DONTFORK);
  return mapping_create(env, self, address, length, error);
}

static void describe(napi_env env, napi_value result, const struct uring_parameters *parameters) {
  set_number(env, result, "flags", parameters->flags);
  set_number(env, result, "features", parameters->features);
  set_number(env, result, "sqEntries", parameters->sq_entries);
  set_number(env, result, "cqEntries", parameters->cq_entries);
  set_number(env, result, "sqHead", parameters->sq.head);
  set_number(env, result, "sqTail", parameters->sq.tail);
  set_number(env, result, "sqFlags", parameters->sq.flags);
  set_number(env, result, "sqArray", parameters->sq.array);
  set_number(env, result, "cqHead", parameters->cq.head);
  set_number(env, result, "cqTail", parameters->cq.tail);
  set_number(env, result, "cqes", parameters->cq.cqes);
}

/* uringOpen(entries, wide, completions): { handle, fd, rings, entries, flags, … } with the offsets in bytes.
 * When only the second mapping fails, the first one goes with the garbage. */
napi_value uring_open(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  int64_t entries;
  int64_t completions;
  bool wide;
  struct instance *self = begin(env, info, 3, arguments);
  if (self == NULL || !read_integer(env, arguments[0], "entries", 1, 32768, &entries) ||
      !read_boolean(env, arguments[1], "wide", &wide) ||
      !read_integer(env, arguments[2], "completions", 0, 65536, &completions)) {
    return NULL;
  }
  struct uring_parameters parameters;
  int fd = setup((uint32_t)entries, wide, (uint32_t)completions, &parameters);
  if (fd < 0) return number(env, fd);
  int error = ENOSYS;
  int64_t handle = -1;
  napi_value rings = NULL;
  napi_value submissions = NULL;
  napi_value result;
  if ((parameters.features & FEATURE_SINGLE_MMAP) != 0) {
    size_t sq_length = parameters.sq.array + parameters.sq_entries * sizeof(uint32_t);
    size_t cq_length = parameters.cq.cqes + (size_t)parameters.cq_entries * 16;
    rings = map_part(env, self, fd, sq_length > cq_length ? sq_length : cq_length, OFFSET_RINGS, &error);
  }
  if (rings != NULL) {
    size_t length = (size_t)parameters.sq_entries * (wide ? 128 : 64);
    submissions = map_part(env, self, fd, length, OFFSET_ENTRIES, &error);
  }
  if (submissions != NULL) {
    error = ENOMEM;
    handle = handle_add(self, KIND_FD, NULL, fd);
  }
  if (handle < 0) {
    close(fd);
    return number(env, -error);
  }
  if (napi_create_object(env, &result) != napi_ok) return NULL;
  set_number(env, result, "handle", handle);
  set_number(env, result, "fd", fd);
  napi_set_named_property(env, result, "rings", rings);
  napi_set_named_property(env, result, "submissions", submissions);
  describe(env, result, &parameters);
  return result;
}

/* uringEnter(handle, submit, flags): how many entries the kernel took */
napi_value uring_enter(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  int64_t handle;
  int64_t submit;
  int64_t flags;
  struct instance *self = begin(env, info, 3, arguments);
  if (self == NULL || !read_handle(env, arguments[0], &handle) ||
      !read_integer(env, arguments[1], "submit", 0, UINT32_MAX, &submit) ||
      !read_integer(env, arguments[2], "flags", 0, UINT32_MAX, &flags)) {
    return NULL;
  }
  struct slot *slot = handle_find(self, handle, KIND_FD);
  if (slot == NULL) return number(env, -EBADF);
  long taken = syscall(SYS_io_uring_enter, slot->fd, (unsigned)submit, 0u, (unsigned)flags, NULL, (size_t)0);
  return number(env, taken < 0 ? -errno : taken);
}
