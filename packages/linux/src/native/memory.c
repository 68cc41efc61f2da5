/* mmap as ArrayBuffers. */
#define _GNU_SOURCE
#include "addon.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct mapping {
  struct instance *instance;
  int64_t handle;
  void *address;
  size_t length;
};

/* Runs once per mapping on the JavaScript thread, when V8 has let go of the memory. */
static void finalize(napi_env env, void *data, void *hint) {
  (void)env;
  (void)data;
  struct mapping *mapping = hint;
  struct instance *self = mapping->instance;
  struct slot *slot = handle_find(self, mapping->handle, KIND_MAPPING);
  if (slot != NULL) {
    munmap(mapping->address, mapping->length);
    handle_remove(self, slot);
  }
  free(mapping);
  instance_release(self);
}

napi_value mapping_create(napi_env env, struct instance *self, void *address, size_t length, int *error) {
  napi_value buffer;
  napi_value result;
  *error = ENOMEM;
  struct mapping *mapping = malloc(sizeof *mapping);
  int64_t handle = mapping == NULL ? -1 : handle_add(self, KIND_MAPPING, mapping, -1);
  if (handle < 0) {
    munmap(address, length);
    free(mapping);
    return NULL;
  }
  *mapping = (struct mapping){ self, handle, address, length };
  self->users++;
  if (napi_create_external_arraybuffer(env, address, length, finalize, mapping, &buffer) != napi_ok) {
    /* A length that V8 refuses has been finalized; other failures have not. */
    if (handle_find(self, handle, KIND_MAPPING) != NULL) finalize(env, address, mapping);
    return NULL;
  }
  if (napi_create_object(env, &result) != napi_ok) return NULL;
  napi_set_named_property(env, result, "buffer", buffer);
  set_number(env, result, "address", (int64_t)(uintptr_t)address);
  set_number(env, result, "handle", handle);
  return result;
}

static napi_value map(napi_env env, struct instance *self, size_t length, int protection, int flags, int fd,
                      off_t offset) {
  void *address = mmap(NULL, length, protection, flags, fd, offset);
  if (address == MAP_FAILED) return number(env, -errno);
  /* A child between fork and exec must not hold the file open, and copying the pages of memory would take its time. */
  madvise(address, length, MADV_DONTFORK);
  /* The first byte of a huge page would take 2 MiB. Kernels without them refuse, and need it not. */
  if (fd < 0) madvise(address, length, MADV_NOHUGEPAGE);
  int error;
  napi_value result = mapping_create(env, self, address, length, &error);
  bool thrown = false;
  if (result != NULL || (napi_is_exception_pending(env, &thrown) == napi_ok && thrown)) return result;
  return number(env, -error);
}

/* mapMemory(length) */
napi_value map_memory(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  int64_t length;
  struct instance *self = begin(env, info, 1, arguments);
  if (self == NULL || !read_integer(env, arguments[0], "length", 1, (int64_t)1 << 46, &length)) return NULL;
  return map(env, self, (size_t)length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* mapFile(fd, offset, length, write) */
napi_value map_file(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  int fd;
  int64_t offset;
  int64_t length;
  bool write;
  struct instance *self = begin(env, info, 4, arguments);
  if (self == NULL || !read_fd(env, arguments[0], &fd) ||
      !read_integer(env, arguments[1], "offset", 0, (int64_t)1 << 53, &offset) ||
      !read_integer(env, arguments[2], "length", 1, (int64_t)1 << 46, &length) ||
      !read_boolean(env, arguments[3], "write", &write)) {
    return NULL;
  }
  int protection = write ? PROT_READ | PROT_WRITE : PROT_READ;
  return map(env, self, (size_t)length, protection, MAP_SHARED | MAP_POPULATE, fd, (off_t)offset);
}

/* unmap(handle, buffer). A handle that is closed already is no error. */
napi_value unmap(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  int64_t handle;
  bool is_buffer = false;
  struct instance *self = begin(env, info, 2, arguments);
  if (self == NULL || !read_handle(env, arguments[0], &handle)) return NULL;
  if (napi_is_arraybuffer(env, arguments[1], &is_buffer) != napi_ok || !is_buffer) {
    return wrong(env, "buffer must be an ArrayBuffer");
  }
  struct slot *slot = handle_find(self, handle, KIND_MAPPING);
  if (slot == NULL) return NULL;
  struct mapping *mapping = slot->object;
  void *data = NULL;
  size_t length = 0;
  if (napi_get_arraybuffer_info(env, arguments[1], &data, &length) != napi_ok) return NULL;
  /* Memory that went to another ArrayBuffer (transfer) stays until that one is collected. */
  if (data != mapping->address) return NULL;
  if (napi_detach_arraybuffer(env, arguments[1]) != napi_ok) return NULL;
  munmap(mapping->address, mapping->length);
  handle_remove(self, slot);
  return NULL;
}
